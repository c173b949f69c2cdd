//! Why projects can't be installed.

use std::path::PathBuf;
use tierce_engine::AnyDiagnostic;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_wheel::PackageName;

/// Why projects can't be installed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// One of them can't be read.
    #[error("cannot install the project {}", project.display())]
    Read {
        /// Its manifest.
        project: PathBuf,
        /// Why.
        source: AnyDiagnostic,
    },
    /// A text of one of them is none.
    #[error("{} is not UTF-8", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
    },
    /// A lock is for other interpreters.
    #[error("it is for Python {allowed}, the image has {python}")]
    Python {
        /// What it is for.
        allowed: String,
        /// The image's.
        python: String,
    },
    /// Two of them want different things under one name.
    #[error(
        "two projects disagree about {package}: {} locks {one}, {} locks {other}",
        of_one.display(),
        of_other.display()
    )]
    Disagree {
        /// The package.
        package: PackageName,
        /// What one has.
        one: String,
        /// Which one.
        of_one: PathBuf,
        /// What the other has.
        other: String,
        /// Which one.
        of_other: PathBuf,
    },
    /// What else is asked for does not go with what projects lock.
    #[error(
        "other Python packages do not go with those of the image's projects:\n{explanation}{}",
        pinned(pins)
    )]
    Conflict {
        /// What the resolver said.
        explanation: String,
        /// Which of the packages that it names are locked, and by what.
        pins: Vec<String>,
    },
    /// A folder that a package is built from was not read.
    #[error("{} is not a folder that {package} was read from", path.display())]
    NoSource {
        /// The package.
        package: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// A folder has another package in it.
    #[error("building {package} made {built} instead")]
    OtherPackage {
        /// What was asked for.
        package: PackageName,
        /// What was made.
        built: PackageName,
    },
}

fn pinned(pins: &[String]) -> String {
    pins.iter().map(|pin| format!("\n  {pin}")).collect()
}

impl Diagnostic for ProjectError {
    fn code(&self) -> &'static str {
        match self {
            ProjectError::Read { source, .. } => source.code(),
            ProjectError::Encoding { .. } => "python/bad-lock",
            ProjectError::Python { .. } => "python/wrong-version",
            ProjectError::Disagree { .. } => "python/projects-disagree",
            ProjectError::Conflict { .. } => "python/unsatisfiable",
            ProjectError::NoSource { .. } => "python/no-source",
            ProjectError::OtherPackage { .. } => "python/other-package",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ProjectError::Read { source, .. } => source.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            ProjectError::Read { source, .. } => return source.hint(),
            ProjectError::Encoding { .. } => "Save it as UTF-8.".to_owned(),
            ProjectError::Python { .. } => {
                "Ask for another Python (`python = ...`), or lock the project for this one."
                    .to_owned()
            }
            ProjectError::Disagree { .. } => {
                "Lock both for the same version, or make them members of one workspace: an image \
                 has one environment."
                    .to_owned()
            }
            ProjectError::Conflict { .. } => {
                "Loosen the requirement, or add it to the project and lock that anew.".to_owned()
            }
            ProjectError::NoSource { .. } => {
                "Lock anew: what is locked is built from folders of the image's project.".to_owned()
            }
            ProjectError::OtherPackage { .. } => {
                "Correct the name where the folder is required, or in its pyproject.toml."
                    .to_owned()
            }
        })
    }
}
