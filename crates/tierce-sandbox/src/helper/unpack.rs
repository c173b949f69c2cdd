//! Layers to directories.

use crate::helper::attributes::{self, Class};
use crate::helper::facts::Facts;
use crate::helper::files;
use crate::{Errno, Failure, OWNER_XATTR, TREE, UnpackError, Unpacked};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tierce_layer::{Entry, EntryKind, LayerPath, LayerReader, Whiteout};

/// Unpacks a layer into a directory of its own.
pub(crate) fn unpack(layer: File, dest: &Path, record: bool) -> Result<Unpacked, UnpackError> {
    let destination =
        |source: Errno| UnpackError::Destination { path: dest.display().to_string(), source };
    let tree = make_tree(dest).map_err(|error| destination(error.into()))?;
    let malformed = |error| UnpackError::Read(Failure::new(&error));
    let mut reader = LayerReader::new(layer).map_err(malformed)?;
    let mut target = Target {
        tree,
        parent: None,
        record,
        facts: Facts::default(),
        directory_times: BTreeMap::new(),
        skipped_devices: 0,
        skipped_xattrs: 0,
    };
    // The root is there, whether the layer speaks of it or not.
    target.facts.implicit.insert(Vec::new());
    while let Some((entry, content)) = reader.next_entry().map_err(malformed)? {
        let whiteout =
            entry.path.whiteout().map_err(|error| UnpackError::Whiteout(Failure::new(&error)))?;
        match whiteout {
            Some(whiteout) => target.whiteout(&whiteout)?,
            None => target.entry(&entry, content)?,
        }
    }
    let diff_id = reader.finish().map_err(malformed)?;
    let (skipped_devices, skipped_xattrs) = (target.skipped_devices, target.skipped_xattrs);
    let facts = target.finish()?;
    facts.write(dest).map_err(|error| destination(error.into()))?;
    Ok(Unpacked { diff_id, skipped_devices, skipped_xattrs })
}

/// The empty tree of a new layer directory.
fn make_tree(dest: &Path) -> Result<OwnedFd, rustix::io::Errno> {
    let dest = files::make_directory(CWD, dest.as_os_str().as_bytes(), 0o700)?;
    if !files::names(&dest)?.is_empty() {
        return Err(rustix::io::Errno::NOTEMPTY);
    }
    files::make_private(&dest)?;
    files::make_directory(dest, TREE.as_bytes(), 0o755)
}

/// The tree of a layer that is being unpacked.
struct Target {
    tree: OwnedFd,
    /// The directory used last: entries of a directory follow each other.
    parent: Option<(LayerPath, OwnedFd)>,
    /// Whether owners are recorded instead of set.
    record: bool,
    facts: Facts,
    /// Times are set at the end: everything made in a directory changes its time.
    directory_times: BTreeMap<LayerPath, i64>,
    skipped_devices: u64,
    skipped_xattrs: u64,
}

fn write_error<E: Into<Errno>>(path: &LayerPath) -> impl FnOnce(E) -> UnpackError {
    move |source| UnpackError::Write { path: path.to_string(), source: source.into() }
}

impl Target {
    fn entry(&mut self, entry: &Entry, content: impl Read) -> Result<(), UnpackError> {
        let Some(name) = entry.path.file_name() else { return self.root(entry) };
        if matches!(entry.kind, EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. }) {
            self.skipped_devices += 1;
            return Ok(());
        }
        let parent = self.directory(&entry.path.parent().unwrap_or_default(), &entry.path)?;
        let failed = || write_error::<rustix::io::Errno>(&entry.path);
        let before = files::stat(&parent, name).map_err(failed())?;
        if entry.is_directory() {
            return self.make_directory(entry, &parent, name, before);
        }
        if before.is_some() {
            files::remove(&parent, name).map_err(failed())?;
            // What is gone may have been on the way to the directory used last.
            self.parent = None;
        }
        match &entry.kind {
            EntryKind::File { .. } => self.file(entry, &parent, name, content),
            EntryKind::Symlink { target } => {
                rustix::fs::symlinkat(target.as_slice(), &parent, name).map_err(failed())?;
                self.special(entry, &parent, name)
            }
            EntryKind::Fifo => {
                let mode = files::mode(entry.mode);
                rustix::fs::mknodat(&parent, name, FileType::Fifo, mode, 0).map_err(failed())?;
                self.special(entry, &parent, name)?;
                // After the owner, since that change takes set-id bits away.
                rustix::fs::chmodat(&parent, name, mode, AtFlags::empty()).map_err(failed())
            }
            EntryKind::HardLink { target } => self.hard_link(entry, target, &parent, name),
            EntryKind::Directory | EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => {
                Ok(())
            }
        }
    }

    /// The layer's own words on the root directory.
    fn root(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        if !entry.is_directory() {
            return Err(UnpackError::RootNotDirectory);
        }
        let tree = self.tree.try_clone().map_err(write_error(&entry.path))?;
        self.describe_directory(entry, tree)
    }

    fn make_directory(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &[u8],
        before: Option<rustix::fs::Stat>,
    ) -> Result<(), UnpackError> {
        let failed = || write_error::<rustix::io::Errno>(&entry.path);
        if before.is_some_and(|stat| files::kind(&stat) != FileType::Directory) {
            files::remove(parent, name).map_err(failed())?;
        }
        let directory = files::make_directory(parent, name, 0o700).map_err(failed())?;
        if before.is_some_and(|stat| files::is_whiteout(&stat)) {
            self.make_opaque(&entry.path, &directory)?;
        }
        self.describe_directory(entry, directory)
    }

    fn describe_directory(&mut self, entry: &Entry, fd: OwnedFd) -> Result<(), UnpackError> {
        self.describe(entry, &fd)?;
        self.facts.implicit.remove(entry.path.as_bytes());
        self.directory_times.insert(entry.path.clone(), entry.mtime);
        Ok(())
    }

    fn file(
        &mut self,
        entry: &Entry,
        parent: &OwnedFd,
        name: &[u8],
        mut content: impl Read,
    ) -> Result<(), UnpackError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(write_error(&entry.path))?;
        let mut file = File::from(file);
        copy(&mut content, &mut file, &entry.path)?;
        self.describe(entry, file.as_fd())?;
        rustix::fs::futimens(&file, &files::times(entry.mtime)).map_err(write_error(&entry.path))
    }

    /// Owner, mode and attributes of an open file or directory.
    fn describe(&mut self, entry: &Entry, fd: impl AsFd) -> Result<(), UnpackError> {
        let failed = || write_error::<rustix::io::Errno>(&entry.path);
        let owner = (entry.uid, entry.gid);
        match self.record {
            true if owner == (0, 0) => {}
            true => {
                let value = attributes::encode_owner(owner);
                rustix::fs::fsetxattr(&fd, OWNER_XATTR, &value, XattrFlags::empty())
                    .map_err(failed())?;
            }
            false => rustix::fs::fchown(
                &fd,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
            )
            .map_err(|error| owner_error(entry, error))?,
        }
        for (name, value) in &entry.xattrs {
            self.set_attribute(entry, &fd, name, value)?;
        }
        rustix::fs::fchmod(&fd, files::mode(entry.mode)).map_err(failed())
    }

    fn set_attribute(
        &mut self,
        entry: &Entry,
        fd: impl AsFd,
        name: &str,
        value: &[u8],
    ) -> Result<(), UnpackError> {
        let value = match attributes::classify(name) {
            Class::Kept if name == attributes::CAPABILITY => {
                attributes::without_root_id(value.to_vec())
            }
            Class::Kept => value.to_vec(),
            Class::Dropped => {
                self.skipped_xattrs += 1;
                return Ok(());
            }
            Class::Private => {
                return Err(UnpackError::Attribute {
                    path: entry.path.to_string(),
                    name: name.to_owned(),
                });
            }
        };
        rustix::fs::fsetxattr(fd, name, &value, XattrFlags::empty())
            .map_err(write_error(&entry.path))
    }

    /// Owner and time of a link or pipe, which can't have attributes of users.
    fn special(&mut self, entry: &Entry, parent: &OwnedFd, name: &[u8]) -> Result<(), UnpackError> {
        let private = entry.xattrs.keys().find(|n| attributes::classify(n) == Class::Private);
        if let Some(private) = private {
            let (path, name) = (entry.path.to_string(), private.clone());
            return Err(UnpackError::Attribute { path, name });
        }
        self.skipped_xattrs += entry.xattrs.len() as u64;
        let owner = (entry.uid, entry.gid);
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        match self.record {
            true if owner == (0, 0) => {}
            true => {
                self.facts.owners.insert(entry.path.as_bytes().to_vec(), owner);
            }
            false => rustix::fs::chownat(
                parent,
                name,
                Some(Uid::from_raw(entry.uid)),
                Some(Gid::from_raw(entry.gid)),
                flags,
            )
            .map_err(|error| owner_error(entry, error))?,
        }
        rustix::fs::utimensat(parent, name, &files::times(entry.mtime), flags)
            .map_err(write_error(&entry.path))
    }

    fn hard_link(
        &mut self,
        entry: &Entry,
        target: &LayerPath,
        parent: &OwnedFd,
        name: &[u8],
    ) -> Result<(), UnpackError> {
        let refused =
            || UnpackError::HardLink { path: entry.path.to_string(), target: target.to_string() };
        let directory = self.existing(&target.parent().unwrap_or_default())?.ok_or_else(refused)?;
        let target_name = target.file_name().ok_or_else(refused)?;
        let stat = files::stat(&directory, target_name)
            .map_err(write_error(&entry.path))?
            .ok_or_else(refused)?;
        if files::kind(&stat) == FileType::Directory || files::is_whiteout(&stat) {
            return Err(refused());
        }
        rustix::fs::linkat(&directory, target_name, parent, name, AtFlags::empty())
            .map_err(write_error(&entry.path))?;
        if let Some(owner) = self.facts.owners.get(target.as_bytes()).copied() {
            self.facts.owners.insert(entry.path.as_bytes().to_vec(), owner);
        }
        Ok(())
    }

    fn whiteout(&mut self, whiteout: &Whiteout) -> Result<(), UnpackError> {
        let path = whiteout.path();
        if let Whiteout::Opaque(path) = whiteout {
            if path.is_root() {
                self.facts.opaque_root = true;
                return Ok(());
            }
            let directory = self.directory(path, path)?;
            return self.make_opaque(path, &directory);
        }
        let parent = self.directory(&path.parent().unwrap_or_default(), path)?;
        let name = path.file_name().unwrap_or_default();
        match files::stat(&parent, name).map_err(write_error(path))? {
            None => rustix::fs::mknodat(&parent, name, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(write_error(path)),
            // A whiteout is for lower layers; what this layer puts in the place hides a file
            // anyway, but a directory would be merged.
            Some(stat) if files::kind(&stat) == FileType::Directory => {
                let directory = files::open_directory(&parent, name).map_err(write_error(path))?;
                self.make_opaque(path, &directory)
            }
            Some(_) => Ok(()),
        }
    }

    fn make_opaque(&self, path: &LayerPath, directory: &OwnedFd) -> Result<(), UnpackError> {
        rustix::fs::fsetxattr(directory, attributes::OPAQUE, b"y", XattrFlags::empty())
            .map_err(write_error(path))
    }

    /// The directory at `path`, made with its parents where they are missing; `of` is what it is
    /// wanted for.
    fn directory(&mut self, path: &LayerPath, of: &LayerPath) -> Result<OwnedFd, UnpackError> {
        if let Some((last, fd)) = &self.parent
            && last == path
        {
            return fd.try_clone().map_err(write_error(of));
        }
        let mut current = self.tree.try_clone().map_err(write_error(of))?;
        let mut walked = LayerPath::ROOT;
        for name in path.components() {
            walked =
                walked.join(name).map_err(|_| UnpackError::NotBelow { path: of.to_string() })?;
            current = self.step(&current, name, &walked, of)?;
        }
        let kept = current.try_clone().map_err(write_error(of))?;
        self.parent = Some((path.clone(), kept));
        Ok(current)
    }

    /// One step down.
    fn step(
        &mut self,
        parent: &OwnedFd,
        name: &[u8],
        path: &LayerPath,
        of: &LayerPath,
    ) -> Result<OwnedFd, UnpackError> {
        let before = files::stat(parent, name).map_err(write_error(of))?;
        let whiteout = before.is_some_and(|stat| files::is_whiteout(&stat));
        match before {
            Some(stat) if files::kind(&stat) == FileType::Directory => {}
            Some(_) if !whiteout => {
                return Err(UnpackError::NotBelow { path: of.to_string() });
            }
            _ => {
                files::remove(parent, name).map_err(write_error(of))?;
                rustix::fs::mkdirat(parent, name, files::mode(0o755)).map_err(write_error(of))?;
                self.facts.implicit.insert(path.as_bytes().to_vec());
            }
        }
        let directory = files::open_directory(parent, name).map_err(write_error(of))?;
        if whiteout {
            self.make_opaque(path, &directory)?;
        }
        Ok(directory)
    }

    /// The directory at `path` if the layer has it.
    fn existing(&self, path: &LayerPath) -> Result<Option<OwnedFd>, UnpackError> {
        use rustix::io::Errno;
        let mut current = self.tree.try_clone().map_err(write_error(path))?;
        for name in path.components() {
            current = match files::open_directory(&current, name) {
                Ok(next) => next,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
                Err(error) => return Err(write_error(path)(error)),
            };
        }
        Ok(Some(current))
    }

    /// What can only be done at the end: times of directories, those that are deepest first.
    fn finish(self) -> Result<Facts, UnpackError> {
        let implicit: Vec<_> = self.facts.implicit.iter().collect();
        let implicit = implicit.into_iter().filter_map(|path| match path.is_empty() {
            true => Some(LayerPath::ROOT),
            false => LayerPath::new(path).ok(),
        });
        let mut times = self.directory_times.clone();
        times.extend(implicit.map(|path| (path, tierce_layer::EPOCH)));
        for (path, mtime) in times.iter().rev() {
            // A later entry may have put something else in its place.
            if let Some(directory) = self.existing(path)? {
                rustix::fs::futimens(&directory, &files::times(*mtime))
                    .map_err(write_error(path))?;
            }
        }
        Ok(self.facts)
    }
}

fn owner_error(entry: &Entry, error: rustix::io::Errno) -> UnpackError {
    match error {
        rustix::io::Errno::INVAL => {
            let (path, uid, gid) = (entry.path.to_string(), entry.uid, entry.gid);
            UnpackError::Owner { path, uid, gid }
        }
        error => write_error(&entry.path)(error),
    }
}

/// Copies content; errors of the layer are told from those of the file.
fn copy(from: &mut impl Read, to: &mut File, path: &LayerPath) -> Result<(), UnpackError> {
    use std::io::Write;
    let mut buffer = vec![0; 1 << 17];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read]).map_err(write_error(path))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::Read(Failure::new(&error))),
        }
    }
}
