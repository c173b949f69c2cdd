//! What other tools' locks leave open: their packages say it themselves.

use crate::error::FetchPackageError;
use crate::fetch::{FetchSettings, complete_once, fetch_packages};
use crate::foreign::{ForeignLock, ForeignPackage};
use crate::lock::{CondaLock, CondaPackage, LockFormatError};
use crate::solve::CondaObserver;
use tierce_fetch::Fetcher;
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use tierce_store::Store;

/// Why a lock of another tool does not become exact packages.
#[derive(Debug, thiserror::Error)]
pub enum ExactError {
    /// A package can't be had.
    #[error(transparent)]
    Fetch(#[from] FetchPackageError),
    /// A package can't be in a lock.
    #[error("the conda lock file has a package that can't be used")]
    Format(#[from] LockFormatError),
    /// Nothing says what a file must be.
    #[error("the conda lock file has neither the SHA-256 nor the MD5 of {0}")]
    NoDigest(String),
}

impl Diagnostic for ExactError {
    fn code(&self) -> &'static str {
        match self {
            ExactError::Fetch(error) => error.code(),
            ExactError::Format(error) => error.code(),
            ExactError::NoDigest(_) => "conda/bad-lock",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ExactError::Fetch(error) => error.kind(),
            ExactError::Format(error) => error.kind(),
            ExactError::NoDigest(_) => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ExactError::Fetch(error) => error.hint(),
            ExactError::Format(error) => error.hint(),
            ExactError::NoDigest(_) => Some("Make the lock anew.".to_owned()),
        }
    }
}

impl ForeignLock {
    /// The exact packages, which are in the store afterwards. Those of which the file says no
    /// SHA-256 are compared with their MD5; what a package is and depends on, it says itself where
    /// the file does not.
    pub async fn exact(
        &self,
        fetcher: &Fetcher,
        store: &Store,
        settings: &FetchSettings,
        observer: CondaObserver<'_>,
    ) -> Result<CondaLock, ExactError> {
        let mut packages = Vec::with_capacity(self.packages.len());
        for package in &self.packages {
            packages.push(package.with_digest(fetcher, store, settings).await?);
        }
        let lock = CondaLock::new(packages)?;
        if self.packages.iter().all(|package| package.depends.is_some() && !package.is_guess) {
            return Ok(lock);
        }
        let stored = fetch_packages(&lock, fetcher, store, settings, observer).await?;
        let mut packages = Vec::with_capacity(stored.len());
        for stored in stored {
            let mut package = stored.package;
            let index = |key: &str| stored.info.index.get(key);
            let said = self.packages.iter().find(|said| said.name == package.name);
            if said.is_none_or(|said| said.depends.is_none()) {
                package.depends = texts(index("depends"));
                package.constrains = texts(index("constrains"));
            }
            package.noarch = stored.info.noarch;
            package.build_number =
                index("build_number").and_then(|n| n.as_u64()).unwrap_or(package.build_number);
            let path = index("python_site_packages_path").and_then(|path| path.as_str());
            package.python_site_packages_path = path.map(str::to_owned);
            packages.push(package);
        }
        Ok(CondaLock::new(packages)?)
    }
}

fn texts(value: Option<&serde_json::Value>) -> Vec<String> {
    let all = value.and_then(|value| value.as_array()).into_iter().flatten();
    all.filter_map(|text| text.as_str()).map(str::to_owned).collect()
}

impl ForeignPackage {
    async fn with_digest(
        &self,
        fetcher: &Fetcher,
        store: &Store,
        settings: &FetchSettings,
    ) -> Result<CondaPackage, ExactError> {
        match (self.sha256, &self.md5) {
            (Some(digest), _) => Ok(self.package(digest)),
            (None, Some(md5)) => {
                let package = self.package(Digest::of(b""));
                Ok(complete_once(package, md5, fetcher, store, &settings.credentials).await?)
            }
            (None, None) => Err(ExactError::NoDigest(self.url.to_string())),
        }
    }
}
