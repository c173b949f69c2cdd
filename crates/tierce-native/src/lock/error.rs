//! Why a build can't have what its lock says.

use tierce_debian::DebError;
use tierce_fetch::FetchError;
use tierce_oci::{Diagnostic, Digest, ErrorKind, Platform};

/// Why a build can't have what its lock says, or a lock can't be made.
#[derive(Debug, thiserror::Error)]
pub enum LockedError {
    /// The lock does not say what it would have to.
    #[error("the lock file has no {what} for {platform}")]
    Missing {
        /// What is not there.
        what: String,
        /// For which platform.
        platform: Platform,
    },
    /// The lock says something that makes no sense.
    #[error("the lock file has {what}, which is not possible: {why}")]
    Impossible {
        /// What it says.
        what: String,
        /// Why that can't be.
        why: String,
    },
    /// A file is nowhere any more.
    #[error("cannot fetch {file}, which is locked; tried {}", tried.join(" and "))]
    Gone {
        /// The file, by its package and version.
        file: String,
        /// Where it was looked for.
        tried: Vec<String>,
        /// What the first of these said.
        #[source]
        source: Box<FetchError>,
    },
    /// A file is another one.
    #[error("{file} is not the file that is locked: {url} has {actual}, expected {expected}")]
    WrongHash {
        /// The file, by its package and version.
        file: String,
        /// Where it came from.
        url: String,
        /// Its digest in the lock.
        expected: Digest,
        /// The digest it has.
        actual: Digest,
    },
    /// A file has another size.
    #[error("{file} is not the file that is locked: {url} has {actual} bytes, expected {expected}")]
    WrongSize {
        /// The file, by its package and version.
        file: String,
        /// Where it came from.
        url: String,
        /// Its size in the lock.
        expected: u64,
        /// The size it has.
        actual: u64,
    },
    /// A package is another one than the lock says, though its digest is right.
    #[error("{file} turns out to be {found}")]
    OtherPackage {
        /// What the lock says it is.
        file: String,
        /// What it says itself.
        found: String,
    },
    /// A package is malformed, though its digest is right.
    #[error("{file} cannot be read")]
    Deb {
        /// The file, by its package and version.
        file: String,
        /// What is wrong with it.
        #[source]
        source: DebError,
    },
    /// What apt says of a package can't be locked.
    #[error("cannot lock what apt would install: {0}")]
    Apt(String),
}

impl LockedError {
    /// What came of trying to fetch `file` from `tried`, by what the first of these said.
    pub fn of_fetch(file: String, tried: Vec<String>, source: FetchError) -> Self {
        match source {
            FetchError::DigestMismatch { url, expected, actual } => {
                LockedError::WrongHash { file, url, expected, actual }
            }
            FetchError::SizeMismatch { url, expected, actual } => {
                LockedError::WrongSize { file, url, expected, actual }
            }
            source => LockedError::Gone { file, tried, source: Box::new(source) },
        }
    }
}

impl Diagnostic for LockedError {
    fn code(&self) -> &'static str {
        match self {
            LockedError::Missing { .. } => "lock/incomplete",
            LockedError::Impossible { .. } => "lock/impossible",
            LockedError::Gone { .. } => "lock/file-gone",
            LockedError::WrongHash { .. } | LockedError::WrongSize { .. } => "lock/wrong-hash",
            LockedError::OtherPackage { .. } => "lock/other-package",
            LockedError::Deb { source, .. } => source.code(),
            LockedError::Apt(_) => "lock/apt",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LockedError::Missing { .. }
            | LockedError::Impossible { .. }
            | LockedError::OtherPackage { .. }
            | LockedError::Apt(_) => ErrorKind::User,
            LockedError::Gone { source, .. } => source.kind(),
            LockedError::WrongHash { .. } | LockedError::WrongSize { .. } => ErrorKind::Upstream,
            LockedError::Deb { source, .. } => source.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                LockedError::Missing { .. } => "Run `tierce lock`; it keeps what still fits.",
                LockedError::Impossible { .. } | LockedError::OtherPackage { .. } => {
                    "Take the lock file as it was committed (`git checkout`), or run `tierce lock \
                     --update`."
                }
                LockedError::Gone { .. } => {
                    "If it is there no more, `tierce lock --update PACKAGE` takes what is there \
                     now. A mirror that keeps what it had avoids this; for Debian packages, \
                     `debian.snapshot` names one."
                }
                LockedError::WrongHash { .. } | LockedError::WrongSize { .. } => {
                    "Either the file was replaced where it is published, which is worth asking \
                     about, or the lock file was edited. Compare it with what was committed; \
                     `tierce lock --update PACKAGE` trusts what is there now."
                }
                LockedError::Deb { .. } => return None,
                LockedError::Apt(_) => {
                    "Packages from sources that are reached by http or https can be locked; build \
                     without a lock where there are others."
                }
            }
            .to_owned(),
        )
    }
}
