//! Files in the making.

use crate::error::{Action, FileError, StoreError};
use crate::file::{is_at, make_dirs, rename_into};
use crate::lock::try_exclusive;
use crate::names::random_suffix;
use crate::store::Store;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tierce_oci::Digest;

/// A file in the store's `tmp/` that is to become a blob. It is removed when it is dropped, and
/// by a later process when this one is killed.
#[derive(Debug)]
pub struct Staged {
    store: Store,
    file: File,
    path: PathBuf,
    committed: bool,
}

impl Store {
    /// A new, empty file to be filled and [committed](Staged::commit).
    pub fn stage(&self) -> Result<Staged, StoreError> {
        let (file, path) = new_file(&self.inner.tmp)?;
        Ok(Staged { store: self.clone(), file, path, committed: false })
    }
}

fn new_file(tmp: &Path) -> Result<(File, PathBuf), FileError> {
    loop {
        let path = tmp.join(format!("file-{}", random_suffix()));
        match new_locked_file(&path) {
            Ok(Some(file)) => return Ok((file, path)),
            Ok(None) => {}
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => make_dirs(tmp)?,
            Err(error) => return Err(error),
        }
    }
}

/// A new file that is locked by its maker, so that nobody takes it for abandoned. `None` if there
/// is one already, or if somebody has done so in the moment between making and locking.
pub(crate) fn new_locked_file(path: &Path) -> Result<Option<File>, FileError> {
    let mut options = OpenOptions::new();
    match options.read(true).write(true).create_new(true).mode(0o600).open(path) {
        Ok(file) => {
            let locked = try_exclusive(&file).map_err(FileError::on(Action::Lock, path))?;
            Ok((locked && is_at(&file, path)).then_some(file))
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(FileError::on(Action::Create, path)(error)),
    }
}

impl Staged {
    /// Where the file is, for programs that write to a path. It must stay the same file: who
    /// replaces it by renaming should use [`Store::adopt`].
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The open file, to be written to.
    pub fn file_mut(&mut self) -> &mut File {
        &mut self.file
    }

    /// Makes the file the blob `digest`, which the caller has computed while writing: the bytes
    /// are not read again here, but by every reader of the store. Gives the blob's path.
    pub fn commit(mut self, digest: &Digest) -> Result<PathBuf, StoreError> {
        let target = self.store.blob_path(digest);
        // Explicitly, because the umask must not matter. Read-only, because blobs never change.
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(FileError::on(Action::Write, &self.path))?;
        rename_into(&self.path, &target)?;
        self.committed = true;
        Ok(target)
    }

    /// Puts the file at a path of the store as it is.
    pub(crate) fn rename_to(mut self, target: &Path) -> Result<(), StoreError> {
        rename_into(&self.path, target)?;
        self.committed = true;
        Ok(())
    }

    /// Reads the file again and makes it the blob `digest` if that is what it is.
    pub fn commit_verified(mut self, digest: &Digest) -> Result<PathBuf, StoreError> {
        self.file.rewind().map_err(FileError::on(Action::Read, &self.path))?;
        let actual = crate::blob::digest_of(&mut self.file)
            .map_err(FileError::on(Action::Read, &self.path))?;
        if actual != *digest {
            let path = self.path.clone();
            return Err(StoreError::Mismatch { path, expected: *digest, actual });
        }
        self.commit(digest)
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.file.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.committed {
            let _ = fs::remove_file(&self.path);
        }
    }
}
