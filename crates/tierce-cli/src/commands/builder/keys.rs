//! `--key value` after all other options.

use super::error::BuilderCommandError;
use tierce::plugin::{Config, ConfigErrors, ConfigProblem, ConfigSchema, Property, ValueKind};

/// Keys and their values, in the order in which they were first written.
#[derive(Debug, Default)]
pub struct Given(Vec<(String, Vec<String>)>);

/// A configuration that breaks the rules, of a builder that is not known here.
pub struct Invalid(ConfigErrors);

impl Invalid {
    /// The same, with the builder's name.
    pub fn of(self, name: &str, flavor: &str) -> BuilderCommandError {
        let (name, flavor) = (name.to_owned(), flavor.to_owned());
        BuilderCommandError::Config { name, flavor, source: self.0 }
    }
}

/// Reads `--key value` and `--key=value`.
pub fn parse(words: &[String]) -> Result<Given, BuilderCommandError> {
    let mut given = Given::default();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let key = word.strip_prefix("--").filter(|key| !key.is_empty() && !key.starts_with('='));
        let key = key.ok_or_else(|| BuilderCommandError::NoKey(word.clone()))?;
        let (key, value) = match key.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None if key == "project" => (key, Some("true".to_owned())),
            // What looks like a key is none's value: such values are written --key=--value.
            None => (key, words.next_if(|next| !next.starts_with("--")).cloned()),
        };
        given.add(key, value);
    }
    Ok(given)
}

impl Given {
    fn add(&mut self, key: &str, value: Option<String>) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => values.extend(value),
            None => self.0.push((key.to_owned(), value.into_iter().collect())),
        }
    }

    /// Takes a key out that is the command's own.
    pub fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        self.0.remove(at).1.into_iter().next()
    }

    /// The values as the schema wants them, or everything that is wrong with them.
    pub fn read(&self, schema: &ConfigSchema) -> Result<Config, Invalid> {
        let (mut config, mut problems) = (Config::new(), vec![]);
        for (key, values) in &self.0 {
            let value = match (values.as_slice(), schema.property(key)) {
                // A key alone switches something on.
                ([], Some(Property { kind: ValueKind::Boolean, .. })) => Ok(true.into()),
                ([], Some(property)) => Err(ConfigProblem::Value {
                    key: key.clone(),
                    found: "nothing".into(),
                    expected: property.expected(),
                }),
                (values, _) => schema.read(key, values),
            };
            match value {
                Ok(value) => drop(config.insert(key.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(Invalid(ConfigErrors(problems))) }
    }
}
