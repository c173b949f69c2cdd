//! Where a setting comes from.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Where a setting comes from; what stands further up outranks what stands below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Origin {
    /// The command line.
    Flag {
        /// The option.
        flag: &'static str,
    },
    /// The environment.
    Variable {
        /// The variable.
        name: &'static str,
    },
    /// A file.
    File {
        /// What kind of.
        file: FileKind,
        /// The file.
        path: PathBuf,
        /// Where in it, from 1.
        #[serde(skip_serializing_if = "Option::is_none")]
        line: Option<usize>,
    },
    /// Nobody said anything, but there is something on this machine.
    Found {
        /// What.
        path: PathBuf,
    },
    /// Nobody said anything.
    Default,
}

/// A file with settings; what stands further up outranks what stands below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The `[workspace]` table of a project's `tierce.toml`.
    Workspace,
    /// The user's `config.toml`.
    User,
    /// Flyte's `config.yaml`.
    Flyte,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Workspace => "workspace",
            FileKind::User => "user",
            FileKind::Flyte => "flyte",
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag { flag } => f.write_str(flag),
            Origin::Variable { name } => f.write_str(name),
            Origin::File { path, line: Some(line), .. } => write!(f, "{}:{line}", path.display()),
            Origin::File { path, line: None, .. } => write!(f, "{}", path.display()),
            Origin::Found { path } => write!(f, "found: {}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}
