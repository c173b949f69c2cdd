//! What a `pyproject.toml` says besides `[tool.pixi]` (PEP 621, PEP 735).

use super::error::PixiError;
use super::manifest::{DEFAULT, Feature, Tables};
use super::spec::CondaSpec;
use crate::foreign::normalized;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Pyproject {
    #[serde(default)]
    project: Project,
    #[serde(default)]
    dependency_groups: BTreeMap<String, Vec<GroupEntry>>,
    #[serde(default)]
    pub(super) tool: Tool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project {
    name: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    requires_python: Option<String>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum GroupEntry {
    Requirement(String),
    Include {
        #[serde(rename = "include-group")]
        group: String,
    },
}

#[derive(Default, Deserialize)]
pub(super) struct Tool {
    #[serde(default)]
    pub(super) pixi: Option<Tables>,
}

/// How deep groups may include each other.
const DEEPEST: usize = 32;

impl Pyproject {
    pub(super) fn of_script(
        dependencies: Vec<String>,
        requires_python: Option<String>,
        tool: Tool,
    ) -> Self {
        let project = Project { dependencies, requires_python, ..Project::default() };
        Pyproject { project, dependency_groups: BTreeMap::new(), tool }
    }

    /// Adds the project's dependencies to the default feature, and its extras and groups as
    /// features of their names.
    pub(super) fn add_to(self, features: &mut BTreeMap<String, Feature>) -> Result<(), PixiError> {
        let own = self.project.name.as_deref().map(normalized);
        let default = features.entry(DEFAULT.to_owned()).or_default();
        for requirement in &self.project.dependencies {
            add(default, requirement, own.as_deref());
        }
        if let Some(python) = &self.project.requires_python {
            let entry = default.all.dependencies.entry("python".to_owned());
            entry.or_insert_with(|| CondaSpec::Version(python.clone()));
        }
        for (extra, requirements) in &self.project.optional_dependencies {
            let feature = features.entry(extra.clone()).or_default();
            for requirement in self.without_own_extras(requirements, own.as_deref(), 0) {
                add(feature, &requirement, own.as_deref());
            }
        }
        for group in self.dependency_groups.keys() {
            let requirements = self.group(group, 0)?;
            let feature = features.entry(group.clone()).or_default();
            for requirement in &requirements {
                add(feature, requirement, own.as_deref());
            }
        }
        Ok(())
    }

    fn group(&self, name: &str, depth: usize) -> Result<Vec<String>, PixiError> {
        if depth > DEEPEST {
            return Err(PixiError::Circle(name.to_owned()));
        }
        let key = normalized(name);
        let found = self.dependency_groups.iter().find(|(group, _)| normalized(group) == key);
        let mut all = vec![];
        for entry in found.map(|(_, entries)| entries.as_slice()).unwrap_or_default() {
            match entry {
                GroupEntry::Requirement(requirement) => all.push(requirement.clone()),
                GroupEntry::Include { group } => {
                    let key = normalized(group);
                    if !self.dependency_groups.keys().any(|there| normalized(there) == key) {
                        let (group, wanted) = (name.to_owned(), group.clone());
                        return Err(PixiError::Group { group, wanted });
                    }
                    all.extend(self.group(group, depth + 1)?);
                }
            }
        }
        Ok(all)
    }

    /// `project[extra]` among the project's own extras stands for what that extra has.
    fn without_own_extras(
        &self,
        requirements: &[String],
        own: Option<&str>,
        depth: usize,
    ) -> Vec<String> {
        let mut all = vec![];
        for requirement in requirements {
            let (name, rest) = split(requirement);
            let extras = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
            match extras {
                Some((extras, _)) if Some(normalized(name).as_str()) == own && depth < DEEPEST => {
                    for extra in extras.split(',').map(|extra| normalized(extra.trim())) {
                        let mut found = self.project.optional_dependencies.iter();
                        let found = found.find(|(name, _)| normalized(name) == extra);
                        let further = found.map(|(_, all)| all.as_slice()).unwrap_or_default();
                        all.extend(self.without_own_extras(further, own, depth + 1));
                    }
                }
                _ => all.push(requirement.clone()),
            }
        }
        all
    }
}

/// The name that a requirement begins with, and the rest.
pub(super) fn split(requirement: &str) -> (&str, &str) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let requirement = requirement.trim();
    let end = requirement.find(|c| !is_word(c)).unwrap_or(requirement.len());
    (&requirement[..end], requirement[end..].trim_start())
}

/// Entries in `[pypi-dependencies]` count for more than the project's. Several of the project's for
/// one package differ in their markers, and count all.
fn add(feature: &mut Feature, requirement: &str, own: Option<&str>) {
    let (name, _) = split(requirement);
    let key = normalized(name);
    let mut declared = feature.all.pypi_dependencies.keys();
    if Some(key.as_str()) != own && !declared.any(|there| normalized(there) == key) {
        feature.requirements.push(requirement.trim().to_owned());
    }
}
