//! From what everybody says to one value, and the record of who said it.

use crate::layer::{Layer, show};
use crate::redact::{HIDDEN, is_sensitive, redact};
use crate::values::ValueError;
use crate::{ConfigError, ConfigFile, Environment, FileKind, Origin};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::str::FromStr;

/// One setting: its value, and where that comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// The key, as `config.toml` has it: `registries."docker.io".mirrors`.
    pub key: String,
    /// The value, what may be a secret taken out; `None` for what is not set.
    pub value: Option<toml::Value>,
    /// Where it comes from.
    pub origin: Origin,
}

impl Entry {
    /// The value as scripts want it: texts without quotes. Empty for what is not set.
    pub fn plain(&self) -> String {
        match &self.value {
            Some(toml::Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// A line that could stand in a `config.toml`; a comment for what is not set.
    pub fn line(&self) -> String {
        match &self.value {
            Some(value) => format!("{} = {value}", self.key),
            None => format!("# {} is not set", self.key),
        }
    }
}

/// Who said a value.
#[derive(Clone, Debug)]
pub(crate) enum Said {
    Flag(&'static str),
    Variable(&'static str),
    /// The file of this place in the list.
    File(usize),
    /// Nobody: it is there on this machine.
    Found(PathBuf),
    Default,
}

/// A setting as it was recorded.
#[derive(Clone)]
pub(crate) struct Recorded {
    key: Vec<String>,
    value: Option<toml::Value>,
    said: Said,
}

/// A value from a flag or a variable.
pub(crate) type Above<T> = Option<(T, Said)>;

pub(crate) struct Resolver<'a> {
    pub env: &'a Environment,
    pub layers: &'a [Layer],
    pub recorded: Vec<Recorded>,
}

impl<'a> Resolver<'a> {
    /// The first value that somebody gives.
    pub(crate) fn value<T: Clone + Serialize>(
        &mut self,
        key: &[&str],
        above: Above<T>,
        get: impl Fn(&ConfigFile) -> Option<T>,
    ) -> Option<T> {
        self.value_as(key, above, get, T::clone)
    }

    /// The first value that somebody gives, which is recorded as `show` has it.
    pub(crate) fn value_as<T: Clone, S: Serialize>(
        &mut self,
        key: &[&str],
        above: Above<T>,
        get: impl Fn(&ConfigFile) -> Option<T>,
        show: impl Fn(&T) -> S,
    ) -> Option<T> {
        let file = || {
            let mut layers = self.layers.iter().enumerate();
            layers.find_map(|(index, layer)| Some((get(&layer.file)?, Said::File(index))))
        };
        let found = above.or_else(file);
        let (value, said) = match found {
            Some((value, said)) => (Some(value), said),
            None => (None, Said::Default),
        };
        self.record(key, value.as_ref().map(show).as_ref(), said);
        value
    }

    /// The first value that somebody gives, or else this one.
    pub(crate) fn or_default<T: Clone + Serialize>(
        &mut self,
        key: &[&str],
        above: Above<T>,
        get: impl Fn(&ConfigFile) -> Option<T>,
        default: T,
    ) -> T {
        let found = self.value(key, above, get);
        found.unwrap_or_else(|| {
            self.recorded.pop();
            self.record(key, Some(&default), Said::Default);
            default
        })
    }

    fn record<T: Serialize>(&mut self, key: &[&str], value: Option<&T>, said: Said) {
        let key = key.iter().map(|part| (*part).to_owned()).collect();
        let value = value.and_then(|value| toml::Value::try_from(value).ok());
        self.recorded.push(Recorded { key, value: value.map(shown), said });
    }

    /// The first of these variables that is set.
    pub(crate) fn variable<T: FromStr<Err = ValueError>>(
        &self,
        names: &[&'static str],
    ) -> Result<Above<T>, ConfigError> {
        for name in names.iter().copied() {
            if let Some(text) = self.env.text(name) {
                let value = text.parse();
                let value = value.map_err(|source| ConfigError::Variable { name, source })?;
                return Ok(Some((value, Said::Variable(name))));
            }
        }
        Ok(None)
    }

    /// The first of these variables that is set, as it is.
    pub(crate) fn text(&self, names: &[&'static str]) -> Above<String> {
        names.iter().find_map(|name| Some((self.env.text(name)?.to_owned(), Said::Variable(name))))
    }

    /// A variable with a path.
    pub(crate) fn path(&self, name: &'static str) -> Above<PathBuf> {
        let path = self.env.path(name)?;
        Some((std::path::absolute(&path).unwrap_or(path), Said::Variable(name)))
    }

    /// The names in a table, of all files together, each once.
    pub(crate) fn names<K: Ord + Clone + 'a, V: 'a>(
        &self,
        table: impl Fn(&'a ConfigFile) -> &'a BTreeMap<K, V>,
    ) -> BTreeSet<K> {
        self.layers.iter().flat_map(|layer| table(&layer.file).keys().cloned()).collect()
    }
}

impl Recorded {
    /// As it is shown, with the line in its file.
    pub(crate) fn entry(&self, layers: &[Layer]) -> Entry {
        let origin = match self.said {
            Said::Flag(flag) => Origin::Flag { flag },
            Said::Variable(name) => Origin::Variable { name },
            Said::Found(ref path) => Origin::Found { path: path.clone() },
            Said::Default => Origin::Default,
            Said::File(index) => {
                let layer: &Layer = &layers[index];
                let (file, path): (FileKind, _) = (layer.kind, layer.path.clone());
                Origin::File { file, path, line: layer.line(&self.key) }
            }
        };
        Entry { key: show(&self.key), value: self.value.clone(), origin }
    }
}

/// A value without what may be a secret.
fn shown(value: toml::Value) -> toml::Value {
    use toml::Value;
    match value {
        Value::String(text) => Value::String(redact(&text).into_owned()),
        Value::Array(items) => Value::Array(items.into_iter().map(shown).collect()),
        Value::Table(table) => {
            let hidden = |key: &str, value| match is_sensitive(key) {
                true => Value::String(HIDDEN.to_owned()),
                false => shown(value),
            };
            let entries = table.into_iter().map(|(key, value)| (key.clone(), hidden(&key, value)));
            Value::Table(entries.collect())
        }
        other => other,
    }
}
