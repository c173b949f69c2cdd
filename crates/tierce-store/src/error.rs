//! What can go wrong with the store.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, Digest, ErrorKind};

/// What was attempted with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Making a file or directory.
    Create,
    /// Opening or reading a file.
    Read,
    /// Listing a directory.
    List,
    /// Writing a file.
    Write,
    /// Moving to a path.
    MoveTo,
    /// Removing.
    Remove,
    /// Locking.
    Lock,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Create => "create",
            Action::Read => "read",
            Action::List => "list",
            Action::Write => "write",
            Action::MoveTo => "move a file to",
            Action::Remove => "remove",
            Action::Lock => "lock",
        })
    }
}

/// A file operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
pub struct FileError {
    /// What was attempted.
    pub action: Action,
    /// On what.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`: the failure of `action` on `path`.
    pub(crate) fn on(action: Action, path: &Path) -> impl FnOnce(io::Error) -> FileError + '_ {
        move |source| FileError { action, path: path.to_owned(), source }
    }
}

impl Diagnostic for FileError {
    fn code(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "store/disk-full",
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => "store/denied",
            _ => "store/io",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.code() {
            "store/disk-full" => {
                "Free some space there: `tierce cache prune` does, if it is the store's."
            }
            "store/denied" => {
                "Make the path accessible to this user, or set TIERCE_STORE to a directory that is."
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The directory holds something that is not a store.
    #[error("{} is not a store and not empty", root.display())]
    NotAStore {
        /// The directory.
        root: PathBuf,
    },
    /// A later release has changed the format.
    #[error("store {} has format {found}, this tierce knows formats up to {supported}", root.display())]
    Newer {
        /// The store.
        root: PathBuf,
        /// Its format.
        found: u32,
        /// The latest format that is known here.
        supported: u32,
    },
    /// Somebody else could plant files in it.
    #[error("store {} belongs to user {owner}, not to user {user}", root.display())]
    Foreign {
        /// The store.
        root: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
}

impl Diagnostic for OpenError {
    fn code(&self) -> &'static str {
        match self {
            OpenError::File(error) => error.code(),
            OpenError::NotAStore { .. } => "store/not-a-store",
            OpenError::Newer { .. } => "store/newer-format",
            OpenError::Foreign { .. } => "store/foreign",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            OpenError::NotAStore { .. } => ErrorKind::User,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            OpenError::File(error) => return error.hint(),
            OpenError::NotAStore { .. } => {
                "Set TIERCE_STORE to an empty directory, or to one that does not exist."
            }
            OpenError::Newer { .. } => {
                "Update tierce, or set TIERCE_STORE to another directory for this release."
            }
            OpenError::Foreign { .. } => "Set TIERCE_STORE to a directory of your own.",
        };
        Some(hint.to_owned())
    }
}

/// Why an operation on the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The blob is not there.
    #[error("blob {digest} is not in the store")]
    Missing {
        /// The blob.
        digest: Digest,
    },
    /// The blob's bytes were not those of its digest. It is gone now.
    #[error("blob {digest} was damaged and has been removed from the store")]
    Corrupt {
        /// The blob.
        digest: Digest,
    },
    /// The blob is too large to be read into memory.
    #[error(
        "blob {digest} of {size} bytes is larger than the {limit} bytes that are expected here"
    )]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its length.
        size: u64,
        /// What the caller can take.
        limit: u64,
    },
    /// A file that was handed over is not what it was said to be.
    #[error("{} is not {expected}, but {actual}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: Digest,
        /// What it is.
        actual: Digest,
    },
    /// A value can't be written as JSON.
    #[error("record {key} of kind {kind} can't be written as JSON")]
    Encode {
        /// The kind of record.
        kind: &'static str,
        /// Its key.
        key: Digest,
        /// What the encoder said.
        #[source]
        source: serde_json::Error,
    },
}

impl Diagnostic for StoreError {
    fn code(&self) -> &'static str {
        match self {
            StoreError::File(error) => error.code(),
            StoreError::Missing { .. } => "store/missing",
            StoreError::Corrupt { .. } => "store/corrupt",
            StoreError::TooLarge { .. } => "store/too-large",
            StoreError::Mismatch { .. } => "store/mismatch",
            StoreError::Encode { .. } => "store/encode",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            StoreError::File(error) => error.kind(),
            StoreError::Encode { .. } => ErrorKind::Bug,
            StoreError::TooLarge { .. } => ErrorKind::Upstream,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StoreError::File(error) => error.hint(),
            StoreError::Missing { .. } | StoreError::Corrupt { .. } => {
                Some("Build again: what is missing is made or fetched again.".to_owned())
            }
            _ => None,
        }
    }
}
