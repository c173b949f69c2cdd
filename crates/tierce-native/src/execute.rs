//! Runs programs on top of layers and takes up what they changed.

use crate::context::{Context, SandboxScratch};
use crate::error::NativeError;
use crate::layer::{Layer, LayerOutcome};
use crate::secret::StepSecrets;
use crate::work::{Execution, Omit};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierce_engine::{OutputStream, StepHandle};
use tierce_sandbox::{DiffOptions, Exit, Mount, Network, Process, Stream};
use tierce_secret::Secrets;
use tierce_store::LockMode;

/// How long a step may take before it is taken for hung.
pub const TIME_LIMIT: Duration = Duration::from_secs(2 * 60 * 60);

/// How many of a failing step's last lines its error shows.
const TAIL: usize = 30;

/// A program in a root file system, ready to run.
pub struct Job {
    /// The program's root, environment and mounts.
    pub process: Process,
    /// What its errors call it.
    pub title: String,
    /// What it sees, and must not be heard saying.
    pub secrets: StepSecrets,
}

/// Commands that ran.
pub struct Ran {
    /// What they ran on.
    roots: Vec<PathBuf>,
    /// What they changed.
    scratch: SandboxScratch,
    /// When they began.
    started: i64,
    /// What they saw.
    secrets: StepSecrets,
}

impl Context {
    /// Runs the commands on top of `lowers`; what they changed is the layer.
    pub async fn execute(
        &self,
        execution: &Execution,
        title: &str,
        lowers: Vec<Layer>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        self.execute_with(execution, title, lowers, vec![], step).await
    }

    /// The same, with `mounts` besides its caches.
    pub async fn execute_with(
        &self,
        execution: &Execution,
        title: &str,
        lowers: Vec<Layer>,
        mounts: Vec<Mount>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        let ran = self.run_all(execution, title, lowers, mounts, step).await?;
        let Ran { roots, scratch, started, secrets } = ran;
        self.diff(roots, scratch.path.clone(), started, execution.omit, secrets).await
    }

    /// Runs the commands on top of `lowers`.
    pub async fn run_all(
        &self,
        execution: &Execution,
        title: &str,
        lowers: Vec<Layer>,
        mut mounts: Vec<Mount>,
        step: &StepHandle,
    ) -> Result<Ran, NativeError> {
        let secrets = StepSecrets::new(&execution.secrets, &self.secrets)?;
        let roots = self.materialise(&lowers, step).await?;
        let scratch = self.scratch("step")?;
        let own_caches = match secrets.is_empty() {
            true => None,
            false => Some(self.scratch("step-caches")?),
        };
        let mut locks = vec![];
        for (index, cache) in execution.caches.iter().enumerate() {
            let source = match &own_caches {
                // Programs write what they like into them, and later steps see it: what has seen
                // a secret has caches of its own, which end with it.
                Some(own) => own.path.join(index.to_string()),
                None => {
                    // apt refuses to share its directories: whoever comes second waits.
                    let lock = format!("cache-{}", cache.name);
                    locks.push(self.lock(lock, LockMode::Exclusive).await?);
                    let name = format!("{}-{}", self.sandbox()?.variant, cache.name);
                    self.store.cache_dir(&name)?
                }
            };
            mounts.push(Mount::Cache { source, target: cache.target.clone() });
        }
        let started = now();
        for argv in &execution.commands {
            let mut process = Process::new(roots.clone(), scratch.path.clone(), argv.clone());
            process.env = self.step_environment(&execution.env);
            process.cwd = execution.cwd.clone();
            process.user = execution.user.clone();
            process.network = match execution.network {
                tierce_spec::Network::Host => Network::Host,
                tierce_spec::Network::None => Network::None,
            };
            process.mounts = mounts.clone();
            process.ca_bundle = self.settings.ca_bundle.clone();
            process.time_limit = Some(TIME_LIMIT);
            secrets.give(&mut process);
            let (title, secrets) = (title.to_owned(), secrets.clone());
            self.run(Job { process, title, secrets }, step).await?;
        }
        drop(locks);
        Ok(Ran { roots, scratch, started, secrets })
    }

    /// Runs a program to its end; anything but success is an error with its last lines.
    pub async fn run(&self, job: Job, step: &StepHandle) -> Result<(), NativeError> {
        let sandbox = self.sandbox()?.sandbox.clone();
        // A build that is given up ends with its future.
        let cancel = self.cancel.child();
        let _given_up = cancel.on_drop();
        let step = step.reporter();
        let Job { process, title, secrets } = job;
        tokio::task::spawn_blocking(move || {
            let mut lines = Lines::new(secrets.hidden().clone());
            let mut tail: VecDeque<String> = VecDeque::new();
            let mut emit = |stream: Stream, line: String| {
                let line = secrets.hidden().redact(&line).into_owned();
                if tail.len() == TAIL {
                    tail.pop_front();
                }
                tail.push_back(line.clone());
                step.line(output_stream(stream), line);
            };
            let exit = sandbox.run(
                &process,
                &mut |stream, bytes| lines.push(stream, bytes, &mut emit),
                &cancel,
            )?;
            lines.flush(&mut emit);
            match exit {
                Exit::Code(0) => Ok(()),
                Exit::Cancelled => Err(NativeError::Interrupted),
                exit => Err(NativeError::StepFailed { title, exit, tail: tail.into() }),
            }
        })
        .await?
    }

    /// The changes in `scratch` as a layer in the store, unless there are secrets in them.
    pub async fn diff(
        &self,
        lowers: Vec<PathBuf>,
        scratch: PathBuf,
        started: i64,
        omit: Omit,
        secrets: StepSecrets,
    ) -> Result<LayerOutcome, NativeError> {
        let sandbox = self.sandbox()?.sandbox.clone();
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let mut options = DiffOptions::new(lowers, started);
            options.omit = omit.patterns();
            let staged = store.stage()?;
            let file = staged.file().try_clone().map_err(NativeError::io(staged.path()))?;
            match sandbox.diff(&scratch, &options, file)? {
                None => Ok(LayerOutcome::Empty),
                Some(info) => {
                    secrets.search_layer(staged.path())?;
                    staged.commit(&info.descriptor.digest)?;
                    Ok(info.into())
                }
            }
        })
        .await?
    }

    /// The image's environment and what steps need to reach the network as their user does. The
    /// latter is in no key and in no layer.
    pub fn step_environment(&self, env: &[(String, String)]) -> Vec<(String, String)> {
        let mut all = env.to_vec();
        for (name, value) in &self.settings.network_variables {
            if !all.iter().any(|(n, _)| n == name) {
                all.push((name.clone(), value.clone()));
            }
        }
        all
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().try_into().unwrap_or(i64::MAX)
}

/// A command as a person would type it, cut to one line.
pub fn display(argv: &[String]) -> String {
    let text = match argv {
        [shell, flag, line] if shell == "/bin/sh" && flag == "-c" => line.clone(),
        argv => argv.join(" "),
    };
    let line = text.lines().next().unwrap_or_default().to_owned();
    match line.char_indices().nth(100) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => line,
    }
}

fn output_stream(stream: Stream) -> OutputStream {
    match stream {
        Stream::Stdout => OutputStream::Stdout,
        Stream::Stderr => OutputStream::Stderr,
    }
}

/// Cuts output into lines, each stream by itself.
struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// What no line may be cut through.
    secrets: Secrets,
}

/// A line without an end is cut here, so that memory stays flat.
const LONGEST_LINE: usize = 16 * 1024;

impl Lines {
    fn new(secrets: Secrets) -> Self {
        Lines { stdout: vec![], stderr: vec![], secrets }
    }

    fn push(&mut self, stream: Stream, bytes: &[u8], emit: &mut impl FnMut(Stream, String)) {
        let longest = LONGEST_LINE.max(4 * self.secrets.overlap());
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        for &byte in bytes {
            if byte == b'\n' {
                emit(stream, text(pending));
                pending.clear();
                continue;
            }
            pending.push(byte);
            if pending.len() >= longest {
                let cut = self.secrets.cut(pending);
                emit(stream, text(&pending[..cut]));
                pending.drain(..cut);
            }
        }
    }

    fn flush(&mut self, emit: &mut impl FnMut(Stream, String)) {
        for (stream, pending) in
            [(Stream::Stdout, &mut self.stdout), (Stream::Stderr, &mut self.stderr)]
        {
            if !pending.is_empty() {
                emit(stream, text(pending));
                pending.clear();
            }
        }
    }
}

/// What is left of a line once carriage returns have overwritten what was before them.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let last = line.rsplit(|b| *b == b'\r').next().unwrap_or(line);
    String::from_utf8_lossy(last).into_owned()
}
