//! Starting a run.

use super::active::RUN_ARGUMENT;
use super::record::{OUTPUT, PLAN, Plan, create, remove, seconds_now, tail, write};
use super::{Run, RunError, RunId, RunRequest, Runs, UNFINISHED, lock};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tierce_spec::hide_credentials;

/// What the new process says once it is on its own.
pub(super) const READY: &str = "ready";

/// What to start.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The program: one that gives runs to [`super::ActiveRun::adopt`] when its first argument is
    /// [`RUN_ARGUMENT`].
    pub program: PathBuf,
    /// What it is to build.
    pub input: RunInput,
    /// The image's name, as far as it is known.
    pub uri: String,
}

/// How the new process learns what it is to build.
#[derive(Clone, Debug)]
pub enum RunInput {
    /// From the arguments of a command, after [`RUN_ARGUMENT`] and the run's directory.
    Arguments(Vec<OsString>),
    /// It is told: [`super::ActiveRun::request`].
    Request(Box<RunRequest>),
}

impl RunInput {
    fn arguments(&self) -> &[OsString] {
        match self {
            RunInput::Arguments(arguments) => arguments,
            RunInput::Request(_) => &[],
        }
    }

    /// What the process is told; nothing where it has arguments.
    fn document(&self) -> Vec<u8> {
        match self {
            RunInput::Arguments(_) => vec![],
            RunInput::Request(request) => {
                serde_json::to_vec(request).expect("requests have only string keys")
            }
        }
    }
}

impl Runs {
    /// Starts a process that goes on when this one ends: in a session of its own, with the same
    /// directory and variables. Gives the run once the process is on its own.
    pub fn start(&self, start: &StartRun) -> Result<Run, RunError> {
        let id = RunId::random();
        let staged = self.root.join(format!("{UNFINISHED}{id}"));
        let directory = self.root.join(id.as_str());
        let unwritable = |source| RunError::Write { path: staged.clone(), source };
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        builder.recursive(true).create(&self.root).map_err(unwritable)?;
        builder.recursive(false).create(&staged).map_err(unwritable)?;
        let lock = lock::create(&staged).map_err(unwritable)?;
        let output = create(&staged.join(OUTPUT)).map_err(unwritable)?;
        write(&staged, PLAN, &plan(start))?;
        fs::rename(&staged, &directory).map_err(unwritable)?;
        // What the process is told must be in no file, and comes back the way its answer does.
        let started = UnixStream::pair().and_then(|(ours, theirs)| {
            let child = Command::new(&start.program)
                .arg(RUN_ARGUMENT)
                .arg(&directory)
                .args(start.input.arguments())
                .stdin(Stdio::from(lock))
                .stdout(Stdio::from(OwnedFd::from(theirs)))
                .stderr(Stdio::from(output))
                .spawn()?;
            Ok((child, ours))
        });
        let started = started
            .map_err(RunError::Spawn)
            .and_then(|(child, talk)| await_ready(child, talk, start, &directory));
        match started {
            Ok(()) => Ok(Run { id, directory }),
            Err(error) => {
                remove(&directory);
                Err(error)
            }
        }
    }
}

fn plan(start: &StartRun) -> Plan {
    let directory = std::env::current_dir().unwrap_or_default();
    Plan {
        uri: start.uri.clone(),
        arguments: start
            .input
            .arguments()
            .iter()
            .map(|argument| hide_credentials(&argument.to_string_lossy()))
            .collect(),
        directory: directory.display().to_string(),
        started: seconds_now(),
    }
}

/// Waits until the process has the run, or has ended.
fn await_ready(
    mut child: Child,
    mut talk: UnixStream,
    start: &StartRun,
    directory: &Path,
) -> Result<(), RunError> {
    let mut line = String::new();
    let heard = talk
        .write_all(&start.input.document())
        .and_then(|()| talk.shutdown(Shutdown::Write))
        .and_then(|()| BufReader::new(talk).read_line(&mut line));
    if heard.is_ok() && line.trim_end() == READY {
        // Nobody here waits for its end; its exit status has to be taken all the same.
        std::thread::spawn(move || child.wait());
        return Ok(());
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(RunError::Stillborn { output: tail(&directory.join(OUTPUT)) })
}
