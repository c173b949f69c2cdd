//! An archive opened: its releases verified, its indices at hand.

use crate::control::ControlError;
use crate::index::PackageList;
use crate::package::{Package, PackageError, below};
use crate::release::{Release, ReleaseError};
use crate::resolve::{Request, ResolveError, resolve};
use crate::root::AptSource;
use crate::settings::{ArchiveSettings, Pocket};
use crate::signature::{SignatureError, verify_clearsigned, verify_detached};
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, Read};
use std::time::SystemTime;
use tierce_fetch::{Bytes, Download, FetchError, Fetched, Fetcher, Validators};
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use tierce_store::{RecordKind, Store, StoreError};
use url::Url;

/// InRelease of the largest suites has 300 KB.
const MAX_RELEASE: u64 = 16 << 20;
/// What `xz -9` needs to decompress is 65 MB.
const XZ_MEMORY: u64 = 256 << 20;

/// Release files by URL.
const RELEASE_RECORD: RecordKind = RecordKind::new("debian-release");
/// Reduced indices by Packages file.
const INDEX_RECORD: RecordKind = RecordKind::new("debian-index");

/// An archive's suite: what there is to install from.
#[derive(Clone)]
pub struct Archive {
    settings: ArchiveSettings,
    releases: Vec<Release>,
    lists: Vec<PackageList>,
}

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
        source: FetchError,
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
        source: FetchError,
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
            OpenError::Fetch { source, .. } => match source {
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

/// A release file as it was last fetched. It is verified anew whenever it is used.
#[derive(Serialize, Deserialize)]
struct KnownRelease {
    validators: Validators,
    content: Digest,
}

#[derive(Serialize, Deserialize)]
struct KnownIndex {
    content: Digest,
}

impl Archive {
    /// Opens the suite that the settings name: fetches and verifies its release files, and the
    /// package indices that the store does not have yet. `now` is the time at which signatures
    /// and release files must be valid.
    pub async fn open(
        settings: &ArchiveSettings,
        fetcher: &Fetcher,
        store: &Store,
        now: SystemTime,
    ) -> Result<Self, OpenError> {
        let pockets = settings
            .pockets
            .iter()
            .map(|pocket| open_pocket(Opening { settings, fetcher, store, now }, *pocket));
        let mut archive =
            Archive { settings: settings.clone(), releases: Vec::new(), lists: Vec::new() };
        for (release, lists) in try_join_all(pockets).await? {
            archive.releases.push(release);
            archive.lists.extend(lists);
        }
        Ok(archive)
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &ArchiveSettings {
        &self.settings
    }

    /// The release files, one for each pocket in use.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The package indices.
    pub fn lists(&self) -> &[PackageList] {
        &self.lists
    }

    /// The packages that meet a request; see [`resolve()`].
    pub fn resolve(&self, request: &Request) -> Result<Vec<Package>, ResolveError> {
        resolve(&self.lists, request)
    }
}

impl ArchiveSettings {
    /// This archive as the sources of an image's own apt. Credentials in the URLs stay out.
    pub fn apt_sources(&self) -> Vec<AptSource> {
        let mut sources: Vec<AptSource> = Vec::new();
        for pocket in &self.pockets {
            let (mirror, suite) = self.pocket(*pocket);
            let mut uri = mirror.clone();
            // Both only fail for URLs that cannot have either.
            let _ = uri.set_username("");
            let _ = uri.set_password(None);
            match sources.iter_mut().find(|source| source.uri == uri) {
                Some(source) => source.suites.push(suite),
                None => sources.push(AptSource {
                    uri,
                    suites: vec![suite],
                    components: self.components.clone(),
                }),
            }
        }
        sources
    }
}

#[derive(Clone, Copy)]
struct Opening<'a> {
    settings: &'a ArchiveSettings,
    fetcher: &'a Fetcher,
    store: &'a Store,
    now: SystemTime,
}

async fn open_pocket(
    opening: Opening<'_>,
    pocket: Pocket,
) -> Result<(Release, Vec<PackageList>), OpenError> {
    let settings = opening.settings;
    let (mirror, suite) = settings.pocket(pocket);
    let root = join(mirror, &format!("dists/{suite}"))?;
    let text = opening.release_text(&root, mirror, &suite).await?;
    let unusable = |source| OpenError::Release { suite: suite.clone(), source };
    let release = Release::parse(&text).map_err(|e| unusable(e.into()))?;
    release.check(&suite, opening.now).map_err(unusable)?;

    let architecture = settings.architecture.as_str();
    if !release.architectures.iter().any(|a| a == architecture) {
        if pocket != Pocket::Release {
            // As apt does: security support ends for some architectures before others.
            tracing::warn!(suite, architecture, "suite does not support the architecture");
            return Ok((release, Vec::new()));
        }
        let available = release.architectures.clone();
        let architecture = architecture.to_owned();
        return Err(OpenError::UnknownArchitecture { suite, architecture, available });
    }
    let mut wanted = vec![architecture];
    if release.separate_all {
        wanted.push("all");
    }
    let mut lists = Vec::new();
    for component in &settings.components {
        for architecture in &wanted {
            let directory = format!("{component}/binary-{architecture}");
            let Some(index) = Index::find(&release, &directory) else {
                let (suite, component) = (suite.clone(), component.clone());
                let available = release.components.clone();
                return Err(OpenError::UnknownComponent { suite, component, available });
            };
            lists.push(opening.list(&root, mirror, &suite, &index).await?);
        }
    }
    Ok((release, lists))
}

/// A Packages file that a release names.
struct Index {
    /// Its path below the suite.
    path: String,
    /// Where to fetch it from, below the suite.
    location: String,
    compression: Compression,
    digest: Digest,
    size: u64,
}

#[derive(Clone, Copy)]
enum Compression {
    Xz,
    Gzip,
    None,
}

impl Index {
    fn find(release: &Release, directory: &str) -> Option<Self> {
        let kinds = [
            ("Packages.xz", Compression::Xz),
            ("Packages.gz", Compression::Gzip),
            ("Packages", Compression::None),
        ];
        kinds.into_iter().find_map(|(name, compression)| {
            let path = format!("{directory}/{name}");
            let (digest, size) = *release.files.get(&path)?;
            let location = match release.acquire_by_hash {
                true => format!("{directory}/by-hash/SHA256/{}", digest.hex()),
                false => path.clone(),
            };
            Some(Index { path, location, compression, digest, size })
        })
    }
}

impl Opening<'_> {
    /// The text of the suite's release file, verified.
    async fn release_text(
        &self,
        root: &Url,
        mirror: &Url,
        suite: &str,
    ) -> Result<String, OpenError> {
        let untrusted = |source| OpenError::Signature { suite: suite.to_owned(), source };
        let keyring = &self.settings.keyring;
        match self.document(&join(root, "InRelease")?).await? {
            Ok(message) => verify_clearsigned(&message, keyring, self.now).map_err(untrusted),
            // Archives of old, and some of people's own, have the two files apart.
            Err(missing) => {
                let Ok(text) = self.document(&join(root, "Release")?).await? else {
                    return Err(OpenError::UnknownSuite {
                        mirror: tierce_fetch::Redacted(mirror).to_string(),
                        suite: suite.to_owned(),
                        source: missing,
                    });
                };
                let signature = self.document(&join(root, "Release.gpg")?).await?;
                let signature = signature.unwrap_or_default();
                verify_detached(&text, &signature, keyring, self.now).map_err(untrusted)?;
                String::from_utf8(text.to_vec()).map_err(|_| {
                    untrusted(SignatureError::NotClearsigned("the release file is not UTF-8"))
                })
            }
        }
    }

    /// A document that changes, fetched if it did; the inner error if there is none.
    async fn document(&self, url: &Url) -> Result<Result<Bytes, FetchError>, OpenError> {
        let key = Digest::of(url.as_str());
        let known: Option<KnownRelease> = self.store.record(RELEASE_RECORD, &key);
        let kept = known.and_then(|known| {
            let content = self.store.read(&known.content).ok()?;
            Some((known.validators, content))
        });
        let validators = kept.as_ref().map(|(validators, _)| validators.clone());
        let validators = validators.unwrap_or_default();
        match self.fetcher.get_if_changed(url, &validators, MAX_RELEASE).await {
            Ok(Fetched::NotModified) => {
                Ok(Ok(kept.map(|(_, content)| content.into()).unwrap_or_default()))
            }
            Ok(Fetched::Body { bytes, validators }) => {
                // Without validators nothing could be asked next time.
                if validators != Validators::default() {
                    let content = self.store.put(&bytes)?;
                    let known = KnownRelease { validators, content };
                    self.store.put_record(RELEASE_RECORD, &key, &known)?;
                }
                Ok(Ok(bytes))
            }
            Err(error) if is_missing(&error) => Ok(Err(error)),
            Err(source) => Err(OpenError::Fetch { suite: self.settings.suite.clone(), source }),
        }
    }

    /// A package index, from the store or the mirror.
    async fn list(
        &self,
        root: &Url,
        mirror: &Url,
        suite: &str,
        index: &Index,
    ) -> Result<PackageList, OpenError> {
        if let Some(list) = self.known_list(mirror, index) {
            return Ok(list);
        }
        self.fetch_index(root, suite, index).await?;
        let list = match self.parse(mirror, suite, index) {
            // The copy in the store was damaged, and is gone now.
            Err(_) if self.store.verify(&index.digest)?.is_none() => {
                self.fetch_index(root, suite, index).await?;
                self.parse(mirror, suite, index)?
            }
            result => result?,
        };
        let content = self.store.put(list.as_bytes())?;
        let key = PackageList::cache_key(&index.digest);
        self.store.put_record(INDEX_RECORD, &key, &KnownIndex { content })?;
        Ok(list)
    }

    fn known_list(&self, mirror: &Url, index: &Index) -> Option<PackageList> {
        let key = PackageList::cache_key(&index.digest);
        let known: KnownIndex = self.store.record(INDEX_RECORD, &key)?;
        let bytes = self.store.read(&known.content).ok()?;
        PackageList::load(bytes, mirror.clone())
    }

    async fn fetch_index(&self, root: &Url, suite: &str, index: &Index) -> Result<(), OpenError> {
        if self.store.has(&index.digest) == Some(index.size) {
            return Ok(());
        }
        let item = Download {
            url: join(root, &index.location)?,
            digest: Some(index.digest),
            size: Some(index.size),
        };
        let staged = self.store.stage()?;
        let fetched = self.fetcher.download(&item, staged.path(), &|_| {}).await;
        fetched.map_err(|source| OpenError::Fetch { suite: suite.to_owned(), source })?;
        staged.commit(&index.digest)?;
        Ok(())
    }

    fn parse(&self, mirror: &Url, suite: &str, index: &Index) -> Result<PackageList, OpenError> {
        let malformed = |source| {
            let (suite, path) = (suite.to_owned(), index.path.clone());
            OpenError::Index { suite, path, source }
        };
        let blob = self.store.open_blob(&index.digest)?;
        let text: Box<dyn Read> = match index.compression {
            Compression::None => Box::new(blob),
            Compression::Gzip => {
                Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::new(blob)))
            }
            Compression::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(
                    XZ_MEMORY,
                    liblzma::stream::CONCATENATED,
                );
                let stream = stream.map_err(|e| malformed(ControlError::Io(e.into())))?;
                Box::new(liblzma::read::XzDecoder::new_stream(blob, stream))
            }
        };
        PackageList::parse(BufReader::with_capacity(1 << 16, text), mirror.clone())
            .map_err(malformed)
    }
}

fn join(root: &Url, path: &str) -> Result<Url, OpenError> {
    below(root, path).map_err(|error| match error {
        PackageError::Filename(path) => OpenError::Mirror(format!("{root} {path}")),
        _ => OpenError::Mirror(root.to_string()),
    })
}

/// Whether the answer is that there is nothing there.
fn is_missing(error: &FetchError) -> bool {
    match error {
        FetchError::Status { status, .. } => matches!(status.as_u16(), 404 | 410),
        FetchError::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}
