//! Why the store could not do what was asked.

use std::io;
use std::path::{Path, PathBuf};
use tierce_oci::{Descriptor, Diagnostic, Digest, ErrorKind, ManifestError};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full.
    #[error("no space left for {path}")]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The store's files belong to somebody else, or the file system is read-only.
    #[error("no permission to use {path}")]
    Denied {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Any other failure of the file system.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A newer tierce made the store.
    #[error("the store {path} has format {found}, this tierce knows up to {known}")]
    TooNew {
        /// The store.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest known one.
        known: u32,
    },
    /// Content does not have the digest that it should.
    #[error("content has digest {actual}, expected {expected}")]
    Mismatch {
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A blob is not in the store.
    #[error("blob {0} is not in the store")]
    Missing(Digest),
    /// A blob is larger than its reader takes.
    #[error("blob {digest} of {size} bytes is larger than the {limit} expected at most")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The name of a cache or lock has characters that are not letters, digits, `.`, `_`, `-`.
    #[error("{0:?} is not a name of a cache or lock")]
    Name(String),
}

impl StoreError {
    /// An error of the file system on `path`.
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                StoreError::DiskFull { path, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::Denied { path, source }
            }
            _ => StoreError::Io { path, source },
        }
    }
}

/// For `map_err`: an error of the file system on `path`.
pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |source| StoreError::io(path, source)
}

impl Diagnostic for StoreError {
    fn code(&self) -> &'static str {
        match self {
            StoreError::DiskFull { .. } => "store/disk-full",
            StoreError::Denied { .. } => "store/denied",
            StoreError::Io { .. } => "store/io",
            StoreError::TooNew { .. } => "store/too-new",
            StoreError::Mismatch { .. } => "store/digest-mismatch",
            StoreError::Missing(_) => "store/missing-blob",
            StoreError::TooLarge { .. } => "store/too-large",
            StoreError::Name(_) => "store/invalid-name",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            StoreError::Name(_) => ErrorKind::Bug,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                StoreError::DiskFull { .. } => {
                    "Free space with `tierce cache prune`, or set TIERCE_STORE to a larger disk."
                }
                StoreError::Denied { .. } => {
                    "Set TIERCE_STORE to a directory of your own; stores are not shared by users."
                }
                StoreError::TooNew { .. } => {
                    "Update tierce, or set TIERCE_STORE to another directory."
                }
                StoreError::Mismatch { .. } | StoreError::Missing(_) => {
                    "Run the build again: what is damaged or missing is made anew."
                }
                _ => return None,
            }
            .to_owned(),
        )
    }
}

/// Why an image could not be written to a directory or file.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The destination is something else than what would be written there.
    #[error("{path} exists and is not {expected}")]
    Occupied {
        /// The destination.
        path: PathBuf,
        /// What it should have been.
        expected: &'static str,
    },
    /// The destination could not be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A blob could not be read, or has another content than its descriptor says.
    #[error("cannot read blob {digest}")]
    Blob {
        /// The blob.
        digest: Digest,
        /// Why.
        source: io::Error,
    },
    /// A blob is still in a registry: it has to be fetched first.
    #[error("blob {0} is not on this machine")]
    Remote(Digest),
    /// Docker's format holds one platform only, and none of the image's is this machine's.
    #[error("the image has no manifest for {0}")]
    NoPlatform(tierce_oci::Platform),
    /// A manifest or config in the image is not one.
    #[error("{0} is not a valid manifest")]
    Manifest(Digest, #[source] ManifestError),
    /// The archive could not be encoded.
    #[error("cannot encode {path}")]
    Encode {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tierce_layer::WriteError,
    },
}

impl Diagnostic for ExportError {
    fn code(&self) -> &'static str {
        match self {
            ExportError::Occupied { .. } => "export/occupied",
            ExportError::Write { .. } | ExportError::Encode { .. } => "export/write",
            ExportError::Blob { .. } => "export/blob",
            ExportError::Remote(_) => "export/remote-blob",
            ExportError::NoPlatform(_) => "export/no-platform",
            ExportError::Manifest(..) => "export/manifest",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ExportError::Occupied { .. } | ExportError::NoPlatform(_) => ErrorKind::User,
            ExportError::Remote(_) | ExportError::Manifest(..) => ErrorKind::Bug,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ExportError::Occupied { .. } => Some("Choose another path, or remove it.".into()),
            ExportError::NoPlatform(_) => {
                Some("Choose one with --platform, or write oci: or oci-archive:.".into())
            }
            _ => None,
        }
    }
}

/// Why an image could not be read from a directory or file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// It is not an OCI image layout.
    #[error("{path} is not an OCI image layout")]
    NotALayout {
        /// The directory or file.
        path: PathBuf,
    },
    /// It has no image of that name, or several and none was named.
    #[error("{path} has no single image called {wanted:?}; it has: {}", known.join(", "))]
    NoImage {
        /// The layout.
        path: PathBuf,
        /// The name; empty if none was given.
        wanted: String,
        /// The names there.
        known: Vec<String>,
    },
    /// A document is not what it should be.
    #[error("{path} has an invalid manifest")]
    Manifest {
        /// The layout.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// A blob is missing, or is not what its descriptor says.
    #[error("blob {} of {path} is missing or damaged", descriptor.digest)]
    Blob {
        /// The layout.
        path: PathBuf,
        /// The blob.
        descriptor: Box<Descriptor>,
    },
    /// The archive cannot be decoded.
    #[error("{path} is not a valid archive")]
    Archive {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tierce_layer::ReadError,
    },
    /// The store could not take the image in.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnostic for ImportError {
    fn code(&self) -> &'static str {
        match self {
            ImportError::Read { .. } => "import/unreadable",
            ImportError::NotALayout { .. } => "import/not-a-layout",
            ImportError::NoImage { .. } => "import/no-image",
            ImportError::Manifest { .. } => "import/manifest",
            ImportError::Blob { .. } => "import/blob",
            ImportError::Archive { .. } => "import/archive",
            ImportError::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ImportError::Store(e) => e.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ImportError::NoImage { .. } => Some("Name one: oci:DIR:NAME.".into()),
            ImportError::Store(e) => e.hint(),
            _ => None,
        }
    }
}
