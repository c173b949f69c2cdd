//! What can be wrong with a schema, and with a configuration.

use std::fmt;

/// Why a schema cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// Something is not what JSON Schema has there.
    #[error("{at}: expected {expected}")]
    Shape {
        /// Where, as `properties.host.type`.
        at: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A keyword outside of the subset that is understood.
    #[error("{at}: the keyword {keyword:?} is not supported")]
    Keyword {
        /// Where.
        at: String,
        /// The keyword.
        keyword: String,
    },
    /// A key that all registered builders have.
    #[error("{at}: every registered builder has a key of that name")]
    Reserved {
        /// Where.
        at: String,
    },
    /// A default that breaks its own rules.
    #[error("{at}: the default value breaks the rules of its key")]
    Default {
        /// Where.
        at: String,
    },
    /// `required` names something that is no property.
    #[error("required: there is no property {name:?}")]
    Required {
        /// What it names.
        name: String,
    },
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigProblem {
    /// The flavor has no such key.
    #[error("{key}: there is no such key{}", did_you_mean(nearest.as_deref()))]
    Unknown {
        /// The key.
        key: String,
        /// The key that it looks like.
        nearest: Option<String>,
    },
    /// The flavor needs the key.
    #[error("{key}: the key is required")]
    Missing {
        /// The key.
        key: String,
    },
    /// The value is of the wrong type, out of bounds, or none of those that may be.
    #[error("{key}: {found} is not {expected}")]
    Value {
        /// The key; with `[1]` or `.name` for a part of it.
        key: String,
        /// The value, or its type where the value may be confidential.
        found: String,
        /// What belongs there.
        expected: String,
    },
    /// Several values for a key that takes one.
    #[error("{key}: the key takes one value, and was given {count}")]
    Several {
        /// The key.
        key: String,
        /// How many there were.
        count: usize,
    },
}

impl ConfigProblem {
    /// The key that is wrong.
    pub fn key(&self) -> &str {
        match self {
            ConfigProblem::Unknown { key, .. }
            | ConfigProblem::Missing { key }
            | ConfigProblem::Value { key, .. }
            | ConfigProblem::Several { key, .. } => key,
        }
    }
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|key| format!("; did you mean {key}?")).unwrap_or_default()
}

/// Everything that is wrong with a configuration, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigProblem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
