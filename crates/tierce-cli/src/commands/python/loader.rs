//! The Python process that loads files.

use super::error::PythonError;
use super::protocol::{File, PROTOCOL, Reply, Request};
use crate::commands::failure::{CliError, Failure};
use crate::commands::project::{interrupted, is_under_nohup};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::cell::RefCell;
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
/// this program. A file that ends Python is one that can't be loaded: another process goes on with
/// those after it.
pub fn load(python: &Path, request: &Request<'_>) -> Result<Reply, Failure> {
    // The loader ends with the thread that started it, which is this one.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let (mut files, mut rest) = (vec![], request.files);
    loop {
        let request = Request { files: rest, ..*request };
        let (status, lines) = runtime.block_on(run(python, &request))?;
        let ended = || PythonError::Ended { python: python.to_owned(), status };
        let mut last = None;
        for line in &lines {
            let mut reply = understood(python, line)?;
            files.append(&mut reply.files);
            last = Some(reply);
        }
        let mut last = last.ok_or_else(ended)?;
        let fatal = last.loading.take();
        let place = fatal.as_ref().and_then(|file| rest.iter().position(|known| known == file));
        match (fatal, place) {
            (Some(file), Some(place)) => {
                files.push(File::fatal(file, status));
                rest = &rest[place + 1..];
            }
            (None, _) if status.success() => rest = &[],
            _ => return Err(ended().into()),
        }
        if rest.is_empty() {
            return Ok(Reply { files, ..last });
        }
    }
}

/// What a line says, if it is for this program.
fn understood(python: &Path, line: &[u8]) -> Result<Reply, PythonError> {
    let reply: Reply = serde_json::from_slice(line)
        .map_err(|source| PythonError::Garbage { python: python.to_owned(), source })?;
    if reply.protocol != PROTOCOL {
        return Err(PythonError::Protocol {
            python: reply.python.executable,
            package: reply.python.tierce.unwrap_or_default(),
        });
    }
    match &reply.missing {
        None => Ok(reply),
        Some(reason) => Err(PythonError::NoPackage {
            python: reply.python.executable.clone(),
            version: reply.python.version.clone(),
            reason: reason.clone(),
        }),
    }
}

/// A line on the socket.
type Line = Vec<u8>;

/// How the process ended, and what it answered.
async fn run(python: &Path, request: &Request<'_>) -> Result<(ExitStatus, Vec<Line>), Failure> {
    let stopped = interrupted(is_under_nohup());
    let (mut child, socket) = start(python)?;
    let mut line = serde_json::to_vec(request).expect("requests have only string keys");
    line.push(b'\n');
    let answers = RefCell::new(vec![]);
    let exchange = async {
        let mut asked = pin!(ask(socket, &line, &answers));
        let status = tokio::select! {
            () = &mut asked => child.wait().await,
            status = child.wait() => {
                // What it has started may have kept the socket.
                let _ = timeout(LINGER, asked).await;
                status
            }
        };
        let status = status.map_err(|source| start_error(python, source))?;
        Ok((status, answers.take()))
    };
    tokio::select! {
        done = exchange => return done,
        _ = stopped => {}
    }
    let grace = if request.build.is_some() { CLEANUP } else { GRACE };
    end(child, grace).await;
    Err(CliError::Interrupted.into())
}

/// What of an answer says whether another one follows.
#[derive(Deserialize)]
struct Step {
    loading: Option<IgnoredAny>,
}

/// Sends a line and collects those that come back.
async fn ask(socket: UnixStream, line: &[u8], answers: &RefCell<Vec<Line>>) {
    let mut socket = BufReader::new(socket);
    // One that does not listen has ended, and why is seen from its exit status.
    if socket.write_all(line).await.is_err() {
        return;
    }
    let mut answer = vec![];
    while socket.read_until(b'\n', &mut answer).await.is_ok() && answer.ends_with(b"\n") {
        let step = serde_json::from_slice(&answer);
        answers.borrow_mut().push(std::mem::take(&mut answer));
        if !matches!(step, Ok(Step { loading: Some(_) })) {
            return;
        }
    }
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
