//! Credentials in a text, for one registry.

use crate::{Credential, CredentialError, Credentials, DockerConfigCredentials, Secret};
use std::fmt;

/// What stands for the path of a configuration that is in no file.
const NO_FILE: &str = "the registry's secret";

/// Credentials in a text, for one registry: `user:password`, or a `config.json` as Docker has it.
pub struct InlineCredentials {
    registry: String,
    form: Form,
}

enum Form {
    Pair(Credential),
    Config(DockerConfigCredentials),
}

impl InlineCredentials {
    /// Reads `text`. The credentials are for `registry` (`host` or `host:port`, as references
    /// name it) and are given to no other.
    pub fn parse(registry: &str, text: &str) -> Result<Self, CredentialError> {
        let form = match text.split_once(':') {
            _ if text.starts_with('{') => {
                Form::Config(DockerConfigCredentials::from_json(text, NO_FILE, vec![])?)
            }
            Some((user, password)) if !user.is_empty() && !password.is_empty() => {
                let password = Secret::new(password);
                Form::Pair(Credential::Basic { user: user.to_owned(), password })
            }
            _ => return Err(CredentialError::Inline { registry: registry.to_owned() }),
        };
        Ok(InlineCredentials { registry: registry.to_owned(), form })
    }
}

impl Credentials for InlineCredentials {
    fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        if registry != self.registry {
            return Ok(None);
        }
        match &self.form {
            Form::Pair(credential) => Ok(Some(credential.clone())),
            Form::Config(config) => config.lookup(registry),
        }
    }
}

impl fmt::Debug for InlineCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineCredentials")
            .field("registry", &self.registry)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"auths": {"r.example": {"auth": "bWU6cGFzczp3b3Jk"}}}"#;

    #[test]
    fn both_forms_are_for_one_registry() {
        for text in ["me:pass:word", CONFIG] {
            let credentials = InlineCredentials::parse("r.example", text).unwrap();
            let expected =
                Credential::Basic { user: "me".to_owned(), password: Secret::new("pass:word") };
            assert_eq!(credentials.lookup("r.example").unwrap(), Some(expected), "{text}");
            assert_eq!(credentials.lookup("r.example.org").unwrap(), None);
            assert_eq!(credentials.lookup("r.example:5000").unwrap(), None);
            assert!(!format!("{credentials:?}").contains("word"));
        }
    }

    #[test]
    fn what_is_neither_is_refused_and_not_shown() {
        for text in ["", "hunter2", ":hunter2", "hunter2:", "{hunter2"] {
            let error = InlineCredentials::parse("r.example", text).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
