//! The run, from inside of its own process.

use super::record::{EVENTS, RESULT, RunResult, create, write};
use super::start::READY;
use super::{RunError, RunId, RunRequest, lock};
use rustix::io::fcntl_dupfd_cloexec;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tierce_engine::{BuildEvent, EventSink, ImageBuild};
use tierce_oci::Diagnostic;

/// The first argument with which [`super::Runs::start`] starts a program; the second one is the
/// run's directory.
pub const RUN_ARGUMENT: &str = "__tierce-run";

/// The run that this process is. It is over when this is dropped or the process ends.
#[derive(Debug)]
pub struct ActiveRun {
    id: RunId,
    directory: PathBuf,
    request: Option<RunRequest>,
    events: File,
    _lock: File,
}

impl ActiveRun {
    /// Makes this process the run in `directory`: takes over its lock, leaves the caller's session
    /// and terminal, and tells the caller so. To be called first thing, before there are threads.
    pub fn adopt(directory: &Path) -> Result<Self, RunError> {
        let not_ours = || RunError::NotOurs { directory: directory.to_owned() };
        let unwritable = |source| RunError::Write { path: directory.to_owned(), source };
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        // Standard input is what the caller gave; programs that are started must not inherit it.
        let lock = fcntl_dupfd_cloexec(io::stdin(), 3).map_err(|e| unwritable(e.into()))?;
        let mut lock = File::from(lock);
        if !RunId::is_one(name) || !lock::is_of(&lock, directory) {
            return Err(not_ours());
        }
        let request = request(directory)?;
        let null = OpenOptions::new().read(true).write(true).open("/dev/null");
        let null = null.map_err(unwritable)?;
        rustix::stdio::dup2_stdin(&null).map_err(|e| unwritable(e.into()))?;
        // Fails for those who lead a group already, which this process was not made to.
        let _ = rustix::process::setsid();
        let events = create(&directory.join(EVENTS)).map_err(unwritable)?;
        lock::sign(&mut lock).map_err(unwritable)?;
        let mut stdout = io::stdout();
        // A caller that went away meanwhile started a run all the same.
        let _ = writeln!(stdout, "{READY}").and_then(|()| stdout.flush());
        rustix::stdio::dup2_stdout(&null).map_err(|e| unwritable(e.into()))?;
        let (id, directory) = (RunId::new(name.to_owned()), directory.to_owned());
        Ok(ActiveRun { id, directory, request, events, _lock: lock })
    }

    /// Its id.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// What it is to build, where it was told; else its arguments say it. Once.
    pub fn take_request(&mut self) -> Option<RunRequest> {
        self.request.take()
    }

    /// Where events go.
    pub fn sink(&self) -> io::Result<Arc<dyn EventSink>> {
        Ok(Arc::new(Recorder { file: Mutex::new(self.events.try_clone()?) }))
    }

    /// Records what came of the build.
    pub fn finish(
        self,
        result: Result<&ImageBuild, &(dyn Diagnostic + '_)>,
    ) -> Result<u8, RunError> {
        let result = match result {
            Ok(build) => {
                let mut build = build.clone();
                build.run = Some(self.id.to_string());
                // What can't be written as JSON is still a success.
                RunResult::success(serde_json::to_value(&build).unwrap_or_default())
            }
            Err(error) => RunResult::failure(error),
        };
        write(&self.directory, RESULT, &result)?;
        Ok(result.exit_code)
    }
}

/// What the caller says that is to be built: all there is to read where the answer goes.
fn request(directory: &Path) -> Result<Option<RunRequest>, RunError> {
    let path = || directory.to_owned();
    let stdout = fcntl_dupfd_cloexec(io::stdout(), 3);
    let mut document = vec![];
    stdout
        .map_err(io::Error::from)
        .and_then(|stdout| File::from(stdout).read_to_end(&mut document))
        .map_err(|source| RunError::Read { path: path(), source })?;
    match document.as_slice() {
        [] => Ok(None),
        document => serde_json::from_slice(document)
            .map_err(|source| RunError::Damaged { path: path(), source }),
    }
}

/// Writes events as lines.
struct Recorder {
    file: Mutex<File>,
}

impl EventSink for Recorder {
    fn emit(&self, event: &BuildEvent) {
        // Bytes done are for those who watch a terminal, and would be most of the file.
        if matches!(event, BuildEvent::StepProgress { .. }) {
            return;
        }
        if let Ok(mut line) = serde_json::to_vec(event) {
            line.push(b'\n');
            let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
            // A full disk stops the build where it matters.
            let _ = file.write_all(&line);
        }
    }
}
