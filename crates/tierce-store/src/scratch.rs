//! Directories for what is not finished, which outlive nobody.

use crate::error::{StoreError, at};
use crate::lock::{Lock, LockMode};
use crate::store::make_dir;
use std::fs;
use std::path::{Path, PathBuf};

/// Marks a scratch directory's lock file, which lies beside it.
const LOCK: &str = "lock";

/// A scratch directory. Dropping the guard removes the directory.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    lock_file: PathBuf,
    remove: bool,
    _alive: Lock,
}

impl Scratch {
    pub(crate) fn new(tmp: &Path, prefix: &str) -> Result<Self, StoreError> {
        let name = tempfile::Builder::new().prefix(&format!("{prefix}-")).tempdir_in(tmp);
        let path = name.map_err(at(tmp))?.keep();
        make_dir(&path)?;
        // Between the directory's making and the lock it is dead to others for a moment: the
        // sweep therefore takes locks only of directories that have a lock file.
        let lock_file = path.with_extension(LOCK);
        let alive = Lock::wait(&lock_file, LockMode::Exclusive)?;
        Ok(Scratch { path, lock_file, remove: true, _alive: alive })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the directory to the caller, who removes it in a way of their own. It stays
    /// protected from the sweep as long as the guard lives.
    pub fn keep(&mut self) {
        self.remove = false;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.remove
            && let Err(error) = fs::remove_dir_all(&self.path)
            && self.path.exists()
        {
            // The lock file stays, so that the sweep finds the directory.
            tracing::debug!(%error, path = %self.path.display(), "cannot remove scratch directory");
            return;
        }
        if !self.path.exists() {
            let _ = fs::remove_file(&self.lock_file);
        }
    }
}

/// Scratch directories in `tmp` whose lock nobody holds.
pub(crate) fn dead(tmp: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(tmp) else { return vec![] };
    let mut dead = vec![];
    for lock_file in entries.flatten().map(|e| e.path()) {
        if lock_file.extension().is_none_or(|e| e != LOCK) {
            continue;
        }
        let free = Lock::now(&lock_file, LockMode::Exclusive);
        if let Ok(Some(_lock)) = free {
            let directory = lock_file.with_extension("");
            match directory.is_dir() {
                true => dead.push(directory),
                false => {
                    let _ = fs::remove_file(&lock_file);
                }
            }
        }
    }
    dead.sort();
    dead
}
