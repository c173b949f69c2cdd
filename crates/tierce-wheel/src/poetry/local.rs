//! What of a lock lies on this machine, for whoever reads files before a target is known.

use super::error::PoetryError;
use super::lockfile::{Entry, LockFile};
use crate::name::PackageName;
use std::path::PathBuf;

/// A package of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSource {
    /// The package.
    pub name: PackageName,
    /// Where it is, relative to the lock's directory.
    pub path: PathBuf,
    /// What it is.
    pub kind: LocalKind,
}

/// What a package of this machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalKind {
    /// A project's directory.
    Directory,
    /// A wheel or source distribution.
    File,
}

/// The directories and files that a `poetry.lock` refers to, for any target and selection, in the
/// lock's order.
pub fn local_sources(lock: &str) -> Result<Vec<LocalSource>, PoetryError> {
    let lock = LockFile::read(lock)?;
    let local = |entry: Entry| {
        let kind = match entry.origin.kind.as_deref() {
            Some("directory") => LocalKind::Directory,
            Some("file") => LocalKind::File,
            _ => return None,
        };
        Some(LocalSource { name: entry.name, path: entry.origin.url.into(), kind })
    };
    Ok(lock.entries.into_iter().filter_map(local).collect())
}
