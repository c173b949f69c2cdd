//! The root file system: layers, a layer of our own above them, and the scratch directory.

use crate::helper::files;
use crate::helper::layers::{Attributes, Layers};
use crate::{Errno, RunError, TREE};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, UnmountFlags,
};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The overlay's private directory.
const WORK: &str = "work";
/// The layer of our own: mount points that the image lacks, and directories described as the
/// image means them. What is in it never gets into the scratch directory's tree by itself.
const OVER: &str = "over";
/// Where the root file system is mounted.
const ROOT: &str = "root";

/// A scratch directory that is ready to be mounted.
pub(crate) struct Overlay {
    layers: Layers,
    scratch: OwnedFd,
    tree: OwnedFd,
    work: OwnedFd,
    over: OwnedFd,
    point: OwnedFd,
    name: String,
    /// Times of directories in `over`, to be set when all is in them.
    described: BTreeMap<Vec<u8>, Attributes>,
}

/// A mount point that the image lacks: below a directory that it has, the names to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stub {
    /// The directories that are there, from below the root on, and how they are described.
    pub(crate) existing: Vec<(Vec<u8>, Attributes)>,
    /// The names to be made; one at least.
    pub(crate) missing: Vec<Vec<u8>>,
    /// Whether the last of them is a directory.
    pub(crate) directory: bool,
}

impl Overlay {
    /// Makes what has to be in a scratch directory.
    pub(crate) fn prepare(scratch: &Path, layers: Layers) -> Result<Self, RunError> {
        let failed =
            |source: Errno| RunError::Overlay { scratch: scratch.display().to_string(), source };
        Overlay::prepare_in(scratch, layers).map_err(failed)
    }

    fn prepare_in(scratch: &Path, layers: Layers) -> Result<Self, Errno> {
        let name = scratch.display().to_string();
        let scratch = files::make_directory(CWD, scratch.as_os_str().as_bytes(), 0o700)?;
        files::make_private(&scratch)?;
        let fresh = files::stat(&scratch, TREE.as_bytes())?.is_none();
        let tree = files::make_directory(&scratch, TREE.as_bytes(), 0o755)?;
        if fresh && let Some(root) = layers.described(b"")? {
            root.apply(&tree)?;
        }
        // What an earlier run left is for that run's mount only.
        for name in [WORK, OVER] {
            files::remove(&scratch, name.as_bytes())?;
        }
        let work = files::make_directory(&scratch, WORK.as_bytes(), 0o755)?;
        let over = files::make_directory(&scratch, OVER.as_bytes(), 0o755)?;
        let point = files::make_directory(&scratch, ROOT.as_bytes(), 0o755)?;
        let described = BTreeMap::new();
        let mut overlay = Overlay { layers, scratch, tree, work, over, point, name, described };
        let misdescribed = overlay.layers.misdescribed()?;
        for (path, attributes) in misdescribed {
            overlay.describe(&path, attributes)?;
        }
        overlay.settle()?;
        Ok(overlay)
    }

    /// Puts a directory into the layer of our own.
    fn describe(&mut self, path: &[u8], attributes: Attributes) -> Result<OwnedFd, Errno> {
        let mut current = self.over.try_clone()?;
        let mut walked = Vec::new();
        for name in path.split(|&b| b == b'/').filter(|name| !name.is_empty()) {
            if !walked.is_empty() {
                walked.push(b'/');
            }
            walked.extend_from_slice(name);
            current = files::make_directory(&current, name, 0o755)?;
            if walked != path
                && !self.described.contains_key(&walked)
                && let Some(attributes) = self.layers.described(&walked)?
            {
                self.described.insert(walked.clone(), attributes);
            }
        }
        self.described.insert(path.to_vec(), attributes);
        Ok(current)
    }

    /// Describes the directories in the layer of our own, the deepest first.
    fn settle(&mut self) -> Result<(), Errno> {
        for (path, attributes) in std::mem::take(&mut self.described).into_iter().rev() {
            let mut current = self.over.try_clone()?;
            for name in path.split(|&b| b == b'/') {
                current = files::open_directory(&current, name)?;
            }
            attributes.apply(current)?;
        }
        Ok(())
    }

    /// Makes mount points. The overlay must not be mounted.
    pub(crate) fn add_stubs(&mut self, stubs: Vec<Stub>) -> Result<(), Errno> {
        for stub in stubs {
            let mut current = self.over.try_clone()?;
            for (path, attributes) in stub.existing {
                current = self.describe(&path, attributes)?;
            }
            make_stub(current, &stub.missing, stub.directory)?;
        }
        self.settle()
    }

    /// Mounts it, and gives its root.
    pub(crate) fn mount(&self) -> Result<OwnedFd, RunError> {
        let failed = |source: Errno| RunError::Overlay { scratch: self.name.clone(), source };
        self.mount_by_descriptors()
            .or_else(|_| self.mount_by_string())
            .and_then(|()| self.root())
            .map_err(failed)
    }

    /// Unmounts it, so that it can be mounted once more.
    pub(crate) fn unmount(&mut self) -> Result<(), Errno> {
        let root = self.root()?;
        rustix::mount::unmount(path_of(&root), UnmountFlags::DETACH)?;
        drop(root);
        // A volatile overlay leaves a mark there, since it can't vouch for what is in it after a
        // crash of the machine; there was none.
        files::remove(&self.scratch, WORK.as_bytes())?;
        self.work = files::make_directory(&self.scratch, WORK.as_bytes(), 0o755)?;
        Ok(())
    }

    /// The mounted root: opened by name, since a descriptor from before shows what is below.
    fn root(&self) -> Result<OwnedFd, Errno> {
        let point = Path::new(&path_of(&self.point)).read_link()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::open(&point, flags, Mode::empty())?)
    }

    fn lowers(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(&self.over)
            .chain(self.layers.stack.iter().map(|layer| &layer.tree))
            .map(path_of)
    }

    /// From Linux 6.5 on: any number of layers. Their paths go through `/proc`, which makes them
    /// short and free of characters that would need escaping.
    fn mount_by_descriptors(&self) -> Result<(), Errno> {
        use rustix::mount::{fsconfig_create, fsconfig_set_flag, fsconfig_set_string};
        let fs = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(fs.as_fd(), "source", "overlay")?;
        for lower in self.lowers() {
            fsconfig_set_string(fs.as_fd(), "lowerdir+", lower)?;
        }
        fsconfig_set_string(fs.as_fd(), "upperdir", path_of(&self.tree))?;
        fsconfig_set_string(fs.as_fd(), "workdir", path_of(&self.work))?;
        fsconfig_set_string(fs.as_fd(), "index", "off")?;
        fsconfig_set_flag(fs.as_fd(), "userxattr")?;
        // Nothing here outlives a crash of the machine, so nothing needs to be synced.
        fsconfig_set_flag(fs.as_fd(), "volatile")?;
        fsconfig_create(fs.as_fd())?;
        let mount = rustix::mount::fsmount(
            fs.as_fd(),
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::empty(),
        )?;
        attach(&mount, &self.point)
    }

    /// For older kernels.
    fn mount_by_string(&self) -> Result<(), Errno> {
        let lowers: Vec<String> = self.lowers().collect();
        let options = format!(
            "lowerdir={},upperdir={},workdir={},index=off,userxattr,volatile",
            lowers.join(":"),
            path_of(&self.tree),
            path_of(&self.work)
        );
        let options = std::ffi::CString::new(options).map_err(|_| Errno(libc::EINVAL))?;
        let point = path_of(&self.point);
        let flags = MountFlags::empty();
        Ok(rustix::mount::mount("overlay", point, "overlay", flags, options.as_c_str())?)
    }
}

/// Makes a mount point below a directory.
pub(crate) fn make_stub(
    below: OwnedFd,
    missing: &[Vec<u8>],
    directory: bool,
) -> Result<OwnedFd, Errno> {
    let mut current = below;
    for (index, name) in missing.iter().enumerate() {
        current = match directory || index + 1 < missing.len() {
            true => files::make_directory(&current, name, 0o755)?,
            false => {
                let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(&current, name.as_slice(), flags, files::mode(0o644))?
            }
        };
    }
    Ok(current)
}

/// Mounts a mount that is nowhere yet on an open file or directory.
pub(crate) fn attach(mount: impl AsFd, target: impl AsFd) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount, "", target, "", flags)?)
}

/// The name of an open file for calls that only take names.
pub(crate) fn path_of(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}
