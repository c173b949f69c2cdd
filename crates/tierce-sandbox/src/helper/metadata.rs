//! What a file is, apart from its name, and whether it is the same as another.

use crate::Errno;
use crate::helper::{attributes, files};
use rustix::fs::{FileType, Stat};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use tierce_layer::EntryKind;

/// Owner, mode, time and attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    pub(crate) mode: u32,
    /// `None` where owners are recorded and there is no record.
    pub(crate) owner: Option<(u32, u32)>,
    pub(crate) mtime: i64,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

impl Metadata {
    /// That of an open directory.
    pub(crate) fn directory(fd: impl AsFd, stat: &Stat, record: bool) -> Result<Self, Errno> {
        let mut metadata = Metadata::without_attributes(stat, record);
        metadata.read_attributes(fd, record)?;
        Ok(metadata)
    }

    fn without_attributes(stat: &Stat, record: bool) -> Self {
        let owner = (!record).then_some((stat.st_uid, stat.st_gid));
        let (mode, mtime) = (stat.st_mode & 0o7777, stat.st_mtime);
        Metadata { mode, owner, mtime, xattrs: BTreeMap::new() }
    }

    fn read_attributes(&mut self, fd: impl AsFd, record: bool) -> Result<(), Errno> {
        self.xattrs = attributes::kept(&fd)?;
        if record {
            self.owner = attributes::recorded_owner(&fd)?;
        }
        Ok(())
    }

    /// The owner: root if nothing else is known.
    pub(crate) fn owner(&self) -> (u32, u32) {
        self.owner.unwrap_or((0, 0))
    }

    /// Takes over the group of the directory that it was made in, unless there is a record.
    pub(crate) fn inherit(&mut self, group: Option<u32>) {
        if let (None, Some(gid)) = (self.owner, group) {
            self.owner = Some((0, gid));
        }
    }

    /// The group that files made in this directory get, if it is set-group-id.
    pub(crate) fn inherited_group(&self) -> Option<u32> {
        (self.mode & libc::S_ISGID != 0).then_some(self.owner().1)
    }

    /// Whether all is the same but the time, which changes with what is in a directory.
    pub(crate) fn same_description(&self, other: &Metadata) -> bool {
        (self.mode, self.owner(), &self.xattrs) == (other.mode, other.owner(), &other.xattrs)
    }

    /// Whether this is what a directory is that nobody described.
    pub(crate) fn is_plain_directory(&self) -> bool {
        self.mode == 0o755 && self.owner() == (0, 0) && self.xattrs.is_empty()
    }
}

/// Anything but a directory.
pub(crate) struct Node {
    pub(crate) file_type: FileType,
    pub(crate) metadata: Metadata,
    size: u64,
    /// A regular file.
    content: Option<File>,
    /// A symbolic link's.
    target: Vec<u8>,
}

impl Node {
    /// Reads all but the content.
    pub(crate) fn read(
        parent: &OwnedFd,
        name: &[u8],
        stat: &Stat,
        record: bool,
    ) -> Result<Self, Errno> {
        let file_type = files::kind(stat);
        let mut node = Node {
            file_type,
            metadata: Metadata::without_attributes(stat, record),
            size: stat.st_size as u64,
            content: None,
            target: Vec::new(),
        };
        match file_type {
            FileType::RegularFile => {
                let file = files::open_file(parent, name)?;
                node.metadata.read_attributes(&file, record)?;
                node.content = Some(file.into());
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(parent, name, Vec::new())?;
                node.target = target.into_bytes();
                // Links have no mode of their own.
                node.metadata.mode = 0o777;
            }
            _ => {}
        }
        Ok(node)
    }

    /// What it is in a layer. Whatever is neither link nor pipe was found to be a regular file.
    pub(crate) fn entry_kind(&self) -> EntryKind {
        match self.file_type {
            FileType::Symlink => EntryKind::Symlink { target: self.target.clone() },
            FileType::Fifo => EntryKind::Fifo,
            _ => EntryKind::File { size: self.size },
        }
    }

    /// Whether a layer would say the same of both, and their times are the same.
    pub(crate) fn same(&self, other: &Node) -> Result<bool, Errno> {
        let same = self.file_type == other.file_type
            && self.metadata.same_description(&other.metadata)
            && self.metadata.mtime == other.metadata.mtime
            && self.target == other.target
            && self.size == other.size;
        match (&self.content, &other.content) {
            (Some(content), Some(before)) if same => same_content(content, before),
            _ => Ok(same),
        }
    }
}

fn same_content(mut one: &File, mut other: &File) -> Result<bool, Errno> {
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let read = one.read(&mut left)?;
        if read == 0 {
            return Ok(true);
        }
        if other.read_exact(&mut right[..read]).is_err() || left[..read] != right[..read] {
            return Ok(false);
        }
    }
}
