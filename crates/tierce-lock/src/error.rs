//! What can be wrong with a lock.

use crate::diff::{Change, listing};
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a file is no lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockFileError {
    /// It was made by a newer tierce, or has no version that there ever was.
    #[error("the lock file has version {found}, this tierce knows {known}")]
    Version {
        /// The version in the file.
        found: i64,
        /// The newest that is known.
        known: u32,
    },
    /// It ends before its end.
    #[error("the lock file is cut off: its last line is not there")]
    Truncated,
    /// It is not TOML of the right shape.
    #[error("the lock file is malformed: {message}")]
    Malformed {
        /// What is wrong, and where.
        message: String,
    },
    /// Two of its entries can't both be right.
    #[error("the lock file contradicts itself: {what}")]
    Contradiction {
        /// What is wrong.
        what: String,
    },
}

impl Diagnostic for LockFileError {
    fn code(&self) -> &'static str {
        match self {
            LockFileError::Version { .. } => "lock/version",
            LockFileError::Truncated => "lock/truncated",
            LockFileError::Malformed { .. } => "lock/malformed",
            LockFileError::Contradiction { .. } => "lock/contradiction",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                LockFileError::Version { found, known } if *found > i64::from(*known) => {
                    "Update tierce."
                }
                _ => {
                    "Take the file as it was committed (`git checkout`), or delete it and make \
                     it anew with `tierce lock`. It is not made to be edited by hand."
                }
            }
            .to_owned(),
        )
    }
}

/// The specification says another thing than the lock was made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock file is not for what the specification says now:\n{}", listing(.changes))]
pub struct StaleLock {
    /// What changed.
    pub changes: Vec<Change>,
}

impl Diagnostic for StaleLock {
    fn code(&self) -> &'static str {
        "lock/stale"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        let wanted = self.changes.iter().filter_map(|c| c.what.strip_prefix("platform "));
        let platforms: Vec<&str> = wanted.collect();
        Some(match platforms.as_slice() {
            [] => "Run `tierce lock`; it keeps what still fits.".to_owned(),
            platforms => format!(
                "Run `tierce lock --platform {}`: a lock holds for the platforms that it was \
                 made for.",
                platforms.join(",")
            ),
        })
    }
}
