//! The manifest: `pixi.toml`, `[tool.pixi]` of a `pyproject.toml`, or of a script's header.

use super::PypiOptions;
use super::error::PixiError;
use super::header::script_header;
use super::pypi::PypiSpec;
use super::pyproject::Pyproject;
use super::spec::CondaSpec;
use crate::text;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The feature that every environment has unless it says otherwise.
pub(super) const DEFAULT: &str = "default";

/// What kind of file a manifest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixiFile {
    /// `pixi.toml`.
    Pixi,
    /// `pyproject.toml`.
    Pyproject,
    /// A script with a header.
    Script,
}

impl PixiFile {
    /// The kind that a file of this name is.
    pub fn of_name(name: &str) -> Self {
        match name {
            "pyproject.toml" => PixiFile::Pyproject,
            name if name.ends_with(".toml") => PixiFile::Pixi,
            _ => PixiFile::Script,
        }
    }
}

/// A pixi manifest.
#[derive(Clone, Debug)]
pub struct PixiManifest {
    pub(super) channels: Option<Vec<Channel>>,
    pub(super) platforms: Option<Vec<String>>,
    pub(super) pypi_options: PypiOptions,
    /// With the feature `default`.
    pub(super) features: BTreeMap<String, Feature>,
    pub(super) environments: BTreeMap<String, EnvironmentTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Tables {
    #[serde(alias = "project")]
    workspace: Option<Workspace>,
    #[serde(default)]
    feature: BTreeMap<String, Feature>,
    #[serde(default)]
    environments: BTreeMap<String, EnvironmentEntry>,
    #[serde(flatten)]
    default: Feature,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Workspace {
    channels: Option<Vec<Channel>>,
    platforms: Option<Vec<PlatformEntry>>,
    #[serde(default)]
    pypi_options: PypiOptions,
}

/// A channel: its name, or with the priority that it has among those of all features.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Channel {
    Name(String),
    Prioritized {
        channel: String,
        #[serde(default)]
        priority: Option<i64>,
    },
}

impl Channel {
    pub(super) fn name(&self) -> &str {
        match self {
            Channel::Name(name) | Channel::Prioritized { channel: name, .. } => name,
        }
    }

    pub(super) fn priority(&self) -> i64 {
        match self {
            Channel::Name(_) => 0,
            Channel::Prioritized { priority, .. } => priority.unwrap_or(0),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum PlatformEntry {
    Name(String),
    Table {
        #[serde(alias = "subdir")]
        platform: Option<String>,
        name: Option<String>,
    },
}

impl PlatformEntry {
    fn subdir(self) -> Option<String> {
        match self {
            PlatformEntry::Name(name) => Some(name),
            PlatformEntry::Table { platform, name } => platform.or(name),
        }
    }
}

/// What a feature adds to an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Feature {
    #[serde(default)]
    pub channels: Option<Vec<Channel>>,
    #[serde(default)]
    pub platforms: Option<Vec<String>>,
    #[serde(default)]
    pub system_requirements: SystemRequirements,
    #[serde(default)]
    pub pypi_options: PypiOptions,
    #[serde(default)]
    pub target: BTreeMap<String, Target>,
    /// What a `pyproject.toml` says outside of `[tool.pixi]`: requirements (PEP 508).
    #[serde(skip)]
    pub requirements: Vec<String>,
    #[serde(flatten)]
    pub all: Target,
}

/// What is asked for on a platform, or on all of them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Target {
    #[serde(default)]
    pub dependencies: BTreeMap<String, CondaSpec>,
    #[serde(default)]
    pub host_dependencies: BTreeMap<String, CondaSpec>,
    #[serde(default)]
    pub build_dependencies: BTreeMap<String, CondaSpec>,
    /// Packages of the host whose own dependencies are installed.
    #[serde(default)]
    pub dev: BTreeMap<String, serde::de::IgnoredAny>,
    #[serde(default)]
    pub pypi_dependencies: BTreeMap<String, PypiSpec>,
    #[serde(default)]
    pub activation: Activation,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Activation {
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub scripts: Vec<String>,
}

/// What machines must have.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct SystemRequirements {
    pub linux: Option<String>,
    pub cuda: Option<String>,
    pub archspec: Option<String>,
    pub libc: Option<LibcRequirement>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum LibcRequirement {
    Version(String),
    Family { family: Option<String>, version: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EnvironmentEntry {
    Features(Vec<String>),
    Table(EnvironmentTable),
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EnvironmentTable {
    #[serde(default)]
    pub features: Vec<String>,
    #[serde(default)]
    pub no_default_feature: bool,
}

impl PixiManifest {
    /// Reads a manifest.
    pub fn parse(bytes: &[u8], file: PixiFile) -> Result<Self, PixiError> {
        match file {
            PixiFile::Pixi => Ok(PixiManifest::of(text::toml(bytes)?)),
            PixiFile::Pyproject => PixiManifest::of_pyproject(text::toml(bytes)?),
            PixiFile::Script => {
                let header = script_header(text::text(bytes)?)?;
                let script: Script = text::toml(header.as_bytes())?;
                let mut manifest = PixiManifest::of_pyproject(script.pyproject())?;
                let usual = || vec![Channel::Name("conda-forge".to_owned())];
                manifest.channels.get_or_insert_with(usual);
                Ok(manifest)
            }
        }
    }

    fn of(tables: Tables) -> Self {
        let workspace = tables.workspace.unwrap_or_default();
        let mut features = tables.feature;
        features.insert(DEFAULT.to_owned(), tables.default);
        let table = |entry| match entry {
            EnvironmentEntry::Table(table) => table,
            EnvironmentEntry::Features(features) => {
                EnvironmentTable { features, no_default_feature: false }
            }
        };
        let mut environments: BTreeMap<String, EnvironmentTable> =
            tables.environments.into_iter().map(|(name, entry)| (name, table(entry))).collect();
        environments.entry(DEFAULT.to_owned()).or_default();
        let platforms = workspace.platforms;
        let platforms = platforms
            .map(|all| all.into_iter().filter_map(PlatformEntry::subdir).collect::<Vec<_>>());
        PixiManifest {
            channels: workspace.channels,
            platforms,
            pypi_options: workspace.pypi_options,
            features,
            environments,
        }
    }

    fn of_pyproject(mut pyproject: Pyproject) -> Result<Self, PixiError> {
        let tables = pyproject.tool.pixi.take().ok_or(PixiError::NotPixi)?;
        let mut manifest = PixiManifest::of(tables);
        pyproject.add_to(&mut manifest.features)?;
        Ok(manifest)
    }

    /// The environments, sorted by name.
    pub fn environments(&self) -> Vec<String> {
        self.environments.keys().cloned().collect()
    }
}

/// The header of a script.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Script {
    #[serde(default)]
    dependencies: Vec<String>,
    requires_python: Option<String>,
    #[serde(default)]
    tool: super::pyproject::Tool,
}

impl Script {
    /// A script without anything for pixi has what it depends on from conda-forge.
    fn pyproject(self) -> Pyproject {
        let Script { dependencies, requires_python, mut tool } = self;
        if tool.pixi.is_none() {
            tool.pixi = Some(Tables {
                workspace: None,
                feature: BTreeMap::new(),
                environments: BTreeMap::new(),
                default: Feature::default(),
            });
        }
        Pyproject::of_script(dependencies, requires_python, tool)
    }
}
