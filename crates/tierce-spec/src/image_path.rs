//! Paths inside the image: always with `/`, never the host's.

use crate::{SourceFile, SourceFolder};

/// `path` below `workdir` where it is relative, without `.` components and double slashes.
///
/// ```
/// use tierce_spec::join_image_path;
/// assert_eq!(join_image_path("/app", "./src/"), "/app/src");
/// assert_eq!(join_image_path("/app", "/etc/motd"), "/etc/motd");
/// assert_eq!(join_image_path("/", "."), "/");
/// ```
pub fn join_image_path(workdir: &str, path: &str) -> String {
    let start = if path.starts_with('/') { "" } else { workdir };
    let components = start.split('/').chain(path.split('/'));
    let mut out = String::new();
    for component in components.filter(|c| !c.is_empty() && *c != ".") {
        out.push('/');
        out.push_str(component);
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// Whether `path` leads out of where it starts.
pub(crate) fn has_parent_component(path: &str) -> bool {
    path.split('/').any(|component| component == "..")
}

impl SourceFolder {
    /// The folder's absolute path in the image, for steps in `workdir`.
    pub fn image_path(&self, workdir: &str) -> String {
        join_image_path(workdir, &self.dst)
    }
}

impl SourceFile {
    /// `dst`, with the file's own name where `dst` is a folder: it ends in `/`, or its last
    /// component is `.`.
    pub fn target(&self) -> String {
        let folder = self.dst.is_empty() || self.dst.ends_with('/') || {
            self.dst.rsplit('/').next() == Some(".")
        };
        match self.src.file_name() {
            Some(name) if folder => {
                let slash = if self.dst.is_empty() || self.dst.ends_with('/') { "" } else { "/" };
                format!("{}{slash}{}", self.dst, name.to_string_lossy())
            }
            _ => self.dst.clone(),
        }
    }

    /// The file's absolute path in the image, for steps in `workdir`.
    pub fn image_path(&self, workdir: &str) -> String {
        join_image_path(workdir, &self.target())
    }
}
