//! The parallel walk: what is there, and what the ignore rules leave of it.

use crate::defaults::{self, DefaultExcludes, DefaultMatch};
use crate::error::ScanError;
use crate::hash;
use crate::ignore::{IgnoreRules, Matched};
use crate::index::{Stamp, StatIndex};
use crate::tree::{Node, Skipped, SkippedKind, TreeEntry};
use rayon::Scope;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, RawDir};
use std::ffi::CStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tierce_layer::LayerPath;
use tierce_oci::Digest;

/// What a walk has found, in no order.
#[derive(Default)]
pub(crate) struct Found {
    /// Directories and links.
    pub(crate) entries: Vec<TreeEntry>,
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
    pub(crate) size: u64,
    pub(crate) executable: bool,
    /// The digest, if the index knows it.
    pub(crate) known: Option<Digest>,
}

impl Found {
    fn absorb(&mut self, other: Found) {
        let Found { entries, files, passed, skipped, errors } = other;
        self.entries.extend(entries);
        self.files.extend(files);
        self.passed.extend(passed);
        self.skipped.extend(skipped);
        self.errors.extend(errors);
    }
}

/// A directory that is being read.
struct Directory {
    fd: Arc<OwnedFd>,
    path: LayerPath,
    matched: Matched,
}

/// What all directories of one walk share.
pub(crate) struct Walk<'a> {
    root: &'a Path,
    rules: &'a IgnoreRules,
    defaults: DefaultExcludes,
    index: Option<&'a StatIndex>,
    found: Mutex<Found>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        root: &'a Path,
        rules: &'a IgnoreRules,
        defaults: DefaultExcludes,
        index: Option<&'a StatIndex>,
    ) -> Self {
        Walk { root, rules, defaults, index, found: Mutex::default() }
    }

    /// Walks the directory. Errors do not stop it, so that the one that is reported does not
    /// depend on which thread was faster.
    pub(crate) fn run(self, root: &Arc<OwnedFd>) -> Found {
        let top =
            Directory { fd: Arc::clone(root), path: LayerPath::ROOT, matched: self.rules.top() };
        rayon::scope(|scope| self.visit(scope, &top));
        self.found.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn visit<'s>(&'s self, scope: &Scope<'s>, directory: &Directory) {
        let mut found = Found::default();
        let mut buffer = Vec::with_capacity(1 << 15);
        let mut listing = RawDir::new(&*directory.fd, buffer.spare_capacity_mut());
        while let Some(entry) = listing.next() {
            let met = match entry {
                Ok(entry) => match entry.file_name() {
                    name if matches!(name.to_bytes(), b"." | b"..") => Ok(()),
                    name => self.meet(scope, directory, name, entry.file_type(), &mut found),
                },
                Err(error) => {
                    found.errors.push(self.unreadable(&directory.path, error.into()));
                    break;
                }
            };
            if let Err(error) = met {
                found.errors.push(error);
            }
        }
        self.found.lock().unwrap_or_else(PoisonError::into_inner).absorb(found);
    }

    /// Decides on one name.
    fn meet<'s>(
        &'s self,
        scope: &Scope<'s>,
        directory: &Directory,
        name: &CStr,
        file_type: FileType,
        found: &mut Found,
    ) -> Result<(), ScanError> {
        let path = directory.path.child(name.to_bytes());
        let path = path.map_err(|e| self.unreadable(&directory.path, io::Error::other(e)))?;
        let default = self.default(directory, name, &path);
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
        directory: &Directory,
        name: &CStr,
        path: LayerPath,
        default: Option<DefaultMatch>,
        found: &mut Found,
    ) -> Result<(), ScanError> {
        let verdict = self.rules.judge(path.as_bytes(), &directory.matched, default.is_some());
        if verdict.ignored && !self.rules.may_return_below(path.as_bytes()) {
            return Ok(());
        }
        if verdict.ignored {
            found.passed.push(path.clone());
        } else {
            self.check_name(name, &path)?;
            found.entries.push(TreeEntry { path: path.clone(), node: Node::Directory });
        }
        let (above, name) = (Arc::clone(&directory.fd), name.to_owned());
        scope.spawn(move |scope| {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY | OFlags::CLOEXEC;
            let opened = rustix::fs::openat(&above, &name, flags, Mode::empty());
            // Held no longer than needed: trees can be deeper than descriptors are many.
            drop(above);
            match opened {
                Ok(fd) => {
                    let fd = Arc::new(fd);
                    self.visit(scope, &Directory { fd, path, matched: verdict.matched });
                }
                Err(error) => {
                    let error = self.unreadable(&path, error.into());
                    self.found.lock().unwrap_or_else(PoisonError::into_inner).errors.push(error);
                }
            }
        });
        Ok(())
    }

    fn meet_file(
        &self,
        directory: &Directory,
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
        let known = self.index.and_then(|index| index.find(&path, &stamp));
        let executable = hash::is_executable(&stat);
        found.files.push(FoundFile { path, stamp, size: stat.stx_size, executable, known });
        Ok(())
    }

    /// Which default exclude is about the name.
    fn default(
        &self,
        directory: &Directory,
        name: &CStr,
        path: &LayerPath,
    ) -> Option<DefaultMatch> {
        if self.defaults == DefaultExcludes::Off {
            return None;
        }
        let default = defaults::find(name.to_bytes())?;
        let is_virtual_env = || {
            let marker = [name.to_bytes(), b"/pyvenv.cfg"].concat();
            debug_assert!(path.as_bytes().ends_with(name.to_bytes()));
            rustix::fs::accessat(
                &directory.fd,
                marker,
                rustix::fs::Access::EXISTS,
                rustix::fs::AtFlags::empty(),
            )
            .is_ok()
        };
        match default {
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
