//! Directories and files to trees.

use crate::defaults::DefaultExcludes;
use crate::error::ScanError;
use crate::hash::{self, Hashed};
use crate::ignore::{IgnoreRules, RulesAbove, TreeRules};
use crate::index::{Horizon, Stamp, StatIndex};
use crate::only::Only;
use crate::tree::{Node, Tree, TreeEntry};
use crate::walk::{Found, FoundFile, Walk};
use rayon::prelude::*;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_layer::LayerPath;
use tierce_oci::Digest;

/// How a directory is scanned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// What is left out.
    pub ignore: IgnoreRules,
    /// What a directory further up leaves out of this one; `ignore` comes after it.
    pub above: Option<RulesAbove>,
    /// Whether version control, virtual environments and caches are left out too.
    pub defaults: DefaultExcludes,
    /// The only files that ship, if not all: paths below the root. What is left out stays out;
    /// one that is not there is an error.
    pub only: Option<Vec<PathBuf>>,
}

/// Scans a directory, in parallel. Symbolic links are kept as they are and never followed, but
/// for the root itself. Files that the index knows are not read.
pub fn scan(
    root: &Path,
    options: &ScanOptions,
    index: Option<&mut StatIndex>,
) -> Result<Tree, ScanError> {
    let horizon = Horizon::now();
    let top = Arc::new(open_root(root)?);
    let ScanOptions { ignore, above, defaults, only } = options;
    let rules = TreeRules::new(ignore, above.as_ref());
    let only = only.as_deref().map(|files| Only::new(root, files)).transpose()?;
    let walk = Walk::new(root, &rules, *defaults, only.as_ref(), index.as_deref());
    let Found { mut entries, known, files, passed, skipped, mut errors } = walk.run(&top);
    let digested = |file: FoundFile| digest(&top, root, &file).map(|digest| (file, digest));
    let hashed: Vec<_> = tierce_parallel::install(|| files.into_par_iter().map(digested).collect());
    let mut new = Vec::with_capacity(hashed.len());
    for result in hashed {
        match result {
            Ok((FoundFile { path, stamp, executable }, Some(digest))) => {
                new.push((path.clone(), stamp, digest));
                let node = Node::File { size: stamp.size(), executable, digest };
                entries.push(TreeEntry { path, node });
            }
            Ok((_, None)) => {}
            Err(error) => errors.push(error),
        }
    }
    if let Some(first) = errors.into_iter().min_by(|a, b| a.path().cmp(b.path())) {
        return Err(first);
    }
    if let Some(index) = index {
        index.learn(known.iter().map(|entry| &entry.path), &new, horizon);
    }
    entries.extend(known);
    if let Some(only) = only {
        only.check(root, &entries)?;
    }
    Ok(Tree::new(with_parents(entries, passed), skipped))
}

/// Scans a single file, which may be a link to one. The tree has one entry, at the root.
pub fn scan_file(path: &Path) -> Result<Tree, ScanError> {
    scan_file_indexed(path, None)
}

/// The same, without reading a file that the index knows.
pub fn scan_file_indexed(path: &Path, index: Option<&mut StatIndex>) -> Result<Tree, ScanError> {
    let horizon = Horizon::now();
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|e| failed(path, e))?;
    let stat = hash::stat_open(&fd).map_err(|e| failed(path, e))?;
    if !hash::file_type(&stat).is_file() {
        return Err(ScanError::NotAFile { path: path.to_owned() });
    }
    let stamp = Stamp::new(&stat);
    let executable = hash::is_executable(&stat);
    let known = index.as_deref().map(|index| index.directory(&LayerPath::ROOT));
    let digest = match known.and_then(|known| known.find(b"", &stamp)) {
        Some(digest) => digest,
        None => {
            let digest = hash_open(fd, path, stamp)?;
            if let Some(index) = index {
                index.learn([].into_iter(), &[(LayerPath::ROOT, stamp, digest)], horizon);
            }
            digest
        }
    };
    let node = Node::File { size: stamp.size(), executable, digest };
    Ok(Tree::new(vec![TreeEntry { path: LayerPath::ROOT, node }], vec![]))
}

fn open_root(root: &Path) -> Result<OwnedFd, ScanError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, root, flags, Mode::empty()).map_err(|error| failed(root, error))
}

fn failed(path: &Path, error: rustix::io::Errno) -> ScanError {
    let path = path.to_owned();
    match error {
        rustix::io::Errno::NOENT => ScanError::NotFound { path },
        rustix::io::Errno::NOTDIR => ScanError::NotADirectory { path },
        other => ScanError::Unreadable { path, source: other.into() },
    }
}

/// The digest of a file that was found; `None` if it is gone by now.
///
/// The file is opened by its path from the root, since a descriptor for each directory would be
/// too many. Should a directory on the way have become a link, the file that it leads to is
/// another one than was found, which shows.
fn digest(top: impl AsFd, root: &Path, file: &FoundFile) -> Result<Option<Digest>, ScanError> {
    let full = root.join(file.path.as_path());
    let name = CString::new(file.path.as_bytes()).unwrap_or_default();
    match hash::open(top, &name) {
        Ok(fd) => hash_open(fd, &full, file.stamp).map(Some),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(failed(&full, error)),
    }
}

fn hash_open(fd: OwnedFd, path: &Path, stamp: Stamp) -> Result<Digest, ScanError> {
    match hash::hash(fd, stamp) {
        Ok(Hashed::Stable(digest)) => Ok(digest),
        Ok(Hashed::Changed) => Err(ScanError::Changed { path: path.to_owned() }),
        Err(source) => Err(ScanError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Adds the directories that are left out themselves, but hold something that is not.
fn with_parents(mut entries: Vec<TreeEntry>, passed: Vec<LayerPath>) -> Vec<TreeEntry> {
    if passed.is_empty() {
        return entries;
    }
    let needed: std::collections::BTreeSet<_> =
        entries.iter().flat_map(|entry| entry.path.ancestors()).collect();
    let parents = passed.into_iter().filter(|path| needed.contains(path));
    entries.extend(parents.map(|path| TreeEntry { path, node: Node::Directory }));
    entries
}
