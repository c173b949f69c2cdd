//! What can go wrong with runs.

use super::RunId;
use std::io;
use std::path::PathBuf;
use tierce_oci::{Diagnostic, ErrorKind};

/// What can go wrong with runs.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such run.
    #[error("there is no run {prefix:?}")]
    Unknown {
        /// The id, or what was given of it.
        prefix: String,
    },
    /// There are several.
    #[error("{prefix:?} could be any of the runs {}", ids.join(", "))]
    Ambiguous {
        /// What was given of the id.
        prefix: String,
        /// The runs.
        ids: Vec<String>,
    },
    /// A record cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A record makes no sense.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A record cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The process cannot be started.
    #[error("cannot start the run's process")]
    Spawn(#[source] io::Error),
    /// The process ended before it began.
    #[error("the run's process ended before it began{}", quoted(output))]
    Stillborn {
        /// The last lines that it wrote.
        output: String,
    },
    /// The process was started by another one than [`super::Runs::start`].
    #[error("{} is not a run that waits for its process", directory.display())]
    NotOurs {
        /// The run's directory.
        directory: PathBuf,
    },
    /// The process is not there yet.
    #[error("the run {id} is still being started")]
    Starting {
        /// The run.
        id: RunId,
    },
    /// The process is not one of those that can be seen from here.
    #[error("the run {id} is a process of another container or machine")]
    Elsewhere {
        /// The run.
        id: RunId,
    },
    /// The process ended without a result: it was killed, or the machine went down.
    #[error("the run {id} is lost: its process ended without a result{}", quoted(output))]
    Lost {
        /// The run.
        id: RunId,
        /// The last lines that it wrote.
        output: String,
    },
}

fn quoted(output: &str) -> String {
    match output.trim_end() {
        "" => String::new(),
        output => format!("\n{output}"),
    }
}

impl Diagnostic for RunError {
    fn code(&self) -> &'static str {
        match self {
            RunError::Unknown { .. } => "runs/unknown",
            RunError::Ambiguous { .. } => "runs/ambiguous",
            RunError::Read { .. } => "runs/unreadable",
            RunError::Damaged { .. } => "runs/damaged",
            RunError::Write { .. } => "runs/unwritable",
            RunError::Spawn(_) | RunError::Stillborn { .. } => "runs/not-started",
            RunError::NotOurs { .. } => "runs/not-ours",
            RunError::Starting { .. } => "runs/starting",
            RunError::Elsewhere { .. } => "runs/elsewhere",
            RunError::Lost { .. } => "runs/lost",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            RunError::Unknown { .. } | RunError::Ambiguous { .. } => ErrorKind::User,
            RunError::NotOurs { .. } => ErrorKind::Bug,
            RunError::Read { .. }
            | RunError::Damaged { .. }
            | RunError::Write { .. }
            | RunError::Spawn(_)
            | RunError::Stillborn { .. }
            | RunError::Starting { .. }
            | RunError::Elsewhere { .. }
            | RunError::Lost { .. } => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            RunError::Unknown { .. } => {
                Some("`tierce runs list` shows those that there are.".into())
            }
            RunError::Ambiguous { .. } => Some("Give more of the id.".into()),
            RunError::Starting { .. } => Some("Try again in a moment.".into()),
            RunError::Elsewhere { .. } => Some("Cancel it where it was started.".into()),
            RunError::Lost { .. } => {
                Some("The store is whole: start the build again to go on.".into())
            }
            _ => None,
        }
    }
}
