//! A channel on disk.

use super::msgpack;
use super::package::CondaPackageSpec;
use super::server::ServedChannel;
use crate::encode::hex_sha256;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

/// Which indexes a channel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CondaIndex {
    /// `repodata.json`.
    Json,
    /// `repodata.json.bz2`.
    Bzip2,
    /// `repodata.json.zst`.
    Zstd,
    /// `repodata_shards.msgpack.zst` and the shards (CEP 16).
    Shards,
}

/// A package that was added to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedPackage {
    /// Its file's name.
    pub filename: String,
    /// The directory that it is in.
    pub subdir: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

/// A conda channel in a directory of its own, gone when it is dropped. Each change writes its
/// indexes anew.
pub struct CondaChannel {
    directory: TempDir,
    indexes: BTreeSet<CondaIndex>,
    /// By directory and file name.
    records: BTreeMap<String, BTreeMap<String, Map<String, Value>>>,
    removed: BTreeMap<String, BTreeSet<String>>,
}

impl Default for CondaChannel {
    fn default() -> Self {
        CondaChannel::new()
    }
}

impl CondaChannel {
    /// An empty channel with `repodata.json` and `repodata.json.zst`.
    pub fn new() -> Self {
        let mut channel = CondaChannel {
            directory: TempDir::new().expect("a temporary directory"),
            indexes: [CondaIndex::Json, CondaIndex::Zstd].into(),
            records: BTreeMap::new(),
            removed: BTreeMap::new(),
        };
        channel.write("noarch");
        channel
    }

    /// The same with these indexes instead.
    pub fn with_indexes(mut self, indexes: &[CondaIndex]) -> Self {
        self.indexes = indexes.iter().copied().collect();
        for subdir in self.records.keys().cloned().chain(["noarch".to_owned()]).collect::<Vec<_>>()
        {
            self.write(&subdir);
        }
        self
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The `file://` URL.
    pub fn url(&self) -> String {
        format!("file://{}/", self.path().display())
    }

    /// Serves the directory on a loopback port, with all that is added later.
    pub fn serve(&self) -> ServedChannel {
        ServedChannel::start(self.path())
    }

    /// Adds a package, or replaces it.
    pub fn add(&mut self, package: &CondaPackageSpec) -> AddedPackage {
        let bytes = package.build();
        let record = package.indexed(&bytes);
        self.add_file(&package.subdir, &package.filename(), &bytes, record)
    }

    /// Adds a package file as it is, with its entry in the index.
    pub fn add_file(
        &mut self,
        subdir: &str,
        filename: &str,
        bytes: &[u8],
        record: Map<String, Value>,
    ) -> AddedPackage {
        let directory = self.path().join(subdir);
        fs::create_dir_all(&directory).expect("a writable directory");
        fs::write(directory.join(filename), bytes).expect("a writable directory");
        self.records.entry(subdir.to_owned()).or_default().insert(filename.to_owned(), record);
        self.write(subdir);
        AddedPackage {
            filename: filename.to_owned(),
            subdir: subdir.to_owned(),
            sha256: hex_sha256(bytes),
            size: bytes.len() as u64,
        }
    }

    /// Takes a package from the index; its file stays.
    pub fn remove(&mut self, subdir: &str, filename: &str) {
        self.records.entry(subdir.to_owned()).or_default().remove(filename);
        self.write(subdir);
    }

    /// Marks a package as removed, with its entry still in the index.
    pub fn mark_removed(&mut self, subdir: &str, filename: &str) {
        self.removed.entry(subdir.to_owned()).or_default().insert(filename.to_owned());
        self.write(subdir);
    }

    fn write(&mut self, subdir: &str) {
        let directory = self.path().join(subdir);
        let _ = fs::remove_dir_all(directory.join("shards"));
        fs::create_dir_all(&directory).expect("a writable directory");
        let records = self.records.get(subdir).cloned().unwrap_or_default();
        let removed = self.removed.get(subdir).cloned().unwrap_or_default();
        let mut document = index(&records, &removed);
        document["info"] = json!({ "subdir": subdir });
        document["repodata_version"] = json!(1);
        let json = serde_json::to_vec(&document).expect("plain data");
        let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).expect("memory");
        for (kind, name) in [
            (CondaIndex::Json, "repodata.json"),
            (CondaIndex::Bzip2, "repodata.json.bz2"),
            (CondaIndex::Zstd, "repodata.json.zst"),
            (CondaIndex::Shards, "repodata_shards.msgpack.zst"),
        ] {
            let file = directory.join(name);
            if !self.indexes.contains(&kind) {
                let _ = fs::remove_file(file);
                continue;
            }
            let bytes = match kind {
                CondaIndex::Json => json.clone(),
                CondaIndex::Zstd => zstd(&json),
                CondaIndex::Bzip2 => {
                    let level = bzip2::Compression::fast();
                    let mut encoder = bzip2::write::BzEncoder::new(vec![], level);
                    encoder.write_all(&json).expect("memory");
                    encoder.finish().expect("memory")
                }
                CondaIndex::Shards => zstd(&shards(&directory, subdir, &records, &removed)),
            };
            fs::write(file, bytes).expect("a writable directory");
        }
    }
}

type Records = BTreeMap<String, Map<String, Value>>;

fn index(records: &Records, removed: &BTreeSet<String>) -> Value {
    let of = |extension: &str| -> Map<String, Value> {
        let chosen = records.iter().filter(|(filename, _)| filename.ends_with(extension));
        chosen.map(|(filename, record)| (filename.clone(), Value::Object(record.clone()))).collect()
    };
    json!({ "packages": of(".tar.bz2"), "packages.conda": of(".conda"), "removed": removed })
}

/// Writes the shards, and gives their index.
fn shards(
    directory: &Path,
    subdir: &str,
    records: &Records,
    removed: &BTreeSet<String>,
) -> Vec<u8> {
    fs::create_dir_all(directory.join("shards")).expect("a writable directory");
    let mut names: BTreeMap<String, Records> = BTreeMap::new();
    for (filename, record) in records {
        let name = record["name"].as_str().unwrap_or_default().to_owned();
        names.entry(name).or_default().insert(filename.clone(), record.clone());
    }
    let mut digests = Map::new();
    for (name, records) in names {
        let mine = removed.iter().filter(|f| records.contains_key(*f)).cloned().collect();
        let plain = msgpack::encode(&index(&records, &mine));
        let shard = zstd::encode_all(plain.as_slice(), 3).expect("memory");
        let digest = hex_sha256(&shard);
        let file = directory.join(format!("shards/{digest}.msgpack.zst"));
        fs::write(file, shard).expect("a writable directory");
        digests.insert(name, json!(digest));
    }
    msgpack::encode(&json!({
        "info": { "subdir": subdir, "base_url": "./", "shards_base_url": "./shards/" },
        "shards": digests,
    }))
}
