//! Why a build did not come to an image.

use crate::checker::AnyDiagnostic;
use crate::gather::GatherError;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::{NameError, ResolveError, ValidationErrors};

/// Why a build did not come to an image.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// The specification is wrong.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// The specification could not be pinned to what was read.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// The image's name is missing or malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A source could not be read.
    #[error(transparent)]
    Gather(#[from] std::sync::Arc<GatherError>),
    /// No builder of that name.
    #[error("there is no builder called {name:?}; there are: {}", known.join(", "))]
    UnknownBuilder {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// A push was asked for, but the image has no registry.
    #[error("cannot push {name}: it has no registry")]
    NoRegistry {
        /// The image's name.
        name: String,
    },
    /// No checker could tell whether the image exists, and the policy is to give up.
    #[error("cannot tell whether {reference} exists")]
    Unknown {
        /// The image.
        reference: String,
        /// The first checker's reason.
        source: AnyDiagnostic,
    },
    /// The builder failed.
    #[error(transparent)]
    Builder(AnyDiagnostic),
}

impl BuildError {
    fn inner(&self) -> Option<&dyn Diagnostic> {
        match self {
            BuildError::Invalid(e) => Some(e),
            BuildError::Resolve(e) => Some(e),
            BuildError::Name(e) => Some(e),
            BuildError::Gather(e) => Some(&**e),
            BuildError::Builder(e) => Some(&**e),
            BuildError::UnknownBuilder { .. }
            | BuildError::NoRegistry { .. }
            | BuildError::Unknown { .. } => None,
        }
    }
}

impl Diagnostic for BuildError {
    fn code(&self) -> &'static str {
        match self {
            BuildError::UnknownBuilder { .. } => "engine/unknown-builder",
            BuildError::NoRegistry { .. } => "engine/no-registry",
            BuildError::Unknown { .. } => "engine/unknown-presence",
            _ => self.inner().map_or("engine/bug", Diagnostic::code),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            BuildError::UnknownBuilder { .. } | BuildError::NoRegistry { .. } => ErrorKind::User,
            BuildError::Unknown { source, .. } => source.kind(),
            _ => self.inner().map_or(ErrorKind::Bug, Diagnostic::kind),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            BuildError::UnknownBuilder { .. } => None,
            BuildError::NoRegistry { .. } => Some(
                "Give one with --registry, `registry = ...` in tierce.toml, TIERCE_REGISTRY, or \
                 the config file."
                    .into(),
            ),
            BuildError::Unknown { source, .. } => source.hint(),
            _ => self.inner().and_then(Diagnostic::hint),
        }
    }
}
