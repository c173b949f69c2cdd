//! Locks between processes, and between threads of one: flock(2) on files of `locks/`.
//!
//! The kernel releases a lock when its holder ends, however it ends. Lock files are removed by
//! [`Store::prune`](crate::Store::prune) alone, while it holds them; whoever was waiting for such
//! a file notices that it is no longer the one that the name stands for, and starts anew.

use crate::error::{Action, FileError, StoreError};
use crate::file::{is_at, make_dirs};
use crate::names::file_name;
use crate::store::Store;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Who else may hold a lock at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// Others who share.
    Shared,
    /// Nobody.
    Exclusive,
}

/// A lock, held until it is dropped or the process ends.
#[derive(Debug)]
#[must_use = "a lock is released when it is dropped"]
pub struct Lock {
    _file: File,
}

/// The promise that nothing is collected: held by whoever uses what it found in the store.
#[derive(Debug)]
#[must_use = "a session ends when it is dropped"]
pub struct Session {
    _lock: Lock,
}

/// The lock between sessions and collection. No caller's name becomes this one, since those
/// don't hold `~` without a digest behind it.
const SESSION: &str = "~session";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    Wait,
    Try,
}

impl Store {
    /// Takes the lock of this name, waiting for as long as others hold it. Threads of one process
    /// exclude each other as processes do; a thread that takes the same lock twice waits forever.
    pub fn lock(&self, name: impl AsRef<str>, mode: LockMode) -> Result<Lock, StoreError> {
        loop {
            if let Some(lock) = self.acquire(&file_name(name.as_ref()), mode, Patience::Wait)? {
                return Ok(lock);
            }
        }
    }

    /// Takes the lock of this name if nobody holds it in a way that excludes this.
    pub fn try_lock(
        &self,
        name: impl AsRef<str>,
        mode: LockMode,
    ) -> Result<Option<Lock>, StoreError> {
        Ok(self.acquire(&file_name(name.as_ref()), mode, Patience::Try)?)
    }

    /// Keeps [`prune`](Store::prune) from removing anything until the session is dropped. Takes
    /// part with other sessions; waits while a collection runs.
    pub fn session(&self) -> Result<Session, StoreError> {
        loop {
            if let Some(lock) = self.acquire(SESSION, LockMode::Shared, Patience::Wait)? {
                return Ok(Session { _lock: lock });
            }
        }
    }

    /// The lock that sessions share, if it is to be had at once.
    pub(crate) fn try_session_lock(&self, mode: LockMode) -> Result<Option<Lock>, StoreError> {
        Ok(self.acquire(SESSION, mode, Patience::Try)?)
    }

    fn acquire(
        &self,
        file: &str,
        mode: LockMode,
        patience: Patience,
    ) -> Result<Option<Lock>, FileError> {
        let path = self.inner.locks.join(file);
        loop {
            let file = open_lock(&path)?;
            match lock_file(&file, mode, patience) {
                Ok(true) if is_at(&file, &path) => return Ok(Some(Lock { _file: file })),
                Ok(true) => continue,
                Ok(false) => return Ok(None),
                Err(source) => {
                    return Err(FileError { action: Action::Lock, path: path.clone(), source });
                }
            }
        }
    }
}

/// Opens a lock file. For reading and writing, since NFS wants the one for shared locks and the
/// other for exclusive ones.
fn open_lock(path: &Path) -> Result<File, FileError> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    };
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dirs(path.parent().unwrap_or(path))?;
            open()
        }
        result => result,
    }
    .map_err(FileError::on(Action::Create, path))
}

fn lock_file(file: &File, mode: LockMode, patience: Patience) -> io::Result<bool> {
    let (now, blocking) = match mode {
        LockMode::Shared => (FlockOperation::NonBlockingLockShared, FlockOperation::LockShared),
        LockMode::Exclusive => {
            (FlockOperation::NonBlockingLockExclusive, FlockOperation::LockExclusive)
        }
    };
    let operation = if patience == Patience::Wait { blocking } else { now };
    loop {
        match flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Locks a file or directory that nobody else should hold; `false` where somebody does.
pub(crate) fn try_exclusive(file: &File) -> io::Result<bool> {
    lock_file(file, LockMode::Exclusive, Patience::Try)
}

/// Locks a directory, waiting for it, where directories can be locked (not on NFS). For what must
/// work everywhere and goes wrong only when two do it in the same moment.
pub(crate) fn exclusive_if_possible(directory: &File) {
    if let Err(error) = lock_file(directory, LockMode::Exclusive, Patience::Wait) {
        tracing::debug!(%error, "going on without a lock on a directory");
    }
}

/// Removes a lock file unless somebody holds it.
pub(crate) fn remove_if_idle(path: &Path) {
    if let Ok(file) = OpenOptions::new().read(true).write(true).open(path)
        && try_exclusive(&file).unwrap_or(false)
        && is_at(&file, path)
    {
        let _ = std::fs::remove_file(path);
    }
}

/// Whether this is the file of the lock that sessions share.
pub(crate) fn is_session_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == SESSION)
}
