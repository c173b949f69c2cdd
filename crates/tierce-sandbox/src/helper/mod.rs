//! The helper process: enters a user namespace and does one job there.

mod attributes;
mod credentials;
mod diff;
mod facts;
mod files;
mod filter;
mod init;
mod layers;
mod metadata;
mod mounts;
mod overlay;
mod pattern;
mod resolve;
mod run;
mod secrets;
mod stdio;
mod supervisor;
mod tasks;
mod unpack;
mod users;

use crate::protocol::{self, Job, Reply, Request};
use crate::{Errno, HelperError, RunError, secret, sys};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};
use rustix::mount::{MountPropagationFlags, OpenTreeFlags};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// The helper's whole life. A program calls this, before it does anything else, when it is
/// started as [`crate::Helper`] says. Standard input is the socket to tierce.
pub fn helper_main() -> ! {
    let stdin = io::stdin();
    let code = match serve(stdin.as_fd()) {
        Ok(()) => 0,
        Err(error) => {
            // Nobody may be there any more to hear it.
            let _ = protocol::send(stdin.as_fd(), &Reply::Failed(error), &[]);
            1
        }
    };
    std::process::exit(code)
}

fn serve(socket: BorrowedFd<'_>) -> Result<(), HelperError> {
    // Ctrl-C in the terminal is tierce's to handle: it will say what is to be done.
    sys::ignore_signal(libc::SIGINT, true);
    sys::ignore_signal(libc::SIGQUIT, true);
    rustix::process::umask(Mode::empty());
    loop {
        let message = protocol::receive(socket).map_err(HelperError::setup("hear tierce"))?;
        match message {
            Some((Request::Enter { shield }, _)) => {
                enter(socket)?;
                if shield {
                    // Comes back to this function, in the new program.
                    return Err(shielded());
                }
            }
            Some((Request::Work, fds)) => {
                let (job, fds) =
                    protocol::read_job(fds).map_err(HelperError::setup("read its job"))?;
                let reply = work(socket, job, fds);
                return protocol::send(socket, &reply, &[])
                    .map_err(HelperError::setup("answer tierce"));
            }
            // tierce is gone, or talks nonsense.
            Some((Request::Mapped | Request::Kill, _)) | None => return Err(HelperError::Died),
        }
    }
}

/// Enters a new user namespace, as its root.
fn enter(socket: BorrowedFd<'_>) -> Result<(), HelperError> {
    sys::unshare(UnshareFlags::NEWUSER)
        .map_err(|error| HelperError::UserNamespace(error.into()))?;
    protocol::send(socket, &Reply::Entered, &[]).map_err(HelperError::setup("answer tierce"))?;
    match protocol::receive(socket).map_err(HelperError::setup("hear tierce"))? {
        Some((Request::Mapped, _)) => {}
        _ => return Err(HelperError::Died),
    }
    // With a single id the kernel forbids setgroups, and the groups stay what they were: they
    // give nothing that the user does not have anyway.
    let _ = rustix::thread::set_thread_groups(&[]);
    let (uid, gid) = (rustix::process::Uid::ROOT, rustix::process::Gid::ROOT);
    rustix::thread::set_thread_res_gid(gid, gid, gid)
        .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid))
        .map_err(HelperError::setup("become root of its namespace"))
}

/// Executes the helper's program once more, from a place where it can't be written: a program in
/// the sandbox that gets hold of `/proc/PID/exe` must not be able to change it (CVE-2019-5736).
/// Returns only if that fails.
fn shielded() -> HelperError {
    let argv = std::env::args_os().map(|arg| CString::new(arg.into_vec()));
    let argv: Vec<CString> = argv.map(Result::unwrap_or_default).collect();
    let program = match read_only_mount().or_else(|_| sealed_copy()) {
        Ok(program) => program,
        Err(error) => return HelperError::setup("protect its program")(error),
    };
    HelperError::setup("execute its protected program")(sys::fexecve(program.as_fd(), &argv, &[]))
}

/// The running program through a read-only mount of its own.
fn read_only_mount() -> io::Result<OwnedFd> {
    sys::unshare(UnshareFlags::NEWNS)?;
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    let path = std::fs::read_link("/proc/self/exe")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = rustix::mount::open_tree(rustix::fs::CWD, &path, flags)?;
    sys::mount_set(tree.as_fd(), libc::MOUNT_ATTR_RDONLY)?;
    let program = rustix::fs::openat(&tree, "", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .or_else(|_| tree.try_clone().map_err(|_| rustix::io::Errno::BADF))?;
    let (found, running) = (rustix::fs::fstat(&program)?, rustix::fs::stat("/proc/self/exe")?);
    match (found.st_dev, found.st_ino) == (running.st_dev, running.st_ino) {
        true => Ok(program),
        // It was replaced while it ran, by an upgrade.
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// A copy of the running program in memory that nobody can change.
fn sealed_copy() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = std::fs::File::from(rustix::fs::memfd_create("tierce-helper", flags)?);
    io::copy(&mut std::fs::File::open("/proc/self/exe")?, &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

fn work(socket: BorrowedFd<'_>, job: Job, fds: Vec<OwnedFd>) -> Reply {
    let mut fds = fds.into_iter();
    match (job, fds.next()) {
        (Job::Nothing, _) => Reply::Nothing,
        (Job::Run { mut process, secrets, record }, first) => {
            let (values, stdin) = match process.has_secrets() {
                true => (first, fds.next()),
                false => (None, first),
            };
            let unpacked = match values {
                Some(values) => secret::unpack(&mut process, &secrets, values)
                    .map_err(RunError::setup("take secrets")),
                None => Ok(()),
            };
            Reply::Ran(unpacked.and_then(|()| run::run(socket, &process, record, stdin)))
        }
        (Job::Unpack { dest, record }, Some(layer)) => {
            Reply::Unpacked(unpack::unpack(layer.into(), &dest, record))
        }
        (Job::Diff(job), Some(out)) => Reply::Diffed(diff::diff(&job, out.into())),
        (Job::Remove(directory), _) => Reply::Removed(remove(&directory).map_err(Errno::from)),
        (Job::Unpack { .. } | Job::Diff(_), None) => Reply::Failed(HelperError::Died),
    }
}

fn remove(directory: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
