//! What keeps a conda environment out of an image.

use std::path::PathBuf;
use tierce_engine::AnyDiagnostic;
use tierce_oci::{Diagnostic, ErrorKind};

/// What keeps a conda environment out of an image.
#[derive(Debug, thiserror::Error)]
pub enum CondaError {
    /// A file that says which packages there are can't be used.
    #[error("{} can't be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: AnyDiagnostic,
    },
    /// Locks for one environment have different packages of one name.
    #[error("the locks for {prefix} disagree about {package}: {one} and {other}")]
    Disagree {
        /// The environment.
        prefix: String,
        /// The package.
        package: String,
        /// One of them.
        one: String,
        /// Another one.
        other: String,
    },
    /// A project locks another version than the environment has.
    #[error(
        "{} locks {package} {locked}, and the conda environment {prefix} has {package} {there}",
        project.display()
    )]
    ProjectDisagrees {
        /// The package.
        package: String,
        /// The project's manifest.
        project: PathBuf,
        /// What it locks.
        locked: String,
        /// The environment.
        prefix: String,
        /// What that has.
        there: String,
    },
    /// A Python of another provider is asked for than the one that conda brings.
    #[error(
        "a build of python-build-standalone is asked for (provider = \"standalone\"), and the conda \
         environment {prefix} has a python of its own"
    )]
    OtherProvider {
        /// The environment.
        prefix: String,
    },
    /// Python packages are asked for, and the environment has no Python.
    #[error("{prefix} is to have Python packages, and no python is among its conda packages")]
    NoPython {
        /// The environment.
        prefix: String,
    },
    /// The interpreter wants modules where wheels are not installed.
    #[error(
        "python packages can't be installed into {prefix}: its interpreter wants them in {site_packages}"
    )]
    SitePackages {
        /// The environment.
        prefix: String,
        /// The folder, relative to it.
        site_packages: String,
    },
    /// The prefix can't hold Python packages.
    #[error(transparent)]
    Prefix(#[from] tierce_wheel::PrefixError),
    /// No lock says what a package of the host requires, and neither does the package.
    #[error("what {name} in {path} requires is known when it is built, and there is no lock")]
    Folder {
        /// The package.
        name: String,
        /// The folder.
        path: String,
    },
    /// A lock of Python packages can't be made of what is locked.
    #[error("{0} is locked without a SHA-256")]
    NoDigest(String),
    /// A variable that a channel's URL names is not there.
    #[error("the conda channel {channel} needs the variable {variable}, which no secret is")]
    Variable {
        /// The channel.
        channel: String,
        /// The variable.
        variable: String,
    },
    /// An index is no URL.
    #[error("{0:?} is not the URL of a Python package index")]
    Index(String),
    /// What is installed by conda does not let a package in.
    #[error("the Python packages don't fit those that conda installs")]
    Conflict(#[source] AnyDiagnostic),
}

impl Diagnostic for CondaError {
    fn code(&self) -> &'static str {
        match self {
            CondaError::File { source, .. } => source.code(),
            CondaError::Disagree { .. } => "conda/locks-disagree",
            CondaError::ProjectDisagrees { .. } => "python/projects-disagree",
            CondaError::OtherProvider { .. } => "conda/other-python-provider",
            CondaError::NoPython { .. } => "conda/no-python",
            CondaError::SitePackages { .. } => "conda/unsupported-python",
            CondaError::Folder { .. } => "conda/local-package",
            CondaError::NoDigest(_) => "conda/bad-lock",
            CondaError::Prefix(_) => "conda/bad-prefix",
            CondaError::Variable { .. } => "conda/no-variable",
            CondaError::Index(_) => "conda/bad-index-url",
            CondaError::Conflict(_) => "python/unsatisfiable",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            CondaError::File { source, .. } => source.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            CondaError::File { source, .. } => source.hint(),
            CondaError::Disagree { .. } => {
                Some("Give one of them another prefix, or lock them together.".to_owned())
            }
            CondaError::ProjectDisagrees { package, locked, there, .. } => Some(format!(
                "Pin one: ask conda for {package} {locked}, or lock the project for {there}."
            )),
            CondaError::OtherProvider { .. } => Some(
                "Leave out the provider, so that conda's is the image's Python; or leave python, \
                 and what needs it, out of the conda packages."
                    .to_owned(),
            ),
            CondaError::NoPython { .. } => Some("Add python to the conda packages.".to_owned()),
            CondaError::Folder { .. } => Some(
                "Lock the project (pixi lock), or give the package a pyproject.toml with static \
                 dependencies."
                    .to_owned(),
            ),
            CondaError::Variable { variable, .. } => {
                Some(format!("Give the step a secret with the variable {variable}."))
            }
            CondaError::Conflict(_) => Some(
                "Ask conda for other versions of the packages that are named, or for all of them."
                    .to_owned(),
            ),
            CondaError::SitePackages { .. }
            | CondaError::NoDigest(_)
            | CondaError::Prefix(_)
            | CondaError::Index(_) => None,
        }
    }
}
