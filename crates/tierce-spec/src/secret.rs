//! Values that steps need while they run, and that must never be in the image.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A value that a step needs while it runs and that must never be in the image: a password of a
/// package index, a token for a private repository.
///
/// It is declared by where it comes from (`key`, in a `group` if any) and by how the step gets it:
/// as a variable, as a file, or both. The value itself is looked up when the image is built, and
/// is in no layer, configuration, key, log or error.
///
/// ```
/// use tierce_spec::Secret;
///
/// let token = Secret::new("token").with_group("pypi");
/// assert_eq!(token.variable(), "PYPI_TOKEN");
/// assert_eq!(token.env_name().as_deref(), Some("PYPI_TOKEN"));
/// assert_eq!(token.with_mount("/root/.netrc").env_name(), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Secret {
    /// What the value is called where it is kept.
    pub key: String,
    /// The group it belongs to there, where values have groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The absolute path in the image at which the step sees a file with the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mount: Option<String>,
    /// The variable in which the step sees the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<String>,
}

/// Where the value of a [`Secret`] comes from, however steps get it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretId {
    /// The group, where there is one.
    pub group: Option<String>,
    /// The key.
    pub key: String,
}

impl Secret {
    /// The value called `key`, in the variable [`Secret::variable`] until something else is said.
    pub fn new(key: impl Into<String>) -> Self {
        Secret { key: key.into(), group: None, mount: None, env: None }
    }

    /// In this group.
    pub fn with_group(self, group: impl Into<String>) -> Self {
        Secret { group: Some(group.into()), ..self }
    }

    /// As a file at this path of the image.
    pub fn with_mount(self, path: impl Into<String>) -> Self {
        Secret { mount: Some(path.into()), ..self }
    }

    /// In this variable.
    pub fn with_env(self, name: impl Into<String>) -> Self {
        Secret { env: Some(name.into()), ..self }
    }

    /// Where the value comes from.
    pub fn id(&self) -> SecretId {
        SecretId { group: self.group.clone(), key: self.key.clone() }
    }

    /// `GROUP_KEY`, or `KEY`: the host's variable that is looked up, and the step's where no
    /// other is named.
    pub fn variable(&self) -> String {
        self.id().variable()
    }

    /// The variable in which the step sees the value; none where it sees a file only.
    pub fn env_name(&self) -> Option<String> {
        match (&self.env, &self.mount) {
            (Some(name), _) => Some(name.clone()),
            (None, None) => Some(self.variable()),
            (None, Some(_)) => None,
        }
    }
}

impl SecretId {
    /// `GROUP_KEY`, or `KEY`, in upper case; what can't be in a variable's name becomes `_`.
    pub fn variable(&self) -> String {
        let group = self.group.iter().flat_map(|group| group.chars().chain(['_']));
        let word = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        group.chain(self.key.chars()).map(word).collect()
    }
}

/// `group/key`, or `key`.
impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{group}/{}", self.key),
            None => f.write_str(&self.key),
        }
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id().fmt(f)
    }
}
