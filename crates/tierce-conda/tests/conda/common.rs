//! A store, a fetcher, and the whole way from specs to a directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use tierce_conda::*;
use tierce_fetch::{Fetcher, HttpSettings, RetryPolicy};
use tierce_layer::{Compression, Entry, EntryKind, LayerReader, LayerWriter};
use tierce_oci::{Diagnostic, Platform};
use tierce_store::Store;
use tierce_wheel::Libc;

pub struct Bench {
    pub directory: TempDir,
    pub store: Store,
    pub fetcher: Fetcher,
    pub credentials: ChannelCredentials,
    pub overrides: BTreeMap<String, String>,
    pub platform: Platform,
    pub pinned: Vec<CondaPackage>,
}

pub fn silent(_: CondaEvent<'_>) {}

impl Bench {
    pub fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let client = tierce_fetch::client(&HttpSettings::default()).unwrap();
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        Bench {
            directory,
            store,
            fetcher: Fetcher::new(client).with_retry(retry),
            credentials: ChannelCredentials::new(),
            overrides: BTreeMap::new(),
            platform: "linux/amd64".parse().unwrap(),
            pinned: Vec::new(),
        }
    }

    pub fn request(&self, channels: &[&str], specs: &[&str]) -> CondaRequest {
        let alias = ChannelAlias::default();
        let target = CondaTarget::new(&self.platform, Libc::Glibc { minor: 36 }).unwrap();
        CondaRequest {
            specs: specs.iter().map(|s| (*s).to_owned()).collect(),
            channels: channels.iter().flat_map(|c| Channel::parse(c, &alias).unwrap()).collect(),
            target: target.with_overrides(&self.overrides).unwrap(),
            pinned: self.pinned.clone(),
        }
    }

    pub fn solve(&self, channels: &[&str], specs: &[&str]) -> Result<CondaLock, SolveError> {
        let request = self.request(channels, specs);
        let settings = RepodataSettings::default();
        block_on(solve(&request, &self.fetcher, &self.store, &self.credentials, &settings, &silent))
    }

    pub fn fetch(&self, lock: &CondaLock) -> Result<Vec<StoredPackage>, FetchPackageError> {
        let settings =
            FetchSettings { credentials: self.credentials.clone(), ..FetchSettings::default() };
        block_on(fetch_packages(lock, &self.fetcher, &self.store, &settings, &silent))
    }

    /// Everything, unpacked below a new directory that stands for `/`.
    pub fn install(&self, lock: &CondaLock, prefix: &CondaPrefix) -> PathBuf {
        let root = self.directory.path().join(format!("root-{}", lock.digest().short()));
        for layer in self.layers(lock, prefix) {
            unpack(&layer, &root);
        }
        root
    }

    pub fn layers(&self, lock: &CondaLock, prefix: &CondaPrefix) -> Vec<Vec<u8>> {
        let packages = self.fetch(lock).unwrap();
        let plans = plan_layers(&packages, &BucketPolicy::default());
        let mut layers: Vec<Vec<u8>> =
            plans.iter().map(|plan| layer(plan, prefix).unwrap()).collect();
        let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip);
        write_history(lock, &["python=3".to_owned()], prefix, &mut writer).unwrap();
        layers.push(writer.finish().unwrap().0);
        layers
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(future)
}

pub fn layer(plan: &CondaLayerPlan, prefix: &CondaPrefix) -> Result<Vec<u8>, LayerError> {
    let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip);
    write_layer(plan, prefix, &mut writer)?;
    Ok(writer.finish().unwrap().0)
}

/// GNU tar is the judge of what layers hold.
pub fn unpack(layer: &[u8], root: &Path) {
    use std::io::Write;
    std::fs::create_dir_all(root).unwrap();
    let mut tar = Command::new("tar")
        .args(["-xzp", "--no-same-owner", "-C"])
        .arg(root)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(layer).unwrap();
    assert!(tar.wait().unwrap().success());
}

pub fn entries(layer: &[u8]) -> BTreeMap<String, (Entry, Vec<u8>)> {
    use std::io::Read;
    let mut reader = LayerReader::new(layer).unwrap();
    let mut out = BTreeMap::new();
    while let Some((entry, mut content)) = reader.next_entry().unwrap() {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).unwrap();
        assert!(out.insert(entry.path.to_string(), (entry, bytes)).is_none());
    }
    out
}

pub fn link_of(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::Symlink { target } => String::from_utf8_lossy(target).into_owned(),
        other => panic!("{other:?} is no link"),
    }
}

pub fn names(lock: &CondaLock) -> Vec<String> {
    lock.packages.iter().map(ToString::to_string).collect()
}

/// An error and all that is below it, as people see it.
pub fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

pub fn code<E: Diagnostic>(error: &E) -> &'static str {
    assert!(!error.to_string().is_empty());
    error.code()
}
