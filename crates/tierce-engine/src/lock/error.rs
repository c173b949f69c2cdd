//! Why a lock does not serve.

use crate::gather::GatherError;
use std::sync::Arc;
use tierce_lock::StaleLock;
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a lock does not serve.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LockError {
    /// The specification says another thing than the lock was made for.
    #[error(transparent)]
    Stale(#[from] StaleLock),
    /// The lock is of other images.
    #[error("the lock file has no image {image:?}; it has: {}", names.join(", "))]
    NoImage {
        /// The image.
        image: String,
        /// The images that there are.
        names: Vec<String>,
    },
    /// The builder knows no locks.
    #[error("the builder {builder} can neither make nor use a lock")]
    Builder {
        /// The builder.
        builder: String,
    },
    /// What is declared could not be read.
    #[error(transparent)]
    Gather(#[from] Arc<GatherError>),
}

impl Diagnostic for LockError {
    fn code(&self) -> &'static str {
        match self {
            LockError::Stale(stale) => stale.code(),
            LockError::NoImage { .. } => "lock/no-image",
            LockError::Builder { .. } => "lock/builder",
            LockError::Gather(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LockError::Gather(error) => error.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LockError::Stale(stale) => stale.hint(),
            LockError::NoImage { .. } => {
                Some("Run `tierce lock` for the specification that has it.".to_owned())
            }
            LockError::Builder { .. } => Some(
                "Build without --locked, or with --builder native: what other builders resolve \
                 is theirs to decide."
                    .to_owned(),
            ),
            LockError::Gather(error) => error.hint(),
        }
    }
}
