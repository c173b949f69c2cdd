//! The Python process that loads files.

use super::error::PythonError;
use super::protocol::{PROTOCOL, Reply, Request};
use crate::commands::failure::{CliError, Failure};
use crate::commands::project::{interrupted, is_under_nohup};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};

/// What Python is started with: it finds the `tierce` package, or says that there is none.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// How long a Python that is interrupted may take to clean up.
const GRACE: Duration = Duration::from_secs(2);

/// Has `python` load what `request` says. Its output goes to standard error; it never outlives
/// this program.
pub fn load(python: &Path, request: &Request<'_>) -> Result<Reply, Failure> {
    // The loader ends with the thread that started it, which is this one.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    let status = runtime.block_on(run(python, request))?;
    let text = std::fs::read(request.reply).ok().filter(|_| status.success());
    let Some(text) = text else {
        return Err(PythonError::Ended { python: python.to_owned(), status }.into());
    };
    let reply: Reply = serde_json::from_slice(&text)
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

async fn run(python: &Path, request: &Request<'_>) -> Result<ExitStatus, Failure> {
    let stopped = interrupted(is_under_nohup());
    let mut child = start(python)?;
    let mut line = serde_json::to_vec(request).expect("requests have only string keys");
    line.push(b'\n');
    let told = async {
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not listen has ended, and why is seen below.
            let _ = stdin.write_all(&line).await;
        }
        child.wait().await
    };
    tokio::select! {
        status = told => return status.map_err(|source| start_error(python, source)),
        _ = stopped => {}
    }
    end(child).await;
    Err(CliError::Interrupted.into())
}

fn start(python: &Path) -> Result<Child, Failure> {
    let failed = |source| start_error(python, source);
    // What files print is for people: results alone are on standard output.
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().map_err(failed)?;
    let mut command = Command::new(python);
    command.arg("-c").arg(BOOTSTRAP);
    command.stdin(Stdio::piped()).stdout(stderr).process_group(0).kill_on_drop(true);
    command.spawn().map_err(failed)
}

fn start_error(python: &Path, source: std::io::Error) -> Failure {
    PythonError::Start { python: python.to_owned(), source }.into()
}

/// Ends the process and all that it started.
async fn end(mut child: Child) {
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
    let _ = tokio::time::timeout(GRACE, ended).await;
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait().await;
}

/// Whether the process is one that nobody has waited for yet.
fn has_ended(process: Pid) -> bool {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(process), options), Ok(None))
}
