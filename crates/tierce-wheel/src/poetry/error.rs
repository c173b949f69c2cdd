//! Why a Poetry project can't be installed from its lock.

use crate::index::IndexError;
use crate::name::{FilenameError, PackageName};
use pep440_rs::Version;
use tierce_oci::{Diagnostic, Digest, ErrorKind};

/// Why a `poetry.lock` and its `pyproject.toml` don't say what to install.
#[derive(Debug, thiserror::Error)]
pub enum PoetryError {
    /// `pyproject.toml` is not TOML of the right shape.
    #[error("pyproject.toml is not that of a Poetry project")]
    Pyproject(#[source] Box<toml::de::Error>),
    /// `poetry.lock` is not TOML of the right shape: cut off, or edited by hand.
    #[error("poetry.lock is damaged")]
    Lock(#[source] Box<toml::de::Error>),
    /// Something in `pyproject.toml` has no meaning.
    #[error("pyproject.toml: {what} is {text:?}, which can't be understood")]
    Manifest {
        /// What.
        what: String,
        /// Its text.
        text: String,
    },
    /// Something in `poetry.lock` has no meaning.
    #[error("poetry.lock: {package} has {text:?}, which can't be understood")]
    Entry {
        /// The package.
        package: String,
        /// The text.
        text: String,
    },
    /// The lock says nothing of its format, or one that is not known.
    #[error("poetry.lock has lock-version {0:?}, only 1.x and 2.x are known")]
    LockVersion(String),
    /// The lock does not say which `pyproject.toml` it is of.
    #[error("poetry.lock has no content-hash")]
    NoContentHash,
    /// The lock is of another `pyproject.toml`.
    #[error("poetry.lock is stale: pyproject.toml has changed since it was made")]
    Stale,
    /// The lock leaves out what is required: it was edited by hand.
    #[error("poetry.lock has no entry for {package}, which {requirer} requires")]
    Missing {
        /// What is required.
        package: PackageName,
        /// By what.
        requirer: String,
    },
    /// The lock has only other versions than those that are required.
    #[error("poetry.lock has no version of {0} that everything which requires it allows")]
    NoCandidate(PackageName),
    /// The lock has two versions of a package for one target.
    #[error("poetry.lock has {name} twice for {target}: {first} and {second}")]
    Twice {
        /// The package.
        name: PackageName,
        /// The target.
        target: String,
        /// One version.
        first: Version,
        /// The other.
        second: Version,
    },
    /// The project is not for this interpreter.
    #[error("the project is for python {allowed}, and the image has {python}")]
    Python {
        /// What the project allows.
        allowed: String,
        /// What there is.
        python: String,
    },
    /// Groups that the project has not.
    #[error("the project has no dependency group {0}")]
    UnknownGroup(String),
    /// Extras that the project has not.
    #[error("the project has no extra {0}")]
    UnknownExtra(String),
    /// A group includes one that is not there.
    #[error("the dependency group {group} includes {included}, which is not defined")]
    Include {
        /// The group.
        group: String,
        /// What it includes.
        included: String,
    },
    /// The project is none that can be installed.
    #[error("the project is no package: pyproject.toml {0}")]
    NotAPackage(&'static str),
    /// A file has no SHA-256.
    #[error("poetry.lock: {package} has no sha256 hash for {file}")]
    Hash {
        /// The package.
        package: PackageName,
        /// The file.
        file: String,
    },
    /// A wheel's name is none.
    #[error("poetry.lock: {package} has a badly named wheel")]
    Wheel {
        /// The package.
        package: PackageName,
        /// Why.
        #[source]
        source: FilenameError,
    },
    /// A package's place is none.
    #[error("poetry.lock: {package} is from {place:?}, which is no place to get it from")]
    Place {
        /// The package.
        package: PackageName,
        /// The place, without credentials.
        place: String,
    },
    /// A package has neither a wheel for the target nor a source distribution.
    #[error(
        "{package} {version} has no wheel for {target} and no source distribution; there are {files}"
    )]
    NoFile {
        /// The package.
        package: PackageName,
        /// Its version.
        version: Version,
        /// The target.
        target: String,
        /// The files that there are.
        files: String,
    },
}

impl Diagnostic for PoetryError {
    fn code(&self) -> &'static str {
        match self {
            PoetryError::Pyproject(_)
            | PoetryError::Manifest { .. }
            | PoetryError::Include { .. } => "python/bad-pyproject",
            PoetryError::Lock(_)
            | PoetryError::Entry { .. }
            | PoetryError::NoContentHash
            | PoetryError::Missing { .. }
            | PoetryError::NoCandidate(_)
            | PoetryError::Twice { .. }
            | PoetryError::Wheel { .. }
            | PoetryError::Place { .. } => "python/bad-lock",
            PoetryError::LockVersion(_) => "python/lock-version",
            PoetryError::Stale => "python/stale-lock",
            PoetryError::Python { .. } => "python/wrong-version",
            PoetryError::UnknownGroup(_) => "python/unknown-group",
            PoetryError::UnknownExtra(_) => "python/unknown-extra",
            PoetryError::NotAPackage(_) => "python/not-a-package",
            PoetryError::Hash { .. } => "python/no-hash",
            PoetryError::NoFile { .. } => "python/no-wheel",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            PoetryError::Stale => {
                "Run `poetry lock`, review what it changes, and commit poetry.lock with \
                 pyproject.toml."
            }
            PoetryError::Pyproject(_)
            | PoetryError::Manifest { .. }
            | PoetryError::Include { .. } => "`poetry check` says what is wrong with it.",
            PoetryError::Lock(_)
            | PoetryError::Entry { .. }
            | PoetryError::NoContentHash
            | PoetryError::Missing { .. }
            | PoetryError::NoCandidate(_)
            | PoetryError::Twice { .. }
            | PoetryError::Wheel { .. }
            | PoetryError::Place { .. } => {
                "Restore the lock from version control, or make it anew with `poetry lock \
                 --regenerate`; don't edit it by hand."
            }
            PoetryError::LockVersion(_) => {
                "Make the lock anew with `poetry lock` of Poetry 1.x or 2.x."
            }
            PoetryError::Python { .. } => {
                "Choose another python version for the image, or widen what the project allows \
                 and run `poetry lock`."
            }
            PoetryError::UnknownGroup(_) => {
                "Groups are those of [tool.poetry.group] and [dependency-groups], and `main`."
            }
            PoetryError::UnknownExtra(_) => {
                "Extras are those of [project.optional-dependencies] or [tool.poetry.extras]."
            }
            PoetryError::NotAPackage(_) => "Install the dependencies only.",
            PoetryError::Hash { .. } => {
                "Make the lock anew with `poetry lock --regenerate`: without its hash a file \
                 can't be trusted."
            }
            PoetryError::NoFile { .. } => {
                "Choose a version with a wheel for this platform and interpreter, or another \
                 interpreter."
            }
        };
        Some(hint.to_owned())
    }
}

/// Why a locked file's place was not found.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The index does not have it.
    #[error("{package} {version} was not found in its package index")]
    Index {
        /// The package.
        package: PackageName,
        /// Its version.
        version: Version,
        /// Why.
        #[source]
        source: IndexError,
    },
    /// The index has another file of this name than the one that was locked.
    #[error("{file} is not the file that was locked: poetry.lock has sha256 {}, the index {}", .expected.hex(), .actual.hex())]
    Changed {
        /// The file.
        file: String,
        /// The hash in the lock.
        expected: Digest,
        /// The hash that the index tells.
        actual: Digest,
    },
}

impl Diagnostic for LocateError {
    fn code(&self) -> &'static str {
        match self {
            LocateError::Index { source, .. } => source.code(),
            LocateError::Changed { .. } => "python/hash-mismatch",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LocateError::Index { source, .. } => source.kind(),
            LocateError::Changed { .. } => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            LocateError::Index { source, .. } => return source.hint(),
            LocateError::Changed { file, .. } => format!(
                "Find out why {file} was replaced before you trust it; then `poetry lock \
                 --regenerate` takes the new one."
            ),
        })
    }
}
