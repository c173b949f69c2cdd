//! What can go wrong when images are read.

use crate::error::{FileError, StoreError};
use std::path::PathBuf;
use tierce_layer::ReadError;
use tierce_oci::{Diagnostic, Digest, ErrorKind, ManifestError};

/// Why an image could not be read from a directory or an archive.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store failed to take the archive's blobs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no `oci-layout` that says it is one.
    #[error("{} is not an OCI image layout", path.display())]
    NotALayout {
        /// The directory or archive.
        path: PathBuf,
    },
    /// The layout is of a version that did not exist when this was written.
    #[error("{} is an OCI image layout of version {version:?}, not 1.0.0", path.display())]
    Version {
        /// The directory or archive.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// The layout's `index.json` is invalid.
    #[error("the index of {} is invalid", path.display())]
    Index {
        /// The directory or archive.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ManifestError,
    },
    /// No image has that name.
    #[error("{} has no image{}", path.display(), called(name))]
    NotFound {
        /// The directory or archive.
        path: PathBuf,
        /// The name that was asked for.
        name: Option<String>,
        /// The names that there are.
        available: Vec<String>,
    },
    /// Several images are meant.
    #[error("{} has several images{}", path.display(), called(name))]
    Ambiguous {
        /// The directory or archive.
        path: PathBuf,
        /// The name that was asked for.
        name: Option<String>,
        /// The names that there are.
        available: Vec<String>,
    },
    /// A blob is not there.
    #[error("{} is incomplete: blob {digest} is missing", path.display())]
    Missing {
        /// The directory or archive.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A blob's length is not what its descriptor says.
    #[error("blob {digest} has {actual} bytes, not {declared} as its descriptor says")]
    Size {
        /// The blob.
        digest: Digest,
        /// What the descriptor says.
        declared: u64,
        /// What is there.
        actual: u64,
    },
    /// A document is larger than any registry would accept.
    #[error("document {digest} of {size} bytes is larger than the 4 MiB that registries accept")]
    TooLarge {
        /// The document.
        digest: Digest,
        /// Its length.
        size: u64,
    },
    /// A blob's bytes are not those of its digest.
    #[error("blob {digest} of {} is damaged", path.display())]
    Corrupt {
        /// The directory or archive.
        path: PathBuf,
        /// The blob.
        digest: Digest,
    },
    /// A manifest or index is invalid.
    #[error("manifest {digest} is invalid")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        #[source]
        source: ManifestError,
    },
    /// The archive can't be read.
    #[error("{} is not a valid archive", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ReadError,
    },
    /// The archive holds a file twice, and readers would differ about which one counts.
    #[error("{} holds {entry} twice", path.display())]
    Duplicate {
        /// The archive.
        path: PathBuf,
        /// The file within.
        entry: String,
    },
}

fn called(name: &Option<String>) -> String {
    name.as_ref().map(|name| format!(" called {name:?}")).unwrap_or_default()
}

impl Diagnostic for ImportError {
    fn code(&self) -> &'static str {
        match self {
            ImportError::File(error) => error.code(),
            ImportError::Store(error) => error.code(),
            ImportError::NotALayout { .. } => "import/not-a-layout",
            ImportError::Version { .. } => "import/layout-version",
            ImportError::Index { .. } => "import/invalid-index",
            ImportError::NotFound { .. } => "import/not-found",
            ImportError::Ambiguous { .. } => "import/ambiguous",
            ImportError::Missing { .. } => "import/incomplete",
            ImportError::Size { .. } => "import/size-mismatch",
            ImportError::TooLarge { .. } => "import/too-large",
            ImportError::Corrupt { .. } => "import/corrupt",
            ImportError::Manifest { .. } => "import/invalid-manifest",
            ImportError::Archive { .. } => "import/invalid-archive",
            ImportError::Duplicate { .. } => "import/duplicate-entry",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ImportError::File(error) => match error.source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::User,
                _ => ErrorKind::Environment,
            },
            ImportError::Store(error) => error.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ImportError::Store(error) => error.hint(),
            ImportError::NotFound { available, .. } | ImportError::Ambiguous { available, .. }
                if !available.is_empty() =>
            {
                Some(format!("Name one of its images: {}.", available.join(", ")))
            }
            ImportError::Missing { .. }
            | ImportError::Size { .. }
            | ImportError::Corrupt { .. }
            | ImportError::Archive { .. } => {
                Some("Whoever made the layout or copied it here has to do so again.".to_owned())
            }
            _ => None,
        }
    }
}
