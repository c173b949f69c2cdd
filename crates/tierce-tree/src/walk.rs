//! The parallel walk: what is there, and what the ignore rules leave of it.

use crate::defaults::{self, DefaultExcludes, DefaultMatch};
use crate::error::ScanError;
use crate::hash;
use crate::ignore::{Matched, TreeRules};
use crate::index::{Known, Stamp, StatIndex};
use crate::only::Only;
use crate::tree::{Node, Skipped, SkippedKind, TreeEntry};
use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, RawDir};
use std::ffi::CStr;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tierce_layer::LayerPath;

/// What a walk has found, in no order.
#[derive(Default)]
pub(crate) struct Found {
    /// Directories and links.
    pub(crate) entries: Vec<TreeEntry>,
    /// Files that the index knows.
    pub(crate) known: Vec<TreeEntry>,
    /// Files that have to be read.
    pub(crate) files: Vec<FoundFile>,
    /// Directories that are left out, but may hold something that is not.
    pub(crate) passed: Vec<LayerPath>,
    pub(crate) skipped: Vec<Skipped>,
    pub(crate) errors: Vec<ScanError>,
}

/// A regular file.
pub(crate) struct FoundFile {
    pub(crate) path: LayerPath,
    pub(crate) stamp: Stamp,
    pub(crate) executable: bool,
}

impl Found {
    fn absorb(&mut self, other: Found) {
        let Found { entries, known, files, passed, skipped, errors } = other;
        self.entries.extend(entries);
        self.known.extend(known);
        self.files.extend(files);
        self.passed.extend(passed);
        self.skipped.extend(skipped);
        self.errors.extend(errors);
    }
}

/// A directory that is being read.
struct Directory<'a> {
    fd: Arc<OwnedFd>,
    path: LayerPath,
    matched: Matched,
    known: Option<Known<'a>>,
    names: Names,
}

/// The names in a directory, each ended by NUL as system calls want it.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    /// Where each name is, without its NUL, and what it is said to be.
    list: Vec<(Range<usize>, FileType)>,
}

impl Names {
    fn push(&mut self, name: &CStr, file_type: FileType) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
        self.list.push((start..self.bytes.len() - 1, file_type));
    }

    fn get(&self, at: usize) -> (&CStr, FileType) {
        let (range, file_type) = &self.list[at];
        let name = CStr::from_bytes_with_nul(&self.bytes[range.start..=range.end]);
        (name.unwrap_or_default(), *file_type)
    }
}

/// Directories with more names than this are looked at by several threads.
const CHUNK: usize = 512;

/// What all directories of one walk share.
pub(crate) struct Walk<'a> {
    root: &'a Path,
    rules: &'a TreeRules<'a>,
    defaults: DefaultExcludes,
    only: Option<&'a Only>,
    index: Option<&'a StatIndex>,
    found: Mutex<Vec<Found>>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        root: &'a Path,
        rules: &'a TreeRules<'a>,
        defaults: DefaultExcludes,
        only: Option<&'a Only>,
        index: Option<&'a StatIndex>,
    ) -> Self {
        Walk { root, rules, defaults, only, index, found: Mutex::default() }
    }

    /// Walks the directory. Errors do not stop it, so that the one that is reported does not
    /// depend on which thread was faster.
    pub(crate) fn run(self, root: &Arc<OwnedFd>) -> Found {
        let (top, matched) = (Arc::clone(root), self.rules.top());
        tierce_parallel::install(|| {
            rayon::scope(|scope| self.visit(scope, top, LayerPath::ROOT, matched));
        });
        let mut all = Found::default();
        let parts = self.found.into_inner().unwrap_or_else(PoisonError::into_inner);
        parts.into_iter().for_each(|part| all.absorb(part));
        all
    }

    fn visit<'s>(&'s self, scope: &Scope<'s>, fd: Arc<OwnedFd>, path: LayerPath, matched: Matched) {
        let names = match list(&fd) {
            Ok(names) => names,
            Err(error) => return self.report(self.unreadable(&path, error.into())),
        };
        let known = self.index.map(|index| index.directory(&path));
        let directory = Directory { fd, path, matched, known, names };
        let count = directory.names.list.len();
        if count <= CHUNK {
            return self.meet_all(scope, &directory, 0..count);
        }
        let directory = Arc::new(directory);
        for start in (0..count).step_by(CHUNK) {
            let directory = Arc::clone(&directory);
            let chunk = start..count.min(start + CHUNK);
            scope.spawn(move |scope| self.meet_all(scope, &directory, chunk));
        }
    }

    fn meet_all<'s>(&'s self, scope: &Scope<'s>, directory: &Directory<'_>, part: Range<usize>) {
        let mut found = Found::default();
        for at in part {
            let (name, file_type) = directory.names.get(at);
            if let Err(error) = self.meet(scope, directory, name, file_type, &mut found) {
                found.errors.push(error);
            }
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(found);
    }

    fn report(&self, error: ScanError) {
        let found = Found { errors: vec![error], ..Found::default() };
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(found);
    }

    /// Decides on one name.
    fn meet<'s>(
        &'s self,
        scope: &Scope<'s>,
        directory: &Directory<'_>,
        name: &CStr,
        file_type: FileType,
        found: &mut Found,
    ) -> Result<(), ScanError> {
        let path = directory.path.child(name.to_bytes());
        let path = path.map_err(|e| self.unreadable(&directory.path, io::Error::other(e)))?;
        if self.only.is_some_and(|only| !only.concerns(&path)) {
            return Ok(());
        }
        let default = self.default(directory, name);
        if let Some(default) = default
            && !self.rules.lifts_default(path.as_bytes(), default)
        {
            return Ok(());
        }
        // Some file systems do not say what an entry is.
        let file_type = match file_type {
            FileType::Unknown => match hash::stat(&directory.fd, name) {
                Ok(stat) => hash::file_type(&stat),
                Err(error) => return self.vanished_or(&path, error),
            },
            known => known,
        };
        if file_type == FileType::Directory {
            return self.meet_directory(scope, directory, name, path, default, found);
        }
        if self.only.is_some_and(|only| !only.is_wanted(&path)) {
            return Ok(());
        }
        if self.rules.ignores(path.as_bytes(), &directory.matched, default.is_some()) {
            return Ok(());
        }
        self.check_name(name, &path)?;
        match file_type {
            FileType::RegularFile => self.meet_file(directory, name, path, found),
            FileType::Symlink => match rustix::fs::readlinkat(&directory.fd, name, Vec::new()) {
                Ok(target) => {
                    let node = Node::Symlink { target: target.into_bytes() };
                    found.entries.push(TreeEntry { path, node });
                    Ok(())
                }
                Err(error) => self.vanished_or(&path, error),
            },
            other => {
                let kind = match other {
                    FileType::Fifo => SkippedKind::Fifo,
                    FileType::Socket => SkippedKind::Socket,
                    _ => SkippedKind::Device,
                };
                found.skipped.push(Skipped { path, kind });
                Ok(())
            }
        }
    }

    fn meet_directory<'s>(
        &'s self,
        scope: &Scope<'s>,
        directory: &Directory<'_>,
        name: &CStr,
        path: LayerPath,
        default: Option<DefaultMatch>,
        found: &mut Found,
    ) -> Result<(), ScanError> {
        let verdict = self.rules.judge(path.as_bytes(), &directory.matched, default.is_some());
        if verdict.ignored && !self.rules.may_return_below(path.as_bytes()) {
            return Ok(());
        }
        if !verdict.ignored {
            self.check_name(name, &path)?;
        }
        // Where only some files are wanted, directories come with them and not by themselves.
        if verdict.ignored || self.only.is_some() {
            found.passed.push(path.clone());
        } else {
            found.entries.push(TreeEntry { path: path.clone(), node: Node::Directory });
        }
        let (above, name) = (Arc::clone(&directory.fd), name.to_owned());
        scope.spawn(move |scope| {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(&above, &name, flags, Mode::empty());
            // Held no longer than needed: trees can be deeper than descriptors are many.
            drop(above);
            match opened {
                Ok(fd) => self.visit(scope, Arc::new(fd), path, verdict.matched),
                Err(rustix::io::Errno::NOENT) => {}
                Err(error) => self.report(self.unreadable(&path, error.into())),
            }
        });
        Ok(())
    }

    fn meet_file(
        &self,
        directory: &Directory<'_>,
        name: &CStr,
        path: LayerPath,
        found: &mut Found,
    ) -> Result<(), ScanError> {
        let stat = match hash::stat(&directory.fd, name) {
            Ok(stat) if hash::file_type(&stat).is_file() => stat,
            Ok(_) => return Err(ScanError::Changed { path: self.full(&path) }),
            Err(error) => return self.vanished_or(&path, error),
        };
        let stamp = Stamp::new(&stat);
        let executable = hash::is_executable(&stat);
        match directory.known.and_then(|known| known.find(name.to_bytes(), &stamp)) {
            Some(digest) => {
                let node = Node::File { size: stamp.size(), executable, digest };
                found.known.push(TreeEntry { path, node });
            }
            None => found.files.push(FoundFile { path, stamp, executable }),
        }
        Ok(())
    }

    /// Which default exclude is about the name.
    fn default(&self, directory: &Directory<'_>, name: &CStr) -> Option<DefaultMatch> {
        if self.defaults == DefaultExcludes::Off {
            return None;
        }
        let is_virtual_env = || {
            let marker = [name.to_bytes(), b"/pyvenv.cfg"].concat();
            rustix::fs::accessat(&directory.fd, marker, Access::EXISTS, AtFlags::empty()).is_ok()
        };
        match defaults::find(name.to_bytes())? {
            DefaultMatch::IfVirtualEnv(_) if !is_virtual_env() => None,
            default => Some(default),
        }
    }

    fn check_name(&self, name: &CStr, path: &LayerPath) -> Result<(), ScanError> {
        match name.to_bytes().starts_with(b".wh.") {
            true => Err(ScanError::ReservedName { path: self.full(path) }),
            false => Ok(()),
        }
    }

    /// What is gone by the time it is looked at was never there.
    fn vanished_or(&self, path: &LayerPath, error: rustix::io::Errno) -> Result<(), ScanError> {
        match error {
            rustix::io::Errno::NOENT => Ok(()),
            other => Err(self.unreadable(path, other.into())),
        }
    }

    fn full(&self, path: &LayerPath) -> std::path::PathBuf {
        self.root.join(path.as_path())
    }

    fn unreadable(&self, path: &LayerPath, source: io::Error) -> ScanError {
        ScanError::Unreadable { path: self.full(path), source }
    }
}

/// All names in a directory but `.` and `..`.
fn list(directory: &OwnedFd) -> rustix::io::Result<Names> {
    let mut names = Names::default();
    let mut buffer = Vec::with_capacity(1 << 15);
    let mut listing = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name, entry.file_type());
        }
    }
    Ok(names)
}
