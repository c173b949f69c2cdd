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
    #[error("{package} is installed from {}, which is not there", path.display())]
    NoSource {
        /// The package.
        package: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// There is no git, on this machine or in the image.
    #[error("{package} comes from a git repository, and there is no git here or in the image")]
    NoGit {
        /// The package.
        package: String,
    },
    /// A repository has to be looked at inside the image, and that has no git.
    #[error("a git repository has to be read in the image, which has no git:\n{explanation}")]
    NoGitInside {
        /// What the resolver said.
        explanation: String,
    },
    /// Git failed.
    #[error("git cannot get the source of {package}: {said}")]
    Git {
        /// The package.
        package: String,
        /// What it said.
        said: String,
    },
    /// A repository does not have what is locked.
    #[error("{repository} has no commit {commit}, which {package} is locked to")]
    NoCommit {
        /// The package.
        package: String,
        /// The repository.
        repository: String,
        /// The commit.
        commit: String,
    },
    /// A lock names a commit in a way that does not say which.
    #[error("{package} is locked to {commit:?}, which is not the full hash of a commit")]
    BadCommit {
        /// The package.
        package: String,
        /// What is there.
        commit: String,
    },
    /// A submodule is where none is fetched from.
    #[error("{package} has the submodule {path}, which cannot be fetched from {address:?}")]
    Submodule {
        /// The package.
        package: String,
        /// Where it is in the repository.
        path: String,
        /// Where it would come from.
        address: String,
    },
    /// A repository has more submodules than anybody means.
    #[error("{package} has more than {limit} submodules")]
    Submodules {
        /// The package.
        package: String,
        /// The most that there may be.
        limit: usize,
    },
    /// An archive is not the one that a requirements file has hashes of.
    #[error(
        "{}:{line}: {} is {actual}, and should be {expected}",
        file.file_name().unwrap_or_default().display(),
        path.display()
    )]
    Hash {
        /// The requirements file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The archive, as the line has it.
        path: PathBuf,
        /// Its hashes there.
        expected: String,
        /// Its own.
        actual: String,
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
            ProjectError::Hash { .. } => "python/hash-mismatch",
            ProjectError::NoGit { .. } | ProjectError::NoGitInside { .. } => "python/no-git",
            ProjectError::Git { .. } => "python/git-failed",
            ProjectError::NoCommit { .. } => "python/no-commit",
            ProjectError::BadCommit { .. } => "python/bad-lock",
            ProjectError::Submodule { .. } | ProjectError::Submodules { .. } => {
                "python/bad-submodule"
            }
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ProjectError::Read { source, .. } => source.kind(),
            ProjectError::NoGit { .. } | ProjectError::NoGitInside { .. } => ErrorKind::Environment,
            ProjectError::Git { .. } | ProjectError::NoCommit { .. } => ErrorKind::Upstream,
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
                "Check it out, or lock anew: what is locked is built from folders of this machine."
                    .to_owned()
            }
            ProjectError::NoGit { .. } => {
                "Install git on this machine, or put it into the image (`apt = ['git']`)."
                    .to_owned()
            }
            ProjectError::NoGitInside { .. } => {
                "Put git into the image (`apt = ['git']`), or, where packages are built only to know \
                 their requirements, have these in pyproject.toml."
                    .to_owned()
            }
            ProjectError::Git { .. } => {
                "Check the repository's address, and who may read it (`git ls-remote ADDRESS`): \
                 passwords are looked for where uv finds them, and in your git's settings."
                    .to_owned()
            }
            ProjectError::NoCommit { .. } => {
                "The branch may have been rewritten: lock anew, or name another revision."
                    .to_owned()
            }
            ProjectError::BadCommit { .. } => {
                "Lock anew: a branch or an abbreviation may mean something else tomorrow."
                    .to_owned()
            }
            ProjectError::Submodule { .. } | ProjectError::Submodules { .. } => {
                "Submodules come from https, http, ssh and git addresses that .gitmodules has."
                    .to_owned()
            }
            ProjectError::Hash { .. } => {
                "If the file was changed on purpose, write its sha256 into the line: other \
                 algorithms are not looked at."
                    .to_owned()
            }
            ProjectError::OtherPackage { .. } => {
                "Correct the name where the folder is required, or in its pyproject.toml."
                    .to_owned()
            }
        })
    }
}
