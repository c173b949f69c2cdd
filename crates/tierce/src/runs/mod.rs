//! Builds that go on in the background: processes of their own, each with a record in the store.
//!
//! ```text
//! <store>/runs/<id>/
//!   run.json       what was started: image, arguments, directory, time
//!   lock           held with flock(2) for as long as the process lives; holds its id
//!   events.jsonl   what happens, one event a line
//!   output         what the process wrote besides: nothing, if all is well
//!   result.json    what came of it; written once, by renaming
//! ```
//!
//! Whether a run is alive is told by its lock alone: the kernel releases it however the process
//! ends, and no other process ever gets it. A run without a result whose lock is free is lost.
//!
//! The process that starts a run takes the lock, and hands it on as the standard input of the new
//! process: there is no moment at which a run looks lost that is about to begin.

mod active;
mod error;
mod follow;
mod lock;
mod record;
mod request;
mod start;

pub use active::{ActiveRun, RUN_ARGUMENT};
pub use error::RunError;
pub use follow::Follow;
pub use record::{RunFailure, RunId, RunResult, RunState, RunStatus};
pub use request::RunRequest;
pub use start::{RunInput, StartRun};

use lock::Holder;
use record::{Plan, read, remove, seconds_now, write};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tierce_store::{Effect, Usage};

/// How often is looked whether something happened.
const PAUSE: Duration = Duration::from_millis(50);

/// Directories of runs that are not complete yet start with this.
const UNFINISHED: &str = ".new-";

/// The runs of a store.
#[derive(Clone, Debug)]
pub struct Runs {
    root: PathBuf,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    id: RunId,
    directory: PathBuf,
}

/// What came of a request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It had ended already.
    Ended,
    /// It stopped by itself, in good order.
    Stopped,
    /// It did not, and was killed.
    Killed,
}

impl Runs {
    /// The runs of the store at `store`. Nothing is read or made yet.
    pub fn open(store: &Path) -> Self {
        Runs { root: store.join("runs") }
    }

    /// All runs, the newest first.
    pub fn list(&self) -> Result<Vec<RunStatus>, RunError> {
        let mut all = vec![];
        for run in self.all()? {
            match run.status() {
                Ok(status) => all.push(status),
                // Collected meanwhile, or not a run at all.
                Err(error) => tracing::debug!(%error, "ignoring a run"),
            }
        }
        all.sort_by(|a, b| b.started.cmp(&a.started).then_with(|| a.id.cmp(&b.id)));
        Ok(all)
    }

    /// The run whose id starts with `prefix`.
    pub fn find(&self, prefix: &str) -> Result<Run, RunError> {
        let mut found: Vec<Run> =
            self.all()?.into_iter().filter(|run| run.id.as_str().starts_with(prefix)).collect();
        if let Some(exact) = found.iter().position(|run| run.id.as_str() == prefix) {
            return Ok(found.swap_remove(exact));
        }
        found.sort_by(|a, b| a.id.cmp(&b.id));
        match (found.pop(), found.is_empty()) {
            (Some(run), true) if !prefix.is_empty() => Ok(run),
            (Some(last), _) => {
                let mut ids: Vec<String> = found.iter().map(|run| run.id.to_string()).collect();
                ids.push(last.id.to_string());
                Err(RunError::Ambiguous { prefix: prefix.to_owned(), ids })
            }
            (None, _) => Err(RunError::Unknown { prefix: prefix.to_owned() }),
        }
    }

    /// Removes runs that ended at least `age` ago, and what was left of those that never began.
    /// Gives what goes.
    pub fn prune(&self, age: Duration, effect: Effect) -> Result<Vec<(RunId, Usage)>, RunError> {
        let mut gone = vec![];
        let newest = seconds_now().saturating_sub(age.as_secs());
        for run in self.all()? {
            let Ok(status) = run.status() else { continue };
            let ended = status.result.as_ref().map_or(status.started, |result| result.finished);
            if status.state == RunState::Running || ended > newest {
                continue;
            }
            let usage = record::usage(&run.directory);
            match effect {
                Effect::Remove if !remove(&run.directory) => continue,
                Effect::Remove | Effect::DryRun => gone.push((run.id, usage)),
            }
        }
        if effect == Effect::Remove {
            let unfinished = |name: &str| name.starts_with(UNFINISHED);
            for (_, path) in self.directories(unfinished)? {
                remove(&path);
            }
        }
        Ok(gone)
    }

    fn all(&self) -> Result<Vec<Run>, RunError> {
        let runs = self.directories(RunId::is_one)?;
        let run = |(name, directory)| Run { id: RunId::new(name), directory };
        Ok(runs.into_iter().map(run).collect())
    }

    fn directories(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<(String, PathBuf)>, RunError> {
        let unreadable = |source| RunError::Read { path: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            Err(error) => return Err(unreadable(error)),
        };
        let mut found = vec![];
        for entry in entries {
            let entry = entry.map_err(unreadable)?;
            if let Ok(name) = entry.file_name().into_string()
                && wanted(&name)
            {
                found.push((name, entry.path()));
            }
        }
        Ok(found)
    }
}

impl Run {
    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The directory with its files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether its process lives.
    pub fn is_running(&self) -> bool {
        lock::is_held(&self.directory)
    }

    /// How it is.
    pub fn status(&self) -> Result<RunStatus, RunError> {
        // In this order: what ends between the two has left its result before its lock.
        let running = lock::is_held(&self.directory);
        let result: Option<RunResult> = read(&self.directory, record::RESULT)?;
        let plan: Plan = read(&self.directory, record::PLAN)?
            .ok_or_else(|| RunError::Unknown { prefix: self.id.to_string() })?;
        let state = match (&result, running) {
            (_, true) => RunState::Running,
            (Some(result), false) => result.state,
            (None, false) => RunState::Lost,
        };
        Ok(RunStatus::new(self.id.clone(), state, plan, result.filter(|_| !running)))
    }

    /// What happens, from the beginning on; ends when the run does if `wait`, else with what there
    /// is now.
    pub fn follow(&self, wait: bool) -> Follow {
        Follow::new(self.directory.clone(), wait)
    }

    /// What the process wrote besides its events: the last lines, where it was lost.
    pub fn output(&self) -> String {
        record::tail(&self.directory.join(record::OUTPUT))
    }

    /// Waits for its end; blocks the thread.
    ///
    /// # Errors
    /// [`RunError::Lost`] where it left no result.
    pub fn wait(&self) -> Result<RunResult, RunError> {
        lock::wait_until_free(&self.directory)?;
        match read(&self.directory, record::RESULT)? {
            Some(result) => Ok(result),
            None if self.directory.exists() => {
                Err(RunError::Lost { id: self.id.clone(), output: self.output() })
            }
            // It was forgotten meanwhile.
            None => Err(RunError::Unknown { prefix: self.id.to_string() }),
        }
    }

    /// Asks it to stop, and kills its processes where it has not within `patience`; blocks the
    /// thread. The store is whole in any case.
    pub fn cancel(&self, patience: Duration) -> Result<Cancelled, RunError> {
        let Some(pid) = self.process()? else { return Ok(Cancelled::Ended) };
        // It may end by itself in the same moment.
        let _ = kill_process(pid, Signal::TERM);
        if self.ends_within(patience) {
            return Ok(Cancelled::Stopped);
        }
        // It leads a session of its own, and so a group.
        let _ = kill_process_group(pid, Signal::KILL);
        let _ = kill_process(pid, Signal::KILL);
        lock::wait_until_free(&self.directory)?;
        if read::<RunResult>(&self.directory, record::RESULT)?.is_none() {
            write(&self.directory, record::RESULT, &RunResult::killed())?;
        }
        Ok(Cancelled::Killed)
    }

    /// The process, while it runs.
    fn process(&self) -> Result<Option<Pid>, RunError> {
        let started = Instant::now();
        loop {
            match lock::holder(&self.directory)? {
                Holder::Nobody => return Ok(None),
                Holder::Process(pid) if lock::is_process(pid, &self.directory) => {
                    return Ok(Some(pid));
                }
                // It may have ended just now, and be nobody any more.
                Holder::Process(_) if !lock::is_held(&self.directory) => return Ok(None),
                Holder::Process(_) => return Err(RunError::Elsewhere { id: self.id.clone() }),
                // It is being started.
                Holder::Unknown if started.elapsed() < Duration::from_secs(10) => {
                    std::thread::sleep(PAUSE);
                }
                Holder::Unknown => return Err(RunError::Starting { id: self.id.clone() }),
            }
        }
    }

    fn ends_within(&self, patience: Duration) -> bool {
        let started = Instant::now();
        while lock::is_held(&self.directory) {
            if started.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(PAUSE);
        }
        true
    }
}
