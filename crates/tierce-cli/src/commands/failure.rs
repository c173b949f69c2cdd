//! Any failure of any command.

use std::sync::Arc;
use tierce::{Diagnostic, ErrorKind};

/// An error with a code, a kind and a hint, whatever its type.
pub struct Failure(pub Arc<dyn Diagnostic + Send + Sync>);

impl<E: Diagnostic + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(Arc::new(error))
    }
}

/// What can go wrong in the program itself.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// There is no specification where one was looked for.
    #[error("there is no tierce.toml in {0}")]
    NoSpec(String),
    /// A specification could not be read.
    #[error("cannot read {path}")]
    ReadSpec {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// `--env` without a value.
    #[error("--env {0:?} is not NAME=VALUE")]
    Env(String),
    /// Standard output cannot be written to.
    #[error("cannot write the result")]
    Stdout(#[source] std::io::Error),
    /// No threads can be started.
    #[error("cannot start threads")]
    Runtime(#[source] std::io::Error),
    /// The user stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// Standard output cannot be written to.
    pub fn stdout(error: std::io::Error) -> Self {
        CliError::Stdout(error).into()
    }
}

impl Diagnostic for CliError {
    fn code(&self) -> &'static str {
        match self {
            CliError::NoSpec(_) => "cli/no-spec",
            CliError::ReadSpec { .. } => "cli/unreadable-spec",
            CliError::Env(_) => "cli/invalid-env",
            CliError::Stdout(_) => "cli/stdout",
            CliError::Runtime(_) => "cli/runtime",
            CliError::Interrupted => "cli/interrupted",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            CliError::NoSpec(_) | CliError::ReadSpec { .. } | CliError::Env(_) => ErrorKind::User,
            CliError::Stdout(_) | CliError::Runtime(_) => ErrorKind::Environment,
            CliError::Interrupted => ErrorKind::Interrupted,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CliError::NoSpec(_) => Some(
                "Name one (`tierce build path/to/tierce.toml`), or start with:\n  \
                 base = { debian = \"bookworm\", python = true }\n  pip = [\"requests\"]"
                    .into(),
            ),
            CliError::Interrupted => Some("Nothing is half-done: run it again to go on.".into()),
            _ => None,
        }
    }
}
