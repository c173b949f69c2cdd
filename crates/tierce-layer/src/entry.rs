//! Entries of a layer.

use crate::{EPOCH, LayerPath};
use std::collections::BTreeMap;

/// One entry of a layer: a path and all that the layer says of it but the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub path: LayerPath,
    /// What it is.
    pub kind: EntryKind,
    /// The permission, set-id and sticky bits: `0o7777` at most.
    pub mode: u32,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// The modification time in seconds since 1970.
    pub mtime: i64,
    /// Extended attributes by full name, as `security.capability`.
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File {
        /// The content's length.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it points to: any bytes but NUL, never empty, not normalised.
        target: Vec<u8>,
    },
    /// Another name of a file that an earlier entry or a lower layer holds.
    HardLink {
        /// That file's path.
        target: LayerPath,
    },
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// The major number.
        major: u32,
        /// The minor number.
        minor: u32,
    },
}

impl Entry {
    /// An entry owned by root, dated [`EPOCH`], without extended attributes.
    pub fn new(path: LayerPath, kind: EntryKind, mode: u32) -> Self {
        Entry { path, kind, mode, uid: 0, gid: 0, mtime: EPOCH, xattrs: BTreeMap::new() }
    }

    /// A regular file of mode 0644, otherwise as [`Entry::new`].
    pub fn file(path: LayerPath, size: u64) -> Self {
        Entry::new(path, EntryKind::File { size }, 0o644)
    }

    /// A directory of mode 0755, otherwise as [`Entry::new`].
    pub fn directory(path: LayerPath) -> Self {
        Entry::new(path, EntryKind::Directory, 0o755)
    }

    /// A symbolic link, otherwise as [`Entry::new`].
    pub fn symlink(path: LayerPath, target: impl Into<Vec<u8>>) -> Self {
        Entry::new(path, EntryKind::Symlink { target: target.into() }, 0o777)
    }

    /// A hard link, otherwise as [`Entry::new`].
    pub fn hard_link(path: LayerPath, target: LayerPath) -> Self {
        Entry::new(path, EntryKind::HardLink { target }, 0o644)
    }

    /// The same entry with other permission bits.
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// The same entry with another owner.
    pub fn with_owner(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// The same entry with another modification time.
    pub fn with_mtime(mut self, mtime: i64) -> Self {
        self.mtime = mtime;
        self
    }

    /// The length of the content that follows in the archive: 0 for all but regular files.
    pub fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size } => size,
            _ => 0,
        }
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, EntryKind::Directory)
    }

    /// Whether this is a regular file.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, EntryKind::File { .. })
    }
}
