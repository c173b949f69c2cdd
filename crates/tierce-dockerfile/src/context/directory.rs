//! Contexts as directories.

use super::{BuildContext, ContextEntry, ContextError, ContextSource};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

impl BuildContext {
    /// Writes all of it below `root`, which is made; a directory that is there has to be empty.
    /// Nothing that is there is followed or replaced.
    pub fn write_dir(&self, root: &Path) -> Result<(), ContextError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| ContextError::Directory { path, source }
        };
        std::fs::create_dir_all(root).map_err(failed(root))?;
        if std::fs::read_dir(root).map_err(failed(root))?.next().is_some() {
            return Err(ContextError::NotEmpty { path: root.to_owned() });
        }
        for (path, entry) in self.entries() {
            let at = root.join(path.as_path());
            match &entry.source {
                ContextSource::Directory => {
                    DirBuilder::new().mode(0o755).create(&at).map_err(failed(&at))?;
                }
                ContextSource::Symlink(target) => {
                    symlink(OsStr::from_bytes(target), &at).map_err(failed(&at))?;
                }
                ContextSource::File { .. } | ContextSource::Bytes(_) => write_file(&at, entry)?,
            }
        }
        // What was just made in a directory has changed its time: the innermost come first.
        for (path, entry) in self.entries.iter().rev() {
            let at = root.join(path.as_path());
            finish(&at, entry).map_err(failed(&at))?;
        }
        Ok(())
    }
}

fn write_file(at: &Path, entry: &ContextEntry) -> Result<(), ContextError> {
    // Never what is there, be it a link or a file.
    let mut file: File = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(entry.mode)
        .open(at)
        .map_err(|source| ContextError::Directory { path: at.to_owned(), source })?;
    entry.content()?.copy(&mut file).map_err(|error| match error {
        ContextError::Write(source) => ContextError::Directory { path: at.to_owned(), source },
        other => other,
    })
}

fn finish(at: &Path, entry: &ContextEntry) -> io::Result<()> {
    if !matches!(entry.source, ContextSource::Symlink(_)) {
        // Whatever the umask made of it.
        std::fs::set_permissions(at, Permissions::from_mode(entry.mode))?;
    }
    let time = Timespec { tv_sec: entry.mtime, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, at, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
