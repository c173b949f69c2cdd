//! Blobs: bytes by their digest.

use crate::error::{Action, FileError, StoreError};
use crate::file::{is_at, open_regular, remove_file, rename_into, stat, touch};
use crate::store::{Store, fan_out};
use crate::verify::{self, Verifying};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tierce_oci::{Digest, Hasher};

/// What [`Store::read`] takes into memory at most: far more than any manifest, config or index,
/// far less than a layer.
const READ_LIMIT: u64 = 256 << 20;

impl Store {
    /// Where the blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.inner.blobs.join(fan_out(digest))
    }

    /// The blob's length if it is there. Counts as a use. The bytes are not looked at.
    pub fn has(&self, digest: &Digest) -> Option<u64> {
        let path = self.blob_path(digest);
        let metadata = stat(&path).filter(|m| m.is_file())?;
        touch(&path, &metadata);
        Some(metadata.len())
    }

    /// Keeps `bytes`; gives their digest.
    pub fn put(&self, bytes: impl AsRef<[u8]>) -> Result<Digest, StoreError> {
        let bytes = bytes.as_ref();
        let digest = Digest::of(bytes);
        if self.has(&digest) != Some(bytes.len() as u64) {
            let mut staged = self.stage()?;
            let written = staged.write_all(bytes);
            written.map_err(FileError::on(Action::Write, staged.path()))?;
            staged.commit(&digest)?;
        }
        Ok(digest)
    }

    /// Takes over a file whose digest the caller has verified. It is moved if it is on the store's
    /// file system; otherwise it is copied, verified, and removed. Gives the blob's path.
    pub fn adopt(&self, path: &Path, digest: &Digest) -> Result<PathBuf, StoreError> {
        use std::os::unix::fs::PermissionsExt;
        let target = self.blob_path(digest);
        let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o444));
        match rename_into(path, &target) {
            Ok(()) => Ok(target),
            Err(error) if can_copy(&error.source) => {
                let mut from = File::open(path).map_err(FileError::on(Action::Read, path))?;
                let target = self.import(&mut from, digest, path)?;
                remove_file(path)?;
                Ok(target)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Copies all that `from` gives into the blob `digest`, and refuses what is something else.
    /// `origin` is what an error calls it.
    pub fn import(
        &self,
        from: &mut dyn Read,
        digest: &Digest,
        origin: &Path,
    ) -> Result<PathBuf, StoreError> {
        let mut staged = self.stage()?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(FileError::on(Action::Read, origin)(error).into()),
            };
            hasher.update(&buffer[..read]);
            let written = staged.write_all(&buffer[..read]);
            written.map_err(FileError::on(Action::Write, staged.path()))?;
        }
        match hasher.finish() {
            actual if actual == *digest => staged.commit(digest),
            actual => {
                let path = origin.to_owned();
                Err(StoreError::Mismatch { path, expected: *digest, actual })
            }
        }
    }

    /// The blob's bytes, verified. For documents; blobs above 256 MiB are an error.
    pub fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        self.read_up_to(digest, READ_LIMIT)
    }

    /// The blob's bytes, verified, if there are no more than `limit`.
    pub fn read_up_to(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut reader = self.open_blob(digest)?;
        let size = reader.size();
        if size > limit {
            return Err(StoreError::TooLarge { digest: *digest, size, limit });
        }
        let mut bytes = Vec::with_capacity(size as usize);
        match reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if verify::damaged(&error).is_some() => {
                Err(StoreError::Corrupt { digest: *digest })
            }
            Err(error) => Err(FileError::on(Action::Read, &self.blob_path(digest))(error).into()),
        }
    }

    /// A reader of the blob that verifies it. Counts as a use.
    pub fn open_blob(&self, digest: &Digest) -> Result<BlobReader, StoreError> {
        let path = self.blob_path(digest);
        match open_regular(&path) {
            Ok((file, metadata)) => {
                touch(&path, &metadata);
                let inner = Verifying::new(file, *digest, metadata.len());
                Ok(BlobReader { store: self.clone(), inner })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(StoreError::Missing { digest: *digest })
            }
            Err(error) => Err(FileError::on(Action::Read, &path)(error).into()),
        }
    }

    /// Reads the whole blob. `None`: it is not there, or was damaged, which removed it. To be made
    /// again in both cases.
    pub fn verify(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let mut reader = match self.open_blob(digest) {
            Err(StoreError::Missing { .. }) => return Ok(None),
            result => result?,
        };
        match io::copy(&mut reader, &mut io::sink()) {
            Ok(size) => Ok(Some(size)),
            Err(error) if verify::damaged(&error).is_some() => Ok(None),
            Err(error) => Err(FileError::on(Action::Read, &self.blob_path(digest))(error).into()),
        }
    }

    /// Removes the blob if it is there.
    pub fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        Ok(remove_file(&self.blob_path(digest))?)
    }

    /// Removes a blob that `file` has shown to be damaged, unless it was replaced by now.
    fn discard(&self, digest: &Digest, file: &File) {
        let path = self.blob_path(digest);
        tracing::warn!(%digest, "removing a damaged blob");
        if is_at(file, &path) {
            // On a read-only disk the damage stays, and every reader will find it again.
            let _ = remove_file(&path);
        }
    }
}

/// Reads a blob and verifies it. The last bytes of a damaged blob are never handed out: in their
/// place comes an error of kind `InvalidData`, and the blob is removed from the store.
pub struct BlobReader {
    store: Store,
    inner: Verifying<File>,
}

impl BlobReader {
    /// The blob's length.
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// The blob's digest.
    pub fn digest(&self) -> &Digest {
        self.inner.expected()
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|error| {
            if verify::damaged(error).is_some() {
                self.store.discard(self.inner.expected(), self.inner.get_ref());
            }
        })
    }
}

/// Whether a file that can't be moved may still be copied: it is on another file system, or in a
/// directory of somebody else's.
fn can_copy(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::CrossesDevices | io::ErrorKind::PermissionDenied)
}

/// The digest of all that is left to read.
pub(crate) fn digest_of(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    io::copy(file, &mut hasher)?;
    Ok(hasher.finish())
}
