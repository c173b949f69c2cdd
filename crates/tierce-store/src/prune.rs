//! Collection: what has not been used for the longest goes first.

use crate::error::{Action, FileError, StoreError};
use crate::file::remove_file;
use crate::lock::{LockMode, is_session_lock, remove_if_idle};
use crate::names::random_suffix;
use crate::store::Store;
use crate::usage::{Item, ItemKind, Usage, disk_usage};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tierce_oci::{Diagnostic, ErrorKind};

/// What [`Store::prune`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Nothing.
    Nothing,
    /// What was used lately.
    Recent {
        /// Used within this time. `None`: whenever.
        max_age: Option<Duration>,
        /// The most recently used of it that takes so many bytes of disk. `None`: all.
        max_size: Option<u64>,
    },
}

/// Whether [`Store::prune`] acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Remove.
    Remove,
    /// Say what would be removed.
    DryRun,
}

/// What to collect, and whether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrunePolicy {
    /// What stays.
    pub keep: Keep,
    /// Whether anything goes.
    pub effect: Effect,
}

/// What was collected, or would be.
#[derive(Debug, Default)]
pub struct PruneReport {
    /// What goes, by `blobs`, `records`, `rootfs`, `caches`, `index` and `temporary`.
    pub removed: BTreeMap<&'static str, Usage>,
    /// What stays.
    pub kept: Usage,
    /// What could not be removed.
    pub failed: Vec<FileError>,
}

impl PruneReport {
    /// All that goes.
    pub fn total(&self) -> Usage {
        self.removed.values().copied().sum()
    }

    fn removed(&mut self, what: &'static str, bytes: u64) {
        self.removed.entry(what).or_default().add(bytes);
    }
}

/// Why nothing was collected.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Somebody uses the store.
    #[error("store {} is in use", root.display())]
    Busy {
        /// The store.
        root: PathBuf,
    },
    /// The store can't be locked.
    #[error(transparent)]
    Lock(#[from] StoreError),
}

impl Diagnostic for PruneError {
    fn code(&self) -> &'static str {
        match self {
            PruneError::Busy { .. } => "store/busy",
            PruneError::Lock(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            PruneError::Busy { .. } => {
                Some("Wait for running builds and containers to end, then try again.".to_owned())
            }
            PruneError::Lock(error) => error.hint(),
        }
    }
}

impl Store {
    /// Removes what the policy does not keep, records of blobs that go with it, and what killed
    /// processes left. `remove_dir` removes a directory tree, for which it may have to go into a
    /// user namespace. Does not wait for [sessions](Store::session) to end, but fails.
    pub fn prune(
        &self,
        policy: &PrunePolicy,
        remove_dir: &dyn Fn(&Path) -> io::Result<()>,
    ) -> Result<PruneReport, PruneError> {
        let _alone = match policy.effect {
            Effect::Remove => Some(
                self.try_session_lock(LockMode::Exclusive)?
                    .ok_or_else(|| PruneError::Busy { root: self.root().to_owned() })?,
            ),
            Effect::DryRun => None,
        };
        let mut report = PruneReport::default();
        self.prune_temporary(policy.effect, remove_dir, &mut report);
        let (mut going, mut staying) = split(self.items(), policy.keep);
        take_orphans(&mut going, &mut staying);
        report.kept = staying.iter().map(|item| Usage { count: 1, bytes: item.bytes }).sum();
        for item in going {
            match policy.effect {
                Effect::DryRun => report.removed(label(&item.kind), item.bytes),
                Effect::Remove => match self.remove_item(&item, remove_dir) {
                    Ok(()) => report.removed(label(&item.kind), item.bytes),
                    Err(error) => report.failed.push(error),
                },
            }
        }
        if policy.effect == Effect::Remove {
            self.remove_idle_locks();
        }
        Ok(report)
    }

    fn prune_temporary(
        &self,
        effect: Effect,
        remove_dir: &dyn Fn(&Path) -> io::Result<()>,
        report: &mut PruneReport,
    ) {
        let sizes: BTreeMap<PathBuf, u64> =
            self.dead_temporaries().into_iter().map(|p| (p.clone(), disk_usage(&p))).collect();
        let gone = match effect {
            Effect::DryRun => sizes.keys().cloned().collect(),
            Effect::Remove => {
                let swept = self.sweep(remove_dir);
                report.failed.extend(swept.failed);
                swept.removed
            }
        };
        for path in gone {
            report.removed("temporary", sizes.get(&path).copied().unwrap_or(0));
        }
    }

    fn remove_item(
        &self,
        item: &Item,
        remove_dir: &dyn Fn(&Path) -> io::Result<()>,
    ) -> Result<(), FileError> {
        match item.kind {
            ItemKind::Blob | ItemKind::Record(_) | ItemKind::Index => remove_file(&item.path),
            ItemKind::Rootfs(_) | ItemKind::Cache(_) => {
                // Out of sight first: if this process is killed halfway, nobody meets half a
                // tree, and the rest is swept later.
                let aside = self.inner.tmp.join(format!("pruned-{}", random_suffix()));
                let path = if fs::rename(&item.path, &aside).is_ok() { &aside } else { &item.path };
                remove_dir(path).map_err(FileError::on(Action::Remove, path))
            }
        }
    }

    /// Removes the lock files that nobody holds, while holding them.
    fn remove_idle_locks(&self) {
        for entry in fs::read_dir(&self.inner.locks).into_iter().flatten().flatten() {
            if !is_session_lock(&entry.path()) {
                remove_if_idle(&entry.path());
            }
        }
    }
}

fn label(kind: &ItemKind) -> &'static str {
    match kind {
        ItemKind::Blob => "blobs",
        ItemKind::Record(_) => "records",
        ItemKind::Rootfs(_) => "rootfs",
        ItemKind::Cache(_) => "caches",
        ItemKind::Index => "index",
    }
}

/// Parts what goes from what stays.
fn split(mut items: Vec<Item>, keep: Keep) -> (Vec<Item>, Vec<Item>) {
    let Keep::Recent { max_age, max_size } = keep else { return (items, vec![]) };
    let now = SystemTime::now();
    // A time in the future is a clock that was wrong: such things count as just used.
    let age = |item: &Item| now.duration_since(item.last_used).unwrap_or_default();
    items.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.path.cmp(&b.path)));
    let mut size = 0u64;
    let mut full = false;
    items.into_iter().partition(|item| {
        size = size.saturating_add(item.bytes);
        // Once something does not fit, nothing older stays, however small.
        full |= max_size.is_some_and(|max| size > max);
        full || max_age.is_some_and(|max| age(item) > max)
    })
}

/// Moves the records that name a blob which goes to what goes: without it they are of no use.
fn take_orphans(going: &mut Vec<Item>, staying: &mut Vec<Item>) {
    let name = |item: &Item| item.path.file_name().map(|n| n.to_string_lossy().into_owned());
    let blobs: HashSet<String> =
        going.iter().filter(|i| i.kind == ItemKind::Blob).filter_map(name).collect();
    if blobs.is_empty() {
        return;
    }
    let is_orphan = |item: &mut Item| {
        matches!(item.kind, ItemKind::Record(_))
            && fs::read_to_string(&item.path)
                .is_ok_and(|text| digests(&text).any(|hex| blobs.contains(hex)))
    };
    going.extend(staying.extract_if(.., is_orphan));
}

/// The hexadecimal part of everything that looks like a digest.
fn digests(text: &str) -> impl Iterator<Item = &str> {
    text.split("sha256:").skip(1).filter_map(|rest| rest.get(..64))
}
