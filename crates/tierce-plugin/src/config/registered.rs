//! One registered builder as data.

use crate::flavor::Config;
use crate::process::Limits;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tierce_oci::{Diagnostic, ErrorKind};

/// A builder that the user registered.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    /// Its name.
    pub name: String,
    /// Its flavor's name.
    pub flavor: String,
    /// The settings of its flavor, as they were written.
    pub config: Config,
    /// How long it may take, where that was said.
    pub limits: Option<Limits>,
}

/// Why `[builders.NAME]` is no builder.
#[derive(Clone, Debug, thiserror::Error)]
#[error("[builders.{name}] is not a registered builder")]
pub struct RegisteredError {
    /// The builder's name.
    pub name: String,
    /// What is wrong.
    pub source: Box<toml::de::Error>,
}

impl Diagnostic for RegisteredError {
    fn code(&self) -> &'static str {
        "builder/invalid-entry"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(format!(
            "It needs `flavor = \"...\"`; `tierce builder register {} --flavor ...` writes it.",
            self.name
        ))
    }
}

/// `[builders.NAME]`
#[derive(Deserialize)]
struct Entry {
    flavor: String,
    limits: Option<LimitsEntry>,
    #[serde(flatten)]
    config: Config,
}

/// `limits = { ... }`, in seconds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsEntry {
    describe: Option<u64>,
    check: Option<u64>,
    idle: Option<u64>,
    build: Option<u64>,
    grace: Option<u64>,
}

impl From<LimitsEntry> for Limits {
    fn from(entry: LimitsEntry) -> Self {
        let usual = Limits::default();
        let seconds = |value: Option<u64>| value.map(Duration::from_secs);
        Limits {
            describe: seconds(entry.describe).unwrap_or(usual.describe),
            check: seconds(entry.check).unwrap_or(usual.check),
            idle: seconds(entry.idle).unwrap_or(usual.idle),
            build: seconds(entry.build).or(usual.build),
            grace: seconds(entry.grace).unwrap_or(usual.grace),
        }
    }
}

impl Registered {
    /// Reads the table `[builders.NAME]`.
    pub fn read(name: &str, table: &toml::Table) -> Result<Self, RegisteredError> {
        let entry: Entry = table.clone().try_into().map_err(|source| RegisteredError {
            name: name.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Registered {
            name: name.to_owned(),
            flavor: entry.flavor,
            config: entry.config.into_iter().map(|(key, value)| (key, plain(value))).collect(),
            limits: entry.limits.map(Limits::from),
        })
    }
}

/// TOML's dates reach JSON as an object with a private key; they are text to builders.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(object) => match object.get("$__toml_private_datetime") {
            Some(Value::String(date)) => Value::String(date.clone()),
            _ => Value::Object(object.into_iter().map(|(k, v)| (k, plain(v))).collect()),
        },
        Value::Array(list) => Value::Array(list.into_iter().map(plain).collect()),
        other => other,
    }
}
