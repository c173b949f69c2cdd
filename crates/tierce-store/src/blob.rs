//! Blobs: content by digest.

use crate::error::{StoreError, at};
use crate::store::{Store, make_dir};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::{NamedTempFile, TempPath};
use tierce_oci::{Digest, Hasher};

/// A blob being written. Nothing of it is seen before [`Staged::commit`]; dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    store: Store,
    file: File,
    path: TempPath,
}

impl Staged {
    pub(crate) fn new(store: Store) -> Result<Self, StoreError> {
        let tmp = store.tmp();
        let (file, path) = NamedTempFile::new_in(&tmp).map_err(at(&tmp))?.into_parts();
        Ok(Staged { store, file, path })
    }

    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// The file's path, for those who write it by name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file the blob `digest`. The caller vouches for the digest: it was computed or
    /// verified while the content was written. What is there already stays.
    pub fn commit(self, digest: &Digest) -> Result<PathBuf, StoreError> {
        let target = self.store.blob_path(digest);
        make_dir(target.parent().unwrap_or(self.store.root()))?;
        // By path, not by descriptor: a downloader may have replaced the file.
        fs::set_permissions(&self.path, Permissions::from_mode(0o444)).map_err(at(&target))?;
        self.path.persist(&target).map_err(|e| StoreError::io(&target, e.error))?;
        Ok(target)
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Reads a blob and checks it: a wrong digest is an error at the end.
#[derive(Debug)]
pub struct BlobReader {
    file: File,
    hasher: Option<Hasher>,
    expected: Digest,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let n = self.file.read(buffer)?;
        match (&mut self.hasher, n) {
            (Some(_), 0) => {
                let actual = self.hasher.take().map(Hasher::finish);
                if actual != Some(self.expected) {
                    let message = format!("blob {} is damaged", self.expected);
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
            (Some(hasher), n) => hasher.update(&buffer[..n]),
            (None, _) => {}
        }
        Ok(n)
    }
}

impl Store {
    /// The size of the blob, if it is there.
    pub fn has(&self, digest: &Digest) -> Option<u64> {
        let metadata = fs::metadata(self.blob_path(digest)).ok()?;
        metadata.is_file().then(|| metadata.len())
    }

    /// Puts small content into the store.
    pub fn put(&self, content: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(content);
        if self.has(&digest) != Some(content.len() as u64) {
            let mut staged = self.stage()?;
            staged.write_all(content).map_err(at(&self.blob_path(&digest)))?;
            staged.commit(&digest)?;
        }
        Ok(digest)
    }

    /// Takes the file at `path` into the store, after checking that it is `digest`.
    pub fn adopt(&self, path: &Path, digest: &Digest) -> Result<PathBuf, StoreError> {
        let mut source = File::open(path).map_err(at(path))?;
        let mut staged = self.stage()?;
        io::copy(&mut source, &mut staged).map_err(at(&self.blob_path(digest)))?;
        let actual = digest_of(staged.path())?;
        match actual == *digest {
            true => staged.commit(digest),
            false => Err(StoreError::Mismatch { expected: *digest, actual }),
        }
    }

    /// Opens a blob for reading; a damaged one fails at its end.
    pub fn open_blob(&self, digest: &Digest) -> Result<BlobReader, StoreError> {
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => StoreError::Missing(*digest),
            _ => StoreError::io(&path, e),
        })?;
        Ok(BlobReader { file, hasher: Some(Hasher::new()), expected: *digest })
    }

    /// The content of a small blob. A damaged one is removed and reported as missing, so that
    /// whoever needs it makes it again.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, StoreError> {
        let size = self.has(digest).ok_or(StoreError::Missing(*digest))?;
        if size > limit {
            return Err(StoreError::TooLarge { digest: *digest, size, limit });
        }
        let mut content = Vec::with_capacity(size as usize);
        match self.open_blob(digest)?.read_to_end(&mut content) {
            Ok(_) => Ok(content),
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                self.remove(digest)?;
                Err(StoreError::Missing(*digest))
            }
            Err(e) => Err(StoreError::io(&self.blob_path(digest), e)),
        }
    }

    /// Whether the blob is there and whole. A damaged one is removed.
    pub fn verify(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.blob_path(digest);
        if self.has(digest).is_none() {
            return Ok(false);
        }
        if digest_of(&path)? == *digest {
            return Ok(true);
        }
        self.remove(digest)?;
        Ok(false)
    }

    /// Removes a blob, if it is there.
    pub fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        let path = self.blob_path(digest);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io(&path, e)),
            _ => Ok(()),
        }
    }
}

fn digest_of(path: &Path) -> Result<Digest, StoreError> {
    let mut file = File::open(path).map_err(at(path))?;
    let mut hasher = Hasher::new();
    io::copy(&mut file, &mut hasher).map_err(at(path))?;
    Ok(hasher.finish())
}
