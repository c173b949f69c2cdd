//! What a `tierce.toml` holds, as serde and the JSON Schema have it.
//!
//! The descriptions here are the schema's: they are written for those who edit the file.

use super::forms::{self, Forms};
use crate::{Network, PythonVersion, ServiceUrl};
use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::{Platform, Reference};

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
    /// What the commands of `run` reach, where they say nothing themselves.
    pub network: Option<Network>,
    /// Debian packages: name, name:architecture, name=version or name/release.
    pub apt: Option<Vec<String>>,
    /// Python packages.
    pub pip: Option<PipValue>,
    /// Requirements files, in pip's format.
    pub requirements: Option<OneOrMany>,
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
    pub apt: Option<Vec<String>>,
    /// Python packages.
    pub pip: Option<PipValue>,
    /// Requirements files, in pip's format.
    pub requirements: Option<OneOrMany>,
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
}

/// An image reference, "scratch", or a Debian suite.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum BaseValue {
    /// An image in a registry, as "python:3.12-slim", or "scratch" for nothing.
    Reference(ReferenceName),
    /// A root file system assembled from a Debian archive.
    Debian(DebianTable),
}

/// An image in a registry, or nothing.
#[derive(Clone, Debug)]
pub(super) enum ReferenceName {
    Scratch,
    Registry(Reference),
}

/// A root file system assembled from a Debian archive.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct DebianTable {
    /// The suite's code name: "bookworm".
    pub debian: String,
    /// Whether the suite's own Python is part of the base.
    #[serde(default)]
    pub python: bool,
    /// The archive, where it is not Debian's own.
    pub mirror: Option<ServiceUrl>,
    /// The archive of security updates, where it is not Debian's own.
    pub security_mirror: Option<ServiceUrl>,
    /// The archive's components; main alone where there are none.
    #[serde(default)]
    pub components: Vec<String>,
    /// Packages of the base itself, besides the essential ones.
    #[serde(default)]
    pub packages: Vec<String>,
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
}

/// Requirements (PEP 508), or a table with options too.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub(super) enum PipValue {
    /// Requirements: "fastapi", "uvicorn[standard]>=0.30".
    Packages(Vec<String>),
    /// Requirements, and where they come from.
    Table(PipTable),
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

impl<'de> Deserialize<'de> for BaseValue {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Forms::new("an image reference, \"scratch\", or a table")
            .text(|text| match text.as_str() {
                "scratch" => Ok(BaseValue::Reference(ReferenceName::Scratch)),
                _ => forms::parsed(&text).map(|r| BaseValue::Reference(ReferenceName::Registry(r))),
            })
            .table(BaseValue::Debian)
            .read(d)
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
            .table(PipValue::Table)
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
