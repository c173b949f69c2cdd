//! Locked files into the store, by hash.

use crate::credentials::IndexCredentials;
use crate::layers::WheelInfo;
use crate::location::Location;
use crate::lock::{Lock, WheelFile};
use crate::name::{FilenameError, PackageName, WheelFilename};
use crate::wheel::{Wheel, WheelError};
use crate::{ArchiveFile, Source};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use tierce_fetch::{Download, FetchError, Fetcher};
use tierce_oci::{Diagnostic, Digest, ErrorKind, Hasher};
use tierce_store::{RecordKind, Store, StoreError};
use url::Url;

/// The kind of store record that says that a wheel's content was compared with its RECORD.
const VERIFIED: RecordKind = RecordKind::new("wheel-verified");

/// A wheel in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredWheel {
    /// The package.
    pub package: PackageName,
    /// Its file name.
    pub filename: WheelFilename,
    /// Its digest.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
    /// Its size.
    pub size: u64,
}

/// A source archive in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredArchive {
    /// The package.
    pub package: PackageName,
    /// The file name that build tools want to see.
    pub filename: String,
    /// Its digest.
    pub digest: Digest,
    /// Where it is.
    pub path: PathBuf,
}

/// Why a file is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchWheelError {
    /// It could not be downloaded.
    #[error("{filename} can't be fetched")]
    Download {
        /// The file.
        filename: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A local file could not be read, or the store not written.
    #[error("{} can't be brought into the store", .path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store can't keep a file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A local file is not what the lock says.
    #[error("{} has changed since it was locked: expected {expected}, found {actual}", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
        /// The digest in the lock.
        expected: Digest,
        /// The file's digest.
        actual: Digest,
    },
    /// A local file has no wheel's name.
    #[error(transparent)]
    Filename(#[from] FilenameError),
    /// The wheel itself is bad.
    #[error(transparent)]
    Wheel(#[from] WheelError),
}

impl Diagnostic for FetchWheelError {
    fn code(&self) -> &'static str {
        match self {
            FetchWheelError::Download { source, .. } => source.code(),
            FetchWheelError::Import { .. } => "python/wheel-unreadable",
            FetchWheelError::Store(source) => source.code(),
            FetchWheelError::Changed { .. } => "python/wheel-changed",
            FetchWheelError::Filename(_) => "python/bad-wheel-name",
            FetchWheelError::Wheel(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            FetchWheelError::Download { source, .. } => source.kind(),
            FetchWheelError::Store(source) => source.kind(),
            FetchWheelError::Import { .. } => ErrorKind::Environment,
            FetchWheelError::Changed { .. } | FetchWheelError::Filename(_) => ErrorKind::User,
            FetchWheelError::Wheel(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            FetchWheelError::Download { source, .. } => source.hint(),
            FetchWheelError::Wheel(error) => error.hint(),
            FetchWheelError::Store(source) => source.hint(),
            FetchWheelError::Changed { .. } => {
                Some("Build again: the file is read anew.".to_owned())
            }
            _ => None,
        }
    }
}

/// What happens while files are fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchEvent<'a> {
    /// The file was in the store.
    Cached {
        /// The file's name.
        filename: &'a str,
    },
    /// The download begins.
    Started {
        /// The file's name.
        filename: &'a str,
        /// Its size, where it is known.
        size: Option<u64>,
    },
    /// So many bytes are there by now.
    Progress {
        /// The file's name.
        filename: &'a str,
        /// Bytes so far.
        bytes: u64,
    },
    /// The file is in the store.
    Finished {
        /// The file's name.
        filename: &'a str,
    },
}

/// How files are fetched.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// The directory that relative paths of the lock refer to.
    pub root: PathBuf,
    /// Who asks servers for files.
    pub credentials: IndexCredentials,
    /// How many files at once.
    pub concurrency: usize,
    /// What a wheel may unpack to.
    pub unpacked_limit: u64,
}

impl FetchSettings {
    /// Eight files at once, and [`crate::DEFAULT_UNPACKED_LIMIT`].
    pub fn new(root: &Path) -> Self {
        FetchSettings {
            root: root.to_owned(),
            credentials: IndexCredentials::new(),
            concurrency: 8,
            unpacked_limit: crate::DEFAULT_UNPACKED_LIMIT,
        }
    }
}

/// Is told what happens.
pub type FetchObserver<'a> = &'a (dyn Fn(FetchEvent<'_>) + Send + Sync);

#[derive(Serialize, Deserialize)]
struct Verified {
    filename: String,
}

impl StoredWheel {
    /// Brings a wheel that was built or lies on this machine into the store, and verifies it.
    pub fn import(
        store: &Store,
        path: &Path,
        settings: &FetchSettings,
    ) -> Result<Self, FetchWheelError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let filename = WheelFilename::from_str(&name)?;
        let (digest, size) = import(store, path, None)?;
        let wheel = StoredWheel::stored(store, &filename, digest, size);
        wheel.verify(store, settings.unpacked_limit)?;
        Ok(wheel)
    }

    fn stored(store: &Store, filename: &WheelFilename, digest: Digest, size: u64) -> Self {
        StoredWheel {
            package: filename.name().clone(),
            filename: filename.clone(),
            digest,
            path: store.blob_path(&digest),
            size,
        }
    }

    /// Opens the wheel.
    pub fn open(&self, unpacked_limit: u64) -> Result<Wheel, WheelError> {
        Wheel::open(&self.path, &self.filename, self.digest, unpacked_limit)
    }

    /// The wheel as laying it out needs it.
    pub fn info(&self) -> WheelInfo {
        WheelInfo { filename: self.filename.clone(), digest: self.digest, size: self.size }
    }

    async fn verified(
        &self,
        store: &Store,
        settings: &FetchSettings,
    ) -> Result<(), FetchWheelError> {
        let (wheel, store, limit) = (self.clone(), store.clone(), settings.unpacked_limit);
        let task = tokio::task::spawn_blocking(move || wheel.verify(&store, limit));
        join(task.await, &self.path)?
    }

    /// Compares content with RECORD, once in the store's life.
    fn verify(&self, store: &Store, unpacked_limit: u64) -> Result<(), FetchWheelError> {
        let known: Option<Verified> = store.record(VERIFIED, &self.digest);
        if known.is_some_and(|known| known.filename == self.filename.as_str()) {
            return Ok(());
        }
        let wheel = self.open(unpacked_limit)?;
        for warning in wheel.warnings() {
            tracing::warn!(wheel = %self.filename, "{warning}");
        }
        wheel.verify_record()?;
        let record = Verified { filename: self.filename.to_string() };
        if let Err(error) = store.put_record(VERIFIED, &self.digest, &record) {
            // Only costs that it is verified again.
            tracing::debug!(%error, wheel = %self.filename, "can't record that it was verified");
        }
        Ok(())
    }
}

/// Gets all wheels of a lock into the store, in parallel, and verifies each one's structure and
/// content while others are still being downloaded. In the order of the lock.
pub async fn fetch_wheels(
    lock: &Lock,
    fetcher: &Fetcher,
    store: &Store,
    settings: &FetchSettings,
    observer: FetchObserver<'_>,
) -> Result<Vec<StoredWheel>, FetchWheelError> {
    stream::iter(lock.wheels().map(|(_, file)| file))
        .map(|file| fetch_wheel(file, fetcher, store, settings, observer))
        .buffered(settings.concurrency.max(1))
        .try_collect()
        .await
}

async fn fetch_wheel(
    file: &WheelFile,
    fetcher: &Fetcher,
    store: &Store,
    settings: &FetchSettings,
    observer: FetchObserver<'_>,
) -> Result<StoredWheel, FetchWheelError> {
    let wanted = Wanted {
        filename: file.filename.as_str(),
        location: &file.location,
        digest: file.digest,
        size: file.size,
    };
    let was_there = store.has(&file.digest).is_some();
    let size = wanted.fetch(fetcher, store, settings, observer).await?;
    let wheel = StoredWheel::stored(store, &file.filename, file.digest, size);
    match wheel.verified(store, settings).await {
        // A blob that a power cut tore; looking at it removed it.
        Err(FetchWheelError::Wheel(_)) if was_there && store.verify(&file.digest)?.is_none() => {
            wanted.fetch(fetcher, store, settings, observer).await?;
            wheel.verified(store, settings).await?;
        }
        other => other?,
    }
    Ok(wheel)
}

/// Gets the archives of source distributions into the store.
pub async fn fetch_sources(
    lock: &Lock,
    fetcher: &Fetcher,
    store: &Store,
    settings: &FetchSettings,
    observer: FetchObserver<'_>,
) -> Result<Vec<StoredArchive>, FetchWheelError> {
    let archives = lock.packages().iter().filter_map(|package| match &package.source {
        Source::Sdist { file, .. } => Some((package.name.clone(), file)),
        _ => None,
    });
    stream::iter(archives)
        .map(|(package, file)| async move {
            let ArchiveFile { filename, location, digest, size } = file;
            let wanted = Wanted { filename, location, digest: *digest, size: *size };
            wanted.fetch(fetcher, store, settings, observer).await?;
            let path = store.blob_path(digest);
            Ok(StoredArchive { package, filename: filename.clone(), digest: *digest, path })
        })
        .buffered(settings.concurrency.max(1))
        .try_collect()
        .await
}

struct Wanted<'a> {
    filename: &'a str,
    location: &'a Location,
    digest: Digest,
    size: Option<u64>,
}

impl Wanted<'_> {
    /// Sees to it that the file is in the store; its size.
    async fn fetch(
        &self,
        fetcher: &Fetcher,
        store: &Store,
        settings: &FetchSettings,
        observer: FetchObserver<'_>,
    ) -> Result<u64, FetchWheelError> {
        let Wanted { filename, digest, size, .. } = *self;
        if let Some(size) = store.has(&digest) {
            observer(FetchEvent::Cached { filename });
            return Ok(size);
        }
        observer(FetchEvent::Started { filename, size });
        let size = match (self.location.local(&settings.root), self.location) {
            (Some(path), _) => {
                let store = store.clone();
                let shown = path.clone();
                let task = move || import(&store, &path, Some(digest));
                join(tokio::task::spawn_blocking(task).await, &shown)??.1
            }
            (None, Location::Url(url)) => {
                self.download(url, fetcher, store, settings, observer).await?
            }
            (None, Location::Path(path)) => {
                let source = io::ErrorKind::NotFound.into();
                return Err(FetchWheelError::Import { path: path.clone(), source });
            }
        };
        observer(FetchEvent::Finished { filename });
        Ok(size)
    }

    async fn download(
        &self,
        url: &Url,
        fetcher: &Fetcher,
        store: &Store,
        settings: &FetchSettings,
        observer: FetchObserver<'_>,
    ) -> Result<u64, FetchWheelError> {
        let Wanted { filename, digest, size, .. } = *self;
        let staged = store.stage()?;
        let mut url = settings.credentials.apply(url);
        url.set_fragment(None);
        let download = Download { url, digest: Some(digest), size };
        let progress = |bytes| observer(FetchEvent::Progress { filename, bytes });
        fetcher.download(&download, staged.path(), &progress).await.map_err(|source| {
            FetchWheelError::Download { filename: filename.to_owned(), source }
        })?;
        let unreadable =
            |source| FetchWheelError::Import { path: staged.path().to_owned(), source };
        let length = std::fs::metadata(staged.path()).map_err(unreadable)?.len();
        staged.commit(&digest)?;
        Ok(length)
    }
}

/// Copies a file into the store.
fn import(
    store: &Store,
    path: &Path,
    expected: Option<Digest>,
) -> Result<(Digest, u64), FetchWheelError> {
    let failed = |source| FetchWheelError::Import { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mut staged = store.stage()?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(failed(e)),
        };
        hasher.update(&buffer[..read]);
        staged.write_all(&buffer[..read]).map_err(failed)?;
    }
    let size = hasher.length();
    let actual = hasher.finish();
    if let Some(expected) = expected.filter(|expected| *expected != actual) {
        return Err(FetchWheelError::Changed { path: path.to_owned(), expected, actual });
    }
    staged.commit(&actual)?;
    Ok((actual, size))
}

fn join<T>(joined: Result<T, tokio::task::JoinError>, path: &Path) -> Result<T, FetchWheelError> {
    joined
        .map_err(|e| FetchWheelError::Import { path: path.to_owned(), source: io::Error::other(e) })
}
