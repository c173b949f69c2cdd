//! What is written about a run.

use super::error::RunError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_store::Usage;

pub(super) const PLAN: &str = "run.json";
pub(super) const RESULT: &str = "result.json";
pub(super) const EVENTS: &str = "events.jsonl";
pub(super) const OUTPUT: &str = "output";

/// A run's name: eight characters that can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    const LENGTH: usize = 8;
    /// Without vowels, so that no words come out, and without `l`, `0` and `1`.
    const ALPHABET: &[u8] = b"bcdfghjkmnpqrstvwxz23456789";

    /// A name that no other run is likely to have.
    pub(super) fn random() -> Self {
        let one = || char::from(Self::ALPHABET[fastrand::usize(..Self::ALPHABET.len())]);
        RunId(std::iter::repeat_with(one).take(Self::LENGTH).collect())
    }

    pub(super) fn new(name: String) -> Self {
        RunId(name)
    }

    pub(super) fn is_one(name: &str) -> bool {
        name.len() == Self::LENGTH && name.bytes().all(|b| Self::ALPHABET.contains(&b))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Plan {
    /// The image's name, as it was when the run was started.
    pub uri: String,
    /// The arguments, without the credentials of URLs: a record, not what the process reads.
    pub arguments: Vec<String>,
    /// The working directory.
    pub directory: String,
    /// Seconds since 1970.
    pub started: u64,
}

/// How a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It is not over.
    Running,
    /// The image is there.
    Succeeded,
    /// The build failed.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// Its process ended without a result.
    Lost,
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RunState::Running => "running",
            RunState::Succeeded => "succeeded",
            RunState::Failed => "failed",
            RunState::Cancelled => "cancelled",
            RunState::Lost => "lost",
        })
    }
}

/// What came of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunResult {
    /// How it ended.
    pub state: RunState,
    /// The exit code that the build would have had in the foreground.
    pub exit_code: u8,
    /// When it ended: seconds since 1970.
    pub finished: u64,
    /// What was built, as `tierce build --format json` prints it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<serde_json::Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunFailure>,
}

/// An error of another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunFailure {
    /// The stable code, as `registry/denied`.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// Why, from the outermost cause to the innermost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl RunFailure {
    /// What `error` says.
    pub fn of(error: &dyn Diagnostic) -> Self {
        let mut causes = vec![];
        let mut cause = error.source();
        while let Some(error) = cause {
            causes.push(error.to_string());
            cause = error.source();
        }
        RunFailure {
            code: error.code().to_owned(),
            message: error.to_string(),
            causes,
            hint: error.hint(),
        }
    }
}

impl RunResult {
    /// A build that went well.
    pub(super) fn success(build: serde_json::Value) -> Self {
        RunResult {
            state: RunState::Succeeded,
            exit_code: 0,
            finished: seconds_now(),
            build: Some(build),
            error: None,
        }
    }

    /// A build that did not.
    pub(super) fn failure(error: &dyn Diagnostic) -> Self {
        let state = match error.kind() {
            ErrorKind::Interrupted => RunState::Cancelled,
            _ => RunState::Failed,
        };
        RunResult {
            state,
            exit_code: error.kind().exit_code(),
            finished: seconds_now(),
            build: None,
            error: Some(RunFailure::of(error)),
        }
    }

    /// One that did not stop when it was asked to.
    pub(super) fn killed() -> Self {
        RunResult {
            state: RunState::Cancelled,
            exit_code: ErrorKind::Interrupted.exit_code(),
            finished: seconds_now(),
            build: None,
            error: None,
        }
    }
}

/// A run, and how it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct RunStatus {
    /// The run.
    pub id: RunId,
    /// How it is.
    pub state: RunState,
    /// The image's name, as it was when the run was started.
    pub uri: String,
    /// The command's arguments, without the credentials of URLs.
    pub arguments: Vec<String>,
    /// The working directory.
    pub directory: String,
    /// When it was started: seconds since 1970.
    pub started: u64,
    /// What came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
}

impl RunStatus {
    pub(super) fn new(id: RunId, state: RunState, plan: Plan, result: Option<RunResult>) -> Self {
        let Plan { uri, arguments, directory, started } = plan;
        RunStatus { id, state, uri, arguments, directory, started, result }
    }
}

pub(super) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Reads a file of a run; `None` where there is none.
pub(super) fn read<T: DeserializeOwned>(
    directory: &Path,
    name: &str,
) -> Result<Option<T>, RunError> {
    let path = directory.join(name);
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(source) => Err(RunError::Damaged { path, source }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RunError::Read { path, source }),
    }
}

/// Writes a file of a run; it is there whole, or not at all.
pub(super) fn write<T: Serialize>(directory: &Path, name: &str, value: &T) -> Result<(), RunError> {
    let path = directory.join(name);
    let staged = directory.join(format!(".{name}-{}", RunId::random()));
    let written =
        serde_json::to_vec_pretty(value).map_err(io::Error::from).and_then(|mut bytes| {
            bytes.push(b'\n');
            let mut file = create(&staged)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&staged, &path)
        });
    written.map_err(|source| {
        let _ = fs::remove_file(&staged);
        RunError::Write { path, source }
    })
}

/// A file that nobody else may read, written at its end.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Removes a run's directory unless somebody holds its lock; the result first, so that what is
/// left by an interruption is collected as a lost run.
pub(super) fn remove(directory: &Path) -> bool {
    match super::lock::take(directory) {
        // Its name goes first: nobody finds half a run.
        Ok(Some(_lock)) => {
            let name = directory.file_name().unwrap_or_default().to_string_lossy();
            let gone = directory.with_file_name(format!("{}{name}", super::UNFINISHED));
            let gone: PathBuf = match fs::rename(directory, &gone) {
                Ok(()) => gone,
                Err(_) => directory.to_owned(),
            };
            fs::remove_dir_all(gone).is_ok()
        }
        Ok(None) | Err(_) => false,
    }
}

/// What a run's files take.
pub(super) fn usage(directory: &Path) -> Usage {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let blocks = entries.filter_map(|entry| entry.metadata().ok()).map(|m| m.blocks() * 512).sum();
    Usage { count: 1, bytes: blocks }
}

/// The last lines of a file.
pub(super) fn tail(path: &Path) -> String {
    const MOST: u64 = 4096;
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let start = file.metadata()?.len().saturating_sub(MOST);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(match (start, text.split_once('\n')) {
            (1.., Some((_, rest))) => rest.to_owned(),
            _ => text,
        })
    };
    read().unwrap_or_default()
}
