//! Whether a run is alive: flock(2) on its `lock`.
//!
//! Whoever looks takes the lock shared, so that lookers don't take each other for the run.

use super::active::RUN_ARGUMENT;
use super::error::RunError;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::Pid;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

fn path(directory: &Path) -> PathBuf {
    directory.join("lock")
}

/// Makes the lock of a new run, and takes it.
pub(super) fn create(directory: &Path) -> io::Result<File> {
    let path = path(directory);
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Whether `file` is the lock of the run in `directory`.
pub(super) fn is_of(file: &File, directory: &Path) -> bool {
    match (file.metadata(), fs::metadata(path(directory))) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

/// Notes whose lock it is.
pub(super) fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

/// Whether the run is alive. One whose lock can't be looked at is not.
pub(super) fn is_held(directory: &Path) -> bool {
    matches!(try_lock(directory, FlockOperation::NonBlockingLockShared), Ok(None))
}

/// Takes the lock of a run that has ended; `None` while somebody has it.
pub(super) fn take(directory: &Path) -> io::Result<Option<File>> {
    try_lock(directory, FlockOperation::NonBlockingLockExclusive)
}

fn try_lock(directory: &Path, operation: FlockOperation) -> io::Result<Option<File>> {
    let file = File::open(path(directory))?;
    loop {
        match flock(&file, operation) {
            Ok(()) => return Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Waits for the end of the run; one that was collected has ended.
pub(super) fn wait_until_free(directory: &Path) -> Result<(), RunError> {
    let path = path(directory);
    let unreadable = |source| RunError::Read { path: path.clone(), source };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    loop {
        match flock(&file, FlockOperation::LockShared) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(unreadable(error.into())),
        }
    }
}

/// Who has the lock.
pub(super) enum Holder {
    /// Nobody: the run has ended.
    Nobody,
    /// This process.
    Process(Pid),
    /// Somebody who did not say so yet.
    Unknown,
}

/// Whether this process is the run's. It is not where the run belongs to another container that
/// shares the store: its number is somebody else's here.
pub(super) fn is_process(pid: Pid, directory: &Path) -> bool {
    let arguments = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    let mut arguments = arguments.split(|b| *b == 0).skip(1);
    arguments.next() == Some(RUN_ARGUMENT.as_bytes())
        && arguments.next() == Some(directory.as_os_str().as_encoded_bytes())
}

pub(super) fn holder(directory: &Path) -> Result<Holder, RunError> {
    if !is_held(directory) {
        return Ok(Holder::Nobody);
    }
    let path = path(directory);
    let text = fs::read_to_string(&path).map_err(|source| RunError::Read { path, source })?;
    Ok(text.trim().parse().ok().and_then(Pid::from_raw).map_or(Holder::Unknown, Holder::Process))
}
