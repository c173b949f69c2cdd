//! One part of a suite: its release file and package indices.

use super::OpenError;
use crate::control::ControlError;
use crate::index::PackageList;
use crate::package::{PackageError, below};
use crate::release::Release;
use crate::settings::{ArchiveSettings, Pocket};
use crate::signature::{SignatureError, verify_clearsigned, verify_detached};
use serde::{Deserialize, Serialize};
use std::io::{self, BufReader, Read};
use std::time::SystemTime;
use tierce_fetch::{Bytes, Download, FetchError, Fetched, Fetcher, Validators};
use tierce_oci::Digest;
use tierce_store::{RecordKind, Store};
use url::Url;

/// InRelease of the largest suites has 300 KB.
const MAX_RELEASE: u64 = 16 << 20;
/// What `xz -9` needs to decompress is 65 MB.
const XZ_MEMORY: u64 = 256 << 20;

/// Release files by URL.
const RELEASE_RECORD: RecordKind = RecordKind::new("debian-release");
/// Reduced indices by Packages file.
const INDEX_RECORD: RecordKind = RecordKind::new("debian-index");

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

/// What it takes to open pockets.
#[derive(Clone, Copy)]
pub(super) struct Opening<'a> {
    pub settings: &'a ArchiveSettings,
    pub fetcher: &'a Fetcher,
    pub store: &'a Store,
    pub now: SystemTime,
}

/// The release of one pocket, verified, and its package indices.
pub(super) async fn open_pocket(
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
                        source: Box::new(missing),
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
            Err(error) => {
                let (suite, source) = (self.settings.suite.clone(), Box::new(error));
                Err(OpenError::Fetch { suite, source })
            }
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
        fetched.map_err(|error| {
            let (suite, source) = (suite.to_owned(), Box::new(error));
            OpenError::Fetch { suite, source }
        })?;
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
