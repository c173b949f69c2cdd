//! Small steps in hostile trees: one component at a time, links never followed.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Opens a directory by a single name.
pub(crate) fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Opens a regular file by a single name, to be read.
pub(crate) fn open_file(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// What a single name stands for; `None` if nothing.
pub(crate) fn stat(parent: impl AsFd, name: &[u8]) -> Result<Option<Stat>, Errno> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The type of a file.
pub(crate) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Whether it is the device 0/0 that stands for a removed file (the kernel's documentation of
/// overlay file systems, "whiteouts and opaque directories").
pub(crate) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Permission bits, set-id and sticky bits included.
pub(crate) fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits & 0o7777)
}

/// Access and modification time, both this second.
pub(crate) fn times(seconds: i64) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// Removes whatever a single name stands for, with all that is below it.
pub(crate) fn remove(parent: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => {
            let directory = open_directory(&parent, name)?;
            for child in names(&directory)? {
                remove(&directory, &child)?;
            }
            rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)
        }
        Err(Errno::NOENT) => Ok(()),
        result => result,
    }
}

/// The names in a directory, sorted by their bytes.
pub(crate) fn names(directory: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a directory unless there is one, and opens it. Other things in its place are an error.
pub(crate) fn make_directory(parent: impl AsFd, name: &[u8], bits: u32) -> Result<OwnedFd, Errno> {
    match rustix::fs::mkdirat(&parent, name, mode(bits)) {
        Ok(()) | Err(Errno::EXIST) => open_directory(parent, name),
        Err(error) => Err(error),
    }
}

/// Lets nobody else into a directory. Set-id programs of images have no business on the host.
pub(crate) fn make_private(directory: impl AsFd) -> Result<(), Errno> {
    rustix::fs::fchmod(directory, mode(0o700))
}
