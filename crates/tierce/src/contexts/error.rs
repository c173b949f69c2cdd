//! Why a context was not built.

use super::select::Looked;
use crate::error::Error;
use crate::open::OpenError;
use std::path::PathBuf;
use tierce_engine::{AnyDiagnostic, BuildError};
use tierce_oci::{Diagnostic, ErrorKind, ReferenceError};
use tierce_plugin::RegisteredError;
use tierce_store::StoreError;

/// Why a context was not built.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// There is no engine.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store has no room for the context.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The context cannot be laid out.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The image's name breaks the grammar.
    #[error("{text:?} is not the name of an image")]
    Name {
        /// The name.
        text: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// The builder that was asked for builds no Dockerfiles.
    #[error("the builder {name} builds no Dockerfiles")]
    NoDockerfiles {
        /// The builder's name.
        name: String,
    },
    /// Nobody on this machine builds Dockerfiles.
    #[error("nothing on this machine builds Dockerfiles: {}", looked(.0))]
    NoBuilder(Vec<Looked>),
    /// A registered builder is configured in a way that makes no sense.
    #[error(transparent)]
    Registered(#[from] RegisteredError),
    /// The builder cannot be loaded.
    #[error("the builder {name} cannot be loaded")]
    Load {
        /// The builder's name.
        name: String,
        /// Why.
        source: AnyDiagnostic,
    },
    /// The build failed.
    #[error(transparent)]
    Build(#[from] Error),
}

impl From<BuildError> for ContextError {
    fn from(error: BuildError) -> Self {
        ContextError::Build(error.into())
    }
}

fn looked(all: &[Looked]) -> String {
    let one = |Looked { name, why }: &Looked| format!("{name}: {why}");
    all.iter().map(one).collect::<Vec<_>>().join("; ")
}

impl ContextError {
    fn inner(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            ContextError::Open(e) => e,
            ContextError::Store(e) => e,
            ContextError::Stage(e) => e,
            ContextError::Registered(e) => e,
            ContextError::Load { source, .. } => &**source,
            ContextError::Build(e) => e,
            ContextError::Name { .. }
            | ContextError::NoDockerfiles { .. }
            | ContextError::NoBuilder(_) => return None,
        })
    }
}

impl Diagnostic for ContextError {
    fn code(&self) -> &'static str {
        match self {
            ContextError::Name { .. } => "spec/invalid-name",
            ContextError::NoDockerfiles { .. } => "context/no-dockerfiles",
            ContextError::NoBuilder(_) => "context/no-builder",
            _ => self.inner().map_or("context/bug", |inner| inner.code()),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ContextError::Name { .. } | ContextError::NoDockerfiles { .. } => ErrorKind::User,
            ContextError::NoBuilder(_) => ErrorKind::Environment,
            _ => self.inner().map_or(ErrorKind::Bug, |inner| inner.kind()),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ContextError::Name { .. } => None,
            ContextError::NoDockerfiles { .. } => Some(
                "Name docker, podman or buildkit, or none of them: the first that works is taken. \
                 The native builder does not read Dockerfiles yet."
                    .to_owned(),
            ),
            ContextError::NoBuilder(_) => Some(
                "Install podman, start Docker, or name a buildkitd (buildkit.address). The native \
                 builder, which needs none of them, does not read Dockerfiles yet."
                    .to_owned(),
            ),
            _ => self.inner().and_then(|inner| inner.hint()),
        }
    }
}

/// Why a context cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// A path leads out of the context.
    #[error("{path:?} is not a path inside of a build context")]
    Outside {
        /// The path.
        path: String,
    },
    /// A file of the context cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of the context cannot be written.
    #[error("cannot write {path:?} of the build context")]
    Write {
        /// Its path in the context.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Diagnostic for StageError {
    fn code(&self) -> &'static str {
        match self {
            StageError::Outside { .. } => "context/outside",
            StageError::Read { .. } => "context/unreadable",
            StageError::Write { .. } => "context/unwritable",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            StageError::Outside { .. } => ErrorKind::User,
            StageError::Read { .. } | StageError::Write { .. } => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StageError::Outside { .. } => {
                Some("Paths in a context are relative to its root.".to_owned())
            }
            StageError::Read { .. } => {
                Some("Name it in .dockerignore if the image does not need it.".to_owned())
            }
            StageError::Write { .. } => None,
        }
    }
}

/// Why a build option makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("build option {name}: expected {expected}, got {got}")]
pub struct OptionError {
    /// The option.
    pub name: String,
    /// What it takes.
    pub expected: &'static str,
    /// What it was given.
    pub got: String,
}

impl Diagnostic for OptionError {
    fn code(&self) -> &'static str {
        "context/invalid-option"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        None
    }
}
