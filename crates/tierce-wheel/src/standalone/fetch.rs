//! Archives into the store, by hash.

use super::catalog::{Catalog, StandaloneBuild};
use super::error::StandaloneError;
use std::fmt;
use std::path::PathBuf;
use tierce_fetch::{Download, FetchError, Fetcher};
use tierce_store::Store;
use url::Url;

/// Where builds come from. `Debug` shows nothing: there may be credentials in the addresses.
#[derive(Clone, Default)]
pub struct StandaloneSettings {
    /// What stands in for the project's releases (`UV_PYTHON_INSTALL_MIRROR`).
    pub mirror: Option<Url>,
    /// The list of builds, instead of the pinned one (`UV_PYTHON_DOWNLOADS_JSON_URL`).
    pub list: Option<Url>,
}

impl fmt::Debug for StandaloneSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandaloneSettings").finish_non_exhaustive()
    }
}

impl StandaloneSettings {
    /// The builds to choose from.
    pub async fn catalog(&self, fetcher: &Fetcher) -> Result<Catalog, StandaloneError> {
        match &self.list {
            Some(list) => Catalog::from_url(fetcher, list).await,
            None => Ok(Catalog::pinned()),
        }
    }
}

/// An archive in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBuild {
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size: u64,
    /// Whether it was there before.
    pub cached: bool,
}

/// Brings a build into the store. `on_bytes` hears how many bytes are there by now.
///
/// Whoever calls this for the same build at the same time has to take turns.
pub async fn fetch_standalone(
    build: &StandaloneBuild,
    mirror: Option<&Url>,
    fetcher: &Fetcher,
    store: &Store,
    on_bytes: &(dyn Fn(u64) + Send + Sync),
) -> Result<StoredBuild, StandaloneError> {
    let digest = build.digest;
    if let Some(size) = store.has(&digest) {
        return Ok(StoredBuild { path: store.blob_path(&digest), size, cached: true });
    }
    let mut failure = None;
    for url in build.urls(mirror) {
        let staged = store.stage()?;
        let item = Download { url, digest: Some(digest), size: None };
        match fetcher.download(&item, staged.path(), on_bytes).await {
            Ok(()) => {
                let path = staged.commit(&digest)?;
                let size = store.has(&digest).unwrap_or_default();
                return Ok(StoredBuild { path, size, cached: false });
            }
            // Another place is asked where this one has nothing, not where it has something else.
            Err(source) => {
                let is_wrong = matches!(source, FetchError::DigestMismatch { .. });
                failure = Some(StandaloneError::Download { version: build.version, source });
                if is_wrong {
                    break;
                }
            }
        }
    }
    Err(failure.unwrap_or_else(|| StandaloneError::Download {
        version: build.version,
        source: FetchError::Scheme {
            url: tierce_fetch::Redacted(&build.url).to_string(),
            scheme: build.url.scheme().to_owned(),
        },
    }))
}
