//! Reading files that may change meanwhile.

use crate::index::Stamp;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx, StatxFlags};
use std::ffi::CStr;
use std::io::{self, Read};
use tierce_oci::{Digest, Hasher};

/// What the file system says of `name` in `directory`, links not followed.
pub(crate) fn stat(directory: impl AsFd, name: &CStr) -> rustix::io::Result<Statx> {
    rustix::fs::statx(directory, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
}

/// What the file system says of an open file.
pub(crate) fn stat_open(file: impl AsFd) -> rustix::io::Result<Statx> {
    rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
}

pub(crate) fn file_type(stat: &Statx) -> FileType {
    FileType::from_raw_mode(stat.stx_mode.into())
}

/// Whether the file's owner may execute it: all of its mode that counts.
pub(crate) fn is_executable(stat: &Statx) -> bool {
    stat.stx_mode & 0o100 != 0
}

/// Opens a file without following a link, and without waiting for the other end of a pipe.
pub(crate) fn open(directory: impl AsFd, path: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(directory, path, flags, Mode::empty())
}

/// How a file came to be hashed.
pub(crate) enum Hashed {
    /// It stood still.
    Stable(Digest),
    /// It changed meanwhile.
    Changed,
}

/// Hashes an open file of which `expected` was said before it was opened.
pub(crate) fn hash(file: OwnedFd, expected: Stamp) -> io::Result<Hashed> {
    let mut file = std::fs::File::from(file);
    let before = stat_open(&file)?;
    if !file_type(&before).is_file() || Stamp::new(&before) != expected {
        return Ok(Hashed::Changed);
    }
    let size = before.stx_size;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; usize::try_from(size).unwrap_or(usize::MAX).clamp(1, 1 << 17)];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if hasher.length() > size {
            return Ok(Hashed::Changed);
        }
    }
    let after = Stamp::new(&stat_open(&file)?);
    match hasher.length() == size && after == expected {
        true => Ok(Hashed::Stable(hasher.finish())),
        false => Ok(Hashed::Changed),
    }
}
