//! Files and folders of the host.

use super::Lowering;
use crate::SourceKind;
use std::path::Path;
use tierce_spec::{SourceOptions, join_image_path};

impl Lowering<'_> {
    /// What `COPY` does: a folder's contents go into `dst`; a file becomes `dst`, or goes into it
    /// where it is a directory.
    pub(super) fn copy(&mut self, kind: SourceKind, src: &Path, dst: &str) {
        let dst = self.text(dst);
        match kind {
            SourceKind::Folder => {
                self.directories.insert(self.place(&dst));
                self.image = self.image.with_source_folder(src, dst, SourceOptions::new());
            }
            SourceKind::File => {
                let is_folder = dst.ends_with('/') || self.directories.contains(&self.place(&dst));
                let dst = match is_folder && !dst.ends_with('/') {
                    true => format!("{dst}/"),
                    false => dst,
                };
                self.image = self.image.with_source_file(src, dst);
            }
        }
    }

    fn place(&self, dst: &str) -> String {
        join_image_path(self.workdir.as_deref().unwrap_or("/\0"), dst)
    }
}
