//! `environment.yml`: what conda's and mamba's `env create` read.

mod pip;

pub use pip::{PipLineError, PipLineProblem, PipRequirements};

use crate::text::{TextError, yaml};
use serde::Deserialize;
use std::collections::BTreeMap;
use tierce_oci::{Diagnostic, ErrorKind};

/// What an `environment.yml` asks for.
///
/// `prefix` and `name` are left out: where the environment is, is the image's business.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentFile {
    /// The environment's name.
    pub name: Option<String>,
    /// The channels in the order of their priority, `nodefaults` left out; empty where none are
    /// named.
    pub channels: Vec<String>,
    /// Match specs.
    pub specs: Vec<String>,
    /// What pip installs afterwards.
    pub pip: PipRequirements,
    /// Variables that are set where the environment is active.
    pub variables: BTreeMap<String, String>,
}

/// Why an `environment.yml` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// It can't be read.
    #[error("the environment file can't be read")]
    Text(#[from] TextError),
    /// A dependency is something else than a spec or a list for pip.
    #[error("the environment file has dependencies for {0:?}: only pip is known")]
    Installer(String),
    /// A line for pip can't be used.
    #[error("the environment file's list for pip can't be used")]
    Pip(#[from] PipLineError),
    /// A variable can't be one.
    #[error("the environment file sets the variable {0:?}, which is no name of one")]
    Variable(String),
}

impl Diagnostic for EnvironmentError {
    fn code(&self) -> &'static str {
        "conda/bad-environment"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            EnvironmentError::Text(_) => Some(
                "Write it as conda does: channels, dependencies, and in these a list for pip."
                    .to_owned(),
            ),
            EnvironmentError::Pip(error) => Some(error.hint().to_owned()),
            EnvironmentError::Installer(_) | EnvironmentError::Variable(_) => None,
        }
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    channels: Option<Vec<String>>,
    #[serde(default)]
    dependencies: Option<Vec<Dependency>>,
    #[serde(default)]
    variables: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependency {
    Spec(String),
    Other(BTreeMap<String, Option<Vec<String>>>),
}

impl EnvironmentFile {
    /// Reads an `environment.yml`.
    pub fn parse(bytes: &[u8]) -> Result<Self, EnvironmentError> {
        let file: File = yaml(bytes)?;
        let mut channels = file.channels.unwrap_or_default();
        channels.retain(|channel| channel != "nodefaults");
        let (mut specs, mut lines) = (vec![], vec![]);
        for dependency in file.dependencies.unwrap_or_default() {
            match dependency {
                Dependency::Spec(spec) => specs.push(spec.trim().to_owned()),
                Dependency::Other(others) => {
                    for (installer, requirements) in others {
                        if installer != "pip" {
                            return Err(EnvironmentError::Installer(installer));
                        }
                        lines.extend(requirements.unwrap_or_default());
                    }
                }
            }
        }
        let variables = file.variables.unwrap_or_default();
        let is_name = |name: &str| {
            !name.is_empty() && !name.contains(['=', '\0']) && !name.contains(char::is_whitespace)
        };
        if let Some(name) = variables.keys().find(|name| !is_name(name)) {
            return Err(EnvironmentError::Variable(name.clone()));
        }
        let pip = PipRequirements::of_lines(lines.iter().map(String::as_str))?;
        Ok(EnvironmentFile { name: file.name, channels, specs, pip, variables })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read() {
        let file = EnvironmentFile::parse(
            b"name: x\nchannels:\n  - conda-forge\n  - nodefaults\ndependencies:\n  - python=3.11\n  - numpy >=2,<3\n  - pip\n  - pip:\n    - httpx>=0.2  # a client\n    - --extra-index-url https://h/simple\n    - --pre\nvariables:\n  A: 1.10\n  B: text\nprefix: /home/me/x\n",
        )
        .unwrap();
        assert_eq!(file.channels, ["conda-forge"]);
        assert_eq!(file.specs, ["python=3.11", "numpy >=2,<3", "pip"]);
        assert_eq!(file.pip.requirements, ["httpx>=0.2"]);
        assert_eq!(file.pip.extra_indexes, ["https://h/simple"]);
        assert!(file.pip.pre);
        assert_eq!(file.variables["A"], "1.10");
        assert_eq!(EnvironmentFile::parse(b"dependencies: [a]\n").unwrap().specs, ["a"]);
    }

    #[test]
    fn bad_files_are_refused() {
        for (text, expected) in [
            ("dependencies: [{npm: [left-pad]}]", "npm"),
            ("dependencies: [{pip: [\"-r requirements.txt\"]}]", "list for pip"),
            ("dependencies: 1", "can't be read"),
            ("variables: {\"A B\": x}", "\"A B\""),
        ] {
            let error = EnvironmentFile::parse(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{text}: {error}");
        }
        assert!(EnvironmentFile::parse(&[0xff]).is_err());
    }
}
