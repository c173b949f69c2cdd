//! The layers that a root file system is made of.

use crate::helper::attributes;
use crate::helper::facts::Facts;
use crate::helper::files;
use crate::{Errno, OWNER_XATTR, RunError, TREE};
use rustix::fs::{CWD, FileType, Gid, Uid, XattrFlags};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// One layer directory.
pub(crate) struct Layer {
    pub(crate) tree: OwnedFd,
    pub(crate) facts: Facts,
}

impl Layer {
    /// Opens a layer directory, or a scratch directory.
    pub(crate) fn open(directory: &Path) -> std::io::Result<Self> {
        let fd = files::open_directory(CWD, directory.as_os_str().as_bytes())?;
        let tree = files::open_directory(&fd, TREE.as_bytes())?;
        Ok(Layer { tree, facts: Facts::read(directory)? })
    }
}

/// What one layer has at a path.
enum Look {
    Directory {
        fd: OwnedFd,
        opaque: bool,
    },
    /// Not in this layer: those below count.
    Missing,
    /// Not in this layer, and it hides those below.
    Hidden,
}

/// The layers below a scratch directory.
pub(crate) struct Layers {
    /// Those that are seen, the topmost first.
    pub(crate) stack: Vec<Layer>,
}

impl Layers {
    /// Opens them, given base first.
    ///
    /// Of a layer that is there several times only the topmost is taken, since overlays refuse
    /// the others. Nothing of those would be seen: whatever they have, remove or hide, the topmost
    /// has, removes or hides once more, whatever lies between them.
    pub(crate) fn open(lowers: &[PathBuf]) -> Result<Self, RunError> {
        let mut stack = Vec::new();
        let mut seen = BTreeSet::new();
        for directory in lowers.iter().rev() {
            let failed = |source: Errno| RunError::Layer {
                directory: directory.display().to_string(),
                source,
            };
            let layer = Layer::open(directory).map_err(|error| failed(error.into()))?;
            let stat = rustix::fs::fstat(&layer.tree).map_err(|error| failed(error.into()))?;
            if !seen.insert((stat.st_dev, stat.st_ino)) {
                continue;
            }
            let opaque = layer.facts.opaque_root;
            stack.push(layer);
            if opaque {
                break;
            }
        }
        Ok(Layers { stack })
    }

    /// The directories whose description is not the one that the overlay would show: the topmost
    /// layer that has them only implies them, a lower one describes them.
    pub(crate) fn misdescribed(&self) -> Result<Vec<(Vec<u8>, Attributes)>, Errno> {
        let implicit: BTreeSet<&Vec<u8>> =
            self.stack.iter().flat_map(|layer| &layer.facts.implicit).collect();
        let mut found = Vec::new();
        for path in implicit.into_iter().filter(|path| !path.is_empty()) {
            let topmost = self.stack.iter().find_map(|layer| match look(layer, path) {
                Ok(Look::Directory { .. }) => Some(layer.facts.implicit.contains(path)),
                Ok(Look::Missing) => None,
                Ok(Look::Hidden) | Err(_) => Some(false),
            });
            if topmost != Some(true) {
                continue;
            }
            if let Some(attributes) = self.described(path)? {
                found.push((path.clone(), attributes));
            }
        }
        Ok(found)
    }

    /// How the topmost layer that describes a directory, and is not hidden, describes it.
    pub(crate) fn described(&self, path: &[u8]) -> Result<Option<Attributes>, Errno> {
        for layer in &self.stack {
            match look(layer, path)? {
                Look::Directory { fd, .. } if !layer.facts.implicit.contains(path) => {
                    return Attributes::of(fd).map(Some);
                }
                Look::Hidden | Look::Directory { opaque: true, .. } => return Ok(None),
                Look::Missing | Look::Directory { .. } => {}
            }
        }
        Ok(None)
    }
}

fn look(layer: &Layer, path: &[u8]) -> Result<Look, Errno> {
    let mut current = layer.tree.try_clone()?;
    let mut opaque = false;
    for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
        current = match files::stat(&current, name)? {
            None if opaque => return Ok(Look::Hidden),
            None => return Ok(Look::Missing),
            Some(stat) if files::kind(&stat) == FileType::Directory => {
                files::open_directory(&current, name)?
            }
            Some(_) => return Ok(Look::Hidden),
        };
        opaque |= is_opaque(&current)?;
    }
    Ok(Look::Directory { fd: current, opaque })
}

/// Whether a directory hides those of lower layers.
pub(crate) fn is_opaque(directory: impl AsFd) -> Result<bool, Errno> {
    Ok(attributes::get(directory, attributes::OPAQUE)?.as_deref() == Some(b"y"))
}

/// All that is known of a directory but its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attributes {
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    xattrs: BTreeMap<String, Vec<u8>>,
}

impl Attributes {
    /// Those of an open directory.
    pub(crate) fn of(directory: impl AsFd) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&directory)?;
        let mut xattrs = attributes::kept(&directory)?;
        if let Some(owner) = attributes::get(&directory, OWNER_XATTR)? {
            xattrs.insert(OWNER_XATTR.to_owned(), owner);
        }
        let (mode, owner) = (stat.st_mode & 0o7777, (stat.st_uid, stat.st_gid));
        Ok(Attributes { mode, owner, mtime: stat.st_mtime, xattrs })
    }

    /// Gives them to an open directory.
    pub(crate) fn apply(&self, directory: impl AsFd) -> Result<(), Errno> {
        let (uid, gid) = self.owner;
        rustix::fs::fchown(&directory, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        for (name, value) in &self.xattrs {
            rustix::fs::fsetxattr(&directory, name.as_str(), value, XattrFlags::empty())?;
        }
        rustix::fs::fchmod(&directory, files::mode(self.mode))?;
        Ok(rustix::fs::futimens(&directory, &files::times(self.mtime))?)
    }
}
