//! What is mounted in the root file system.

use crate::helper::overlay::{attach, make_stub};
use crate::helper::resolve;
use crate::{Errno, Mount, Network, Process, RunError, sys};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, OpenTreeFlags};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// Where the host's certificate authorities are seen. In `/dev`, since that is ours in any case:
/// no directory of the image has to hold it, and no clean-up command gets at it.
pub(crate) const CA_BUNDLE: &str = "/dev/.tierce/ca-certificates.crt";
/// The directory in `/dev` of files that are mounted elsewhere.
pub(crate) const PRIVATE: &str = ".tierce";
/// Devices that every program may expect (OCI runtime specification, "Default Devices").
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];
/// Parts of /proc that tell or change too much; the list of runc and Docker.
const MASKED: [&str; 9] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
];

/// Something to be mounted, and where.
pub(crate) struct Planned {
    pub(crate) target: String,
    pub(crate) directory: bool,
    what: What,
}

enum What {
    Proc,
    Sys,
    Dev,
    /// A file of the private directory.
    Private(&'static str),
    /// A file or directory of the host.
    Tree {
        source: OwnedFd,
        read_only: bool,
    },
    Tmpfs,
    /// A file of the process's own, mounted when it is known whose it is to be.
    Secret,
}

pub(crate) fn failed(target: &str) -> impl FnOnce(Errno) -> RunError {
    move |source| RunError::Mount { target: target.to_owned(), source }
}

/// All mounts of a process, in the order in which they are made. Opens their sources.
pub(crate) fn plan(process: &Process) -> Result<Vec<Planned>, RunError> {
    let fixed = [("/dev", What::Dev), ("/proc", What::Proc), ("/sys", What::Sys)];
    let mut planned = Vec::new();
    for (target, what) in fixed {
        planned.push(Planned { target: target.to_owned(), directory: true, what });
    }
    for name in ["hostname", "hosts", "resolv.conf"] {
        let target = format!("/etc/{name}");
        planned.push(Planned { target, directory: false, what: What::Private(name) });
    }
    for mount in &process.mounts {
        planned.push(plan_mount(mount)?);
    }
    let secrets = process.secret_files.iter().map(|secret| secret.target.clone());
    planned.extend(secrets.map(Planned::secret));
    Ok(planned)
}

fn plan_mount(mount: &Mount) -> Result<Planned, RunError> {
    let target = mount.target().to_owned();
    let (source, read_only) = match mount {
        Mount::Tmpfs { .. } => return Ok(Planned { target, directory: true, what: What::Tmpfs }),
        Mount::Bind { source, read_only, .. } => (source, *read_only),
        Mount::Cache { source, .. } => {
            let made = std::fs::DirBuilder::new().mode(0o755).create(source);
            if let Err(error) = made
                && error.kind() != std::io::ErrorKind::AlreadyExists
            {
                let path = source.display().to_string();
                return Err(RunError::MountSource { path, source: error.into() });
            }
            (source, false)
        }
    };
    let fd = open_source(source).map_err(|errno| RunError::MountSource {
        path: source.display().to_string(),
        source: errno,
    })?;
    let directory = is_directory(&fd).map_err(failed(&target))?;
    if matches!(mount, Mount::Cache { .. }) && !directory {
        let path = source.display().to_string();
        return Err(RunError::MountSource { path, source: Errno(libc::ENOTDIR) });
    }
    Ok(Planned { target, directory, what: What::Tree { source: fd, read_only } })
}

/// A source is what it is when it is opened here, whatever becomes of its name later.
fn open_source(source: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(source, flags, Mode::empty())?;
    match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
        FileType::Symlink => Err(Errno(libc::ELOOP)),
        _ => Ok(fd),
    }
}

fn is_directory(fd: &OwnedFd) -> Result<bool, Errno> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Whether a target lies in what an earlier mount shows, so that the image can't lack it.
pub(crate) fn is_covered(target: &str, earlier: &[Planned]) -> bool {
    let target = Path::new(target);
    earlier.iter().any(|mount| target.starts_with(&mount.target))
}

/// Mounts everything but secrets; gives `/dev`. `made` gets the paths of mount points that had to
/// be made in the image itself.
pub(crate) fn mount_all(
    root: &OwnedFd,
    process: &Process,
    planned: &[Planned],
    made: &mut Vec<Vec<u8>>,
) -> Result<OwnedFd, RunError> {
    let mut dev = None;
    for mount in planned.iter().filter(|mount| !matches!(mount.what, What::Secret)) {
        let target = mount.open(root, made)?;
        let result = match &mount.what {
            What::Dev => mount_dev(&target, process).map(|fd| dev = Some(fd)),
            What::Proc => mount_proc(&target, dev.as_ref()),
            What::Sys => mount_sys(&target, process.network),
            What::Private(name) => mount_private(&target, dev.as_ref(), name),
            What::Tree { source, read_only } => mount_tree(source, &target, *read_only),
            What::Tmpfs => {
                new_fs("tmpfs", &[("mode", "1777")], SAFE).and_then(|mount| attach(mount, &target))
            }
            What::Secret => Ok(()),
        };
        result.map_err(failed(&mount.target))?;
    }
    dev.ok_or_else(|| failed("/dev")(Errno(libc::ENODEV)))
}

impl Planned {
    /// A file with a secret.
    pub(crate) fn secret(target: String) -> Self {
        Planned { target, directory: false, what: What::Secret }
    }

    /// What it is mounted on.
    pub(crate) fn open(
        &self,
        root: &OwnedFd,
        made: &mut Vec<Vec<u8>>,
    ) -> Result<OwnedFd, RunError> {
        let target = match resolve::open(root, &self.target, OFlags::PATH) {
            Err(Errno(libc::ENOENT)) => make_point(root, self, made),
            result => result,
        };
        let target = target.map_err(failed(&self.target))?;
        if is_directory(&target).map_err(failed(&self.target))? != self.directory {
            let errno = if self.directory { libc::ENOTDIR } else { libc::EISDIR };
            return Err(failed(&self.target)(Errno(errno)));
        }
        Ok(target)
    }
}

/// Makes a mount point that could not be made below: something in the scratch directory hides it,
/// or it lies in another mount.
fn make_point(root: &OwnedFd, mount: &Planned, made: &mut Vec<Vec<u8>>) -> Result<OwnedFd, Errno> {
    let stub = resolve::missing(root, &mount.target, mount.directory)?;
    let stub = stub.ok_or(Errno(libc::ENOENT))?;
    let parent = stub.existing.last().map(|(path, _)| path.clone()).unwrap_or_default();
    let shown = format!("/{}", String::from_utf8_lossy(&parent));
    let below = resolve::open(root, &shown, OFlags::PATH | OFlags::DIRECTORY)?;
    if rustix::fs::fstat(&below)?.st_dev == rustix::fs::fstat(root)?.st_dev {
        let mut path = parent;
        for name in &stub.missing {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            made.push(path.clone());
        }
    }
    make_stub(below, &stub.missing, stub.directory)
}

/// For all that needs neither devices nor set-id programs.
const SAFE: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NODEV);

/// A new file system, mounted nowhere yet.
pub(crate) fn new_fs(
    kind: &str,
    options: &[(&str, &str)],
    flags: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let fs = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(fs.as_fd(), "source", kind)?;
    for (key, value) in options {
        match value.is_empty() {
            true => rustix::mount::fsconfig_set_flag(fs.as_fd(), *key)?,
            false => rustix::mount::fsconfig_set_string(fs.as_fd(), *key, *value)?,
        }
    }
    rustix::mount::fsconfig_create(fs.as_fd())?;
    Ok(rustix::mount::fsmount(fs.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags)?)
}

/// A second mount of an open file or directory, with all that is mounted below it.
pub(crate) fn clone_tree(source: impl AsFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    Ok(rustix::mount::open_tree(source, "", flags)?)
}

fn mount_tree(source: &OwnedFd, target: &OwnedFd, read_only: bool) -> Result<(), Errno> {
    let mount = clone_tree(source)?;
    let attributes = match read_only {
        true => libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
        false => libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV,
    };
    sys::mount_set(mount.as_fd(), attributes)?;
    attach(mount, target)
}

/// A device of the host. Where root is the host's root it owns the device's inode: read-only mounts
/// refuse to change that, but not to write to the device.
pub(crate) fn device(source: &OwnedFd) -> Result<OwnedFd, Errno> {
    let device = clone_tree(source)?;
    let attributes = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
    sys::mount_set(device.as_fd(), attributes)?;
    Ok(device)
}

/// /dev, in memory: a few devices of the host, terminals of its own, and the private directory.
fn mount_dev(target: &OwnedFd, process: &Process) -> Result<OwnedFd, Errno> {
    let options = [("mode", "755"), ("size", "16m")];
    let dev = new_fs("tmpfs", &options, MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    attach(&dev, target)?;
    for name in DEVICES {
        let source = rustix::fs::open(
            Path::new("/dev").join(name),
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let stat = rustix::fs::fstat(&source)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice {
            return Err(Errno(libc::ENODEV));
        }
        attach(device(&source)?, new_file(&dev, name, b"", 0o666)?)?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
        ("core", "/proc/kcore"),
    ];
    for (name, to) in links {
        rustix::fs::symlinkat(to, &dev, name)?;
    }
    let pts = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
    attach(new_fs("devpts", &pts, NO_PROGRAMS)?, new_directory(&dev, "pts")?)?;
    let shm = [("mode", "1777"), ("size", "50%")];
    attach(new_fs("tmpfs", &shm, SAFE)?, new_directory(&dev, "shm")?)?;
    let queues = new_directory(&dev, "mqueue")?;
    // Not every kernel has message queues, and few programs use them.
    let _ = new_fs("mqueue", &[], NO_PROGRAMS).and_then(|mount| attach(mount, queues));
    write_private(&dev, process)?;
    Ok(dev)
}

const NO_PROGRAMS: MountAttrFlags =
    MountAttrFlags::MOUNT_ATTR_NOSUID.union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

pub(crate) fn new_directory(parent: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    Ok(crate::helper::files::make_directory(parent, name.as_bytes(), 0o755)?)
}

/// A new file, as something to mount on.
pub(crate) fn new_file(
    parent: &OwnedFd,
    name: &str,
    content: &[u8],
    mode: u32,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mode = crate::helper::files::mode(mode);
    let mut file = File::from(rustix::fs::openat(parent, name, flags, mode)?);
    file.write_all(content)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// The files of the private directory.
fn write_private(dev: &OwnedFd, process: &Process) -> Result<(), Errno> {
    let private = new_directory(dev, PRIVATE)?;
    new_file(&private, "hostname", format!("{}\n", process.hostname).as_bytes(), 0o644)?;
    new_file(&private, "hosts", hosts(process).as_bytes(), 0o644)?;
    let resolver = match (process.network, &process.resolv_conf) {
        (Network::None, _) => Vec::new(),
        (Network::Host, Some(path)) => std::fs::read(path)?,
        // A host without one has no resolver to tell of.
        (Network::Host, None) => std::fs::read("/etc/resolv.conf").unwrap_or_default(),
    };
    new_file(&private, "resolv.conf", &resolver, 0o644)?;
    if let Some(bundle) = &process.ca_bundle {
        new_file(&private, "ca-certificates.crt", &std::fs::read(bundle)?, 0o444)?;
    }
    Ok(())
}

fn hosts(process: &Process) -> String {
    let mut hosts = String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n");
    hosts += &format!("127.0.1.1\t{}\n", process.hostname);
    for (name, address) in &process.hosts {
        hosts += &format!("{address}\t{name}\n");
    }
    hosts
}

fn mount_private(target: &OwnedFd, dev: Option<&OwnedFd>, name: &str) -> Result<(), Errno> {
    let dev = dev.ok_or(Errno(libc::ENODEV))?;
    let source = open_below(dev, &format!("{PRIVATE}/{name}"))?;
    attach(clone_tree(source)?, target)
}

pub(crate) fn open_below(parent: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, path, flags, Mode::empty())?)
}

/// /proc of the new process namespace, without what is none of an image's business.
///
/// It is read-only: files that are not about processes exist once for all instances of /proc, so
/// that root could change their modes for the host, too (also those in /proc/PID/net, which no
/// mount could cover). What programs lose is little: `/proc/self/oom_score_adj` and its like can't
/// be written, while `/proc/self/fd` leads where it always did.
fn mount_proc(target: &OwnedFd, dev: Option<&OwnedFd>) -> Result<(), Errno> {
    let flags = NO_PROGRAMS.union(SAFE).union(MountAttrFlags::MOUNT_ATTR_RDONLY);
    let proc = new_fs("proc", &[], flags)?;
    attach(&proc, target)?;
    let null = open_below(dev.ok_or(Errno(libc::ENODEV))?, "null")?;
    // What covers files must be the null device and nothing else (CVE-2025-31133).
    if rustix::fs::fstat(&null)?.st_rdev != rustix::fs::makedev(1, 3) {
        return Err(Errno(libc::ENODEV));
    }
    for name in MASKED {
        mask(&proc, name, &null)?;
    }
    Ok(())
}

/// Covers a file or directory, if it is there.
fn mask(below: &OwnedFd, name: &str, null: &OwnedFd) -> Result<(), Errno> {
    let Some(target) = there(open_below(below, name))? else { return Ok(()) };
    let mount = match is_directory(&target)? {
        true => {
            let read_only = SAFE.union(MountAttrFlags::MOUNT_ATTR_RDONLY);
            new_fs("tmpfs", &[("mode", "555")], read_only)?
        }
        false => clone_tree(null)?,
    };
    attach(mount, target)
}

fn there(result: Result<OwnedFd, Errno>) -> Result<Option<OwnedFd>, Errno> {
    match result {
        Err(Errno(libc::ENOENT)) => Ok(None),
        result => result.map(Some),
    }
}

/// /sys, read-only. The kernel gives a new one only to who has a network namespace of their own.
fn mount_sys(target: &OwnedFd, network: Network) -> Result<(), Errno> {
    let flags = NO_PROGRAMS.union(SAFE).union(MountAttrFlags::MOUNT_ATTR_RDONLY);
    let fresh = match network {
        Network::None => new_fs("sysfs", &[], flags),
        Network::Host => Err(Errno(libc::EPERM)),
    };
    let mount = fresh.or_else(|_| {
        let source = rustix::fs::openat(
            CWD,
            "/sys",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mount = clone_tree(source)?;
        sys::mount_set(mount.as_fd(), libc::MOUNT_ATTR_RDONLY)?;
        Ok::<_, Errno>(mount)
    })?;
    attach(&mount, target)?;
    let read_only = SAFE.union(MountAttrFlags::MOUNT_ATTR_RDONLY);
    match there(open_below(&mount, "firmware"))? {
        Some(firmware) => attach(new_fs("tmpfs", &[("mode", "555")], read_only)?, firmware),
        None => Ok(()),
    }
}
