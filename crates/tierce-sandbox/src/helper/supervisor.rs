//! Answers the system calls that need ids that aren't there (seccomp_unotify(2)), and records
//! whom files would belong to.
//!
//! A change of owner is really made, as far as it can be: to the only id there is. So the kernel
//! does all that goes with it (errors, set-id bits, capabilities, the copy from a lower layer) as
//! it would anywhere. Then the true owner is recorded on the inode, since files are renamed.

use crate::helper::attributes::{decode_owner, encode_owner};
use crate::helper::credentials::Credentials;
use crate::helper::facts::{Facts, Identity};
use crate::helper::files;
use crate::helper::tasks::{Task, Tasks};
use crate::sys::{self, Answer};
use crate::{OWNER_XATTR, TREE};
use libc::seccomp_notif;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, XattrFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// "Leave it as it is".
const KEEP: u32 = u32::MAX;
const EMPTY_PATH: u32 = libc::AT_EMPTY_PATH as u32;
const NOFOLLOW: u32 = libc::AT_SYMLINK_NOFOLLOW as u32;

/// Supervises the processes of one sandbox.
pub(crate) struct Supervisor {
    listener: Option<OwnedFd>,
    tasks: Tasks,
    /// The root directory of the helper, to come back to.
    root: OwnedFd,
    /// `/proc/self/fd`: the way to attributes of files that are open as paths only.
    descriptors: OwnedFd,
    tree: OwnedFd,
    owners: BTreeMap<Identity, (u32, u32)>,
}

/// Where the answer of a stat(2) goes, and in which form.
#[derive(Clone, Copy)]
enum Report {
    Stat(u64),
    Statx { buffer: u64, mask: u32, flags: u32 },
}

/// What a call means by a file.
enum Place {
    Descriptor(i32),
    Path { directory: i32, path: u64, flags: u32 },
}

impl Place {
    fn path(directory: i32, path: u64, flags: u32) -> Self {
        Place::Path { directory, path, flags }
    }
}

/// The file and the buffer of a stat(2) of any kind.
fn stat_call(number: i64, arguments: [u64; 6]) -> Option<(Place, Report)> {
    let [first, second, third, fourth, fifth, _] = arguments;
    // Flags that don't change which file is meant.
    let place_flags = |flags: u64| flags as u32 & (EMPTY_PATH | NOFOLLOW);
    Some(match number {
        #[cfg(target_arch = "x86_64")]
        libc::SYS_stat => (Place::path(libc::AT_FDCWD, first, 0), Report::Stat(second)),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_lstat => (Place::path(libc::AT_FDCWD, first, NOFOLLOW), Report::Stat(second)),
        libc::SYS_fstat => (Place::Descriptor(first as i32), Report::Stat(second)),
        libc::SYS_newfstatat => {
            let place = Place::path(first as i32, second, place_flags(fourth));
            (place, Report::Stat(third))
        }
        libc::SYS_statx => {
            let place = Place::path(first as i32, second, place_flags(third));
            let (mask, flags) = (fourth as u32, third as u32);
            (place, Report::Statx { buffer: fifth, mask, flags })
        }
        _ => return None,
    })
}

impl Supervisor {
    /// A supervisor that answers on `listener`, of processes that begin with these ids.
    pub(crate) fn new(
        listener: OwnedFd,
        credentials: Credentials,
        scratch: &Path,
    ) -> io::Result<Self> {
        let open = |path: &Path| {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty())
        };
        sys::wake_in_place(listener.as_fd());
        Ok(Supervisor {
            listener: Some(listener),
            tasks: Tasks::new(open(Path::new("/proc"))?, credentials),
            root: open(Path::new("/"))?,
            descriptors: open(Path::new("/proc/self/fd"))?,
            tree: open(&scratch.join(TREE))?,
            owners: BTreeMap::new(),
        })
    }

    /// What notifications come from.
    pub(crate) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(|listener| listener.as_fd())
    }

    /// Stops listening.
    pub(crate) fn close(&mut self) {
        self.listener = None;
    }

    /// Writes what was recorded outside of inodes beside the scratch directory's tree.
    pub(crate) fn save(self, scratch: &Path) -> io::Result<()> {
        rustix::process::fchdir(&self.root)?;
        rustix::process::chroot(".")?;
        if self.owners.is_empty() {
            return Ok(());
        }
        let mut facts = Facts::read(scratch)?;
        facts.owners_by_identity.extend(self.owners);
        facts.write(scratch)
    }

    /// Answers one notification.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        let Some(listener) = self.listener.as_ref().map(|l| l.try_clone()).transpose()? else {
            return Ok(());
        };
        let notification = match sys::next_notification(listener.as_fd()) {
            Ok(notification) => notification,
            // Whoever asked was killed.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let answer = self.answer(listener.as_fd(), &notification).unwrap_or_else(Answer::Error);
        sys::answer(listener.as_fd(), notification.id, answer)
    }

    fn answer(&mut self, listener: BorrowedFd<'_>, call: &seccomp_notif) -> Result<Answer, i32> {
        let task = self.tasks.task(call.pid);
        let arguments = call.data.args;
        let [first, second, third, fourth, fifth, _] = arguments;
        let number = i64::from(call.data.nr);
        if let Some((place, report)) = stat_call(number, arguments) {
            // Whatever goes wrong, the kernel says it best.
            let answer = self.stat(listener, call.id, &task, place, report);
            return Ok(answer.unwrap_or(Answer::Continue));
        }
        let here = libc::AT_FDCWD;
        let (place, uid, gid) = match number {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chown => (Place::path(here, first, 0), second, third),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lchown => (Place::path(here, first, NOFOLLOW), second, third),
            libc::SYS_fchown => (Place::Descriptor(first as i32), second, third),
            libc::SYS_fchownat => (Place::path(first as i32, second, fifth as u32), third, fourth),
            number => {
                let credentials = self.tasks.credentials(&task);
                return self.tasks.identity_call(&task, credentials, number, arguments);
            }
        };
        self.chown(listener, call.id, &task, place, uid as u32, gid as u32)
    }

    /// stat(2) and its relatives, for files that belong to somebody else in truth. Programs that
    /// copy files copy the owners that they see.
    fn stat(
        &mut self,
        listener: BorrowedFd<'_>,
        id: u64,
        task: &Task,
        place: Place,
        report: Report,
    ) -> Result<Answer, i32> {
        let file = self.open(listener, id, task, place)?;
        let name = file.as_raw_fd().to_string();
        rustix::process::fchdir(&self.descriptors).map_err(raw)?;
        let Some(owner) = self.recorded(&file, &name) else { return Ok(Answer::Continue) };
        let failed = |error: io::Error| error.raw_os_error().unwrap_or(libc::EIO);
        let (buffer, bytes) = match report {
            Report::Stat(buffer) => (buffer, sys::stat_bytes(file.as_fd(), owner)),
            Report::Statx { buffer, mask, flags } => {
                let flags = flags as i32 & libc::AT_STATX_SYNC_TYPE;
                (buffer, sys::statx_bytes(file.as_fd(), flags, mask, owner))
            }
        };
        self.tasks.write(task, buffer, &bytes.map_err(failed)?)?;
        Ok(Answer::Value(0))
    }

    /// chown(2) and its relatives.
    fn chown(
        &mut self,
        listener: BorrowedFd<'_>,
        id: u64,
        task: &Task,
        place: Place,
        uid: u32,
        gid: u32,
    ) -> Result<Answer, i32> {
        let file = self.open(listener, id, task, place)?;
        let name = file.as_raw_fd().to_string();
        rustix::process::fchdir(&self.descriptors).map_err(raw)?;
        let before = self.recorded(&file, &name);
        let owner = before.unwrap_or((0, 0));
        if !self.tasks.credentials(task).may_chown(owner, uid, gid) {
            return Err(libc::EPERM);
        }
        let own_user = (uid != KEEP).then_some(Uid::ROOT);
        let own_group = (gid != KEEP).then_some(Gid::ROOT);
        rustix::fs::chownat(&file, "", own_user, own_group, AtFlags::EMPTY_PATH).map_err(raw)?;
        let uid = if uid == KEEP { owner.0 } else { uid };
        let gid = if gid == KEEP { owner.1 } else { gid };
        if before.is_some() || (uid, gid) != (0, 0) || self.would_inherit(&name) {
            self.record(&file, &name, (uid, gid))?;
        }
        Ok(Answer::Value(0))
    }

    /// Opens what a call is about, as the caller sees it.
    fn open(
        &self,
        listener: BorrowedFd<'_>,
        id: u64,
        task: &Task,
        place: Place,
    ) -> Result<OwnedFd, i32> {
        let known = EMPTY_PATH | NOFOLLOW;
        let (directory, path, flags) = match place {
            Place::Descriptor(fd) => return self.open_descriptor(listener, id, task, fd),
            Place::Path { flags, .. } if flags & !known != 0 => return Err(libc::EINVAL),
            Place::Path { directory, path, flags } => {
                (directory, self.tasks.read_path(task, path)?, flags)
            }
        };
        if path.is_empty() {
            if flags & EMPTY_PATH == 0 {
                return Err(libc::ENOENT);
            }
            return self.open_descriptor(listener, id, task, directory);
        }
        // In the caller's /proc, `self` would be the helper, which isn't in there.
        if let Some(fd) = own_descriptor(&path) {
            return self.open_descriptor(listener, id, task, fd);
        }
        let root = self.tasks.open(task, "root").map_err(raw)?;
        let base = match directory {
            _ if path.starts_with(b"/") => None,
            libc::AT_FDCWD => Some(self.tasks.open(task, "cwd").map_err(raw)?),
            fd => Some(self.tasks.open(task, &format!("fd/{fd}")).map_err(|_| libc::EBADF)?),
        };
        if !sys::still_waits(listener, id) {
            return Err(libc::ESRCH);
        }
        // From here on, paths mean what they mean to the caller.
        rustix::process::fchdir(&root)
            .and_then(|()| rustix::process::chroot("."))
            .and_then(|()| base.map_or(Ok(()), rustix::process::fchdir))
            .map_err(raw)?;
        let follow = flags & NOFOLLOW == 0;
        let nofollow = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
        let flags = OFlags::PATH | OFlags::CLOEXEC | nofollow;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(raw)
    }

    fn open_descriptor(
        &self,
        listener: BorrowedFd<'_>,
        id: u64,
        task: &Task,
        fd: i32,
    ) -> Result<OwnedFd, i32> {
        let link = match fd {
            libc::AT_FDCWD => "cwd".to_owned(),
            fd => format!("fd/{fd}"),
        };
        let file = self.tasks.open(task, &link).map_err(|_| libc::EBADF)?;
        match sys::still_waits(listener, id) {
            true => Ok(file),
            false => Err(libc::ESRCH),
        }
    }

    /// The recorded owner. The current directory must be that of our descriptors.
    fn recorded(&self, file: &OwnedFd, name: &str) -> Option<(u32, u32)> {
        let mut value = [0; 32];
        match rustix::fs::getxattr(name, OWNER_XATTR, &mut value[..]) {
            Ok(length) => decode_owner(&value[..length]),
            Err(_) if self.owners.is_empty() => None,
            Err(_) => self.owners.get(&self.identity(file, name)?).copied(),
        }
    }

    fn record(&mut self, file: &OwnedFd, name: &str, owner: (u32, u32)) -> Result<(), i32> {
        let stat = rustix::fs::fstat(file).map_err(raw)?;
        if matches!(files::kind(&stat), FileType::RegularFile | FileType::Directory) {
            let value = encode_owner(owner);
            return match rustix::fs::setxattr(name, OWNER_XATTR, &value, XattrFlags::empty()) {
                // Outside of the image, owners don't matter to the layer.
                Err(Errno::OPNOTSUPP | Errno::PERM | Errno::ROFS) | Ok(()) => Ok(()),
                Err(error) => Err(raw(error)),
            };
        }
        if let Some(identity) = self.identity(file, name) {
            self.owners.insert(identity, owner);
        }
        Ok(())
    }

    /// What tells the file in the scratch directory from others; `None` if it isn't there.
    fn identity(&self, file: &OwnedFd, name: &str) -> Option<Identity> {
        let path = rustix::fs::readlinkat(&self.descriptors, name, Vec::new()).ok()?;
        let path = path.to_bytes().strip_prefix(b"/")?;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let real = rustix::fs::statat(&self.tree, path, flags).ok()?;
        let shown = rustix::fs::fstat(file).ok()?;
        let same = real.st_mode == shown.st_mode
            && (real.st_ctime, real.st_ctime_nsec) == (shown.st_ctime, shown.st_ctime_nsec);
        if same { Identity::of(&self.tree, path).ok() } else { None }
    }

    /// Whether a file without a record would be taken for one of its directory's group.
    fn would_inherit(&self, name: &str) -> bool {
        let path = rustix::fs::readlinkat(&self.descriptors, name, Vec::new());
        let parent = path.ok().and_then(|path| {
            let path = Path::new(OsStr::from_bytes(path.to_bytes()));
            rustix::fs::stat(path.parent()?).ok()
        });
        parent.is_some_and(|parent| parent.st_mode & libc::S_ISGID != 0)
    }
}

fn raw(error: Errno) -> i32 {
    error.raw_os_error()
}

/// The descriptor that a path names, if it is one of the usual names for one's own.
fn own_descriptor(path: &[u8]) -> Option<i32> {
    match path {
        b"/dev/stdin" => return Some(0),
        b"/dev/stdout" => return Some(1),
        b"/dev/stderr" => return Some(2),
        _ => {}
    }
    let name = path.strip_prefix(b"/dev/fd/").or_else(|| path.strip_prefix(b"/proc/self/fd/"))?;
    std::str::from_utf8(name).ok()?.parse().ok()
}
