//! Locked packages into the store, by hash.

use crate::archive::{ArchiveKind, Package, PackageLimits};
use crate::credentials::ChannelCredentials;
use crate::error::{FetchPackageError, PackageError};
use crate::info::PackageInfo;
use crate::lock::{CondaLock, CondaPackage};
use crate::repodata::cache::hidden;
use crate::solve::{CondaEvent, CondaObserver, hex};
use futures::{StreamExt, TryStreamExt, stream};
use md5::{Digest as _, Md5};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use tierce_fetch::{Download, Fetcher};
use tierce_oci::{Digest, Hasher};
use tierce_store::{RecordKind, Store};

/// What was read of a package's metadata: `.tar.bz2` has to be unpacked whole for it. The name
/// changes with the form of [`PackageInfo`].
const INFO: RecordKind = RecordKind::new("conda-info-1");

/// What a file is of which only the address and the MD5 are known.
const BY_MD5: RecordKind = RecordKind::new("conda-md5-1");

/// A package in the store.
#[derive(Clone, Debug)]
pub struct StoredPackage {
    /// What it is.
    pub package: CondaPackage,
    /// Where its file is.
    pub path: PathBuf,
    /// The size of its file.
    pub size: u64,
    /// What it says of itself.
    pub info: Arc<PackageInfo>,
    /// What it may unpack to.
    pub limits: PackageLimits,
}

/// How packages are fetched.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// Who asks servers for files.
    pub credentials: ChannelCredentials,
    /// How many files at once.
    pub concurrency: usize,
    /// What a package may unpack to.
    pub limits: PackageLimits,
}

impl Default for FetchSettings {
    /// Eight files at once, no credentials.
    fn default() -> Self {
        FetchSettings {
            credentials: ChannelCredentials::new(),
            concurrency: 8,
            limits: PackageLimits::default(),
        }
    }
}

/// Gets all packages of a lock into the store, in parallel, and reads each one's metadata while
/// others are still being downloaded. In the order of the lock.
pub async fn fetch_packages(
    lock: &CondaLock,
    fetcher: &Fetcher,
    store: &Store,
    settings: &FetchSettings,
    observer: CondaObserver<'_>,
) -> Result<Vec<StoredPackage>, FetchPackageError> {
    stream::iter(&lock.packages)
        .map(|package| fetch(package, fetcher, store, settings, observer))
        .buffered(settings.concurrency.max(1))
        .try_collect()
        .await
}

async fn fetch(
    package: &CondaPackage,
    fetcher: &Fetcher,
    store: &Store,
    settings: &FetchSettings,
    observer: CondaObserver<'_>,
) -> Result<StoredPackage, FetchPackageError> {
    let was_there = store.has(&package.sha256).is_some();
    let size = bring(package, fetcher, store, settings, observer).await?;
    match read_info(package, size, store, settings).await {
        // A blob that a power cut tore; looking at it removes it.
        Err(FetchPackageError::Package(_))
            if was_there && store.verify(&package.sha256)?.is_none() =>
        {
            let size = bring(package, fetcher, store, settings, observer).await?;
            read_info(package, size, store, settings).await
        }
        other => other,
    }
}

/// Sees to it that the file is in the store; its size.
async fn bring(
    package: &CondaPackage,
    fetcher: &Fetcher,
    store: &Store,
    settings: &FetchSettings,
    observer: CondaObserver<'_>,
) -> Result<u64, FetchPackageError> {
    let filename = package.filename();
    if let Some(size) = store.has(&package.sha256) {
        observer(CondaEvent::Cached { filename });
        return Ok(size);
    }
    observer(CondaEvent::Started { filename, size: package.size });
    let staged = store.stage()?;
    let download = Download {
        url: settings.credentials.apply(&package.url),
        digest: Some(package.sha256),
        size: package.size,
    };
    let progress = |bytes| observer(CondaEvent::Progress { filename, bytes });
    fetcher.download(&download, staged.path(), &progress).await.map_err(|source| {
        FetchPackageError::Download {
            filename: filename.to_owned(),
            source: hidden(source, &settings.credentials),
        }
    })?;
    let unreadable = |source| FetchPackageError::Read { filename: filename.to_owned(), source };
    let size = std::fs::metadata(staged.path()).map_err(unreadable)?.len();
    staged.commit(&package.sha256)?;
    observer(CondaEvent::Finished { filename });
    Ok(size)
}

async fn read_info(
    package: &CondaPackage,
    size: u64,
    store: &Store,
    settings: &FetchSettings,
) -> Result<StoredPackage, FetchPackageError> {
    let (package, store, limits) = (package.clone(), store.clone(), settings.limits.clone());
    let filename = package.filename().to_owned();
    let task = tokio::task::spawn_blocking(move || {
        let path = store.blob_path(&package.sha256);
        let key = Digest::of(format!("{} {}", package.filename(), package.sha256));
        let info = match store.record::<PackageInfo>(INFO, &key) {
            Some(info) => info,
            None => {
                let info = open(&package, &path, &limits)?.info()?;
                if let Err(error) = store.put_record(INFO, &key, &info) {
                    // Only costs that it is read again.
                    tracing::debug!(%error, %package, "can't keep a package's metadata");
                }
                info
            }
        };
        Ok(StoredPackage { package, path, size, info: Arc::new(info), limits })
    });
    task.await
        .map_err(|error| FetchPackageError::Read { filename, source: io::Error::other(error) })?
}

fn open(
    package: &CondaPackage,
    path: &std::path::Path,
    limits: &PackageLimits,
) -> Result<Package, PackageError> {
    let name = package.filename();
    // A lock has no others.
    let kind = ArchiveKind::of(name).unwrap_or(ArchiveKind::Conda);
    Package::open(path, name, kind, limits.clone())
}

impl StoredPackage {
    /// Opens the package.
    pub fn open(&self) -> Result<Package, PackageError> {
        open(&self.package, &self.path, &self.limits)
    }
}

/// The same for one that a lock names, which may have been here before: then nothing is fetched.
pub(crate) async fn complete_once(
    package: CondaPackage,
    md5: &str,
    fetcher: &Fetcher,
    store: &Store,
    credentials: &ChannelCredentials,
) -> Result<CondaPackage, FetchPackageError> {
    let key = Digest::of(format!("{md5} {}", package.url));
    if let Some((sha256, size)) = store.record::<(Digest, Option<u64>)>(BY_MD5, &key) {
        return Ok(CondaPackage { sha256, size, ..package });
    }
    let package = complete(package, md5, fetcher, store, credentials).await?;
    if let Err(error) = store.put_record(BY_MD5, &key, &(package.sha256, package.size)) {
        // Only costs that it is fetched again.
        tracing::debug!(%error, %package, "can't keep what a package's SHA-256 is");
    }
    Ok(package)
}

/// A package of which the channel gives no SHA-256: fetched, compared with its MD5, and computed.
pub(crate) async fn complete(
    package: CondaPackage,
    md5: &str,
    fetcher: &Fetcher,
    store: &Store,
    credentials: &ChannelCredentials,
) -> Result<CondaPackage, FetchPackageError> {
    let filename = package.filename().to_owned();
    let mut staged = store.stage()?;
    let url = credentials.apply(&package.url);
    let download = Download { url, digest: None, size: package.size };
    fetcher.download(&download, staged.path(), &|_| ()).await.map_err(|source| {
        let source = hidden(source, credentials);
        FetchPackageError::Download { filename: filename.clone(), source }
    })?;
    let read = |source| FetchPackageError::Read { filename: filename.clone(), source };
    let file = staged.file_mut();
    file.seek(SeekFrom::Start(0)).map_err(read)?;
    let (mut sha256, mut state) = (Hasher::new(), Md5::new());
    let mut buffer = vec![0; 1 << 17];
    loop {
        match file.read(&mut buffer).map_err(read)? {
            0 => break,
            length => {
                sha256.update(&buffer[..length]);
                state.update(&buffer[..length]);
            }
        }
    }
    let actual = hex(&state.finalize());
    if actual != md5 {
        return Err(FetchPackageError::Md5 { filename, expected: md5.to_owned(), actual });
    }
    let size = sha256.length();
    let sha256 = sha256.finish();
    staged.commit(&sha256)?;
    Ok(CondaPackage { sha256, size: Some(size), ..package })
}
