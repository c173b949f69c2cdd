//! Files that have their name only when they are whole.

use crate::error::DockerError;
use std::path::{Path, PathBuf};

/// A file or directory that is being made beside the place it is for; removed unless finished.
pub(crate) struct Partial {
    _directory: tempfile::TempDir,
    path: PathBuf,
    target: PathBuf,
}

impl Partial {
    /// Something that will be `target`.
    pub(crate) fn beside(target: &Path) -> Result<Self, DockerError> {
        let of_file = |source| DockerError::File { path: target.to_owned(), source };
        let parent = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let directory =
            tempfile::Builder::new().prefix(".tierce").tempdir_in(parent).map_err(of_file)?;
        let path = directory.path().join("whole");
        Ok(Partial { path, _directory: directory, target: target.to_owned() })
    }

    /// Where to write it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, in place of what had it.
    pub(crate) fn finish(self) -> Result<(), DockerError> {
        let of_file = |source| DockerError::File { path: self.target.clone(), source };
        if self.path.is_dir() && self.target.is_dir() {
            // A directory takes the place of an empty one only.
            std::fs::remove_dir_all(&self.target).map_err(of_file)?;
        }
        std::fs::rename(&self.path, &self.target).map_err(of_file)
    }
}
