//! Lock files of other conda tools: `conda-lock.yml` and lists that begin with `@EXPLICIT`.

mod explicit;
mod multi;

use crate::foreign::ForeignLock;
use crate::text::{TextError, text};
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a lock file of another conda tool can't be used.
#[derive(Debug, thiserror::Error)]
pub enum CondaLockError {
    /// It can't be read.
    #[error("the conda lock file can't be read")]
    Text(#[from] TextError),
    /// It is neither format.
    #[error(
        "the conda lock file is neither a conda-lock.yml nor a list that begins with @EXPLICIT"
    )]
    Unknown,
    /// Its version is not known.
    #[error("the conda lock file has version {0}, only 1 is known")]
    Version(u64),
    /// There is nothing for the platform.
    #[error("the conda lock file has nothing for {wanted}: it is for {}", there.join(", "))]
    Platform {
        /// The platform, as conda calls it.
        wanted: String,
        /// Those that it is for.
        there: Vec<String>,
    },
    /// A package can't be used.
    #[error("the conda lock file has {package}, and {problem}")]
    Package {
        /// The package, or its URL without credentials.
        package: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A package is there twice.
    #[error("the conda lock file has {0} twice")]
    Twice(String),
}

impl Diagnostic for CondaLockError {
    fn code(&self) -> &'static str {
        match self {
            CondaLockError::Platform { .. } => "conda/lock-platform",
            _ => "conda/bad-lock",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            CondaLockError::Platform { wanted, .. } => {
                format!("Lock for it too: conda-lock lock --platform {wanted}")
            }
            _ => "Make it anew: conda-lock lock, or conda list --explicit --md5.".to_owned(),
        })
    }
}

impl ForeignLock {
    /// Reads a `conda-lock.yml` (version 1) or a list that begins with `@EXPLICIT`, for the
    /// platform that conda calls `subdir`.
    ///
    /// Of a `conda-lock.yml`, the packages of the category `main` count: what a project needs to
    /// run.
    pub fn parse_conda_lock(bytes: &[u8], subdir: &str) -> Result<Self, CondaLockError> {
        let content = text(bytes)?;
        let is_explicit = content.lines().any(|line| line.trim() == "@EXPLICIT");
        let lock = match is_explicit {
            true => explicit::parse(content, subdir)?,
            false => multi::parse(bytes, subdir)?,
        };
        match lock.twice() {
            Some(name) => Err(CondaLockError::Twice(name)),
            None => Ok(lock),
        }
    }
}

#[cfg(test)]
mod tests;
