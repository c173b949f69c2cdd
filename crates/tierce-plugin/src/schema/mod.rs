//! What a flavor's configuration may hold.
//!
//! A schema is written in JSON Schema (draft 2020-12); the subset that is understood is listed in
//! `docs/builders.md`. What is outside of it is refused rather than passed over: a rule that
//! nobody checks is worse than none.

mod parse;
mod problem;
mod property;

pub use problem::{ConfigErrors, ConfigProblem, SchemaError};
pub use property::{Property, ValueKind};

use serde::Serialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The keys of a flavor's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ConfigSchema {
    properties: BTreeMap<String, Property>,
}

/// Keys that registered builders have besides those of their flavor.
pub(crate) const RESERVED_KEYS: [&str; 2] = ["flavor", "limits"];

impl ConfigSchema {
    /// A schema without keys.
    pub fn empty() -> Self {
        ConfigSchema::default()
    }

    /// Reads a JSON Schema.
    pub fn parse(schema: &Value) -> Result<Self, SchemaError> {
        Ok(ConfigSchema { properties: parse::object(schema)? })
    }

    /// The keys and what is known of them, sorted.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &Property)> {
        self.properties.iter().map(|(key, property)| (key.as_str(), property))
    }

    /// What is known of a key.
    pub fn property(&self, key: &str) -> Option<&Property> {
        self.properties.get(key)
    }

    /// The configuration with its defaults filled in, or everything that is wrong with it.
    pub fn check(&self, config: &Map<String, Value>) -> Result<Map<String, Value>, ConfigErrors> {
        let mut problems = vec![];
        for (key, value) in config {
            match self.properties.get(key) {
                Some(property) => property.check(key, value, &mut problems),
                None => problems.push(self.unknown(key)),
            }
        }
        let mut complete = config.clone();
        for (key, property) in &self.properties {
            if config.contains_key(key) {
                continue;
            }
            match &property.default {
                Some(value) => drop(complete.insert(key.clone(), value.clone())),
                None if property.required => {
                    problems.push(ConfigProblem::Missing { key: key.clone() });
                }
                None => {}
            }
        }
        match problems.is_empty() {
            true => Ok(complete),
            false => Err(ConfigErrors(problems)),
        }
    }

    /// The value that `texts`, as a command line gives them, stand for: numbers and truth values
    /// are read as such where the key wants them, several texts make a list or a table.
    pub fn read(&self, key: &str, texts: &[String]) -> Result<Value, ConfigProblem> {
        let property = self.properties.get(key).ok_or_else(|| self.unknown(key))?;
        property.read(key, texts)
    }

    /// The schema as JSON Schema again.
    pub fn to_json(&self) -> Value {
        let properties: Map<String, Value> =
            self.properties.iter().map(|(key, p)| (key.clone(), p.to_json())).collect();
        let required: Vec<&String> =
            self.properties.iter().filter(|(_, p)| p.required).map(|(key, _)| key).collect();
        json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// The configuration as people may see it: what is write-only is not shown.
    pub fn redact(&self, config: &Map<String, Value>) -> Map<String, Value> {
        let shown = |(key, value): (&String, &Value)| {
            let hidden = self.properties.get(key).is_some_and(|p| p.write_only);
            (key.clone(), if hidden { Value::String("***".into()) } else { value.clone() })
        };
        config.iter().map(shown).collect()
    }

    fn unknown(&self, key: &str) -> ConfigProblem {
        let known = self.properties.keys();
        ConfigProblem::Unknown { key: key.to_owned(), nearest: nearest(key, known) }
    }
}

/// The candidate most like `word`, if one is alike at all.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a String>,
) -> Option<String> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.clone())
}
