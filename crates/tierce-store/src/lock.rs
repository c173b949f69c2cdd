//! Locks between processes: `flock`, which ends with its holder.

use crate::error::{StoreError, at};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;

/// Who else may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Nobody.
    Exclusive,
    /// Others who hold it shared.
    Shared,
}

/// A lock that is held until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock on `path`.
    pub(crate) fn wait(path: &Path, mode: LockMode) -> Result<Self, StoreError> {
        let operation = match mode {
            LockMode::Exclusive => FlockOperation::LockExclusive,
            LockMode::Shared => FlockOperation::LockShared,
        };
        let file = open(path)?;
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(Errno::INTR) => {}
                Err(e) => return Err(StoreError::io(path, e.into())),
            }
        }
    }

    /// Takes the lock on `path` if it is free.
    pub(crate) fn now(path: &Path, mode: LockMode) -> Result<Option<Self>, StoreError> {
        let operation = match mode {
            LockMode::Exclusive => FlockOperation::NonBlockingLockExclusive,
            LockMode::Shared => FlockOperation::NonBlockingLockShared,
        };
        let file = open(path)?;
        match flock(&file, operation) {
            Ok(()) => Ok(Some(Lock { _file: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(StoreError::io(path, e.into())),
        }
    }
}

fn open(path: &Path) -> Result<File, StoreError> {
    File::options().create(true).append(true).open(path).map_err(at(path))
}
