//! Places where values are found.

use crate::value::SecretValue;
use async_trait::async_trait;
use std::path::PathBuf;
use std::time::Duration;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::SecretId;

/// How large a value may be, in bytes: what BuildKit takes, too.
pub const MAX_SIZE: usize = 500 * 1024;

/// Why a place could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A value is larger than any secret.
    #[error("{place} has more than {} bytes", MAX_SIZE)]
    TooLarge {
        /// Where it is.
        place: String,
    },
    /// A program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended with anything but success.
    #[error("{program} failed ({status}){}", said(.stderr))]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote to its standard error.
        stderr: String,
    },
    /// A program did not end.
    #[error("{program} did not answer within {} seconds", .limit.as_secs())]
    TimedOut {
        /// The program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
    },
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

impl Diagnostic for ProviderError {
    fn code(&self) -> &'static str {
        match self {
            ProviderError::Read { .. } => "secret/unreadable",
            ProviderError::TooLarge { .. } => "secret/too-large",
            ProviderError::Run { .. }
            | ProviderError::Failed { .. }
            | ProviderError::TimedOut { .. } => "secret/command-failed",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ProviderError::TooLarge { .. } => ErrorKind::User,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            ProviderError::Read { .. } => {
                "Let the user who builds read it, or put the value elsewhere: variables come first."
                    .to_owned()
            }
            ProviderError::TooLarge { .. } => {
                "Secrets are keys and passwords: ship data as a source, or fetch it with a command."
                    .to_owned()
            }
            ProviderError::Run { .. } => {
                "Commands are run as they are in [secrets.commands], without a shell: the first \
                 word is a program on PATH or a path."
                    .to_owned()
            }
            ProviderError::Failed { .. } | ProviderError::TimedOut { .. } => {
                "Run the command by hand: it must print the value and nothing else, and ask nobody."
                    .to_owned()
            }
        })
    }
}

/// One place where values are found.
#[async_trait]
pub trait SecretProvider: Send + Sync {
    /// Where it looks for `id`, for the message that says where a value was not; nothing where
    /// it does not know the secret.
    fn places(&self, id: &SecretId) -> Vec<String>;

    /// The value of `id`; `None` where this place has none. Empty values are none.
    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError>;

    /// The same, for a build whose secrets may be in the variables `hidden`: a place that is a
    /// program does not show it those.
    async fn find_hiding(
        &self,
        id: &SecretId,
        hidden: &[String],
    ) -> Result<Option<SecretValue>, ProviderError> {
        let _ = hidden;
        self.find(id).await
    }
}

/// Gives a variable's value.
type Lookup = Box<dyn Fn(&str) -> Option<Vec<u8>> + Send + Sync>;

/// Values in variables of the environment: `GROUP_KEY`, or `KEY`.
pub struct EnvironmentProvider {
    lookup: Lookup,
}

impl EnvironmentProvider {
    /// Asks `lookup` for variables, by name: this crate reads no environment itself.
    pub fn new(lookup: impl Fn(&str) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        EnvironmentProvider { lookup: Box::new(lookup) }
    }
}

#[async_trait]
impl SecretProvider for EnvironmentProvider {
    fn places(&self, id: &SecretId) -> Vec<String> {
        vec![format!("the variable {}", id.variable())]
    }

    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError> {
        Ok((self.lookup)(&id.variable()).map(SecretValue::new).filter(|v| !v.is_empty()))
    }
}

/// A value that came from `place`, unless it is empty.
pub(crate) fn checked(
    bytes: SecretValue,
    place: &str,
) -> Result<Option<SecretValue>, ProviderError> {
    match bytes.expose().len() {
        0 => Ok(None),
        length if length > MAX_SIZE => Err(ProviderError::TooLarge { place: place.to_owned() }),
        _ => Ok(Some(bytes)),
    }
}
