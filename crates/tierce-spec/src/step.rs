//! The steps of an image.

use crate::{Conda, PipOptions, Project, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One step of an image. Steps apply in the order in which they were added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Debian packages, installed by the image's own `apt-get`.
    Apt(Apt),
    /// Python packages.
    Pip(Pip),
    /// Python packages that a requirements file lists.
    Requirements(Requirements),
    /// Python packages of the host's own making.
    Wheels(Wheels),
    /// Python packages that a project's lock file says.
    Project(Project),
    /// Packages from conda channels.
    Conda(Conda),
    /// A folder of the host.
    SourceFolder(SourceFolder),
    /// A file of the host.
    SourceFile(SourceFile),
    /// The code that runs in the image, where whoever runs it does not bring it.
    CodeBundle(CodeBundle),
    /// Environment variables.
    Env(Env),
    /// Commands that run in the image.
    Commands(Commands),
    /// The working directory.
    Workdir(Workdir),
    /// The user.
    User(User),
    /// What a container always runs.
    Entrypoint(Entrypoint),
    /// The default arguments of what a container runs.
    Cmd(Cmd),
    /// Labels.
    Labels(Labels),
}

impl Step {
    /// What the step needs to see while it runs.
    pub fn secrets(&self) -> &[Secret] {
        match self {
            Step::Apt(apt) => &apt.secrets,
            Step::Pip(pip) => &pip.options.secrets,
            Step::Requirements(requirements) => &requirements.options.secrets,
            Step::Wheels(wheels) => &wheels.options.secrets,
            Step::Project(project) => &project.options.secrets,
            Step::Conda(conda) => &conda.secrets,
            Step::Commands(commands) => &commands.secrets,
            Step::SourceFolder(_)
            | Step::SourceFile(_)
            | Step::CodeBundle(_)
            | Step::Env(_)
            | Step::Workdir(_)
            | Step::User(_)
            | Step::Entrypoint(_)
            | Step::Cmd(_)
            | Step::Labels(_) => &[],
        }
    }
}

/// Debian packages, installed by the image's own `apt-get`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Apt {
    /// `name`, `name:architecture`, `name=version` or `name/release`.
    pub packages: Vec<String>,
    /// What `apt-get` needs to see while it runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
}

/// Python packages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Pip {
    /// Requirements (PEP 508). JSON and Debug leave out the credentials of URLs in them.
    #[serde(serialize_with = "redacted::serialize")]
    pub packages: Vec<String>,
    /// Where they come from, and how they are chosen.
    #[serde(default)]
    pub options: PipOptions,
}

impl std::fmt::Debug for Pip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Pip { packages, options } = self;
        f.debug_struct("Pip")
            .field("packages", &redacted::texts(packages))
            .field("options", options)
            .finish()
    }
}

/// Python packages that a requirements file lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Requirements {
    /// The file on the host, in pip's format.
    #[serde(with = "host_path")]
    pub file: PathBuf,
    /// Where they come from, and how they are chosen.
    #[serde(default)]
    pub options: PipOptions,
}

/// Python packages of the host's own making: the wheels in a folder. They are taken whatever an
/// index has under the same names; what they require comes from the index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wheels {
    /// The folder on the host.
    #[serde(with = "host_path")]
    pub dir: PathBuf,
    /// The packages whose wheels are taken; empty for all that the folder has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Where what they require comes from, and how it is chosen.
    #[serde(default)]
    pub options: PipOptions,
}

/// The contents of a folder of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceFolder {
    /// The folder on the host.
    #[serde(with = "host_path")]
    pub src: PathBuf,
    /// The folder of the image that gets the contents of `src`: an absolute path, or one relative
    /// to the working directory.
    pub dst: String,
    /// What is left out.
    #[serde(default)]
    pub options: SourceOptions,
}

/// What a source folder leaves out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SourceOptions {
    /// Patterns in the language of `.dockerignore`, applied after the folder's own ignore file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Whether what is left out by default (`.git`, `.venv`, `__pycache__` and kin) is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub keep_defaults: bool,
    /// The only files that ship, as paths below the folder, if not all; what is left out by
    /// patterns stays out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<PathBuf>>,
}

impl SourceOptions {
    /// The defaults: what is never meant to ship is left out, and nothing else.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out what these patterns match, too.
    pub fn with_ignore(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.ignore.extend(patterns.into_iter().map(Into::into));
        self
    }

    /// Keeps what is left out by default, or not.
    pub fn with_keep_defaults(self, keep_defaults: bool) -> Self {
        SourceOptions { keep_defaults, ..self }
    }

    /// Ships these files alone.
    pub fn with_only(self, files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        SourceOptions { only: Some(files.into_iter().map(Into::into).collect()), ..self }
    }
}

/// A file of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SourceFile {
    /// The file on the host.
    #[serde(with = "host_path")]
    pub src: PathBuf,
    /// The file's path in the image; the folder that gets it under its own name where this ends
    /// in `/` or is `.`. Absolute, or relative to the working directory.
    pub dst: String,
}

/// The code that runs in the image, where whoever runs it does not bring it along: it is copied
/// after everything else, or left out ([`crate::Image::with_code`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct CodeBundle {
    /// Which files.
    pub style: CopyStyle,
    /// The folder of the image that gets them: an absolute path, or one relative to the working
    /// directory.
    pub dst: String,
}

/// Which files of a project are its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CopyStyle {
    /// The modules that the program has imported.
    LoadedModules,
    /// All.
    All,
}

/// Environment variables, of later steps and of the image's containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Env {
    /// Name to value. Values are literal: nothing is expanded in them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, String>,
    /// Variables that are lists of directories, as `PATH`: what goes before and after the value
    /// that the base and the steps so far (and `vars`) give them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, SearchPath>,
}

/// What goes before and after a list of directories that is separated by colons.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SearchPath {
    /// The directories before it, as one list: absolute paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The directories after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
}

impl SearchPath {
    /// The whole list, around `current`; a value that is empty is none, or it would stand for the
    /// working directory.
    pub fn around(&self, current: Option<&str>) -> String {
        let current = current.filter(|value| !value.is_empty());
        let before = self.before.iter().map(String::as_str);
        let after = self.after.iter().map(String::as_str);
        before.chain(current).chain(after).collect::<Vec<_>>().join(":")
    }
}

/// Commands that run in the image, one after the other, under one network rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Commands {
    /// The commands.
    pub commands: Vec<Command>,
    /// What they reach.
    #[serde(default)]
    pub network: Network,
    /// What they need to see while they run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
}

/// One command of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Command {
    /// A line for the image's `/bin/sh -c`.
    Shell(String),
    /// A program and its arguments, run without a shell.
    Exec(Vec<String>),
}

impl Command {
    /// The argument vector: `/bin/sh -c <line>` for a shell line.
    pub fn argv(&self) -> Vec<String> {
        match self {
            Command::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
            Command::Exec(argv) => argv.clone(),
        }
    }
}

impl From<&str> for Command {
    fn from(line: &str) -> Self {
        Command::Shell(line.to_owned())
    }
}

impl From<String> for Command {
    fn from(line: String) -> Self {
        Command::Shell(line)
    }
}

impl From<Vec<String>> for Command {
    fn from(argv: Vec<String>) -> Self {
        Command::Exec(argv)
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Command::Shell(line) => f.write_str(line),
            Command::Exec(argv) => f.write_str(&argv.join(" ")),
        }
    }
}

/// What a command reaches over the network.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// What the host reaches.
    #[default]
    Host,
    /// Nothing.
    None,
}

/// The working directory, of later steps and of the image's containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Workdir {
    /// An absolute path. It is made where the image has none.
    pub path: String,
}

/// The user, of later commands and of the image's containers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct User {
    /// `user`, `uid`, `user:group` or `uid:gid` (image specification, `config.User`).
    pub user: String,
}

/// What a container always runs. It clears the `cmd` of the base, as in a Dockerfile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Entrypoint {
    /// A program and its first arguments; empty to run none.
    pub argv: Vec<String>,
}

/// The default arguments of what a container runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Cmd {
    /// The arguments; a program first where there is no entrypoint.
    pub argv: Vec<String>,
}

/// Labels of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Labels {
    /// Name to value.
    pub labels: BTreeMap<String, String>,
}

/// Host paths as text. Paths that are not UTF-8 are refused by validation, so nothing is lost.
pub(crate) mod host_path {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::path::{Path, PathBuf};

    pub fn serialize<S: Serializer>(path: &Path, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&path.display())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<PathBuf, D::Error> {
        String::deserialize(d).map(PathBuf::from)
    }
}

/// Host paths that may be absent.
pub(crate) mod optional_host_path {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::path::PathBuf;

    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, s: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => s.collect_str(&path.display()),
            None => s.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<String>::deserialize(d)?.map(PathBuf::from))
    }
}

/// Texts that may hold URLs with credentials, without these.
pub(crate) mod redacted {
    use crate::service_url::redact;
    use serde::Serializer;

    pub fn texts(texts: &[String]) -> Vec<String> {
        texts.iter().map(|text| redact(text)).collect()
    }

    pub fn serialize<S: Serializer>(all: &[String], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(texts(all))
    }
}
