//! The store's directory.

use crate::blob::Staged;
use crate::error::{StoreError, at};
use crate::lock::{Lock, LockMode};
use crate::scratch::Scratch;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::{DiffId, Digest};

/// The layout's version; grows when older versions of tierce could not use the store any more.
const FORMAT: u32 = 1;

/// The text that the Cache Directory Tagging Specification asks for.
const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
     # This directory is a cache of tierce's: everything in it can be made again.\n";

/// A handle on a store. Cheap to clone; safe to use from several threads and processes.
#[derive(Clone, Debug)]
pub struct Store {
    root: Arc<Path>,
}

/// Holds off collection while it lives.
#[derive(Debug)]
pub struct Session {
    _lock: Lock,
}

impl Store {
    /// Opens the store at `root`, making it if it is not there.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let store = Store { root: root.into() };
        make_dir(root)?;
        for name in ["blobs/sha256", "records", "rootfs", "caches", "index", "locks", "tmp"] {
            make_dir(&root.join(name))?;
        }
        let format = root.join("format");
        match fs::read_to_string(&format) {
            Ok(text) => {
                let found = text.trim().parse().unwrap_or(u32::MAX);
                if found > FORMAT {
                    return Err(StoreError::TooNew { path: root.into(), found, known: FORMAT });
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                store.write_atomic(&root.join("CACHEDIR.TAG"), CACHEDIR_TAG.as_bytes())?;
                store.write_atomic(&format, format!("{FORMAT}\n").as_bytes())?;
            }
            Err(e) => return Err(StoreError::io(&format, e)),
        }
        Ok(store)
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps collection off for as long as the session lives.
    pub fn session(&self) -> Result<Session, StoreError> {
        Ok(Session { _lock: self.lock("store", LockMode::Shared)? })
    }

    /// Waits for the lock called `name`, which processes share.
    pub fn lock(&self, name: &str, mode: LockMode) -> Result<Lock, StoreError> {
        Lock::wait(&self.lock_file(name)?, mode)
    }

    /// Takes the lock called `name` if nobody holds it.
    pub fn try_lock(&self, name: &str, mode: LockMode) -> Result<Option<Lock>, StoreError> {
        Lock::now(&self.lock_file(name)?, mode)
    }

    fn lock_file(&self, name: &str) -> Result<PathBuf, StoreError> {
        Ok(self.root.join("locks").join(checked(name)?))
    }

    /// A file to write a blob to.
    pub fn stage(&self) -> Result<Staged, StoreError> {
        Staged::new(self.clone())
    }

    /// A directory for something unfinished. It is removed when its guard is dropped, and by a
    /// later process when this one is killed.
    pub fn scratch_dir(&self, prefix: &str) -> Result<Scratch, StoreError> {
        Scratch::new(&self.tmp(), checked(prefix)?)
    }

    /// Scratch directories whose processes are gone. They may hold files that only a user
    /// namespace can remove.
    pub fn dead_scratch_dirs(&self) -> Vec<PathBuf> {
        crate::scratch::dead(&self.tmp())
    }

    /// Where the unpacked layer is, if it is there; `variant` says how owners are represented.
    pub fn rootfs_dir(&self, diff_id: &DiffId, variant: &str) -> PathBuf {
        self.root.join("rootfs").join(variant).join(diff_id.0.hex())
    }

    /// Makes `directory` the unpacked layer. Where somebody else was first, theirs stays and
    /// `directory` is left to its owner.
    pub fn publish_rootfs(
        &self,
        directory: &Path,
        diff_id: &DiffId,
        variant: &str,
    ) -> Result<(), StoreError> {
        let target = self.rootfs_dir(diff_id, checked(variant)?);
        make_dir(target.parent().unwrap_or(&self.root))?;
        match fs::rename(directory, &target) {
            Ok(()) => Ok(()),
            Err(_) if target.is_dir() => Ok(()),
            Err(e) => Err(StoreError::io(&target, e)),
        }
    }

    /// A directory that build steps share under `name`; made if it is not there.
    pub fn cache_dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.root.join("caches").join(checked(name)?);
        make_dir(&path)?;
        Ok(path)
    }

    /// Where digests of source files are remembered.
    pub fn index_dir(&self) -> PathBuf {
        self.root.join("index")
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Where the blob is, if it is there.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.root.join("blobs/sha256").join(&hex[..2]).join(hex)
    }

    /// Writes a small file so that it is seen whole or not at all.
    pub(crate) fn write_atomic(&self, path: &Path, content: &[u8]) -> Result<(), StoreError> {
        let parent = path.parent().unwrap_or(&self.root);
        make_dir(parent)?;
        let mut file = tempfile::NamedTempFile::new_in(self.tmp()).map_err(at(path))?;
        io::Write::write_all(&mut file, content).map_err(at(path))?;
        file.persist(path).map_err(|e| StoreError::io(path, e.error))?;
        Ok(())
    }
}

/// Makes a directory and its parents, for this user only. The mode is set whatever the umask:
/// a umask of 0777 would lock the user out of their own store.
pub(crate) fn make_dir(path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_dir(parent)?;
    }
    match fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(at(path)),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(StoreError::io(path, e)),
    }
}

/// A name that is one harmless path component.
fn checked(name: &str) -> Result<&str, StoreError> {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    match !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name.bytes().all(harmless)
    {
        true => Ok(name),
        false => Err(StoreError::Name(name.to_owned())),
    }
}
