//! Files with secrets, in memory.

use crate::helper::files;
use crate::helper::mounts::{
    PRIVATE, Planned, clone_tree, failed, new_directory, new_file, new_fs, open_below,
};
use crate::helper::overlay::{attach, path_of};
use crate::{Errno, Process, RunError, sys};
use rustix::fs::AtFlags;
use rustix::mount::{MountAttrFlags, UnmountFlags};
use rustix::process::{Gid, Uid};
use std::os::fd::{AsFd, OwnedFd};

/// Where the file system with the files is mounted while they are put into their places: only
/// what is mounted somewhere can be mounted once more.
const STAGE: &str = "secrets";

/// Mounts the files of a process, which belong to `owner` where that can be set. `made` gets the
/// paths of mount points that had to be made in the image itself.
pub(crate) fn mount_all(
    root: &OwnedFd,
    process: &Process,
    dev: &OwnedFd,
    owner: Option<(u32, u32)>,
    made: &mut Vec<Vec<u8>>,
) -> Result<(), RunError> {
    if process.secret_files.is_empty() {
        return Ok(());
    }
    let private = open_below(dev, PRIVATE).map_err(failed("/dev"))?;
    let stage = stage(&private).map_err(failed("/dev"))?;
    for (index, secret) in process.secret_files.iter().enumerate() {
        let target = Planned::secret(secret.target.clone()).open(root, made)?;
        let name = index.to_string();
        mount(&stage, &name, secret.content(), owner, &target).map_err(failed(&secret.target))?;
    }
    // They are seen in their places alone.
    rustix::mount::unmount(path_of(&stage), UnmountFlags::DETACH)
        .and_then(|()| files::remove(private, STAGE.as_bytes()))
        .map_err(|error| failed("/dev")(error.into()))
}

/// A file system in memory. Pages of ramfs are never swapped out; tmpfs has an option to that
/// effect, but not in user namespaces.
fn stage(private: &OwnedFd) -> Result<OwnedFd, Errno> {
    let point = new_directory(private, STAGE)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mode = [("mode", "0700")];
    let mount = new_fs("ramfs", &mode, flags).or_else(|_| new_fs("tmpfs", &mode, flags))?;
    attach(&mount, point)?;
    Ok(mount)
}

fn mount(
    stage: &OwnedFd,
    name: &str,
    content: &[u8],
    owner: Option<(u32, u32)>,
    target: &OwnedFd,
) -> Result<(), Errno> {
    let file = new_file(stage, name, content, 0o400)?;
    if let Some((uid, gid)) = owner {
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(stage, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let mount = clone_tree(file)?;
    let attributes = libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC;
    sys::mount_set(mount.as_fd(), attributes)?;
    attach(mount, target)
}
