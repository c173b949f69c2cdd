//! Running a process: the helper's part outside of the sandbox.

use crate::helper::credentials::Credentials;
use crate::helper::init::{self, Start};
use crate::helper::supervisor::Supervisor;
use crate::protocol::{self, Request};
use crate::{Exit, HelperError, Process, RunError, sys};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{PidfdFlags, Resource, Rlimit, Signal, WaitOptions};
use rustix::thread::UnshareFlags;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Runs a process to its end.
pub(crate) fn run(
    socket: BorrowedFd<'_>,
    process: &Process,
    record: bool,
    stdin: Option<OwnedFd>,
) -> Result<Exit, RunError> {
    if process.has_secrets() {
        // Not 0: programs that the kernel pipes dumps to (core(5)) are started whatever the limit
        // is, but for 1, which stands for them. Where less is allowed, nobody may have more.
        let most = rustix::process::getrlimit(Resource::Core).maximum.map_or(1, |m| m.min(1));
        let none = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(Resource::Core, none)
            .map_err(RunError::setup("turn off core dumps"))?;
    }
    let supervisor = match record {
        true => Some(channel().map_err(RunError::setup("make a socket"))?),
        false => None,
    };
    let (ours, theirs) = supervisor.unzip();
    let mut sandbox = start(Start { process, stdin, supervisor: theirs })?;
    sandbox.channel = ours;
    let exit = sandbox.watch(socket);
    if let Some(supervisor) = sandbox.supervisor {
        supervisor.save(&process.scratch).map_err(RunError::setup("record owners"))?;
    }
    exit
}

fn channel() -> Result<(OwnedFd, OwnedFd), rustix::io::Errno> {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// Starts the sandbox's first process.
fn start(start: Start<'_>) -> Result<Running, RunError> {
    let scratch = start.process.scratch.clone();
    let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(RunError::setup("make a pipe"));
    let ((alive, alive_writer), (result, result_writer)) = (pipe()?, pipe()?);
    sys::unshare(UnshareFlags::NEWPID).map_err(RunError::setup("make a process namespace"))?;
    match sys::fork().map_err(RunError::setup("start a process"))? {
        sys::Fork::Child => {
            drop((alive_writer, result));
            first_process(start, alive, result_writer)
        }
        sys::Fork::Parent(pid) => {
            drop((alive, result_writer));
            let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty())
                .map_err(RunError::setup("watch a process"))?;
            // Only now may it start: whatever goes wrong, it is killed with this process.
            rustix::io::write(&alive_writer, b"!").map_err(RunError::setup("start a process"))?;
            let (channel, supervisor) = (None, None);
            Ok(Running { scratch, pid, pidfd, result, channel, supervisor })
        }
    }
}

fn first_process(start: Start<'_>, alive: OwnedFd, result: OwnedFd) -> ! {
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    // A helper that died before that line can't give the sign.
    let mut sign = [0];
    if File::from(alive).read_exact(&mut sign).is_err() {
        std::process::exit(1);
    }
    // The socket to tierce is the helper's alone.
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDWR, rustix::fs::Mode::empty());
    if let Ok(null) = null {
        let _ = sys::replace_stdin(&null);
    }
    let exit = init::init(start);
    let _ = File::from(result).write_all(&serde_json::to_vec(&exit).unwrap_or_default());
    std::process::exit(0)
}

/// A sandbox whose first process was started.
struct Running {
    scratch: std::path::PathBuf,
    pid: rustix::process::Pid,
    pidfd: OwnedFd,
    result: OwnedFd,
    /// Where the descriptor of notifications comes from.
    channel: Option<OwnedFd>,
    supervisor: Option<Supervisor>,
}

impl Running {
    /// Waits for the end, kills when told to, and answers what the supervisor has to answer.
    fn watch(&mut self, socket: BorrowedFd<'_>) -> Result<Exit, RunError> {
        let (mut deserted, mut socket) = (false, Some(socket));
        loop {
            let ready = self.poll(socket).map_err(RunError::setup("wait"))?;
            if ready.ended {
                break;
            }
            if ready.told {
                // The only thing that tierce says now is that it is to end, or nothing at all
                // because it is gone itself.
                deserted = !matches!(protocol::receive::<Request>(self.told(socket)?), Ok(Some(_)));
                socket = None;
                let _ = rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL);
            }
            if ready.channel {
                self.begin_supervision()?;
            }
            if ready.hung_up {
                // All supervised processes are gone.
                if let Some(supervisor) = &mut self.supervisor {
                    supervisor.close();
                }
            } else if ready.notified
                && let Some(supervisor) = &mut self.supervisor
            {
                supervisor.serve().map_err(RunError::setup("supervise"))?;
            }
        }
        // The kernel lets nobody collect the first process before all others are gone.
        let _ = rustix::process::waitpid(Some(self.pid), WaitOptions::empty());
        if deserted {
            return Err(HelperError::Died.into());
        }
        let mut body = Vec::new();
        let result = self.result.try_clone().map(File::from);
        result
            .and_then(|mut result| result.read_to_end(&mut body))
            .map_err(RunError::setup("read the result"))?;
        match serde_json::from_slice(&body) {
            Ok(exit) => exit,
            // Killed before it had anything to say.
            Err(_) if socket.is_none() => Ok(Exit::Signal(libc::SIGKILL)),
            Err(_) => Err(HelperError::Died.into()),
        }
    }

    fn told<'a>(&self, socket: Option<BorrowedFd<'a>>) -> Result<BorrowedFd<'a>, RunError> {
        socket.ok_or(RunError::Helper(HelperError::Died))
    }

    fn begin_supervision(&mut self) -> Result<(), RunError> {
        let Some(channel) = self.channel.take() else { return Ok(()) };
        let message = protocol::receive::<(u32, u32, Vec<u32>)>(&channel);
        // Nothing comes if the sandbox failed before.
        if let Ok(Some(((uid, gid, groups), mut fds))) = message
            && let Some(listener) = fds.pop()
        {
            let supervisor =
                Supervisor::new(listener, Credentials::new(uid, gid, groups), &self.scratch);
            self.supervisor = Some(supervisor.map_err(RunError::setup("supervise"))?);
        }
        Ok(())
    }

    fn poll(&self, socket: Option<BorrowedFd<'_>>) -> Result<Ready, rustix::io::Errno> {
        let listener = self.supervisor.as_ref().and_then(Supervisor::listener);
        let all = [
            Some(self.pidfd.as_fd()),
            socket,
            self.channel.as_ref().map(|channel| channel.as_fd()),
            listener,
        ];
        let mut fds: Vec<PollFd<'_>> =
            all.iter().flatten().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        rustix::io::retry_on_intr(|| poll(&mut fds, None))?;
        let mut events = fds.iter().map(PollFd::revents);
        let mut next = |fd: &Option<BorrowedFd<'_>>| match fd {
            Some(_) => events.next().unwrap_or(PollFlags::empty()),
            None => PollFlags::empty(),
        };
        let [ended, told, channel, notified] = [0, 1, 2, 3].map(|index| next(&all[index]));
        Ok(Ready {
            ended: !ended.is_empty(),
            told: !told.is_empty(),
            channel: !channel.is_empty(),
            notified: notified.contains(PollFlags::IN),
            hung_up: !notified.contains(PollFlags::IN) && !notified.is_empty(),
        })
    }
}

/// What poll found.
struct Ready {
    ended: bool,
    told: bool,
    channel: bool,
    notified: bool,
    hung_up: bool,
}
