//! What may be wrong with pixi's files.

use super::HeaderError;
use super::spec::SpecProblem;
use crate::text::TextError;
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PixiError {
    /// It can't be read.
    #[error("the pixi manifest can't be read")]
    Text(#[from] TextError),
    /// The script's header can't be read.
    #[error("the script's header can't be read")]
    Header(#[from] HeaderError),
    /// It is a `pyproject.toml` or a script without anything for pixi.
    #[error("there is no [tool.pixi] in it")]
    NotPixi,
    /// An environment is not there.
    #[error("there is no pixi environment {wanted:?}: there are {}", there.join(", "))]
    Environment {
        /// The environment.
        wanted: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// An environment is made of a feature that is not there.
    #[error(
        "the pixi environment {environment:?} has the feature {wanted:?}, which is not there: there are {}",
        none(there)
    )]
    Feature {
        /// The environment.
        environment: String,
        /// The feature.
        wanted: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// An environment is not for the platform.
    #[error("the pixi environment {environment:?} is not for {wanted}: it is for {}", none(there))]
    Platform {
        /// The environment.
        environment: String,
        /// The platform, as conda calls it.
        wanted: String,
        /// Those that it is for.
        there: Vec<String>,
    },
    /// A dependency can't be used.
    #[error("the pixi dependency {name:?} can't be used: {problem}")]
    Dependency {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: SpecProblem,
    },
    /// An option for Python packages would change what is installed, and is not known.
    #[error("pypi-options has {0}, which is not supported")]
    PypiOption(String),
    /// A group includes one that is not there.
    #[error("the dependency group {group:?} includes {wanted:?}, which is not there")]
    Group {
        /// The group.
        group: String,
        /// The one that it includes.
        wanted: String,
    },
    /// Groups include each other.
    #[error("the dependency group {0:?} includes itself")]
    Circle(String),
}

fn none(there: &[String]) -> String {
    if there.is_empty() { "none".to_owned() } else { there.join(", ") }
}

impl Diagnostic for PixiError {
    fn code(&self) -> &'static str {
        match self {
            PixiError::Environment { .. } => "conda/no-environment",
            PixiError::Feature { .. } => "conda/no-feature",
            PixiError::Platform { .. } => "conda/environment-platform",
            PixiError::Dependency { .. } | PixiError::PypiOption(_) => "conda/pixi-unsupported",
            _ => "conda/bad-manifest",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            PixiError::Platform { wanted, .. } => {
                Some(format!("Add it to the workspace: pixi workspace platform add {wanted}"))
            }
            PixiError::NotPixi => {
                Some("Name the pixi.toml, or a file with a table [tool.pixi.workspace].".to_owned())
            }
            PixiError::Dependency { problem, .. } => problem.hint().map(str::to_owned),
            _ => None,
        }
    }
}

/// Why a `pixi.lock` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PixiLockError {
    /// It can't be read at all.
    #[error("the pixi lock file can't be read")]
    Text(#[from] TextError),
    /// It is none.
    #[error("the pixi lock file is malformed: {0}")]
    Malformed(String),
    /// The environment is not in it.
    #[error("the pixi lock file has no environment {wanted:?}: it has {}", none(there))]
    Environment {
        /// The environment.
        wanted: String,
        /// Those that are there.
        there: Vec<String>,
    },
    /// The environment is not locked for the platform.
    #[error(
        "the pixi lock file has nothing for {wanted} in the environment {environment:?}: it is for {}",
        none(there)
    )]
    Platform {
        /// The environment.
        environment: String,
        /// The platform, as conda calls it.
        wanted: String,
        /// Those that it is for.
        there: Vec<String>,
    },
    /// A package can't be used.
    #[error("the pixi lock file has {package}, and {problem}")]
    Package {
        /// The package.
        package: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Diagnostic for PixiLockError {
    fn code(&self) -> &'static str {
        match self {
            PixiLockError::Environment { .. } | PixiLockError::Platform { .. } => {
                "conda/stale-lock"
            }
            _ => "conda/bad-lock",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Make it anew: pixi lock".to_owned())
    }
}
