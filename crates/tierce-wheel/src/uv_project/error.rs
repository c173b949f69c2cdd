//! Why a uv project can't be read.

use crate::pylock::PylockError;
use std::io;
use std::path::PathBuf;
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a uv project can't be read.
#[derive(Debug, thiserror::Error)]
pub enum UvProjectError {
    /// The lock is not that of the manifests.
    #[error("uv.lock is not up to date with its pyproject.toml:\n  {}", differences.join("\n  "))]
    Stale {
        /// What differs, one a line.
        differences: Vec<String>,
    },
    /// The project is not for the image's interpreter.
    #[error("the project is for Python {allowed}, the image has {python}")]
    Python {
        /// What it is for.
        allowed: String,
        /// The image's.
        python: String,
    },
    /// The lock is not one.
    #[error("uv.lock can't be read")]
    Lock {
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A manifest is not one.
    #[error("{} can't be read", path.display())]
    Manifest {
        /// The manifest, from the folder of `uv.lock`.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A group that is asked for is none of the project's.
    #[error("{explanation}")]
    UnknownGroup {
        /// What uv said.
        explanation: String,
    },
    /// An extra that is asked for is none of the project's.
    #[error("{explanation}")]
    UnknownExtra {
        /// What uv said.
        explanation: String,
    },
    /// A package that is asked for is no member of the workspace.
    #[error("{explanation}")]
    UnknownMember {
        /// What uv said.
        explanation: String,
    },
    /// uv can't read the lock.
    #[error("uv can't read the project's lock:\n{explanation}")]
    BadLock {
        /// What uv said.
        explanation: String,
    },
    /// uv failed in a way of its own.
    #[error("uv could not read the project:\n{explanation}")]
    Failed {
        /// What uv said.
        explanation: String,
    },
    /// uv could not be started, or its directory not be written to.
    #[error("{} can't be run", program.display())]
    Run {
        /// uv.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What the lock says can't be installed.
    #[error("the packages of uv.lock can't be installed")]
    Packages(#[from] PylockError),
}

impl UvProjectError {
    /// Sorts out a failure of uv by its words.
    pub(super) fn of_uv(stderr: &str) -> Self {
        let text = stderr.trim();
        let explanation = text.strip_prefix("error: ").unwrap_or(text).to_owned();
        let words = explanation.split_whitespace().collect::<Vec<_>>().join(" ");
        let lowered = |explanation: String| {
            let mut text = explanation;
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            text
        };
        if words.starts_with("Group ") && words.contains("is not defined") {
            return UvProjectError::UnknownGroup { explanation: lowered(explanation) };
        }
        if words.starts_with("Extra ") && words.contains("is not defined") {
            return UvProjectError::UnknownExtra { explanation: lowered(explanation) };
        }
        if words.contains("does not have a member") || words.contains("not found in workspace") {
            return UvProjectError::UnknownMember { explanation: lowered(explanation) };
        }
        if words.contains("Failed to parse `uv.lock`") || words.contains("lockfile") {
            return UvProjectError::BadLock { explanation };
        }
        UvProjectError::Failed { explanation }
    }
}

impl Diagnostic for UvProjectError {
    fn code(&self) -> &'static str {
        match self {
            UvProjectError::Stale { .. } => "python/stale-lock",
            UvProjectError::Python { .. } => "python/wrong-version",
            UvProjectError::Lock { .. } | UvProjectError::BadLock { .. } => "python/bad-lock",
            UvProjectError::Manifest { .. } => "python/bad-pyproject",
            UvProjectError::UnknownGroup { .. } => "python/unknown-group",
            UvProjectError::UnknownExtra { .. } => "python/unknown-extra",
            UvProjectError::UnknownMember { .. } => "python/unknown-member",
            UvProjectError::Failed { .. } => "python/uv-failed",
            UvProjectError::Run { .. } => "python/uv-not-runnable",
            UvProjectError::Packages(source) => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            UvProjectError::Run { .. } => ErrorKind::Environment,
            UvProjectError::Packages(source) => source.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            UvProjectError::Stale { .. } => {
                "Run `uv lock` in the project's folder, and commit uv.lock.".to_owned()
            }
            UvProjectError::Python { allowed, .. } => {
                format!(
                    "Ask for another Python (`python = ...`), or widen requires-python ({allowed})."
                )
            }
            UvProjectError::Lock { .. } | UvProjectError::BadLock { .. } => {
                "Bring uv.lock back from version control, or write it anew with `uv lock`."
                    .to_owned()
            }
            UvProjectError::Manifest { .. } => "`uv lock` says what is wrong with it.".to_owned(),
            UvProjectError::UnknownGroup { .. } => {
                "Groups are in [dependency-groups] of the pyproject.toml.".to_owned()
            }
            UvProjectError::UnknownExtra { .. } => {
                "Extras are in [project.optional-dependencies] of the pyproject.toml.".to_owned()
            }
            UvProjectError::UnknownMember { .. } => {
                "Members are in [tool.uv.workspace] of the root's pyproject.toml.".to_owned()
            }
            UvProjectError::Run { .. } => {
                "Check that the program is executable, and the store's free space.".to_owned()
            }
            UvProjectError::Packages(source) => return source.hint(),
            UvProjectError::Failed { .. } => return None,
        })
    }
}
