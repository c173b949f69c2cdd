//! The store itself: where things are.

use crate::names::file_name;
use crate::{OpenError, StoreError, file};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::Digest;

/// A user's store. Cheap to clone; may be used from any thread.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) root: PathBuf,
    pub(crate) blobs: PathBuf,
    pub(crate) records: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) caches: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) tmp: PathBuf,
    pub(crate) locks: PathBuf,
}

impl Store {
    /// Opens the store at `root`, making it where there is none. A directory that is neither
    /// empty nor a store is refused, and so is one that belongs to another user.
    pub fn open(root: &Path) -> Result<Store, OpenError> {
        let root = crate::open::prepare(root)?;
        let inner = Inner {
            blobs: root.join("blobs/sha256"),
            records: root.join("records"),
            rootfs: root.join("rootfs"),
            caches: root.join("caches"),
            index: root.join("index"),
            tmp: root.join("tmp"),
            locks: root.join("locks"),
            root,
        };
        Ok(Store { inner: Arc::new(inner) })
    }

    /// The store's directory.
    pub fn root(&self) -> &Path {
        &self.inner.root
    }

    /// A directory of this name that steps share, made if it is not there. What is in it is the
    /// business of those who use it. Its mode is 0755, so that other users of a container that it
    /// is mounted into get in; outside, the store's own directory keeps them away.
    pub fn cache_dir(&self, name: &str) -> Result<PathBuf, StoreError> {
        let path = self.inner.caches.join(file_name(name));
        match file::stat(&path) {
            Some(metadata) => file::touch(&path, &metadata),
            None => {
                file::make_dirs(&path)?;
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
                    .map_err(crate::FileError::on(crate::Action::Create, &path))?;
            }
        }
        Ok(path)
    }

    /// Where a small file of another crate is to be kept. Whoever writes it has to replace it
    /// by renaming, and to cope with its absence.
    pub fn index_path(&self, name: &str) -> PathBuf {
        self.inner.index.join(file_name(name))
    }
}

/// `ab/<hex>` for a digest that begins with `ab`: directories of a size that all file systems
/// like.
pub(crate) fn fan_out(digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    Path::new(&hex[..2]).join(&hex)
}
