//! Small file operations that the rest is made of.

use crate::error::{Action, FileError};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How far a time of last use may be behind.
const TOUCH_INTERVAL: Duration = Duration::from_secs(60 * 60);

/// Makes a directory and those above it, private to this user, unless they are there.
pub(crate) fn make_dirs(path: &Path) -> Result<(), FileError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(FileError::on(Action::Create, path))
}

/// Moves `from`, which must be on the same file system, to `to`, making the directory for it.
pub(crate) fn rename_into(from: &Path, to: &Path) -> Result<(), FileError> {
    let failed = |source| FileError { action: Action::MoveTo, path: to.to_owned(), source };
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_dirs(to.parent().unwrap_or(to))?;
            fs::rename(from, to).map_err(failed)
        }
        result => result.map_err(failed),
    }
}

/// Removes a file unless it is gone already.
pub(crate) fn remove_file(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FileError { action: Action::Remove, path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// A path's metadata without following a link, or `None` where nothing is.
pub(crate) fn stat(path: &Path) -> Option<Metadata> {
    fs::symlink_metadata(path).ok()
}

/// Whether the open file is what the path names.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: &Metadata, b: &Metadata| a.dev() == b.dev() && a.ino() == b.ino();
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(there)) => same(&open, &there),
        _ => false,
    }
}

/// Notes that `path` is used now. Failing is no loss: the store may be on a read-only disk.
pub(crate) fn touch(path: &Path, metadata: &Metadata) {
    let fresh = metadata
        .modified()
        .ok()
        .is_some_and(|m| SystemTime::now().duration_since(m).unwrap_or_default() < TOUCH_INTERVAL);
    if !fresh {
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times =
            Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        let _ = rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW);
    }
}

/// A new file next to `target`, of the user's usual mode, that replaces `target` when it is done
/// and leaves nothing when it is not.
pub(crate) struct Replacement {
    file: File,
    temporary: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Replacement {
    /// Starts a replacement of `target`.
    pub(crate) fn of(target: &Path) -> Result<Self, FileError> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        loop {
            let name = format!(".{name}.{}", crate::names::random_suffix());
            let temporary = target.with_file_name(name);
            match OpenOptions::new().write(true).create_new(true).open(&temporary) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                result => {
                    let file = result.map_err(FileError::on(Action::Create, target))?;
                    let target = target.to_owned();
                    return Ok(Replacement { file, temporary, target, done: false });
                }
            }
        }
    }

    /// The file to write to.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Writes all of `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        self.file.write_all(bytes).map_err(FileError::on(Action::Write, &self.target))
    }

    /// Puts the file in its place.
    pub(crate) fn finish(mut self) -> Result<(), FileError> {
        fs::rename(&self.temporary, &self.target)
            .map_err(FileError::on(Action::MoveTo, &self.target))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Opens a regular file for reading; a link, pipe or device in its place is refused.
pub(crate) fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok((file, metadata))
}
