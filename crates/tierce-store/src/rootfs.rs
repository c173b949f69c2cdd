//! Unpacked layers.
//!
//! A layer's directory is `<hex>/layer`: `<hex>` is the store's own, so that it can be moved and
//! dated whatever mode, owner and times the layer gives its root.

use crate::error::{Action, FileError, StoreError};
use crate::file::{rename_into, stat, touch};
use crate::names::file_name;
use crate::store::Store;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tierce_oci::DiffId;

/// The name of the layer's own directory.
const LAYER: &str = "layer";

/// What became of an unpacked layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// It is the store's now.
    New,
    /// Somebody else was first. The caller's copy is where it was, and not needed.
    Surplus,
}

impl Store {
    /// Where the layer is unpacked, or would be: it is there, and whole, if the path exists.
    /// `variant` stands for what makes unpacked layers differ, as how ids are mapped. Counts as a
    /// use.
    pub fn rootfs_dir(&self, diff_id: &DiffId, variant: &str) -> PathBuf {
        let home = self.rootfs_home(diff_id, variant);
        if let Some(metadata) = stat(&home) {
            touch(&home, &metadata);
        }
        home.join(LAYER)
    }

    /// Makes `directory`, which is in the store's `tmp/` and whole, the unpacked layer.
    pub fn publish_rootfs(
        &self,
        directory: &Path,
        diff_id: &DiffId,
        variant: &str,
    ) -> Result<Published, StoreError> {
        let home = self.rootfs_home(diff_id, variant);
        if home.join(LAYER).exists() {
            return Ok(Published::Surplus);
        }
        let staging = self.scratch_dir("publish")?;
        let inside = staging.path().join(LAYER);
        move_directory(directory, &inside)?;
        match rename_into(staging.path(), &home) {
            Ok(()) => {
                staging.into_path();
                Ok(Published::New)
            }
            Err(error) if is_occupied(&error.source) => {
                move_directory(&inside, directory)?;
                Ok(Published::Surplus)
            }
            Err(error) => {
                move_directory(&inside, directory)?;
                Err(error.into())
            }
        }
    }

    fn rootfs_home(&self, diff_id: &DiffId, variant: &str) -> PathBuf {
        self.inner.rootfs.join(file_name(variant)).join(diff_id.0.hex())
    }
}

/// Renames a directory to another parent, which needs the right to write to the directory itself
/// too, and a layer's root may have mode 0555.
fn move_directory(from: &Path, to: &Path) -> Result<(), FileError> {
    let failed = |source| FileError { action: Action::MoveTo, path: to.to_owned(), source };
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mode = fs::metadata(from).map_err(failed)?.permissions().mode() & 0o7777;
            let set =
                |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode));
            set(from, mode | 0o700).map_err(failed)?;
            let moved = fs::rename(from, to);
            set(if moved.is_ok() { to } else { from }, mode).map_err(failed)?;
            moved.map_err(failed)
        }
        result => result.map_err(failed),
    }
}

fn is_occupied(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists)
}
