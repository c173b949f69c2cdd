//! What a `tierce.toml` holds, as serde and the JSON Schema have it.
//!
//! The descriptions here are the schema's: they are written for those who edit the file.

use super::base_value::BaseValue;
use super::forms::{self, Forms};
use super::packages::{CondaValue, ProjectTable};
use crate::{CopyStyle, Network, PythonProvider, PythonVersion, Secret, ServiceUrl};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::Platform;

/// A container image, as tierce builds it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(title = "tierce.toml")]
pub(super) struct Document {
    /// The image's name: the repository's path below the registry.
    pub name: Option<String>,
    /// The registry's host, with the leading path of its repositories if any: "ghcr.io/team".
    pub registry: Option<String>,
    /// A tag instead of the one that is computed from everything below.
    pub tag: Option<String>,
    /// What the image starts from.
    pub base: BaseValue,
    /// The platforms to build for; this machine's where there are none.
    pub platforms: Option<Vec<PlatformName>>,
    /// The Python of the base, where it can't be told by looking.
    pub python: Option<PythonValue>,
    /// Whether Python modules are compiled when the image is made.
    pub bytecode: Option<bool>,
    /// The ignore file that holds for all sources, instead of the .dockerignore next to this file.
    pub dockerignore: Option<PathBuf>,
    /// The secret with the credentials of the registry: user:password, or a config.json as docker
    /// has it.
    pub registry_secret: Option<SecretValue>,
    /// The builder that builds it, unless another one is asked for.
    pub builder: Option<String>,
    /// What the commands of `run` reach, where they say nothing themselves.
    pub network: Option<Network>,
    /// Debian packages: name, name:architecture, name=version or name/release.
    pub apt: Option<AptValue>,
    /// Packages from conda channels.
    pub conda: Option<CondaValue>,
    /// The Python packages of a project, as its lock file says them.
    pub project: Option<ProjectTable>,
    /// Python packages.
    pub pip: Option<PipValue>,
    /// Requirements files, in pip's format.
    pub requirements: Option<OneOrMany>,
    /// Folders with wheels, which are installed whatever an index has under their names.
    pub wheels: Option<OneOrMany>,
    /// Environment variables, of `run` and of the image's containers.
    pub env: Option<BTreeMap<String, String>>,
    /// The working directory, of `run` and of the image's containers.
    pub workdir: Option<String>,
    /// Folders and files of this machine.
    pub copy: Option<Vec<CopyTable>>,
    /// Commands that run in the image.
    pub run: Option<Vec<RunValue>>,
    /// The user of the image's containers (not of `run`): user, uid, user:group or uid:gid.
    pub user: Option<String>,
    /// The code of the folder, where whoever runs the image does not bring it along: "all" of it,
    /// or only the "loaded-modules" of the program.
    pub code: Option<CodeValue>,
    /// What a container always runs.
    pub entrypoint: Option<Vec<String>>,
    /// The default arguments of what a container runs.
    pub cmd: Option<Vec<String>>,
    /// Labels of the image.
    pub labels: Option<BTreeMap<String, String>>,
    /// Steps in the order of the file, instead of the keys `apt` to `user`.
    pub steps: Option<Vec<StepTable>>,
    /// Settings of all the images of this folder and those below it: the keys of config.toml.
    #[allow(dead_code, reason = "those who read config.toml read it too")]
    pub workspace: Option<WorkspaceTable>,
}

/// The settings of a workspace. They say nothing about the image: whoever reads configuration
/// files reads and checks them.
#[derive(Clone, Debug)]
pub(super) struct WorkspaceTable;

/// One step: a table with exactly one key.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct StepTable {
    /// Debian packages: name, name:architecture, name=version or name/release.
    pub apt: Option<AptValue>,
    /// Packages from conda channels.
    pub conda: Option<CondaValue>,
    /// The Python packages of a project, as its lock file says them.
    pub project: Option<ProjectTable>,
    /// Python packages.
    pub pip: Option<PipValue>,
    /// Requirements files, in pip's format.
    pub requirements: Option<OneOrMany>,
    /// Folders with wheels, which are installed whatever an index has under their names.
    pub wheels: Option<OneOrMany>,
    /// Environment variables, of later steps and of the image's containers.
    pub env: Option<BTreeMap<String, String>>,
    /// The working directory, of later steps and of the image's containers.
    pub workdir: Option<String>,
    /// Folders and files of this machine.
    pub copy: Option<Vec<CopyTable>>,
    /// Commands that run in the image.
    pub run: Option<Vec<RunValue>>,
    /// The user, of later `run` steps and of the image's containers.
    pub user: Option<String>,
    /// The code of the folder, which is copied after all steps.
    pub code: Option<CodeValue>,
}

/// A secret by its name: "key" or "group/key", or a table that says more.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum SecretValue {
    /// Its name, as "token" or "pypi/token": the step sees it as the variable TOKEN or PYPI_TOKEN.
    Name(SecretName),
    /// Its name, and how the step sees it.
    Table(SecretTable),
}

/// A secret's key, with its group and a slash before it if any.
#[derive(Clone, Debug)]
pub(super) struct SecretName(pub Secret);

/// A value that a step needs while it runs, and that is never in the image.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct SecretTable {
    /// What it is called where it is kept.
    pub key: String,
    /// The group it belongs to there.
    pub group: Option<String>,
    /// The variable in which the step sees it; GROUP_KEY where neither this nor `mount` is given.
    pub env: Option<String>,
    /// The path at which the step sees a file that holds it.
    pub mount: Option<String>,
}

/// Debian packages, or a table with secrets too.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum AptValue {
    /// Packages: name, name:architecture, name=version or name/release.
    Packages(Vec<String>),
    /// Packages, and what apt-get needs to see.
    Table(AptTable),
}

/// Debian packages, and what apt-get needs to see.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct AptTable {
    /// Packages: name, name:architecture, name=version or name/release.
    pub packages: Vec<String>,
    /// Secrets that apt-get sees.
    #[serde(default)]
    pub secrets: Vec<SecretValue>,
}

/// Which code is copied, or a table that says where, too.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum CodeValue {
    /// Which files: "all" or "loaded-modules".
    Style(CopyStyle),
    /// Which files, and where they go.
    Table(CodeTable),
}

/// Which code is copied, and where it goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CodeTable {
    /// Which files: "all" or "loaded-modules".
    pub style: CopyStyle,
    /// The folder that gets them, absolute or relative to the working directory, which it is
    /// where nothing is given.
    pub dst: Option<String>,
}

/// An operating system and a processor: "linux/amd64".
#[derive(Clone, Debug)]
pub(super) struct PlatformName(pub Platform);

/// A Python version, or a table with the interpreter's path too.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum PythonValue {
    /// The version: "3.12".
    Version(PythonVersion),
    /// The version, and where the interpreter is.
    Table(PythonTable),
}

/// A Python of the base.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct PythonTable {
    /// The version: "3.12".
    pub version: PythonVersion,
    /// The interpreter's path in the image; the first python3 on PATH where it is not given.
    pub interpreter: Option<String>,
    /// Where it comes from: "auto" (the base where it has one that fits, else
    /// python-build-standalone), "base" or "standalone".
    pub provider: Option<PythonProvider>,
}

/// Requirements (PEP 508), or a table with options too.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum PipValue {
    /// Requirements: "fastapi", "uvicorn[standard]>=0.30".
    Packages(Vec<String>),
    /// Requirements, and where they come from.
    Table(Box<PipTable>),
}

/// Python packages, and where they come from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct PipTable {
    /// Requirements: "fastapi", "uvicorn[standard]>=0.30".
    #[serde(default)]
    pub packages: Vec<String>,
    /// Requirements files, in pip's format.
    pub requirements: Option<OneOrMany>,
    /// The package index, where it is not PyPI.
    pub index: Option<ServiceUrl>,
    /// Further indexes.
    #[serde(default)]
    pub extra_indexes: Vec<ServiceUrl>,
    /// Whether pre-releases may be chosen.
    #[serde(default)]
    pub pre: bool,
    /// Further arguments to the resolver.
    #[serde(default)]
    pub extra_args: Vec<String>,
    /// Secrets that resolving and installing see.
    #[serde(default)]
    pub secrets: Vec<SecretValue>,
}

/// One path, or several.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum OneOrMany {
    /// One.
    One(PathBuf),
    /// Several.
    Many(Vec<PathBuf>),
}

/// A folder or file of this machine.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct CopyTable {
    /// The folder whose contents are copied, or the file; relative to the folder of tierce.toml.
    pub src: PathBuf,
    /// The folder that gets the contents, or the file's path (the folder that gets it, where this
    /// ends in /). Relative to the working directory, or absolute. Where it is not given: the
    /// same name in the working directory.
    pub dst: Option<String>,
    /// What is left out, in the language of .dockerignore.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Whether .git, .venv, __pycache__ and kin are kept.
    #[serde(default)]
    pub keep_defaults: bool,
}

/// A command, or a table with its network rule too.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum RunValue {
    /// A line for the shell.
    Line(String),
    /// A command, and what it reaches.
    Table(RunTable),
}

/// A command, and what it reaches.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct RunTable {
    /// The command.
    pub cmd: CommandValue,
    /// What it reaches.
    pub network: Option<Network>,
    /// Secrets that it sees.
    #[serde(default)]
    pub secrets: Vec<SecretValue>,
}

/// A line for the shell, or a program and its arguments.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum CommandValue {
    /// A line for the shell.
    Shell(String),
    /// A program and its arguments.
    Exec(Vec<String>),
}

impl OneOrMany {
    /// The paths.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            OneOrMany::One(path) => std::slice::from_ref(path),
            OneOrMany::Many(paths) => paths,
        }
    }
}

impl<'de> Deserialize<'de> for WorkspaceTable {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        BTreeMap::<String, IgnoredAny>::deserialize(d).map(|_| WorkspaceTable)
    }
}

impl<'de> Deserialize<'de> for PlatformName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::<forms::NoTable, _>::new("a platform")
            .text(|text| forms::parsed(&text).map(PlatformName))
            .read(d)
    }
}

impl<'de> Deserialize<'de> for PythonValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a version in quotes, or a table")
            .text(|text| forms::parsed(&text).map(PythonValue::Version))
            .table(PythonValue::Table)
            .read(d)
    }
}

impl<'de> Deserialize<'de> for PipValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a list of requirements, or a table")
            .list(PipValue::Packages)
            .table(|table| PipValue::Table(Box::new(table)))
            .read(d)
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::<forms::NoTable, _>::new("a file, or a list of files")
            .text(|text| Ok(OneOrMany::One(text.into())))
            .list(|files| OneOrMany::Many(files.into_iter().map(Into::into).collect()))
            .read(d)
    }
}

impl<'de> Deserialize<'de> for RunValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a command in quotes, or a table")
            .text(|text| Ok(RunValue::Line(text)))
            .table(RunValue::Table)
            .read(d)
    }
}

impl<'de> Deserialize<'de> for CommandValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::<forms::NoTable, _>::new("a command in quotes, or a list of arguments")
            .text(|text| Ok(CommandValue::Shell(text)))
            .list(CommandValue::Exec)
            .read(d)
    }
}

impl<'de> Deserialize<'de> for SecretValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a secret's name in quotes, or a table")
            .text(|text| {
                let secret = match text.split_once('/') {
                    Some((group, key)) => Secret::new(key).with_group(group),
                    None => Secret::new(text),
                };
                Ok(SecretValue::Name(SecretName(secret)))
            })
            .table(SecretValue::Table)
            .read(d)
    }
}

impl<'de> Deserialize<'de> for AptValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("a list of packages, or a table")
            .list(AptValue::Packages)
            .table(AptValue::Table)
            .read(d)
    }
}

impl<'de> Deserialize<'de> for CodeValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("\"all\", \"loaded-modules\", or a table")
            .text(|text| match text.as_str() {
                "all" => Ok(CodeValue::Style(CopyStyle::All)),
                "loaded-modules" => Ok(CodeValue::Style(CopyStyle::LoadedModules)),
                _ => Err(format!("{text:?} is neither \"all\" nor \"loaded-modules\"")),
            })
            .table(CodeValue::Table)
            .read(d)
    }
}
