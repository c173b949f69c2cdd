//! Directories in the making, and the collection of what killed processes left.
//!
//! Whoever makes something in `tmp/` holds an flock(2) on it, on the directory itself where it is
//! one. What nobody holds was left by a process that ended.

use crate::error::{Action, FileError, StoreError};
use crate::file::{is_at, make_dirs, stat};
use crate::lock::try_exclusive;
use crate::names::{file_name, random_suffix};
use crate::store::Store;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A private directory in the store's `tmp/`, removed when it is dropped, and by a later process
/// when this one is killed.
///
/// Dropping removes what this user can remove. Where a sandbox has left files that only its user
/// namespace can remove, use [`remove_with`](ScratchDir::remove_with); what stays is collected by
/// [`Store::sweep`].
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    /// Held for its lock.
    _directory: File,
    keep: bool,
}

/// What [`Store::sweep`] did.
#[derive(Debug, Default)]
pub struct Swept {
    /// What is gone.
    pub removed: Vec<PathBuf>,
    /// What could not be removed, and why.
    pub failed: Vec<FileError>,
}

impl Store {
    /// A new, empty directory of mode 0700 whose name begins with `prefix`.
    pub fn scratch_dir(&self, prefix: &str) -> Result<ScratchDir, StoreError> {
        let tmp = &self.inner.tmp;
        loop {
            let path = tmp.join(format!("{}-{}", file_name(prefix), random_suffix()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make_dirs(tmp)?;
                    continue;
                }
                Err(source) => {
                    return Err(FileError { action: Action::Create, path, source }.into());
                }
            }
            // Between making and locking, a sweep may have taken the directory away.
            let Ok(directory) = File::open(&path) else { continue };
            if try_exclusive(&directory).map_err(FileError::on(Action::Lock, &path))?
                && is_at(&directory, &path)
            {
                return Ok(ScratchDir { path, _directory: directory, keep: false });
            }
        }
    }

    /// The scratch directories that no living process holds.
    pub fn dead_scratch_dirs(&self) -> Vec<PathBuf> {
        let is_dir = |path: &PathBuf| stat(path).is_some_and(|m| m.is_dir());
        self.dead_temporaries().into_iter().filter(is_dir).collect()
    }

    /// Whatever is in `tmp/` that no living process holds.
    pub(crate) fn dead_temporaries(&self) -> Vec<PathBuf> {
        list(&self.inner.tmp).into_iter().filter(|path| claim(path).is_some()).collect()
    }

    /// Removes what killed processes left, directories with `remove_dir`, which may have to go
    /// into a user namespace for it.
    pub fn sweep(&self, remove_dir: &dyn Fn(&Path) -> io::Result<()>) -> Swept {
        let mut swept = Swept::default();
        for path in list(&self.inner.tmp) {
            let Some(_claim) = claim(&path) else { continue };
            let is_dir = stat(&path).is_some_and(|m| m.is_dir());
            let result = if is_dir { remove_dir(&path) } else { fs::remove_file(&path) };
            match result {
                Ok(()) => swept.removed.push(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    swept.failed.push(FileError { action: Action::Remove, path, source });
                }
            }
        }
        swept
    }
}

impl ScratchDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory with `remove`, still holding it, so that nobody else tries.
    pub fn remove_with(
        mut self,
        remove: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.keep = true;
        Ok(remove(&self.path).map_err(FileError::on(Action::Remove, &self.path))?)
    }

    /// Leaves the directory where it is, to be moved away by the caller or collected later: it is
    /// no longer held.
    pub fn into_path(mut self) -> PathBuf {
        self.keep = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %self.path.display(), %error, "leaving a scratch directory");
        }
    }
}

/// Removes the files that killed processes left. Directories wait for a [`Store::sweep`].
pub(crate) fn sweep_files(tmp: &Path) {
    for path in list(tmp) {
        if stat(&path).is_some_and(|m| m.is_file()) && claim(&path).is_some() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Holds what nobody else holds.
fn claim(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file =
        fs::OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path).ok()?;
    (try_exclusive(&file).ok()? && is_at(&file, path)).then_some(file)
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.sort();
    paths
}
