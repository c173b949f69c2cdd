//! What the store holds, and removing what nobody used for long.

use crate::error::{StoreError, at};
use crate::lock::LockMode;
use crate::store::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How much of something there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Files, or directories for unpacked layers and caches.
    pub count: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What a store holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreInfo {
    /// Where it is.
    pub root: PathBuf,
    /// By the names of the store's directories.
    pub kinds: BTreeMap<&'static str, Usage>,
}

/// What to remove.
#[derive(Clone, Debug)]
pub struct PrunePolicy {
    /// What was not used for so long. Zero removes everything.
    pub max_age: Duration,
    /// Only count.
    pub dry_run: bool,
}

impl Default for PrunePolicy {
    /// Thirty days.
    fn default() -> Self {
        PrunePolicy { max_age: Duration::from_secs(30 * 24 * 60 * 60), dry_run: false }
    }
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PruneReport {
    /// Files and directories.
    pub removed: u64,
    /// Their bytes on disk.
    pub freed_bytes: u64,
}

/// Removes a directory that may hold files of other owners.
pub type RemoveDir<'a> = &'a dyn Fn(&Path) -> io::Result<()>;

/// An item that is removed as a whole.
struct Item {
    path: PathBuf,
    is_dir: bool,
    usage: Usage,
    used: SystemTime,
}

impl Store {
    /// What the store holds. Walks it.
    pub fn info(&self) -> Result<StoreInfo, StoreError> {
        let mut kinds = BTreeMap::new();
        for (name, depth) in KINDS {
            let mut total = Usage::default();
            for item in self.items(name, depth)? {
                total.count += 1;
                total.bytes += item.usage.bytes;
            }
            kinds.insert(name, total);
        }
        Ok(StoreInfo { root: self.root().to_owned(), kinds })
    }

    /// Removes what the policy says, while no build is running: it waits for those that are.
    /// Unpacked layers and scratch directories are removed by `remove_dir`, since their files
    /// may belong to ids that only a user namespace can act for.
    pub fn prune(
        &self,
        policy: &PrunePolicy,
        remove_dir: RemoveDir<'_>,
    ) -> Result<PruneReport, StoreError> {
        let _alone = self.lock("store", LockMode::Exclusive)?;
        let mut report = PruneReport::default();
        let now = SystemTime::now();
        for (name, depth) in KINDS {
            for item in self.items(name, depth)? {
                let age = now.duration_since(item.used).unwrap_or_default();
                if age < policy.max_age {
                    continue;
                }
                report.removed += 1;
                report.freed_bytes += item.usage.bytes;
                if !policy.dry_run {
                    remove(&item, remove_dir)?;
                }
            }
        }
        if !policy.dry_run {
            for directory in self.dead_scratch_dirs() {
                remove_dir(&directory).map_err(at(&directory))?;
                let _ = fs::remove_file(directory.with_extension("lock"));
            }
        }
        Ok(report)
    }

    /// The items in a directory of the store, `depth` levels down.
    fn items(&self, name: &str, depth: u32) -> Result<Vec<Item>, StoreError> {
        let mut directories = vec![self.root().join(name)];
        for _ in 1..depth {
            let mut below = vec![];
            for directory in &directories {
                below.extend(list(directory)?.into_iter().filter(|p| p.is_dir()));
            }
            directories = below;
        }
        let mut items = vec![];
        for directory in directories {
            for path in list(&directory)? {
                items.extend(item(&path));
            }
        }
        Ok(items)
    }
}

/// The store's directories, and how far down their items are.
const KINDS: [(&str, u32); 6] =
    [("blobs", 3), ("records", 2), ("rootfs", 2), ("caches", 1), ("index", 1), ("tmp", 1)];

fn list(directory: &Path) -> Result<Vec<PathBuf>, StoreError> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|e| e.path()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(e) => Err(StoreError::io(directory, e)),
    }
}

/// Something that vanishes under the walk is no item.
fn item(path: &Path) -> Option<Item> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let used = [metadata.modified().ok()?, metadata.accessed().ok()?].into_iter().max()?;
    let bytes = if metadata.is_dir() { size_below(path) } else { metadata.blocks() * 512 };
    let usage = Usage { count: 1, bytes };
    Some(Item { path: path.to_owned(), is_dir: metadata.is_dir(), usage, used })
}

/// Directories that cannot be read, of other owners, count as empty.
fn size_below(directory: &Path) -> u64 {
    let mut total = 0;
    let mut pending = vec![directory.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(m) if m.is_dir() => pending.push(entry.path()),
                Ok(m) => total += m.blocks() * 512,
                Err(_) => {}
            }
        }
    }
    total
}

fn remove(item: &Item, remove_dir: RemoveDir<'_>) -> Result<(), StoreError> {
    let removed = match item.is_dir {
        true => remove_dir(&item.path),
        false => fs::remove_file(&item.path),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StoreError::io(&item.path, e)),
        _ => Ok(()),
    }
}
