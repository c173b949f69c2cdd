//! tierce's side of the helper process.

use crate::protocol::{self, Job, Reply, Request};
use crate::{HelperError, IdMapping};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// How to start the helper: a program that calls [`crate::helper_main`] when it is started with
/// these arguments. The current program with a hidden subcommand will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Helper {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl Helper {
    /// A program that needs no arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Helper { program: program.into(), args: Vec::new() }
    }

    /// The same with one more argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }
}

/// Where the helper's output goes, and whether it has a process group of its own.
pub(crate) struct Terminal {
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
    pub(crate) foreground: bool,
}

impl Terminal {
    /// No output: all that the helper has to say goes over its socket.
    pub(crate) fn none() -> Self {
        Terminal { stdout: Stdio::null(), stderr: Stdio::null(), foreground: false }
    }
}

/// A helper inside its user namespace. Killed, with all that it started, when dropped.
pub(crate) struct Session {
    pub(crate) socket: OwnedFd,
    child: Child,
}

impl Session {
    /// Starts a helper and brings it into a user namespace with this mapping.
    pub(crate) fn start(
        helper: &Helper,
        mapping: &IdMapping,
        terminal: Terminal,
        shield: bool,
    ) -> Result<Self, HelperError> {
        let (socket, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(HelperError::setup("make a socket"))?;
        let mut command = Command::new(&helper.program);
        command.args(&helper.args).env_clear().stdin(theirs);
        command.stdout(terminal.stdout).stderr(terminal.stderr).current_dir("/");
        if !terminal.foreground {
            command.process_group(0);
        }
        let child = command.spawn().map_err(|source| HelperError::Start {
            program: helper.program.display().to_string(),
            source: source.into(),
        })?;
        // The command holds the helper's end of the socket.
        drop(command);
        let mut session = Session { socket, child };
        session.say(&Request::Enter { shield })?;
        match session.hear()? {
            Reply::Entered => mapping.apply(session.child.id())?,
            Reply::Failed(error) => return Err(error),
            _ => return Err(HelperError::Died),
        }
        session.say(&Request::Mapped)?;
        Ok(session)
    }

    /// Gives the job, which must be the only one.
    pub(crate) fn work(&self, job: &Job, fds: &[BorrowedFd<'_>]) -> Result<(), HelperError> {
        protocol::send_job(&self.socket, job, fds).map_err(gone)
    }

    /// What the helper says next.
    pub(crate) fn hear(&mut self) -> Result<Reply, HelperError> {
        match protocol::receive(&self.socket).map_err(gone)? {
            Some((Reply::Failed(error), _)) => Err(error),
            Some((reply, _)) => Ok(reply),
            None => Err(HelperError::Died),
        }
    }

    /// Asks for the end of what runs. It is no error if the helper ended by itself.
    pub(crate) fn kill(&self) {
        let _ = self.say(&Request::Kill);
    }

    fn say(&self, request: &Request) -> Result<(), HelperError> {
        protocol::send(&self.socket, request, &[]).map_err(gone)
    }
}

/// A helper that can't be talked to has died; other errors are ours.
fn gone(error: io::Error) -> HelperError {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => HelperError::Died,
        _ => HelperError::setup("talk to tierce")(error),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Processes in the sandbox die with their init, which dies with the helper.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
