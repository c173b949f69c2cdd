//! Dependencies on Python packages, as pixi writes them, and where they come from.

use super::environment::PypiRequirement;
use super::error::PixiError;
use super::spec::SpecProblem;
use crate::foreign::{bare_index, normalized};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `">=1.2"`, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum PypiSpec {
    Version(String),
    Table(Box<PypiTable>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PypiTable {
    version: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
    index: Option<String>,
    git: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
    rev: Option<String>,
    subdirectory: Option<String>,
    url: Option<String>,
    path: Option<String>,
    env_markers: Option<String>,
}

impl PypiSpec {
    /// The requirement that says the same, and the index that it is to come from.
    pub(super) fn requirement(
        &self,
        name: &str,
    ) -> Result<(PypiRequirement, Option<String>), SpecProblem> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(SpecProblem::Name);
        }
        let table = match self {
            PypiSpec::Version(version) => {
                PypiTable { version: Some(version.clone()), ..PypiTable::default() }
            }
            PypiSpec::Table(table) => (**table).clone(),
        };
        let places = [&table.git, &table.url, &table.path];
        if places.iter().filter(|place| place.is_some()).count() > 1 {
            return Err(SpecProblem::Places);
        }
        let extras = match table.extras.as_slice() {
            [] => String::new(),
            extras => format!("[{}]", extras.join(",")),
        };
        if let Some(path) = table.path {
            let name = format!("{name}{extras}");
            return Ok((PypiRequirement::Folder { name, path }, None));
        }
        let direct = match (table.git, table.url) {
            (Some(git), _) => {
                let git = git.strip_prefix("git+").unwrap_or(&git);
                let revision = table.rev.or(table.tag).or(table.branch);
                let revision = revision.map(|rev| format!("@{rev}")).unwrap_or_default();
                let folder = table.subdirectory.map(|dir| format!("#subdirectory={dir}"));
                Some(format!("git+{git}{revision}{}", folder.unwrap_or_default()))
            }
            (None, Some(url)) => Some(match table.subdirectory {
                Some(folder) => format!("{url}#subdirectory={folder}"),
                None => url,
            }),
            (None, None) => None,
        };
        let what = match (direct, table.version.as_deref().map(str::trim)) {
            (Some(url), _) => format!("{name}{extras} @ {url}"),
            (None, None | Some("" | "*")) => format!("{name}{extras}"),
            (None, Some(version)) => format!("{name}{extras}{version}"),
        };
        let marker = table.env_markers.map(|marker| format!(" ; {marker}")).unwrap_or_default();
        Ok((PypiRequirement::Requirement(format!("{what}{marker}")), table.index))
    }
}

/// Where Python packages come from, and how.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PypiOptions {
    /// The index instead of PyPI.
    pub index_url: Option<String>,
    /// More indexes.
    #[serde(default)]
    pub extra_index_urls: Vec<String>,
    /// What a package may come from that several indexes have.
    pub index_strategy: Option<String>,
    /// Those of `extra_index_urls` that single packages name.
    #[serde(skip)]
    own: Vec<String>,
    /// All that changes nothing, or is not supported.
    #[serde(flatten)]
    others: BTreeMap<String, toml::Value>,
}

impl PypiOptions {
    /// The options of several features together. What only one may say, the first says.
    pub(super) fn and(mut self, other: &PypiOptions) -> Self {
        let first = |mine: &mut Option<String>, its: &Option<String>| {
            if mine.is_none() {
                mine.clone_from(its);
            }
        };
        first(&mut self.index_url, &other.index_url);
        first(&mut self.index_strategy, &other.index_strategy);
        for url in &other.extra_index_urls {
            if !self.extra_index_urls.contains(url) {
                self.extra_index_urls.push(url.clone());
            }
        }
        for (name, value) in &other.others {
            self.others.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self
    }

    /// Arguments of uv that say the rest.
    pub fn arguments(&self) -> Result<Vec<String>, PixiError> {
        let mut arguments = vec![];
        if let Some(strategy) = &self.index_strategy {
            arguments.extend(["--index-strategy".to_owned(), strategy.clone()]);
        }
        for (name, value) in &self.others {
            let each = |option: &str| -> Option<Vec<String>> {
                let names = value.as_array()?.iter();
                let names: Option<Vec<&str>> = names.map(toml::Value::as_str).collect();
                Some(
                    names?
                        .iter()
                        .flat_map(|name| [option.to_owned(), (*name).to_owned()])
                        .collect(),
                )
            };
            let said = match (name.as_str(), value) {
                (_, toml::Value::Boolean(false)) => Some(vec![]),
                (_, toml::Value::Array(all)) if all.is_empty() => Some(vec![]),
                (_, toml::Value::Table(all)) if all.is_empty() => Some(vec![]),
                ("no-build", toml::Value::Boolean(true)) => Some(vec!["--no-build".to_owned()]),
                ("no-build", _) => each("--no-build-package"),
                ("no-binary", _) => each("--no-binary"),
                ("prerelease-mode", toml::Value::String(mode)) => {
                    Some(vec!["--prerelease".to_owned(), mode.clone()])
                }
                _ => None,
            };
            arguments.extend(said.ok_or_else(|| PixiError::PypiOption(name.clone()))?);
        }
        Ok(arguments)
    }

    /// Adds an index that a single package names.
    pub(super) fn add_own(&mut self, index: String) {
        if !self.extra_index_urls.contains(&index) {
            self.extra_index_urls.push(index.clone());
            self.own.push(index);
        }
    }

    /// The indexes that only single packages name, without credentials.
    pub(super) fn of_packages(&self) -> impl Iterator<Item = String> {
        self.own.iter().map(|url| bare_index(url))
    }

    /// Whether other versions of a package are installed than are asked for.
    pub(super) fn overrides(&self, name: &str) -> bool {
        let table = self.others.get("dependency-overrides").and_then(toml::Value::as_table);
        let key = normalized(name);
        table.into_iter().flatten().any(|(overridden, _)| normalized(overridden) == key)
    }

    /// The indexes without credentials, the first one first.
    pub fn indexes(&self) -> Vec<String> {
        let all = self.index_url.iter().chain(&self.extra_index_urls);
        all.map(|url| bare_index(url)).collect()
    }
}
