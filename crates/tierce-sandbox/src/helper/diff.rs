//! Changes to layers.

use crate::helper::facts::Identity;
use crate::helper::files;
use crate::helper::layers::{Layer, Layers, is_opaque};
use crate::helper::metadata::{Metadata, Node};
use crate::helper::pattern::Pattern;
use crate::options::DiffJob;
use crate::{DiffError, Errno, Failure, RunError};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use tierce_layer::{Entry, EntryKind, LayerInfo, LayerPath, LayerWriter, Whiteout, WriteError};

/// Writes the changes in a scratch directory as a layer.
pub(crate) fn diff(job: &DiffJob, out: File) -> Result<Option<LayerInfo>, DiffError> {
    let scratch =
        |source: Errno| DiffError::Scratch { path: job.scratch.display().to_string(), source };
    let upper = Layer::open(&job.scratch).map_err(|error| scratch(error.into()))?;
    let layers = Layers::open(&job.lowers).map_err(|error| match error {
        RunError::Layer { directory, source } => DiffError::Scratch { path: directory, source },
        _ => scratch(Errno(libc::EIO)),
    })?;
    let omit = job.omit.iter().map(|pattern| {
        Pattern::new(pattern).ok_or_else(|| DiffError::Pattern { pattern: pattern.clone() })
    });
    let omit = omit.collect::<Result<Vec<_>, _>>()?;
    let mut walk = Walk { job, upper, layers, omit, links: BTreeMap::new(), changes: Vec::new() };
    walk.root()?;
    let Walk { upper, changes, .. } = walk;
    match changes.is_empty() {
        true => Ok(None),
        false => write(&upper, &changes, job, out).map(Some),
    }
}

/// One part of a layer.
enum Change {
    Entry(Entry),
    Whiteout(Whiteout),
}

/// A directory of the scratch directory, with those that it lies over, the topmost first.
struct Place {
    path: LayerPath,
    fd: OwnedFd,
    below: Vec<(usize, OwnedFd)>,
    /// The group that new files get here, if it is not their creator's.
    group: Option<u32>,
}

/// A walk over a scratch directory, in the order of names.
struct Walk<'a> {
    job: &'a DiffJob,
    upper: Layer,
    layers: Layers,
    omit: Vec<Pattern>,
    /// The first path of each file that has several.
    links: BTreeMap<(u64, u64), LayerPath>,
    changes: Vec<Change>,
}

fn read_error<E: Into<Errno>>(path: &LayerPath) -> impl FnOnce(E) -> DiffError {
    move |source| DiffError::Read { path: path.to_string(), source: source.into() }
}

impl Walk<'_> {
    fn root(&mut self) -> Result<(), DiffError> {
        let path = LayerPath::ROOT;
        let failed = || read_error::<Errno>(&path);
        let clone = |fd: &OwnedFd| fd.try_clone().map_err(read_error(&path));
        let fd = clone(&self.upper.tree)?;
        let below = self.layers.stack.iter().enumerate();
        let below = below.map(|(index, layer)| Ok((index, clone(&layer.tree)?)));
        let below = below.collect::<Result<Vec<_>, DiffError>>()?;
        let stat = rustix::fs::fstat(&fd).map_err(read_error(&path))?;
        let metadata = Metadata::directory(&fd, &stat, self.job.record).map_err(failed())?;
        let described = self.layers.stack.iter().find(|l| !l.facts.implicit.contains(&b""[..]));
        let before = described.map(|layer| {
            let stat = rustix::fs::fstat(&layer.tree)?;
            Metadata::directory(&layer.tree, &stat, self.job.record)
        });
        let before = before.transpose().map_err(failed())?;
        // Without any word on the root below, it is what every root is.
        let same = match &before {
            Some(before) => metadata.same_description(before),
            None => metadata.is_plain_directory(),
        };
        if !same {
            let entry = self.entry(&path, EntryKind::Directory, &metadata);
            self.changes.push(Change::Entry(entry));
        }
        let group = metadata.inherited_group();
        self.children(&Place { path, fd, below, group })
    }

    fn children(&mut self, place: &Place) -> Result<(), DiffError> {
        let names = files::names(&place.fd).map_err(read_error(&place.path))?;
        for name in names {
            let path = place
                .path
                .join(&name)
                .map_err(|_| read_error::<Errno>(&place.path)(Errno(libc::EILSEQ)))?;
            if self.omit.iter().any(|pattern| pattern.matches(&path)) {
                continue;
            }
            self.child(place, &name, path)?;
        }
        Ok(())
    }

    fn child(&mut self, place: &Place, name: &[u8], path: LayerPath) -> Result<(), DiffError> {
        let failed = || read_error::<rustix::io::Errno>(&path);
        let stat = files::stat(&place.fd, name).map_err(failed())?;
        let Some(stat) = stat else { return Ok(()) };
        let below = find_below(place, name).map_err(read_error(&path))?;
        if files::is_whiteout(&stat) {
            // What was made and removed by the step itself, or made for it, needs no whiteout.
            if below.is_some() {
                self.changes.push(Change::Whiteout(Whiteout::Of(path)));
            }
            return Ok(());
        }
        match files::kind(&stat) {
            FileType::Directory => self.directory(place, name, path, &stat),
            FileType::Socket => Ok(()),
            FileType::CharacterDevice | FileType::BlockDevice => {
                Err(DiffError::Device { path: path.to_string() })
            }
            _ => self.file(place, name, path, &stat, below),
        }
    }

    fn directory(
        &mut self,
        place: &Place,
        name: &[u8],
        path: LayerPath,
        stat: &Stat,
    ) -> Result<(), DiffError> {
        let failed = || read_error::<Errno>(&path);
        let fd = files::open_directory(&place.fd, name).map_err(read_error(&path))?;
        let opaque = is_opaque(&fd).map_err(failed())?;
        let below = descend(place, name).map_err(failed())?;
        let mut metadata = Metadata::directory(&fd, stat, self.job.record).map_err(failed())?;
        let before = self.described_below(&path, &below).map_err(failed())?;
        if before.is_none() {
            metadata.inherit(place.group);
        }
        let changed = match &before {
            Some(before) if !opaque => !metadata.same_description(before),
            _ => true,
        };
        let start = self.changes.len();
        let entry = self.entry(&path, EntryKind::Directory, &metadata);
        self.changes.push(Change::Entry(entry));
        let hides = opaque && !below.is_empty();
        if hides {
            self.changes.push(Change::Whiteout(Whiteout::Opaque(path.clone())));
        }
        let alone = self.changes.len();
        let below = if opaque { Vec::new() } else { below };
        let stub = self.upper.facts.stubs.contains(path.as_bytes());
        let group = metadata.inherited_group();
        self.children(&Place { path, fd, below, group })?;
        if self.changes.len() == alone && (stub || !changed) {
            self.changes.truncate(start);
        }
        Ok(())
    }

    /// How lower layers describe a directory.
    fn described_below(
        &self,
        path: &LayerPath,
        below: &[(usize, OwnedFd)],
    ) -> Result<Option<Metadata>, Errno> {
        let implied =
            |index: &usize| self.layers.stack[*index].facts.implicit.contains(path.as_bytes());
        let found = below.iter().find(|(index, _)| !implied(index)).or(below.first());
        let metadata = found.map(|(_, fd)| {
            let stat = rustix::fs::fstat(fd)?;
            Metadata::directory(fd, &stat, self.job.record)
        });
        metadata.transpose()
    }

    fn file(
        &mut self,
        place: &Place,
        name: &[u8],
        path: LayerPath,
        stat: &Stat,
        below: Option<Below<'_>>,
    ) -> Result<(), DiffError> {
        let failed = || read_error::<Errno>(&path);
        if self.upper.facts.stubs.contains(path.as_bytes()) && stat.st_size == 0 {
            return Ok(());
        }
        let file_id = (stat.st_dev, stat.st_ino);
        if let Some(first) = self.links.get(&file_id) {
            let entry = Entry::hard_link(path, first.clone());
            self.changes.push(Change::Entry(entry));
            return Ok(());
        }
        let mut node = Node::read(&place.fd, name, stat, self.job.record).map_err(failed())?;
        let before = below.map(|below| self.node_below(&path, name, &below));
        let before = before.transpose().map_err(failed())?;
        if self.job.record && node.metadata.owner.is_none() {
            let identity = Identity::of(&place.fd, name).map_err(read_error(&path))?;
            let recorded = self.upper.facts.owners_by_identity.get(&identity).copied();
            // What was copied up from below came without what was recorded beside it.
            let same_kind = before.as_ref().filter(|before| before.file_type == node.file_type);
            node.metadata.owner = recorded.or(same_kind.and_then(|b| b.metadata.owner));
            if same_kind.is_none() {
                node.metadata.inherit(place.group);
            }
        }
        if stat.st_nlink < 2
            && let Some(before) = &before
            && node.same(before).map_err(failed())?
        {
            return Ok(());
        }
        let kind = node.entry_kind();
        let entry = self.entry(&path, kind, &node.metadata);
        if stat.st_nlink > 1 {
            self.links.insert(file_id, path);
        }
        self.changes.push(Change::Entry(entry));
        Ok(())
    }

    /// What a lower layer has in the place of a file.
    fn node_below(&self, path: &LayerPath, name: &[u8], below: &Below<'_>) -> Result<Node, Errno> {
        let mut node = Node::read(below.parent, name, &below.stat, self.job.record)?;
        if self.job.record && node.metadata.owner.is_none() {
            let facts = &self.layers.stack[below.layer].facts;
            let by_identity =
                || facts.owners_by_identity.get(&Identity::of(below.parent, name).ok()?).copied();
            node.metadata.owner = facts.owners.get(path.as_bytes()).copied().or_else(by_identity);
        }
        Ok(node)
    }

    fn entry(&self, path: &LayerPath, kind: EntryKind, metadata: &Metadata) -> Entry {
        // A second more, since file systems date by a clock that lags.
        let fresh = metadata.mtime >= self.job.started - 1;
        let (uid, gid) = metadata.owner();
        let mtime = if fresh { self.job.clamp } else { metadata.mtime };
        let mut entry =
            Entry::new(path.clone(), kind, metadata.mode).with_owner(uid, gid).with_mtime(mtime);
        entry.xattrs = metadata.xattrs.clone();
        entry
    }
}

/// What the topmost lower layer has under a name.
struct Below<'a> {
    layer: usize,
    parent: &'a OwnedFd,
    stat: Stat,
}

fn find_below<'a>(place: &'a Place, name: &[u8]) -> Result<Option<Below<'a>>, Errno> {
    for (layer, parent) in &place.below {
        if let Some(stat) = files::stat(parent, name)? {
            let below = Below { layer: *layer, parent, stat };
            return Ok((!files::is_whiteout(&stat)).then_some(below));
        }
    }
    Ok(None)
}

/// The lower directories that one of this name lies over.
fn descend(place: &Place, name: &[u8]) -> Result<Vec<(usize, OwnedFd)>, Errno> {
    let mut below = Vec::new();
    for (layer, parent) in &place.below {
        match files::stat(parent, name)? {
            None => {}
            Some(stat) if files::kind(&stat) == FileType::Directory => {
                let fd = files::open_directory(parent, name)?;
                let opaque = is_opaque(&fd)?;
                below.push((*layer, fd));
                if opaque {
                    break;
                }
            }
            Some(_) => break,
        }
    }
    Ok(below)
}

fn write(
    upper: &Layer,
    changes: &[Change],
    job: &DiffJob,
    out: File,
) -> Result<LayerInfo, DiffError> {
    let failed = |error: WriteError| DiffError::Write(Failure::new(&error));
    let mut writer = LayerWriter::new(io::BufWriter::new(out), job.compression.into());
    for change in changes {
        match change {
            Change::Whiteout(whiteout) => writer.whiteout(whiteout).map_err(failed)?,
            Change::Entry(entry) => {
                let content: Box<dyn Read> = match entry.is_file() {
                    true => Box::new(open_content(upper, &entry.path)?),
                    false => Box::new(io::empty()),
                };
                writer.append(entry, content).map_err(failed)?;
            }
        }
    }
    let (out, info) = writer.finish().map_err(failed)?;
    let flushed = out.into_inner().map_err(|error| error.into_error());
    flushed.map_err(|error| DiffError::Write(Failure::new(&error)))?;
    Ok(info)
}

fn open_content(upper: &Layer, path: &LayerPath) -> Result<File, DiffError> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat2(&upper.tree, path.as_bytes(), flags, Mode::empty(), resolve)
        .map(File::from)
        .map_err(read_error(path))
}
