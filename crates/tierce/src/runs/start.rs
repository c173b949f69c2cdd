//! Starting a run.

use super::active::RUN_ARGUMENT;
use super::record::{OUTPUT, PLAN, Plan, create, remove, seconds_now, tail, write};
use super::{Run, RunError, RunId, Runs, UNFINISHED, lock};
use std::ffi::OsString;
use std::fs::{self, DirBuilder};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tierce_spec::without_credentials;

/// What the new process says once it is on its own.
pub(super) const READY: &str = "ready";

/// What to start.
#[derive(Clone, Debug)]
pub struct StartRun {
    /// The program: one that gives runs to [`super::ActiveRun::adopt`] when its first argument is
    /// [`RUN_ARGUMENT`].
    pub program: PathBuf,
    /// Its further arguments, after [`RUN_ARGUMENT`] and the run's directory.
    pub arguments: Vec<OsString>,
    /// The image's name, as far as it is known.
    pub uri: String,
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
        let started = Command::new(&start.program)
            .arg(RUN_ARGUMENT)
            .arg(&directory)
            .args(&start.arguments)
            .stdin(Stdio::from(lock))
            .stdout(Stdio::piped())
            .stderr(Stdio::from(output))
            .spawn()
            .map_err(RunError::Spawn)
            .and_then(|child| await_ready(child, &directory));
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
            .arguments
            .iter()
            .map(|argument| without_credentials(&argument.to_string_lossy()))
            .collect(),
        directory: directory.display().to_string(),
        started: seconds_now(),
    }
}

/// Waits until the process has the run, or has ended.
fn await_ready(mut child: Child, directory: &Path) -> Result<(), RunError> {
    let mut line = String::new();
    let heard = match child.stdout.take() {
        Some(stdout) => BufReader::new(stdout).read_line(&mut line),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    };
    if heard.is_ok() && line.trim_end() == READY {
        // Nobody here waits for its end; its exit status has to be taken all the same.
        std::thread::spawn(move || child.wait());
        return Ok(());
    }
    let _ = child.kill();
    let _ = child.wait();
    Err(RunError::Stillborn { output: tail(&directory.join(OUTPUT)) })
}
