//! Why sources can't be read.

use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_tree::ScanError;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// It is not there.
    #[error("{what} does not exist")]
    Missing {
        /// What was looked for.
        what: String,
        /// Where.
        path: PathBuf,
    },
    /// It is there, but of another kind.
    #[error("{what} is not a {expected}")]
    Kind {
        /// What was looked for.
        what: String,
        /// Where.
        path: PathBuf,
        /// `folder` or `file`.
        expected: &'static str,
    },
    /// It could not be scanned.
    #[error("cannot read {what}")]
    Scan {
        /// What was looked for.
        what: String,
        /// Why.
        source: ScanError,
    },
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A lock file could not be read.
    #[error("cannot read {}", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tierce_spec::locked::LockedError,
    },
    /// Something of the host that a lock file or a requirements file installs from is not there.
    #[error("{what} is not there")]
    MissingLocal {
        /// What was looked for, and who names it.
        what: String,
        /// Where.
        path: PathBuf,
    },
    /// A lock installs from a place that is neither the project's nor named by a manifest.
    #[error("{} installs from {}, which is outside of the project", by.display(), named.display())]
    Outside {
        /// What the lock says.
        named: PathBuf,
        /// The lock.
        by: PathBuf,
        /// Where that is.
        path: PathBuf,
    },
    /// A lock installs from a folder that is no project.
    #[error("{} installs from {}, which is no Python project", by.display(), named.display())]
    NoProject {
        /// What the lock says.
        named: PathBuf,
        /// The lock.
        by: PathBuf,
        /// Where that is.
        path: PathBuf,
    },
    /// A requirements file, or one that it includes, could not be read.
    #[error(transparent)]
    Requirements(tierce_spec::requirements::GatherError<std::io::Error>),
    /// A folder of wheels has none.
    #[error("{what} has no wheels{} in it", of(packages))]
    NoWheels {
        /// What was looked for.
        what: String,
        /// The packages whose wheels were looked for; empty for any.
        packages: Vec<String>,
        /// Where.
        path: PathBuf,
    },
    /// The rules of the project leave out all of what is to be copied.
    #[error("{} leaves out {what}, with all that is in it", file.display())]
    Ignored {
        /// What was to be copied.
        what: String,
        /// Where it is.
        path: PathBuf,
        /// The ignore file.
        file: PathBuf,
    },
    /// An ignore pattern is malformed.
    #[error("{file} has an invalid pattern")]
    Ignore {
        /// The ignore file, or the step.
        file: String,
        /// Why.
        source: tierce_tree::IgnoreError,
    },
    /// The image could not be pinned to what was read.
    #[error(transparent)]
    Resolve(#[from] tierce_spec::ResolveError),
}

impl GatherError {
    /// What could not be read, where that is one thing.
    pub fn path(&self) -> Option<&Path> {
        use tierce_spec::requirements::GatherError as Requirements;
        match self {
            GatherError::Missing { path, .. }
            | GatherError::Kind { path, .. }
            | GatherError::Locked { path, .. }
            | GatherError::MissingLocal { path, .. }
            | GatherError::Outside { path, .. }
            | GatherError::NoProject { path, .. }
            | GatherError::Read { path, .. }
            | GatherError::NoWheels { path, .. }
            | GatherError::Ignored { path, .. } => Some(path),
            GatherError::Scan { source, .. } => Some(source.path()),
            GatherError::Requirements(
                Requirements::Read { path, .. }
                | Requirements::Encoding { path }
                | Requirements::Cycle { path, .. }
                | Requirements::Depth { path, .. }
                | Requirements::RemoteInclude { path, .. },
            ) => Some(path),
            GatherError::Ignore { .. } | GatherError::Resolve(_) => None,
        }
    }
}

impl Diagnostic for GatherError {
    fn code(&self) -> &'static str {
        match self {
            GatherError::Missing { .. } => "source/missing",
            GatherError::Kind { .. } => "source/wrong-kind",
            GatherError::Read { .. } => "source/unreadable",
            GatherError::Scan { source, .. } => source.code(),
            GatherError::NoWheels { .. } => "source/no-wheels",
            GatherError::Locked { source, .. } => source.code(),
            GatherError::MissingLocal { .. } => "source/missing",
            GatherError::Outside { .. } => "source/outside-project",
            GatherError::NoProject { .. } => "source/no-project",
            GatherError::Ignored { .. } => "source/ignored",
            GatherError::Ignore { .. } => "source/invalid-pattern",
            GatherError::Resolve(e) => e.code(),
            GatherError::Requirements(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            GatherError::Resolve(e) => e.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            GatherError::Missing { path, .. } => Some(match maker(path) {
                Some(command) => format!("Make it first: `{command}` in the project's folder."),
                None => "Relative paths start at the build's root: the directory of the \
                         tierce.toml, root_dir, or else the current directory."
                    .into(),
            }),
            GatherError::Locked { source, .. } => source.hint(),
            GatherError::MissingLocal { path, .. } => Some(format!(
                "It would be {}: check it out, or lock anew without it.",
                path.display()
            )),
            GatherError::Outside { .. } => Some(
                "Name it in the manifest ([tool.uv.sources], or a dependency's path) if it is \
                 meant, and lock anew: what only a lock names has to be in the project, its \
                 repository, or the image's folder."
                    .into(),
            ),
            GatherError::NoProject { path, .. } => Some(format!(
                "{} has neither a pyproject.toml nor a setup.py: lock anew.",
                path.display()
            )),
            GatherError::NoWheels { .. } => {
                Some("Build them first, as `uv build --wheel -o DIR` does.".into())
            }
            GatherError::Ignored { .. } => {
                Some("Bring back what is to be copied, by a pattern with a ! before it.".into())
            }
            GatherError::Scan { source, .. } => source.hint(),
            GatherError::Ignore { source, .. } => source.hint(),
            GatherError::Resolve(e) => e.hint(),
            GatherError::Requirements(e) => e.hint(),
            GatherError::Kind { .. } | GatherError::Read { .. } => None,
        }
    }
}

/// What makes the file, where it is one that a tool makes.
fn maker(path: &Path) -> Option<&'static str> {
    match path.file_name()?.to_str()? {
        "poetry.lock" => Some("poetry lock"),
        "uv.lock" => Some("uv lock"),
        "pixi.lock" => Some("pixi lock"),
        _ => None,
    }
}

fn of(packages: &[String]) -> String {
    match packages {
        [] => String::new(),
        some => format!(" of {}", some.join(", ")),
    }
}
