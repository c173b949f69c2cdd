//! Dependencies on conda packages, as pixi writes them.

use serde::Deserialize;
use std::fmt;

/// `">=1.2"`, or a table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum CondaSpec {
    Version(String),
    Table(Box<CondaTable>),
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CondaTable {
    version: Option<String>,
    build: Option<String>,
    build_number: Option<BuildNumber>,
    file_name: Option<String>,
    channel: Option<String>,
    subdir: Option<String>,
    md5: Option<String>,
    sha256: Option<String>,
    url: Option<String>,
    git: Option<String>,
    path: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum BuildNumber {
    Text(String),
    Number(u64),
}

/// What is wrong with a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecProblem {
    /// It is built from source by pixi.
    Source,
    /// It names a file by its URL.
    Url,
    /// Its name is none.
    Name,
    /// It has a quote or a bracket, which a match spec can't.
    Quote,
    /// It is a Python package that comes from several places at once.
    Places,
    /// It names a folder that is not below the manifest's.
    Outside,
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpecProblem::Source => "it is a conda package that pixi would build from source",
            SpecProblem::Url => "it is a conda package by its URL",
            SpecProblem::Name => "its name is none",
            SpecProblem::Quote => "it has a quote or a bracket",
            SpecProblem::Places => "it comes from several places at once",
            SpecProblem::Outside => "its folder is not below the manifest's",
        })
    }
}

impl SpecProblem {
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            SpecProblem::Source => {
                Some("Build the package, put it into a channel, and depend on it by its version.")
            }
            SpecProblem::Url => Some("Name its channel and its version."),
            _ => None,
        }
    }
}

impl CondaSpec {
    /// The match spec (CEP 29) that says the same.
    pub(super) fn match_spec(&self, name: &str) -> Result<String, SpecProblem> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || !name.chars().all(is_word) {
            return Err(SpecProblem::Name);
        }
        let table = match self {
            CondaSpec::Version(version) => {
                CondaTable { version: Some(version.clone()), ..CondaTable::default() }
            }
            CondaSpec::Table(table) => (**table).clone(),
        };
        if table.git.is_some() || table.path.is_some() {
            return Err(SpecProblem::Source);
        }
        if table.url.is_some() {
            return Err(SpecProblem::Url);
        }
        let mut inside = vec![];
        let mut say = |key: &str, value: Option<&str>| match value.map(str::trim) {
            None | Some("" | "*") => Ok(()),
            Some(value) if value.contains(['"', '\'', '[', ']']) => Err(SpecProblem::Quote),
            Some(value) => {
                inside.push(format!("{key}=\"{value}\""));
                Ok(())
            }
        };
        say("version", table.version.as_deref())?;
        say("build", table.build.as_deref())?;
        let number = table.build_number.map(|number| match number {
            BuildNumber::Text(text) => text,
            BuildNumber::Number(number) => number.to_string(),
        });
        say("build_number", number.as_deref())?;
        say("fn", table.file_name.as_deref())?;
        say("subdir", table.subdir.as_deref())?;
        say("md5", table.md5.as_deref())?;
        say("sha256", table.sha256.as_deref())?;
        let channel = table.channel.map(|channel| format!("{channel}::")).unwrap_or_default();
        Ok(match inside.as_slice() {
            [] => format!("{channel}{name}"),
            inside => format!("{channel}{name}[{}]", inside.join(",")),
        })
    }
}
