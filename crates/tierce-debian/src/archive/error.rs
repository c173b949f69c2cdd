//! Why an archive cannot be used.

use crate::control::ControlError;
use crate::release::ReleaseError;
use crate::signature::SignatureError;
use tierce_fetch::FetchError;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_store::StoreError;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such suite.
    #[error("the archive at {mirror} has no suite {suite}")]
    UnknownSuite {
        /// The archive.
        mirror: String,
        /// The suite.
        suite: String,
        /// The answer.
        #[source]
        source: Box<FetchError>,
    },
    /// The suite is not made for the architecture.
    #[error("suite {suite} has no packages for {architecture}")]
    UnknownArchitecture {
        /// The suite.
        suite: String,
        /// The architecture.
        architecture: String,
        /// Those it has.
        available: Vec<String>,
    },
    /// The suite does not have the component.
    #[error("suite {suite} has no component {component}")]
    UnknownComponent {
        /// The suite.
        suite: String,
        /// The component.
        component: String,
        /// Those it has.
        available: Vec<String>,
    },
    /// The mirror's URL cannot have paths below it.
    #[error("{0} is not the URL of an archive")]
    Mirror(String),
    /// Something could not be fetched.
    #[error("cannot fetch the index of suite {suite}")]
    Fetch {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: Box<FetchError>,
    },
    /// The release file is not signed by whom it should.
    #[error("the release file of suite {suite} is not trusted")]
    Signature {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: SignatureError,
    },
    /// The release file may not be used.
    #[error("the release file of suite {suite} cannot be used")]
    Release {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: ReleaseError,
    },
    /// An index is malformed, though its hash is right.
    #[error("the index {path} of suite {suite} is malformed")]
    Index {
        /// The suite.
        suite: String,
        /// The index.
        path: String,
        /// What is wrong with it.
        #[source]
        source: ControlError,
    },
    /// The store failed.
    #[error("cannot keep the archive's indices")]
    Store(#[from] StoreError),
}

impl Diagnostic for OpenError {
    fn code(&self) -> &'static str {
        match self {
            OpenError::UnknownSuite { .. } => "debian/unknown-suite",
            OpenError::UnknownArchitecture { .. } => "debian/unknown-architecture",
            OpenError::UnknownComponent { .. } => "debian/unknown-component",
            OpenError::Mirror(_) => "debian/bad-mirror",
            OpenError::Fetch { source, .. } => match &**source {
                FetchError::DigestMismatch { .. } | FetchError::SizeMismatch { .. } => {
                    "debian/wrong-hash"
                }
                other => other.code(),
            },
            OpenError::Signature { .. } => "debian/bad-signature",
            OpenError::Release { source, .. } => match source {
                ReleaseError::Expired { .. } => "debian/expired-release",
                ReleaseError::NotYetValid { .. } => "debian/future-release",
                ReleaseError::WrongSuite { .. } => "debian/wrong-suite",
                ReleaseError::Control(_) => "debian/bad-release",
            },
            OpenError::Index { .. } => "debian/bad-index",
            OpenError::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            OpenError::UnknownSuite { .. }
            | OpenError::UnknownArchitecture { .. }
            | OpenError::UnknownComponent { .. }
            | OpenError::Mirror(_) => ErrorKind::User,
            OpenError::Fetch { source, .. } => source.kind(),
            OpenError::Release { source: ReleaseError::NotYetValid { .. }, .. } => {
                ErrorKind::Environment
            }
            OpenError::Store(error) => error.kind(),
            _ => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            OpenError::UnknownSuite { .. } => Some(
                "Check the suite's name, or whether it has moved to http://archive.debian.org."
                    .to_owned(),
            ),
            OpenError::UnknownArchitecture { available, .. }
            | OpenError::UnknownComponent { available, .. } => {
                Some(format!("It has {}.", available.join(", ")))
            }
            OpenError::Signature { .. } => Some(
                "Check the mirror; for an archive that is not Debian's, name its keyring."
                    .to_owned(),
            ),
            OpenError::Release { source: ReleaseError::Expired { .. }, .. } => {
                Some("The mirror is out of date, or this machine's clock is ahead.".to_owned())
            }
            OpenError::Release { source: ReleaseError::NotYetValid { .. }, .. } => {
                Some("Check this machine's clock.".to_owned())
            }
            OpenError::Fetch { source, .. } => source.hint(),
            OpenError::Store(error) => error.hint(),
            _ => None,
        }
    }
}
