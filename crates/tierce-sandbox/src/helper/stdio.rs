//! Standard input, output and error that are the caller's.

use crate::helper::files;
use crate::helper::mounts::device;
use crate::{Errno, sys};
use rustix::fs::{FileType, Mode, OFlags};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// The device that gives a new terminal whenever it is opened (5:2).
const MULTIPLEXER: (u32, u32) = (5, 2);
/// The major number of `/dev/null` and its like.
const MEMORY: u32 = 1;

/// Opens terminals and `/dev/null` once more, in a way that their inodes can't be changed
/// through `/proc/self/fd`. What can't be opened once more stays what it is.
pub(crate) fn protect(stdin: &mut OwnedFd) {
    if let Ok(Some(again)) = reopen(&stdin) {
        *stdin = again;
    }
    if let Ok(Some(again)) = reopen(std::io::stdout()) {
        let _ = sys::replace_stdout(&again);
    }
    if let Ok(Some(again)) = reopen(std::io::stderr()) {
        let _ = sys::replace_stderr(&again);
    }
}

fn reopen(fd: impl AsFd) -> Result<Option<OwnedFd>, Errno> {
    let stat = rustix::fs::fstat(&fd)?;
    let number = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    let wanted = number.0 == MEMORY || rustix::termios::isatty(&fd);
    if files::kind(&stat) != FileType::CharacterDevice || !wanted || number == MULTIPLEXER {
        return Ok(None);
    }
    let name = |fd: i32| format!("/proc/self/fd/{fd}");
    let path = Path::new(&name(fd.as_fd().as_raw_fd())).read_link()?;
    let source = rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let found = rustix::fs::fstat(&source)?;
    if (found.st_dev, found.st_ino) != (stat.st_dev, stat.st_ino) {
        return Ok(None);
    }
    let mount = device(&source)?;
    let kept = OFlags::ACCMODE | OFlags::APPEND | OFlags::NONBLOCK;
    let flags = (rustix::fs::fcntl_getfl(&fd)? & kept) | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(Some(rustix::fs::open(name(mount.as_raw_fd()), flags, Mode::empty())?))
}
