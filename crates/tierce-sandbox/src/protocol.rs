//! What tierce and its helper say to each other over a socket of packets.

use crate::{DiffError, Errno, Exit, HelperError, Process, RunError, UnpackError, Unpacked};
use crate::{options::DiffJob, wire};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use tierce_layer::LayerInfo;

/// From tierce to the helper.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Enter a user namespace and say so; then wait for [`Request::Mapped`].
    Enter {
        /// Whether to go on from a read-only mount of the helper's program.
        shield: bool,
    },
    /// The ids are set.
    Mapped,
    /// Do this. The message carries a file with the [`Job`], and the job's own descriptors.
    Work,
    /// Kill what runs.
    Kill,
}

/// What the helper has to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Job {
    /// Only enter.
    Nothing,
    /// With the values of its secrets, if it has any, and standard input, if it is inherited.
    Run {
        process: Box<Process>,
        /// How long each value is.
        secrets: Vec<usize>,
        /// Whether owners are recorded instead of set.
        record: bool,
    },
    /// With the layer.
    Unpack {
        #[serde(with = "wire::path")]
        dest: PathBuf,
        record: bool,
    },
    /// With the output.
    Diff(DiffJob),
    Remove(#[serde(with = "wire::path")] PathBuf),
}

/// From the helper to tierce.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// In a new user namespace.
    Entered,
    Failed(HelperError),
    Nothing,
    Ran(Result<Exit, RunError>),
    Unpacked(Result<Unpacked, UnpackError>),
    Diffed(Result<Option<LayerInfo>, DiffError>),
    Removed(Result<(), Errno>),
}

/// Nothing that is said is longer; jobs travel as files.
const MAX_MESSAGE: usize = 1 << 16;
const MAX_FDS: usize = 4;

/// Sends a message with descriptors.
pub(crate) fn send(
    socket: impl AsFd,
    message: &impl Serialize,
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    sendmsg(socket, &[IoSlice::new(&body)], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a message; `None` if the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(
    socket: impl AsFd,
) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut body = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        let mut body = [IoSliceMut::new(&mut body)];
        recvmsg(&socket, &mut body, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
    })?;
    let fds = ancillary.drain().flat_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => fds.collect(),
        _ => Vec::new(),
    });
    let fds = fds.collect();
    if received.bytes == 0 {
        return Ok(None);
    }
    Ok(Some((serde_json::from_slice(&body[..received.bytes])?, fds)))
}

/// Sends a job, with its descriptors.
pub(crate) fn send_job(socket: impl AsFd, job: &Job, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let file = rustix::fs::memfd_create("tierce-job", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(file);
    file.write_all(&serde_json::to_vec(job)?)?;
    file.rewind()?;
    let mut all = vec![file.as_fd()];
    all.extend(fds);
    send(socket, &Request::Work, &all)
}

/// The job and its descriptors, from those that came with [`Request::Work`].
pub(crate) fn read_job(mut fds: Vec<OwnedFd>) -> io::Result<(Job, Vec<OwnedFd>)> {
    if fds.is_empty() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut body = Vec::new();
    std::fs::File::from(fds.remove(0)).read_to_end(&mut body)?;
    Ok((serde_json::from_slice(&body)?, fds))
}
