//! One file's settings, and where in the file they are.

use crate::redact::redact;
use crate::{BuilderProblem, ConfigError, ConfigFile, FileKind, project};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind::NotFound;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// The table of a `tierce.toml` that has settings.
const WORKSPACE: &str = "workspace";

/// The builders that there always are; none of `[builders]` takes their place.
const BUILT_IN: [&str; 5] = ["buildkit", "docker", "native", "noop", "podman"];

/// A file with settings.
#[derive(Clone)]
pub(crate) struct Layer {
    pub kind: FileKind,
    pub path: PathBuf,
    pub file: ConfigFile,
    lines: Lines,
}

/// Where the keys are.
#[derive(Clone)]
enum Lines {
    /// To be looked up in this text, below this table. Most of the time nobody asks.
    Toml { text: String, below: Option<&'static str> },
    /// Known already.
    Known(BTreeMap<String, usize>),
}

/// A `tierce.toml`, as far as its settings go; the rest is not this crate's.
#[derive(Default, Deserialize)]
struct Workspace {
    workspace: Option<ConfigFile>,
}

impl Layer {
    /// The user's `config.toml`; `None` where there is none.
    pub(crate) fn user(path: &Path, home: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        let Some(text) = read(path)? else { return Ok(None) };
        let file = toml::from_str(&text).map_err(|error| invalid(path, &text, &error))?;
        let layer = Layer {
            kind: FileKind::User,
            path: path.to_owned(),
            file,
            lines: Lines::Toml { text, below: None },
        };
        layer.checked(home).map(Some)
    }

    /// The settings in a project's `tierce.toml`; `None` where it is not there or has none.
    pub(crate) fn workspace(path: &Path, home: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        let Some(text) = read(path)? else { return Ok(None) };
        // What is wrong with the rest is for those to say who read the rest.
        if !text.contains(WORKSPACE) {
            return Ok(None);
        }
        let found: Workspace =
            toml::from_str(&text).map_err(|error| invalid(path, &text, &error))?;
        let Some(file) = found.workspace else { return Ok(None) };
        let layer = Layer {
            kind: FileKind::Workspace,
            path: path.to_owned(),
            file,
            lines: Lines::Toml { text, below: Some(WORKSPACE) },
        };
        if let Some(key) = project::user_only(&layer.file) {
            let line = layer.line(&key).unwrap_or(1);
            return Err(ConfigError::UserOnly { path: layer.path, line, key: show(&key) });
        }
        if let Some(key) = project::foreign_cache(&layer.file) {
            let line = layer.line(&key).unwrap_or(1);
            return Err(ConfigError::ProjectCache { path: layer.path, line, key: show(&key) });
        }
        layer.checked(home).map(Some)
    }

    /// What was read from Flyte's file, and the lines by key.
    pub(crate) fn flyte(path: &Path, file: ConfigFile, lines: BTreeMap<String, usize>) -> Self {
        Layer { kind: FileKind::Flyte, path: path.to_owned(), file, lines: Lines::Known(lines) }
    }

    fn checked(mut self, home: Option<&Path>) -> Result<Self, ConfigError> {
        self.check_registries()?;
        self.check_builders()?;
        let folder = self.path.parent().unwrap_or(Path::new("/")).to_owned();
        self.file.resolve_paths(&folder, home);
        Ok(self)
    }

    fn check_registries(&self) -> Result<(), ConfigError> {
        for (key, registry) in &self.file.registries {
            let name = key.0.to_string();
            let path = |last: &str| vec!["registries".to_owned(), name.clone(), last.to_owned()];
            let connection = [
                (registry.ca.is_some(), "ca"),
                (registry.client_cert.is_some(), "client-cert"),
                (registry.client_key.is_some(), "client-key"),
                (registry.insecure.is_some(), "insecure"),
                (registry.skip_tls_verify.is_some(), "skip-tls-verify"),
            ];
            let set = connection.into_iter().find(|(set, _)| *set);
            if let Some((_, last)) = set.filter(|_| !key.0.path().is_empty()) {
                return Err(ConfigError::PartOfRegistry {
                    path: self.path.clone(),
                    line: self.line(&path(last)).unwrap_or(1),
                    key: show(&path(last)),
                    host: key.0.host().to_owned(),
                });
            }
            if registry.client_cert.is_some() != registry.client_key.is_some() {
                let last =
                    if registry.client_cert.is_some() { "client-cert" } else { "client-key" };
                return Err(ConfigError::HalfIdentity {
                    path: self.path.clone(),
                    line: self.line(&path(last)).unwrap_or(1),
                    registry: name,
                });
            }
        }
        Ok(())
    }

    fn check_builders(&self) -> Result<(), ConfigError> {
        for (name, table) in &self.file.builders {
            let key = ["builders".to_owned(), name.clone()];
            let (path, line) = (self.path.clone(), || self.line(&key).unwrap_or(1));
            if BUILT_IN.contains(&name.as_str()) {
                return Err(ConfigError::ReservedName { path, line: line(), name: name.clone() });
            }
            if let Some(problem) = BuilderProblem::of(table) {
                return Err(ConfigError::Builder { path, line: line(), key: show(&key), problem });
            }
        }
        Ok(())
    }

    /// The line of a key, from 1.
    pub(crate) fn line(&self, key: &[String]) -> Option<usize> {
        match &self.lines {
            Lines::Known(lines) => lines.get(&show(key)).copied(),
            Lines::Toml { text, below } => {
                let root = DeTable::parse(text).ok()?;
                let path = below.iter().copied().chain(key.iter().map(String::as_str));
                let span = span_of(root.get_ref(), path)?;
                Some(position(text, span.start).0)
            }
        }
    }
}

/// A key as TOML writes it.
pub(crate) fn show(key: &[String]) -> String {
    let is_bare = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    let parts = key.iter().map(|part| match is_bare(part) {
        true => part.clone(),
        false => toml::Value::String(part.clone()).to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}

/// The text of a file that may be missing.
pub(crate) fn read(path: &Path) -> Result<Option<String>, ConfigError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// As much of the path as there is.
fn span_of<'a>(
    table: &DeTable<'_>,
    mut path: impl Iterator<Item = &'a str>,
) -> Option<Range<usize>> {
    let wanted = path.next()?;
    // Names of registries have several spellings.
    let same = |key: &str| key == wanted || key.trim_end_matches('/') == wanted;
    let (key, value) = table.iter().find(|(key, _)| same(key.get_ref()))?;
    let inner = match value.get_ref() {
        DeValue::Table(inner) => span_of(inner, path),
        _ => None,
    };
    inner.or(Some(key.span()))
}

/// Line and column of an offset, both from 1.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

fn invalid(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let (line, column) = position(text, error.span().map_or(0, |span| span.start));
    let message = redact(error.message().trim_end()).replace('\n', ", ");
    ConfigError::Invalid { path: path.to_owned(), line, column, message }
}
