//! The Python process that loads files.

use super::error::PythonError;
use super::protocol::{PROTOCOL, Reply, Request};
use crate::commands::failure::{CliError, Failure};
use crate::commands::project::{interrupted, is_under_nohup};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// What Python is started with: it finds the `tierce` package, or says that there is none.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// How long the answer of a Python that has ended may be on its way.
const LINGER: Duration = Duration::from_secs(1);

/// How long a Python that is interrupted may take to clean up.
const GRACE: Duration = Duration::from_secs(2);

/// The same for one that builds.
const CLEANUP: Duration = Duration::from_secs(15);

/// Has `python` load what `request` says. Its output goes to standard error; it never outlives
/// this program.
pub fn load(python: &Path, request: &Request<'_>) -> Result<Reply, Failure> {
    // The loader ends with the thread that started it, which is this one.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let (status, line) = runtime.block_on(run(python, request))?;
    if !status.success() || line.is_empty() {
        return Err(PythonError::Ended { python: python.to_owned(), status }.into());
    }
    let reply: Reply = serde_json::from_slice(&line)
        .map_err(|source| PythonError::Garbage { python: python.to_owned(), source })?;
    if reply.protocol != PROTOCOL {
        return Err(PythonError::Protocol {
            python: reply.python.executable,
            package: reply.python.tierce.unwrap_or_default(),
        }
        .into());
    }
    match &reply.missing {
        None => Ok(reply),
        Some(reason) => Err(PythonError::NoPackage {
            python: reply.python.executable.clone(),
            version: reply.python.version.clone(),
            reason: reason.clone(),
        }
        .into()),
    }
}

/// How the process ended, and what it answered.
async fn run(python: &Path, request: &Request<'_>) -> Result<(ExitStatus, Vec<u8>), Failure> {
    let stopped = interrupted(is_under_nohup());
    let (mut child, socket) = start(python)?;
    let mut line = serde_json::to_vec(request).expect("requests have only string keys");
    line.push(b'\n');
    let exchange = async {
        let mut answer = pin!(ask(socket, &line));
        let mut answered = None;
        let status = tokio::select! {
            line = &mut answer => {
                answered = Some(line);
                child.wait().await
            }
            status = child.wait() => status,
        };
        let answered = match answered {
            Some(line) => line,
            // What it has started may have kept the socket.
            None => timeout(LINGER, answer).await.unwrap_or_default(),
        };
        status.map(|status| (status, answered)).map_err(|source| start_error(python, source))
    };
    tokio::select! {
        done = exchange => return done,
        _ = stopped => {}
    }
    let grace = if request.build.is_some() { CLEANUP } else { GRACE };
    end(child, grace).await;
    Err(CliError::Interrupted.into())
}

/// Sends a line and gives the one that comes back; nothing if none does.
async fn ask(socket: UnixStream, line: &[u8]) -> Vec<u8> {
    let mut socket = BufReader::new(socket);
    let mut answer = vec![];
    // One that does not listen has ended, and why is seen from its exit status.
    if socket.write_all(line).await.is_ok() {
        let _ = socket.read_until(b'\n', &mut answer).await;
    }
    answer
}

fn start(python: &Path) -> Result<(Child, UnixStream), Failure> {
    let failed = |source| start_error(python, source);
    let (ours, theirs) = StdUnixStream::pair().map_err(failed)?;
    ours.set_nonblocking(true).map_err(failed)?;
    // What files print is for people: results alone are on standard output.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut command = Command::new(python);
    command.arg("-c").arg(BOOTSTRAP);
    command.stdin(OwnedFd::from(theirs)).stdout(stderr).process_group(0).kill_on_drop(true);
    let child = command.spawn().map_err(failed)?;
    Ok((child, UnixStream::from_std(ours).map_err(failed)?))
}

fn start_error(python: &Path, source: std::io::Error) -> Failure {
    PythonError::Start { python: python.to_owned(), source }.into()
}

/// Ends the process and all that it started.
async fn end(mut child: Child, grace: Duration) {
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let Some(group) = group else { return };
    // As Ctrl-C would: files may have something to clean up.
    let _ = kill_process_group(group, Signal::INT);
    // Reaping it frees its id, so the group is killed before.
    let ended = async {
        while !has_ended(group) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = timeout(grace, ended).await;
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait().await;
}

/// Whether the process is one that nobody has waited for yet.
fn has_ended(process: Pid) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(process), options), Ok(None))
}
