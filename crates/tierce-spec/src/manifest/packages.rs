//! What `project` and `conda` hold: packages that a project's files or conda's channels say.

use super::document::{SecretName, SecretTable, SecretValue};
use super::forms::Forms;
use crate::{
    Conda, CondaSource, Extras, Groups, PipOptions, PixiEnvironment, Project, ProjectInstall,
    ProjectKind, Secret, Selection, ServiceUrl,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The Python packages of a project, as its lock file says them.
#[derive(Clone, Debug, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["uv"] }, { "required": ["poetry"] }, { "required": ["pylock"] }
]))]
pub(super) struct ProjectTable {
    /// The pyproject.toml of a uv project; its uv.lock is beside it, or at the root of its
    /// workspace.
    pub uv: Option<PathBuf>,
    /// The pyproject.toml of a Poetry project; its poetry.lock is beside it.
    pub poetry: Option<PathBuf>,
    /// A pylock.toml (PEP 751).
    pub pylock: Option<PathBuf>,
    /// The lock file, where it is elsewhere.
    pub lock: Option<PathBuf>,
    /// What of it is installed: its "dependencies" only, or the "project" too.
    #[serde(default)]
    pub install: InstallValue,
    /// Dependency groups besides the default ones; or "all", or "none".
    #[serde(default)]
    pub groups: NamesValue,
    /// Dependency groups that are installed alone, without the project's dependencies.
    #[serde(default)]
    pub only_groups: Vec<String>,
    /// Dependency groups that are left out.
    #[serde(default)]
    pub without_groups: Vec<String>,
    /// Extras; or "all".
    #[serde(default)]
    pub extras: NamesValue,
    /// Extras that are left out.
    #[serde(default)]
    pub without_extras: Vec<String>,
    /// Members of the workspace, instead of the one that the file describes.
    #[serde(default)]
    pub packages: Vec<String>,
    /// The package index that build requirements come from, where it is not PyPI.
    pub index: Option<ServiceUrl>,
    /// Further indexes.
    #[serde(default)]
    pub extra_indexes: Vec<ServiceUrl>,
    /// Secrets that fetching and building see.
    #[serde(default)]
    pub secrets: Vec<SecretValue>,
}

/// What of a project is installed.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum InstallValue {
    /// What it depends on.
    #[default]
    Dependencies,
    /// The project too.
    Project,
}

impl InstallValue {
    fn install(self) -> ProjectInstall {
        match self {
            InstallValue::Dependencies => ProjectInstall::DependenciesOnly,
            InstallValue::Project => ProjectInstall::InstallProject,
        }
    }
}

/// Names, or a word for many.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum NamesValue {
    /// "all" or "none".
    Word(AllOrNone),
    /// Names.
    Names(Vec<String>),
}

impl Default for NamesValue {
    fn default() -> Self {
        NamesValue::Names(vec![])
    }
}

/// All, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub(super) enum AllOrNone {
    /// All.
    All,
    /// None.
    None,
}

impl<'de> Deserialize<'de> for NamesValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::<super::forms::NoTable, _>::new("a list of names, \"all\" or \"none\"")
            .text(|text| match text.as_str() {
                "all" => Ok(NamesValue::Word(AllOrNone::All)),
                "none" => Ok(NamesValue::Word(AllOrNone::None)),
                _ => Err(format!("{text:?} is neither \"all\" nor \"none\" nor a list of names")),
            })
            .list(NamesValue::Names)
            .read(d)
    }
}

/// Every key of `project`, read as one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AnyProject {
    uv: Option<PathBuf>,
    poetry: Option<PathBuf>,
    pylock: Option<PathBuf>,
    lock: Option<PathBuf>,
    #[serde(default)]
    install: InstallValue,
    #[serde(default)]
    groups: NamesValue,
    #[serde(default)]
    only_groups: Vec<String>,
    #[serde(default)]
    without_groups: Vec<String>,
    #[serde(default)]
    extras: NamesValue,
    #[serde(default)]
    without_extras: Vec<String>,
    #[serde(default)]
    packages: Vec<String>,
    index: Option<ServiceUrl>,
    #[serde(default)]
    extra_indexes: Vec<ServiceUrl>,
    #[serde(default)]
    secrets: Vec<SecretValue>,
}

impl AnyProject {
    fn checked(self) -> Result<ProjectTable, String> {
        let AnyProject { uv, poetry, pylock, lock, install, groups, only_groups, .. } = self;
        one_of(
            "`uv`, `poetry` and `pylock`",
            &[("uv", uv.is_some()), ("poetry", poetry.is_some()), ("pylock", pylock.is_some())],
        )?;
        if lock.is_some() && pylock.is_some() {
            return Err("`lock` goes with `uv` and `poetry`: a `pylock` is a lock file".to_owned());
        }
        let named = !matches!(&groups, NamesValue::Names(names) if names.is_empty());
        if named && !only_groups.is_empty() {
            return Err("`groups` and `only-groups` can't stand together".to_owned());
        }
        Ok(ProjectTable {
            uv,
            poetry,
            pylock,
            lock,
            install,
            groups,
            only_groups,
            without_groups: self.without_groups,
            extras: self.extras,
            without_extras: self.without_extras,
            packages: self.packages,
            index: self.index,
            extra_indexes: self.extra_indexes,
            secrets: self.secrets,
        })
    }
}

impl<'de> Deserialize<'de> for ProjectTable {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a table with `uv`, `poetry` or `pylock`")
            .checked_table(AnyProject::checked)
            .read(d)
    }
}

impl ProjectTable {
    /// The project that it says.
    pub fn project(&self) -> Project {
        let (kind, manifest) = match (&self.uv, &self.poetry, &self.pylock) {
            (Some(uv), _, _) => (ProjectKind::Uv, uv),
            (None, Some(poetry), _) => (ProjectKind::Poetry, poetry),
            (None, None, Some(pylock)) => (ProjectKind::Pylock, pylock),
            (None, None, None) => unreachable!("one of them was found when the table was read"),
        };
        let (groups, with_groups) = match (&self.groups, self.only_groups.as_slice()) {
            (_, only @ [_, ..]) => (Groups::Only, only.to_vec()),
            (NamesValue::Word(AllOrNone::All), []) => (Groups::All, vec![]),
            (NamesValue::Word(AllOrNone::None), []) => (Groups::None, vec![]),
            (NamesValue::Names(names), []) => (Groups::Defaults, names.clone()),
        };
        let (extras, with_extras) = match &self.extras {
            NamesValue::Word(AllOrNone::All) => (Extras::All, vec![]),
            NamesValue::Word(AllOrNone::None) => (Extras::None, vec![]),
            NamesValue::Names(names) => (Extras::None, names.clone()),
        };
        Project {
            kind,
            manifest: manifest.clone(),
            lock: self.lock.clone(),
            install: self.install.install(),
            selection: Selection {
                groups,
                with_groups,
                without_groups: self.without_groups.clone(),
                extras,
                with_extras,
                without_extras: self.without_extras.clone(),
                packages: self.packages.clone(),
            },
            options: PipOptions {
                index: self.index.clone(),
                extra_indexes: self.extra_indexes.clone(),
                secrets: secrets(&self.secrets),
                ..PipOptions::default()
            },
        }
    }
}

/// Specifications of conda packages, or a table that says more.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum CondaValue {
    /// Specifications of packages: "numpy", "numpy >=2,<3", "conda-forge::numpy".
    Packages(Vec<String>),
    /// What says which packages, and where they come from.
    Table(Box<CondaTable>),
}

/// Conda packages: what says which, and where they come from.
#[derive(Clone, Debug, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("anyOf" = [
    { "required": ["packages"] }, { "required": ["environment"] },
    { "required": ["pixi"] }, { "required": ["lock"] }
]))]
pub(super) struct CondaTable {
    /// Specifications of packages: "numpy", "numpy >=2,<3", "conda-forge::numpy".
    pub packages: Option<Vec<String>>,
    /// An environment.yml; with `pixi`, the name of the project's environment.
    pub environment: Option<String>,
    /// The pixi.toml of a pixi project, or its pyproject.toml.
    pub pixi: Option<PathBuf>,
    /// A lock file of conda-lock, or a list that begins with @EXPLICIT; with `pixi`, the project's
    /// pixi.lock, where it is elsewhere.
    pub lock: Option<PathBuf>,
    /// With `pixi`: whether only its "dependencies" are installed, or the "project" too.
    pub install: Option<InstallValue>,
    /// Channels in the order of their priority: names, or URLs.
    #[serde(default)]
    pub channels: Vec<String>,
    /// Where the environment is in the image.
    pub prefix: Option<String>,
    /// What the machines that run the image have, by virtual package: __cuda to "12.4".
    #[serde(default)]
    pub virtual_packages: BTreeMap<String, String>,
    /// Secrets that solving and fetching see.
    #[serde(default)]
    pub secrets: Vec<SecretValue>,
}

/// Every key of `conda`, read as one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct AnyConda {
    packages: Option<Vec<String>>,
    environment: Option<String>,
    pixi: Option<PathBuf>,
    lock: Option<PathBuf>,
    install: Option<InstallValue>,
    #[serde(default)]
    channels: Vec<String>,
    prefix: Option<String>,
    #[serde(default)]
    virtual_packages: BTreeMap<String, String>,
    #[serde(default)]
    secrets: Vec<SecretValue>,
}

impl AnyConda {
    fn checked(self) -> Result<CondaValue, String> {
        let AnyConda { packages, environment, pixi, lock, install, .. } = self;
        let of_pixi = pixi.is_some();
        one_of(
            "`packages`, `environment`, `pixi` and `lock`",
            &[
                ("packages", packages.is_some()),
                ("environment", environment.is_some() && !of_pixi),
                ("pixi", of_pixi),
                ("lock", lock.is_some() && !of_pixi),
            ],
        )?;
        if install.is_some() && !of_pixi {
            return Err("`install` goes with `pixi`".to_owned());
        }
        Ok(CondaValue::Table(Box::new(CondaTable {
            packages,
            environment,
            pixi,
            lock,
            install,
            channels: self.channels,
            prefix: self.prefix,
            virtual_packages: self.virtual_packages,
            secrets: self.secrets,
        })))
    }
}

impl<'de> Deserialize<'de> for CondaValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a list of packages, or a table")
            .list(CondaValue::Packages)
            .checked_table(AnyConda::checked)
            .read(d)
    }
}

impl CondaValue {
    /// The conda step that it says.
    pub fn conda(&self) -> Conda {
        let table = match self {
            CondaValue::Packages(packages) => {
                return Conda::new(CondaSource::Packages(packages.clone()));
            }
            CondaValue::Table(table) => &**table,
        };
        let CondaTable { packages, environment, pixi, lock, install, .. } = table;
        let source = match (packages, pixi, environment, lock) {
            (_, Some(manifest), environment, lock) => {
                let new = PixiEnvironment::new(manifest);
                CondaSource::Pixi(PixiEnvironment {
                    environment: environment.clone().unwrap_or(new.environment),
                    lock: lock.clone(),
                    install: install.unwrap_or_default().install(),
                    manifest: new.manifest,
                })
            }
            (_, None, Some(file), _) => CondaSource::Environment { file: file.into() },
            (_, None, None, Some(file)) => CondaSource::Lock { file: file.clone() },
            (packages, None, None, None) => {
                CondaSource::Packages(packages.clone().unwrap_or_default())
            }
        };
        Conda {
            source,
            channels: table.channels.clone(),
            prefix: table.prefix.clone(),
            virtual_packages: table.virtual_packages.clone(),
            secrets: secrets(&table.secrets),
        }
    }
}

/// Exactly one of these keys must be there.
fn one_of(all: &str, keys: &[(&str, bool)]) -> Result<(), String> {
    let given: Vec<&str> = keys.iter().filter(|(_, given)| *given).map(|(key, _)| *key).collect();
    match given.as_slice() {
        [_] => Ok(()),
        [] => Err(format!("it needs one of {all}")),
        [one, other, ..] => Err(format!("`{one}` and `{other}` can't stand together")),
    }
}

/// A secret as it is written.
pub(super) fn secret(value: &SecretValue) -> Secret {
    match value {
        SecretValue::Name(SecretName(secret)) => secret.clone(),
        SecretValue::Table(SecretTable { key, group, env, mount }) => Secret {
            key: key.clone(),
            group: group.clone(),
            env: env.clone(),
            mount: mount.clone(),
        },
    }
}

/// Secrets as they are written.
pub(super) fn secrets(values: &[SecretValue]) -> Vec<Secret> {
    values.iter().map(secret).collect()
}
