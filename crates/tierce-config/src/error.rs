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
            | ConfigError::PartOfRegistry { .. }
            | ConfigError::HalfIdentity { .. } => "config/invalid",
            ConfigError::UserOnly { .. } => "config/user-only",
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
