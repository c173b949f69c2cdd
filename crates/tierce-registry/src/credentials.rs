//! Who asks.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A text that must not be shown: its `Debug` form says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from being shown.
    pub fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// What proves who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A user and a password, or what the registry takes as one.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// An OAuth2 refresh token, exchanged for access tokens at the registry's token server.
    IdentityToken(Secret),
    /// An access token for the registry itself.
    BearerToken(Secret),
}

/// Where credentials come from. Called at most once per registry and client, and only when the
/// registry asks for authentication; may block.
pub trait Credentials: Send + Sync {
    /// The credential for `registry`, as references name it (`host`, `host:port`, `docker.io`).
    fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError>;
}

/// Nobody in particular.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl Credentials for Anonymous {
    fn lookup(&self, _registry: &str) -> Result<Option<Credential>, CredentialError> {
        Ok(None)
    }
}

/// Several places to look in; the first that knows the registry is taken.
#[derive(Clone, Default)]
pub struct CredentialChain(pub Vec<Arc<dyn Credentials>>);

impl Credentials for CredentialChain {
    fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        for place in &self.0 {
            if let Some(found) = place.lookup(registry)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Why credentials could not be looked up.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The configuration is there but can't be read.
    #[error("can't read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration is not what it should be.
    #[error("{} is not a valid Docker configuration", .path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// An entry of `auths` is not base64 of `user:password`.
    #[error("{} has a malformed \"auth\" for {registry}: expected base64 of user:password", .path.display())]
    Auth {
        /// The file.
        path: PathBuf,
        /// The entry.
        registry: String,
    },
    /// A text that should be a credential is none. It is not shown: it may hold one all the same.
    #[error("the credentials for {registry} are neither user:password nor a config.json")]
    Inline {
        /// The registry they are for.
        registry: String,
    },
    /// The configuration names a credential helper that is not installed.
    #[error("credential helper {program} is not installed")]
    HelperMissing {
        /// The program's name.
        program: String,
    },
    /// A credential helper could not be run.
    #[error("can't run credential helper {}", .program.display())]
    HelperRun {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A credential helper failed.
    #[error("credential helper {} failed for {registry}: {message}", .program.display())]
    HelperFailed {
        /// The program.
        program: PathBuf,
        /// What it was asked for.
        registry: String,
        /// Its last line.
        message: String,
    },
    /// A credential helper's answer is not the JSON it should be. The answer is not shown: it
    /// may hold the secret.
    #[error("credential helper {} gave an answer for {registry} that is not a credential", .program.display())]
    HelperOutput {
        /// The program.
        program: PathBuf,
        /// What it was asked for.
        registry: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let secret = || Secret::new("hunter2");
        for credential in [
            Credential::Basic { user: "me".into(), password: secret() },
            Credential::IdentityToken(secret()),
            Credential::BearerToken(secret()),
        ] {
            assert!(!format!("{credential:?}").contains("hunter2"));
        }
    }
}
