//! Files with secrets, in memory.

use crate::helper::files;
use crate::helper::mounts::{PRIVATE, clone_tree, new_directory, new_file, new_fs, open_below};
use crate::helper::overlay::{attach, path_of};
use crate::{Errno, Process, sys};
use rustix::fs::AtFlags;
use rustix::mount::{MountAttrFlags, UnmountFlags};
use rustix::process::{Gid, Uid};
use std::os::fd::{AsFd, OwnedFd};

/// Where the file system with the files is mounted while they are put into their places: only
/// what is mounted somewhere can be mounted once more.
const STAGE: &str = "secrets";

/// The files of one process.
pub(crate) struct SecretFiles<'a> {
    process: &'a Process,
    /// Whom they belong to, where that can be set.
    owner: Option<(u32, u32)>,
    stage: Option<OwnedFd>,
}

impl<'a> SecretFiles<'a> {
    pub(crate) fn new(process: &'a Process, owner: Option<(u32, u32)>) -> Self {
        SecretFiles { process, owner, stage: None }
    }

    /// Mounts one of them.
    pub(crate) fn mount(
        &mut self,
        index: usize,
        target: &OwnedFd,
        dev: Option<&OwnedFd>,
    ) -> Result<(), Errno> {
        let stage = match &self.stage {
            Some(stage) => stage,
            None => self.stage.insert(stage(dev.ok_or(Errno(libc::ENODEV))?)?),
        };
        let name = index.to_string();
        let content = self.process.secret_files[index].content();
        let file = new_file(stage, &name, content, 0o400)?;
        if let Some((uid, gid)) = self.owner {
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(stage, name.as_str(), uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let mount = clone_tree(file)?;
        let attributes = libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC;
        sys::mount_set(mount.as_fd(), attributes)?;
        attach(mount, target)
    }

    /// Takes the stage away: the files are seen in their places alone.
    pub(crate) fn finish(self, dev: Option<&OwnedFd>) -> Result<(), Errno> {
        let (Some(stage), Some(dev)) = (self.stage, dev) else { return Ok(()) };
        rustix::mount::unmount(path_of(&stage), UnmountFlags::DETACH)?;
        drop(stage);
        let private = open_below(dev, PRIVATE)?;
        Ok(files::remove(private, STAGE.as_bytes())?)
    }
}

/// A file system in memory. Pages of ramfs are never swapped out; tmpfs has an option to that
/// effect, but not in user namespaces.
fn stage(dev: &OwnedFd) -> Result<OwnedFd, Errno> {
    let point = new_directory(&open_below(dev, PRIVATE)?, STAGE)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mode = [("mode", "0700")];
    let mount = new_fs("ramfs", &mode, flags).or_else(|_| new_fs("tmpfs", &mode, flags))?;
    attach(&mount, point)?;
    Ok(mount)
}
