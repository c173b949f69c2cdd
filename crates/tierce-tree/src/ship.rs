//! Trees to layers: exactly what was digested, or an error.

use crate::error::{Difference, ShipError};
use crate::hash;
use crate::tree::{Node, Tree};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tierce_layer::{Entry, LayerPath, LayerWriter, WriteError};
use tierce_oci::{Digest, Hasher};

/// Directories that every distribution has, and whose modes a layer must not reset.
const WELL_KNOWN: [(&[u8], u32); 3] = [(b"tmp", 0o1777), (b"var/tmp", 0o1777), (b"root", 0o700)];

impl Tree {
    /// Writes the tree to a layer, below `dst` (a tree of a single file: as `dst`), as it was
    /// scanned from `root`, owned by `owner` and dated [`tierce_layer::EPOCH`].
    ///
    /// Directories are listed only where they are empty: the others follow from what they hold.
    /// They may be the base's, with modes and owners of their own, or links; whoever unpacks the
    /// layer leaves those as they are and makes the missing ones, root's and 0755.
    ///
    /// Each file is digested again while it is copied: where its content, size or executable
    /// bit, or a link's target, is not what was scanned, the layer fails.
    pub fn write_layer<W: Write>(
        &self,
        root: &Path,
        dst: &LayerPath,
        owner: (u32, u32),
        writer: &mut LayerWriter<W>,
    ) -> Result<(), ShipError> {
        let is_file = self.entries().iter().any(|entry| entry.path.is_root());
        if is_file && dst.is_root() {
            return Err(ShipError::FileAtRoot);
        }
        if self.is_empty() && !dst.is_root() {
            put_directory(dst.clone(), owner, writer)?;
        }
        let held: BTreeSet<LayerPath> =
            self.entries().iter().filter_map(|entry| entry.path.parent()).collect();
        let source = Source::open(root, is_file)?;
        for entry in self.entries() {
            let at = match entry.path.is_root() {
                true => dst.clone(),
                false => below(dst, &entry.path),
            };
            match &entry.node {
                Node::Directory => {
                    source.check_directory(&entry.path)?;
                    if !held.contains(&entry.path) {
                        put_directory(at, owner, writer)?;
                    }
                }
                Node::Symlink { target } => {
                    source.check_link(&entry.path, target)?;
                    let link = Entry::symlink(at, target.clone()).with_owner(owner.0, owner.1);
                    put(&link, io::empty(), writer)?;
                }
                Node::File { size, executable, digest } => {
                    let mode = if *executable { 0o755 } else { 0o644 };
                    let file = Entry::file(at, *size).with_mode(mode).with_owner(owner.0, owner.1);
                    source.put_file(&entry.path, &file, *executable, digest, writer)?;
                }
            }
        }
        Ok(())
    }
}

fn below(dst: &LayerPath, path: &LayerPath) -> LayerPath {
    dst.join(path).expect("two valid paths make a valid path")
}

fn put_directory<W: Write>(
    path: LayerPath,
    owner: (u32, u32),
    writer: &mut LayerWriter<W>,
) -> Result<(), ShipError> {
    let known = WELL_KNOWN.iter().find(|(known, _)| *known == path.as_bytes());
    let entry = match known {
        Some((_, mode)) => Entry::directory(path).with_mode(*mode),
        None => Entry::directory(path).with_owner(owner.0, owner.1),
    };
    put(&entry, io::empty(), writer)
}

fn put<W: Write>(
    entry: &Entry,
    content: impl Read,
    writer: &mut LayerWriter<W>,
) -> Result<(), ShipError> {
    let failed = |source| ShipError::Write { path: entry.path.clone(), source };
    writer.append(entry, content).map_err(failed)
}

/// Where a tree was scanned.
struct Source<'a> {
    root: &'a Path,
    /// The directory's descriptor; none for a single file.
    top: Option<OwnedFd>,
}

impl<'a> Source<'a> {
    fn open(root: &'a Path, is_file: bool) -> Result<Self, ShipError> {
        let mut source = Source { root, top: None };
        if !is_file {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let top = rustix::fs::openat(CWD, root, flags, Mode::empty());
            source.top = Some(top.map_err(|error| source.failed(&LayerPath::ROOT, error))?);
        }
        Ok(source)
    }

    fn put_file<W: Write>(
        &self,
        path: &LayerPath,
        entry: &Entry,
        executable: bool,
        digest: &Digest,
        writer: &mut LayerWriter<W>,
    ) -> Result<(), ShipError> {
        let file = self.open_file(path)?;
        let stat = hash::stat_open(&file).map_err(|error| self.failed(path, error))?;
        if !hash::file_type(&stat).is_file() {
            return Err(self.changed(path, Difference::Kind));
        }
        if stat.stx_size != entry.size() {
            return Err(self.changed(path, Difference::Content));
        }
        if hash::is_executable(&stat) != executable {
            return Err(self.changed(path, Difference::Executable));
        }
        let mut content = Hashed { file: file.into(), hasher: Hasher::new() };
        match writer.append(entry, &mut content) {
            Ok(()) if content.hasher.finish() == *digest => Ok(()),
            Ok(()) | Err(WriteError::SizeMismatch { .. }) => {
                Err(self.changed(path, Difference::Content))
            }
            Err(WriteError::Input { source, .. }) => {
                Err(ShipError::Unreadable { path: self.full(path), source })
            }
            Err(source) => Err(ShipError::Write { path: entry.path.clone(), source }),
        }
    }

    fn open_file(&self, path: &LayerPath) -> Result<OwnedFd, ShipError> {
        let opened = match &self.top {
            Some(top) => hash::open(top, &self.name(path)),
            None => {
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
                rustix::fs::openat(CWD, self.root, flags, Mode::empty())
            }
        };
        opened.map_err(|error| match error {
            // What opening a link without following it says.
            Errno::LOOP => self.changed(path, Difference::Kind),
            other => self.failed(path, other),
        })
    }

    fn check_directory(&self, path: &LayerPath) -> Result<(), ShipError> {
        let Some(top) = &self.top else { return Ok(()) };
        match hash::stat(top, &self.name(path)) {
            Ok(stat) if hash::file_type(&stat).is_dir() => Ok(()),
            Ok(_) => Err(self.changed(path, Difference::Kind)),
            Err(error) => Err(self.failed(path, error)),
        }
    }

    fn check_link(&self, path: &LayerPath, expected: &[u8]) -> Result<(), ShipError> {
        let Some(top) = &self.top else { return Ok(()) };
        match rustix::fs::readlinkat(top, self.name(path), Vec::new()) {
            Ok(target) if target.to_bytes() == expected => Ok(()),
            Ok(_) => Err(self.changed(path, Difference::Target)),
            // What reading a link that is none says.
            Err(Errno::INVAL) => Err(self.changed(path, Difference::Kind)),
            Err(error) => Err(self.failed(path, error)),
        }
    }

    fn name(&self, path: &LayerPath) -> CString {
        CString::new(path.as_bytes()).unwrap_or_default()
    }

    fn full(&self, path: &LayerPath) -> PathBuf {
        match path.is_root() {
            true => self.root.to_owned(),
            false => self.root.join(path.as_path()),
        }
    }

    fn changed(&self, path: &LayerPath, difference: Difference) -> ShipError {
        ShipError::SourceChanged { path: self.full(path), difference }
    }

    fn failed(&self, path: &LayerPath, error: Errno) -> ShipError {
        match error {
            Errno::NOENT => self.changed(path, Difference::Gone),
            Errno::NOTDIR => self.changed(path, Difference::Kind),
            other => ShipError::Unreadable { path: self.full(path), source: other.into() },
        }
    }
}

/// Hashes what is read.
struct Hashed {
    file: std::fs::File,
    hasher: Hasher,
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
