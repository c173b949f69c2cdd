//! Where the files of a lock are: asked of the package indexes, many at a time, and only for what
//! is not in the store.

use super::error::LocateError;
use super::source::{Filename, Listed, Origin};
use super::{PoetryLock, PoetryPackage};
use crate::credentials::IndexCredentials;
use crate::index::listed_file;
use crate::location::{Location, without_credentials};
use crate::lock::{ArchiveFile, Lock, LockedPackage, Source, WheelFile};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tierce_fetch::Fetcher;
use tierce_oci::{Digest, Hasher};
use tierce_store::{RecordKind, Store};
use url::Url;

/// The kind of store record that says where an index has a file.
const LOCATED: RecordKind = RecordKind::new("index-file");

/// Where a package is from whose entry names no index.
const PYPI: &str = "https://pypi.org/simple";

/// How files are looked for.
#[derive(Clone, Debug)]
pub struct LocateSettings {
    /// Who asks the indexes.
    pub credentials: IndexCredentials,
    /// The index in PyPI's place: a mirror of it.
    pub pypi: Option<Url>,
    /// How many pages at once.
    pub concurrency: usize,
}

impl Default for LocateSettings {
    /// PyPI itself, sixteen pages at once.
    fn default() -> Self {
        LocateSettings { credentials: IndexCredentials::new(), pypi: None, concurrency: 16 }
    }
}

#[derive(Serialize, Deserialize)]
struct Located {
    url: Url,
    size: Option<u64>,
}

impl PoetryLock {
    /// The lock with a place for every file. Indexes are asked for files that are not in the
    /// store, or whose place is not known there; what they tell is kept in it.
    ///
    /// A place never decides what is installed: that is the lock's hash, which the index has to
    /// agree with.
    pub async fn locate(
        &self,
        fetcher: &Fetcher,
        store: &Store,
        settings: &LocateSettings,
    ) -> Result<Lock, LocateError> {
        let locate = |package| self::package(package, fetcher, store, settings);
        let packages: Vec<LockedPackage> = stream::iter(&self.packages)
            .map(locate)
            .buffered(settings.concurrency.max(1))
            .try_collect()
            .await?;
        Ok(Lock::new(&self.target, packages))
    }
}

async fn package(
    package: &PoetryPackage,
    fetcher: &Fetcher,
    store: &Store,
    settings: &LocateSettings,
) -> Result<LockedPackage, LocateError> {
    let source = match &package.origin {
        Origin::Settled(source) => source.clone(),
        Origin::Listed(listed) => {
            let located = file(package, listed, fetcher, store, settings).await?;
            let (location, size) = (Location::Url(located.url), located.size);
            let digest = listed.digest;
            match &listed.filename {
                Filename::Wheel(filename) => {
                    let filename = filename.clone();
                    let file = WheelFile { filename, location, digest, size };
                    Source::Wheel { file, direct: false }
                }
                Filename::Sdist(filename) => {
                    let filename = filename.clone();
                    let file = ArchiveFile { filename, location, digest, size };
                    Source::Sdist { file, direct: false, subdirectory: None }
                }
            }
        }
    };
    Ok(LockedPackage {
        name: package.name.clone(),
        version: package.installed_version(),
        source,
        requested: package.requested,
    })
}

async fn file(
    package: &PoetryPackage,
    listed: &Listed,
    fetcher: &Fetcher,
    store: &Store,
    settings: &LocateSettings,
) -> Result<Located, LocateError> {
    let index = listed.index.clone().or_else(|| settings.pypi.clone());
    let index = index.unwrap_or_else(|| Url::parse(PYPI).unwrap_or_else(|_| unreachable!()));
    let key = record_key(&index, listed);
    if store.has(&listed.digest).is_some()
        && let Some(located) = store.record::<Located>(LOCATED, &key)
    {
        return Ok(located);
    }
    let filename = listed.filename.as_str();
    let index = settings.credentials.apply(&index);
    let found = listed_file(fetcher, &index, package.name.as_str(), filename).await;
    let found = found.map_err(|source| LocateError::Index {
        package: package.name.clone(),
        version: package.version.clone(),
        source,
    })?;
    if let Some(actual) = found.sha256.filter(|actual| *actual != listed.digest) {
        let file = filename.to_owned();
        return Err(LocateError::Changed { file, expected: listed.digest, actual });
    }
    let kept = Located { url: without_credentials(&found.url), size: found.size };
    if let Err(error) = store.put_record(LOCATED, &key, &kept) {
        // It will be asked for again.
        tracing::debug!("where {filename} is can't be kept: {error}");
    }
    Ok(Located { url: found.url, size: found.size })
}

fn record_key(index: &Url, listed: &Listed) -> Digest {
    let index = without_credentials(index);
    let mut hasher = Hasher::new();
    for part in [index.as_str(), listed.filename.as_str(), &listed.digest.hex()] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finish()
}
