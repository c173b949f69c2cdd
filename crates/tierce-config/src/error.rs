//! Why there are no settings.

use crate::values::ValueError;
use std::path::PathBuf;
use tierce_oci::{Diagnostic, ErrorKind};

/// Why settings cannot be made out.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is there but cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
        /// What is wrong, without what may be a secret.
        message: String,
    },
    /// A project decides on what is the user's to decide.
    #[error("{}:{line}: {key} is not for projects to set", .path.display())]
    UserOnly {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A project has a cache that is in no registry.
    #[error("{}:{line}: {key} of a project has to be in a registry", .path.display())]
    ProjectCache {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The key.
        key: String,
    },
    /// A registered builder has the name of one that is built in.
    #[error("{}:{line}: the builder {name} is built in: no other can have its name", .path.display())]
    ReservedName {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The name.
        name: String,
    },
    /// A registered builder is none.
    #[error("{}:{line}: {key} {problem}", .path.display())]
    Builder {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: BuilderProblem,
    },
    /// A part of a registry has a setting that only registries have.
    #[error("{}:{line}: {key} is for whole registries: {host} has no other connection below a path", .path.display())]
    PartOfRegistry {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The key.
        key: String,
        /// The registry's host.
        host: String,
    },
    /// A certificate without its key, or the other way round.
    #[error("{}:{line}: registries.\"{registry}\" has a client-cert or a client-key, and not both", .path.display())]
    HalfIdentity {
        /// The file.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// The registry.
        registry: String,
    },
    /// A variable has no meaningful value.
    #[error("the variable {name} has no valid value")]
    Variable {
        /// The variable.
        name: &'static str,
        /// What is wrong with its value.
        source: ValueError,
    },
    /// There is nowhere to keep the store.
    #[error("cannot tell where to keep the store: neither HOME nor XDG_CACHE_HOME is set")]
    NoHome,
}

impl Diagnostic for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            ConfigError::Read { .. } => "config/unreadable",
            ConfigError::Invalid { .. }
            | ConfigError::Builder { .. }
            | ConfigError::PartOfRegistry { .. }
            | ConfigError::HalfIdentity { .. } => "config/invalid",
            ConfigError::UserOnly { .. } | ConfigError::ProjectCache { .. } => "config/user-only",
            ConfigError::ReservedName { .. } => "config/reserved-name",
            ConfigError::Variable { .. } => "config/invalid-variable",
            ConfigError::NoHome => "config/no-home",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ConfigError::Read { .. } | ConfigError::NoHome => ErrorKind::Environment,
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            ConfigError::NoHome => "Set TIERCE_STORE to a directory for the store.".into(),
            ConfigError::Invalid { .. } => {
                "docs/configuration.md lists every key with an example.".into()
            }
            ConfigError::UserOnly { .. } => {
                "Set it in your own config.toml, which `tierce config path` names.".into()
            }
            ConfigError::ProjectCache { .. } => {
                "Write type=registry,ref=..., or set it in your own config.toml.".into()
            }
            ConfigError::ReservedName { name, .. } => {
                format!("Choose another name, and name it where {name} is to be replaced.")
            }
            ConfigError::Builder { .. } => {
                "docs/builders.md shows what a registered builder looks like.".into()
            }
            ConfigError::PartOfRegistry { host, .. } => {
                format!("Put it below [registries.\"{host}\"].")
            }
            ConfigError::HalfIdentity { .. } => "Name both files; they may be the same one.".into(),
            ConfigError::Variable { name, .. } => {
                format!("Set {name} to what docs/configuration.md says, or unset it.")
            }
            ConfigError::Read { .. } => return None,
        })
    }
}

/// What is wrong with a registered builder, whatever its flavor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuilderProblem {
    /// It does not say what it is.
    #[error("needs a flavor, which is a string")]
    Flavor,
    /// Its limits are no table.
    #[error("has limits that are no table")]
    Limits,
    /// There is no such limit.
    #[error("has a limit {0:?}; there are: {list}", list = LIMITS.join(", "))]
    UnknownLimit(String),
    /// A limit is no length of time.
    #[error("has a limit {0} that is no number of seconds")]
    Seconds(String),
}

/// How long the program of a builder may take for what.
const LIMITS: [&str; 5] = ["build", "check", "describe", "grace", "idle"];

impl BuilderProblem {
    /// What is wrong with this `[builders.NAME]`.
    pub(crate) fn of(builder: &toml::Table) -> Option<Self> {
        let flavor = builder.get("flavor").and_then(toml::Value::as_str);
        if flavor.is_none_or(str::is_empty) {
            return Some(BuilderProblem::Flavor);
        }
        let limits = match builder.get("limits") {
            None => return None,
            Some(toml::Value::Table(limits)) => limits,
            Some(_) => return Some(BuilderProblem::Limits),
        };
        limits.iter().find_map(|(name, value)| {
            if !LIMITS.contains(&name.as_str()) {
                return Some(BuilderProblem::UnknownLimit(name.clone()));
            }
            let is_fine = value.as_integer().is_some_and(|seconds| seconds >= 0);
            (!is_fine).then(|| BuilderProblem::Seconds(name.clone()))
        })
    }
}
