//! System calls that no crate wraps: all of this crate's unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint, c_ulong};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

/// What [`fork`] gives.
pub(crate) enum Fork {
    Parent(Pid),
    Child,
}

fn check(result: c_long) -> io::Result<c_long> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}

/// Forks this process, which must have one thread only: the helper starts none.
pub(crate) fn fork() -> io::Result<Fork> {
    // SAFETY: the helper is single-threaded, so the child's memory is consistent: no lock can be
    // held by a thread that does not exist in the child.
    let pid = check(unsafe { libc::fork() }.into())?;
    Ok(match Pid::from_raw(pid as i32) {
        Some(pid) => Fork::Parent(pid),
        None => Fork::Child,
    })
}

/// unshare(2) of this process, which has one thread only.
pub(crate) fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: only CLONE_FILES is a danger to borrowed descriptors, and nobody passes it.
    Ok(unsafe { rustix::thread::unshare_unsafe(flags) }?)
}

/// Marks all descriptors from `first` on to be closed by execve(2).
pub(crate) fn close_on_exec_from(first: c_uint) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: sets a flag on descriptors, touches no memory.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, c_uint::MAX, flags) })?;
    Ok(())
}

/// Sets attributes (`MOUNT_ATTR_*`) of a mount and all mounts below it.
pub(crate) fn mount_set(mount: BorrowedFd<'_>, set: u64) -> io::Result<()> {
    let attributes = libc::mount_attr { attr_set: set, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string and the attributes outlive the call, with their size.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &attributes as *const libc::mount_attr,
            size_of::<libc::mount_attr>(),
        )
    })?;
    Ok(())
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect()
}

/// Executes a program by path. Returns only if that fails.
pub(crate) fn execve(program: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: all strings are NUL-terminated, both lists end with a null pointer, and all live
    // until the call returns.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Executes the program behind a descriptor. Returns only if that fails.
pub(crate) fn fexecve(program: BorrowedFd<'_>, argv: &[CString], env: &[CString]) -> io::Error {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: as in `execve`; the descriptor is open.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            program.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}

/// Sets the host name of the UTS namespace.
pub(crate) fn set_host_name(name: &str) -> io::Result<()> {
    // SAFETY: pointer and length belong together.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }.into())?;
    Ok(())
}

/// Makes a signal be ignored, or have its default effect again.
pub(crate) fn ignore_signal(signal: c_int, ignore: bool) {
    let disposition = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither disposition runs code of ours.
    unsafe { libc::signal(signal, disposition) };
}

/// Takes away a capability for good (capabilities(7), "Capability bounding set").
pub(crate) fn drop_from_bounding_set(capability: u32) -> io::Result<()> {
    // SAFETY: prctl with numbers only.
    check(
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, c_ulong::from(capability), 0, 0, 0) }.into(),
    )?;
    Ok(())
}

/// Sets the ids of this process for good: groups, then group, then user.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    // SAFETY: pointer and length belong together; the helper has one thread, so glibc's
    // synchronisation of threads has nothing to do.
    unsafe {
        check(libc::setgroups(groups.len(), groups.as_ptr()).into())?;
        check(libc::setresgid(gid, gid, gid).into())?;
        check(libc::setresuid(uid, uid, uid).into())?;
    }
    Ok(())
}

/// Brings the loopback interface of the current network namespace up.
pub(crate) fn loopback_up() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    // SAFETY: SIOCSIFFLAGS reads an ifreq whose name ends with NUL.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }.into())?;
    Ok(())
}

/// Installs a seccomp filter, with a descriptor for its notifications if `listen`.
pub(crate) fn load_filter(
    program: &[libc::sock_filter],
    listen: bool,
) -> io::Result<Option<OwnedFd>> {
    let program = libc::sock_fprog {
        len: program.len().try_into().map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_ptr().cast_mut(),
    };
    let load = |flags: c_ulong| {
        // SAFETY: the kernel copies the program, whose length is given, before it returns.
        check(unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                c_long::from(libc::SECCOMP_SET_MODE_FILTER as i32),
                flags,
                &program as *const libc::sock_fprog,
            )
        })
    };
    if !listen {
        load(0)?;
        return Ok(None);
    }
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // From Linux 5.19 on, signals that a thread can survive do not interrupt it while it is
    // answered; Go programs send themselves many.
    let fd = match load(listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => load(listener)?,
        result => result?,
    };
    // SAFETY: the call just gave a new descriptor that nothing else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd as c_int) }))
}

/// The next notification (seccomp_unotify(2)).
pub(crate) fn next_notification(listener: BorrowedFd<'_>) -> io::Result<libc::seccomp_notif> {
    // SAFETY: all zeros is a valid seccomp_notif, and what the kernel demands.
    let mut notification: libc::seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
    let request = libc::SECCOMP_IOCTL_NOTIF_RECV;
    // SAFETY: the kernel fills in the structure that this request is defined with.
    check(unsafe { libc::ioctl(listener.as_raw_fd(), request, &mut notification) }.into())?;
    Ok(notification)
}

/// Whether whoever caused a notification still waits for its answer.
pub(crate) fn still_waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    let request = libc::SECCOMP_IOCTL_NOTIF_ID_VALID;
    // SAFETY: the kernel reads a number.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, &id) == 0 }
}

/// The answer to a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The system call returns this.
    Value(i64),
    /// The system call fails.
    Error(i32),
    /// The system call is executed after all.
    Continue,
}

/// Answers a notification. It is no error if nobody waits any more.
pub(crate) fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> io::Result<()> {
    let (val, error, flags) = match answer {
        Answer::Value(value) => (value, 0, 0),
        Answer::Error(errno) => (0, -errno, 0),
        Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
    };
    let response = libc::seccomp_notif_resp { id, val, error, flags };
    let request = libc::SECCOMP_IOCTL_NOTIF_SEND;
    // SAFETY: the kernel reads the structure that this request is defined with.
    match check(unsafe { libc::ioctl(listener.as_raw_fd(), request, &response) }.into()) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// Makes a descriptor the standard input.
pub(crate) fn replace_stdin(fd: &OwnedFd) -> io::Result<()> {
    replace(fd, libc::STDIN_FILENO)
}

/// Makes a descriptor the standard output.
pub(crate) fn replace_stdout(fd: &OwnedFd) -> io::Result<()> {
    replace(fd, libc::STDOUT_FILENO)
}

/// Makes a descriptor the standard error.
pub(crate) fn replace_stderr(fd: &OwnedFd) -> io::Result<()> {
    replace(fd, libc::STDERR_FILENO)
}

fn replace(fd: &OwnedFd, standard: c_int) -> io::Result<()> {
    // SAFETY: the callers' descriptors are owned by nobody but the standard library's `Stdin` and
    // its like, which only look at their number.
    check(unsafe { libc::dup2(fd.as_raw_fd(), standard) }.into())?;
    Ok(())
}

/// fstat(2) of an open file, with another owner: the bytes of `struct stat`.
pub(crate) fn stat_bytes(file: BorrowedFd<'_>, owner: (u32, u32)) -> io::Result<Vec<u8>> {
    // SAFETY: all zeros is a valid stat.
    let mut stat: libc::stat = unsafe { MaybeUninit::zeroed().assume_init() };
    let flags = libc::AT_EMPTY_PATH;
    // SAFETY: the path is a C string, and the kernel fills in the structure.
    check(unsafe { libc::fstatat(file.as_raw_fd(), c"".as_ptr(), &mut stat, flags) }.into())?;
    (stat.st_uid, stat.st_gid) = owner;
    Ok(bytes_of(&stat))
}

/// statx(2) of an open file, with another owner: the bytes of `struct statx`.
pub(crate) fn statx_bytes(
    file: BorrowedFd<'_>,
    flags: c_int,
    mask: c_uint,
    owner: (u32, u32),
) -> io::Result<Vec<u8>> {
    // SAFETY: all zeros is a valid statx.
    let mut stat: libc::statx = unsafe { MaybeUninit::zeroed().assume_init() };
    let (fd, flags) = (file.as_raw_fd(), flags | libc::AT_EMPTY_PATH);
    // SAFETY: the path is a C string, and the kernel fills in the structure.
    check(unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, &mut stat) }.into())?;
    (stat.stx_uid, stat.stx_gid) = owner;
    Ok(bytes_of(&stat))
}

/// The bytes of a structure that the kernel and C share, which was all zeros before it was filled
/// in, so that its padding is initialised too.
fn bytes_of<T>(value: &T) -> Vec<u8> {
    // SAFETY: see above; the pointer is valid for the size of the type.
    unsafe { std::slice::from_raw_parts((value as *const T).cast::<u8>(), size_of::<T>()) }.to_vec()
}

/// Lets the kernel switch to and from whoever serves a listener without a detour (Linux 6.6).
pub(crate) fn wake_in_place(listener: BorrowedFd<'_>) {
    const SYNC_WAKE_UP: u64 = 1;
    let request = libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS;
    // SAFETY: takes a number. Where it isn't known, things are slower, no more.
    unsafe { libc::ioctl(listener.as_raw_fd(), request, SYNC_WAKE_UP) };
}
