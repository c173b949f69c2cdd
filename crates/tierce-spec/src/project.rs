//! Projects: packages that a lock file says, down to the last one.

use crate::PipOptions;
use crate::step::{host_path, optional_host_path};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The Python packages of a project, exactly those that its lock file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Project {
    /// Who manages it.
    pub kind: ProjectKind,
    /// Its `pyproject.toml` on the host; the lock file itself where it is a `pylock.toml` alone.
    #[serde(with = "host_path")]
    pub manifest: PathBuf,
    /// Its lock file; `None` for the one beside the manifest, under its usual name.
    #[serde(default, with = "optional_host_path", skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
    /// Whether the project itself is installed.
    #[serde(default)]
    pub install: ProjectInstall,
    /// Which of its optional parts are.
    #[serde(default)]
    pub selection: Selection,
    /// Where the packages come from, beside what the lock file says.
    #[serde(default)]
    pub options: PipOptions,
}

impl Project {
    /// The dependencies of the project that this manifest describes, by the lock file beside it.
    pub fn new(kind: ProjectKind, manifest: impl Into<PathBuf>) -> Self {
        Project {
            kind,
            manifest: manifest.into(),
            lock: None,
            install: ProjectInstall::default(),
            selection: Selection::default(),
            options: PipOptions::default(),
        }
    }

    /// With this lock file.
    pub fn with_lock(self, lock: impl Into<PathBuf>) -> Self {
        Project { lock: Some(lock.into()), ..self }
    }

    /// With the project itself, or without it.
    pub fn with_install(self, install: ProjectInstall) -> Self {
        Project { install, ..self }
    }

    /// With these optional parts.
    pub fn with_selection(self, selection: Selection) -> Self {
        Project { selection, ..self }
    }

    /// With these options.
    pub fn with_options(self, options: PipOptions) -> Self {
        Project { options, ..self }
    }

    /// The lock file: the one that is named, or the one beside the manifest.
    pub fn lock_file(&self) -> PathBuf {
        match (&self.lock, self.kind.lock_name()) {
            (Some(lock), _) => lock.clone(),
            (None, Some(name)) => self.directory().join(name),
            (None, None) => self.manifest.clone(),
        }
    }

    /// The folder of the manifest.
    pub fn directory(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new(""))
    }
}

/// Who manages a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectKind {
    /// uv: `pyproject.toml` and `uv.lock`.
    Uv,
    /// Poetry: `pyproject.toml` and `poetry.lock`.
    Poetry,
    /// Whoever writes a `pylock.toml` (PEP 751).
    Pylock,
}

impl ProjectKind {
    /// How its lock file is called beside the manifest; `None` where it is the manifest.
    pub fn lock_name(self) -> Option<&'static str> {
        match self {
            ProjectKind::Uv => Some("uv.lock"),
            ProjectKind::Poetry => Some("poetry.lock"),
            ProjectKind::Pylock => None,
        }
    }

    /// Its name in messages and keys.
    pub fn name(self) -> &'static str {
        match self {
            ProjectKind::Uv => "uv",
            ProjectKind::Poetry => "poetry",
            ProjectKind::Pylock => "pylock",
        }
    }
}

/// Whether a project itself is installed.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectInstall {
    /// Only what it depends on: its code comes into the image by other steps, or at run time.
    #[default]
    DependenciesOnly,
    /// The project too, built by its own build backend.
    InstallProject,
}

/// Which optional parts of a project are installed: dependency groups (PEP 735), extras, members
/// of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Selection {
    /// Which groups to begin with.
    pub groups: Groups,
    /// Further groups.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with_groups: Vec<String>,
    /// Groups that are left out, whatever else says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_groups: Vec<String>,
    /// Which extras to begin with.
    pub extras: Extras,
    /// Further extras.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with_extras: Vec<String>,
    /// Extras that are left out, whatever else says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without_extras: Vec<String>,
    /// Members of the workspace; empty for the one that the manifest describes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
}

impl Selection {
    /// Whether it is what is installed where nothing else is said.
    pub fn is_default(&self) -> bool {
        *self == Selection::default()
    }
}

/// Which dependency groups are installed to begin with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Groups {
    /// The project's dependencies, and its default groups: what uv and Poetry do by themselves.
    #[default]
    Defaults,
    /// The project's dependencies, and no groups.
    None,
    /// All.
    All,
    /// No more than the groups that are named, and not the project's dependencies.
    Only,
}

/// Which extras are installed to begin with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Extras {
    /// None.
    #[default]
    None,
    /// All.
    All,
}
