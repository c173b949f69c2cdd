//! Runs programs on top of layers and takes up what they changed.

use crate::context::Context;
use crate::error::NativeError;
use crate::layer::{Layer, LayerOutcome};
use crate::work::{Execution, Omit};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierce_engine::{OutputStream, StepHandle};
use tierce_sandbox::{DiffOptions, Exit, Mount, Network, Process, Stream};
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
        let roots = self.materialise(&lowers, step).await?;
        let scratch = self.scratch("step")?;
        let mut locks = vec![];
        let mut mounts = vec![];
        for cache in &execution.caches {
            // apt refuses to share its directories: whoever comes second waits.
            locks.push(self.lock(format!("cache-{}", cache.name), LockMode::Exclusive).await?);
            let name = format!("{}-{}", self.sandbox()?.variant, cache.name);
            let source = self.store.cache_dir(&name)?;
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
            self.run(Job { process, title: title.to_owned() }, step).await?;
        }
        drop(locks);
        self.diff(roots, scratch.path.clone(), started, execution.omit).await
    }

    /// Runs a program to its end; anything but success is an error with its last lines.
    pub async fn run(&self, job: Job, step: &StepHandle) -> Result<(), NativeError> {
        let sandbox = self.sandbox()?.sandbox.clone();
        let cancel = self.cancel.clone();
        let step = step.reporter();
        let Job { process, title } = job;
        tokio::task::spawn_blocking(move || {
            let mut lines = Lines::default();
            let mut tail: VecDeque<String> = VecDeque::new();
            let mut emit = |stream: Stream, line: String| {
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

    /// The changes in `scratch` as a layer in the store.
    pub async fn diff(
        &self,
        lowers: Vec<PathBuf>,
        scratch: PathBuf,
        started: i64,
        omit: Omit,
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
#[derive(Default)]
struct Lines {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// A line without an end is cut here, so that memory stays flat.
const LONGEST_LINE: usize = 16 * 1024;

impl Lines {
    fn push(&mut self, stream: Stream, bytes: &[u8], emit: &mut impl FnMut(Stream, String)) {
        let pending = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        for &byte in bytes {
            match byte {
                b'\n' => emit(stream, text(pending)),
                _ => pending.push(byte),
            }
            if byte == b'\n' || pending.len() >= LONGEST_LINE {
                if byte != b'\n' {
                    emit(stream, text(pending));
                }
                pending.clear();
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
