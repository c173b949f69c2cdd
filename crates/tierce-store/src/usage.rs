//! How much is in the store.

use crate::file::stat;
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A number of things and the disk space that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// How many.
    pub count: u64,
    /// Bytes on disk: sparse and compressed files count for what they take.
    pub bytes: u64,
}

impl Usage {
    /// Counts one more thing.
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

impl std::iter::Sum for Usage {
    fn sum<I: Iterator<Item = Usage>>(usages: I) -> Usage {
        usages.fold(Usage::default(), |sum, u| Usage {
            count: sum.count + u.count,
            bytes: sum.bytes + u.bytes,
        })
    }
}

/// What the store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreInfo {
    /// The store's directory.
    pub root: PathBuf,
    /// The on-disk format.
    pub format: u32,
    /// Blobs.
    pub blobs: Usage,
    /// Records by kind.
    pub records: BTreeMap<String, Usage>,
    /// Unpacked layers by variant.
    pub rootfs: BTreeMap<String, Usage>,
    /// Shared directories, each by name.
    pub caches: BTreeMap<String, Usage>,
    /// Small files of other crates.
    pub index: Usage,
    /// What is being made, or was left by killed processes.
    pub temporary: Usage,
}

impl StoreInfo {
    /// All of it.
    pub fn total(&self) -> Usage {
        let maps = [&self.records, &self.rootfs, &self.caches];
        let grouped = maps.into_iter().flat_map(|m| m.values().copied());
        grouped.chain([self.blobs, self.index, self.temporary]).sum()
    }
}

/// What kind of thing an [`Item`] is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ItemKind {
    Blob,
    Record(String),
    Rootfs(String),
    Cache(String),
    Index,
}

/// Something that is kept or removed as a whole.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) kind: ItemKind,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) last_used: SystemTime,
}

impl Store {
    /// Counts what the store holds. Reads the directories of everything that is in it.
    pub fn info(&self) -> StoreInfo {
        let mut info = StoreInfo {
            root: self.inner.root.clone(),
            format: crate::FORMAT,
            blobs: Usage::default(),
            records: BTreeMap::new(),
            rootfs: BTreeMap::new(),
            caches: BTreeMap::new(),
            index: Usage::default(),
            temporary: Usage::default(),
        };
        for item in self.items() {
            let usage = match item.kind {
                ItemKind::Blob => &mut info.blobs,
                ItemKind::Record(kind) => info.records.entry(kind).or_default(),
                ItemKind::Rootfs(variant) => info.rootfs.entry(variant).or_default(),
                ItemKind::Cache(name) => info.caches.entry(name).or_default(),
                ItemKind::Index => &mut info.index,
            };
            usage.add(item.bytes);
        }
        for (path, _, _) in children(&self.inner.tmp) {
            info.temporary.add(disk_usage(&path));
        }
        info
    }

    /// Everything that may be collected, in the order of paths.
    pub(crate) fn items(&self) -> Vec<Item> {
        let mut items = vec![];
        let mut push = |kind: ItemKind, path: PathBuf, metadata: &Metadata| {
            let bytes = disk_usage(&path);
            let last_used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            items.push(Item { kind, path, bytes, last_used });
        };
        let fanned_out = |path: &Path| {
            children(path).into_iter().flat_map(|(fan, _, _)| children(&fan)).collect::<Vec<_>>()
        };
        for (path, _, metadata) in fanned_out(&self.inner.blobs) {
            push(ItemKind::Blob, path, &metadata);
        }
        for (kind_dir, kind, _) in children(&self.inner.records) {
            for (path, _, metadata) in fanned_out(&kind_dir) {
                push(ItemKind::Record(kind.clone()), path, &metadata);
            }
        }
        for (variant_dir, variant, _) in children(&self.inner.rootfs) {
            for (path, _, metadata) in children(&variant_dir) {
                push(ItemKind::Rootfs(variant.clone()), path, &metadata);
            }
        }
        for (path, name, metadata) in children(&self.inner.caches) {
            push(ItemKind::Cache(name), path, &metadata);
        }
        for (path, _, metadata) in children(&self.inner.index) {
            push(ItemKind::Index, path, &metadata);
        }
        items
    }
}

/// What is in a directory, sorted by name; nothing where it can't be read.
fn children(directory: &Path) -> Vec<(PathBuf, String, Metadata)> {
    let mut found: Vec<_> = fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let metadata = stat(&entry.path())?;
            Some((entry.path(), entry.file_name().to_string_lossy().into_owned(), metadata))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// The disk space of a file or a tree. Links are not followed, and several names of one file
/// count once. Directories that only a user namespace can read are passed over.
pub(crate) fn disk_usage(path: &Path) -> u64 {
    let mut bytes = 0;
    let mut linked = HashSet::new();
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        let Some(metadata) = stat(&path) else { continue };
        if metadata.is_dir() {
            pending.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        } else if metadata.nlink() > 1 && !linked.insert((metadata.dev(), metadata.ino())) {
            continue;
        }
        bytes += metadata.blocks() * 512;
    }
    bytes
}
