//! Why buildkitd did not come to an image.

use std::path::PathBuf;
use std::sync::Arc;
use tierce_buildkit_client::{CacheEntryError, ConnectError, EndpointError, SolveError};
use tierce_engine::{AnyDiagnostic, BuilderError};
use tierce_frontend::InputError;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_registry::{CredentialError, RegistryError};

/// Why buildkitd did not come to an image.
#[derive(Debug, thiserror::Error)]
pub enum BuildkitError {
    /// The daemon's address cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// There is no connection to the daemon.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The build failed.
    #[error(transparent)]
    Solve(Box<SolveError>),
    /// The request is no input for a Dockerfile builder.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A cache's description cannot be read.
    #[error(transparent)]
    Cache(#[from] CacheEntryError),
    /// A cache is a directory, which the daemon can't reach.
    #[error("cache {0:?} is a directory of this machine, which the daemon does not see")]
    LocalCache(String),
    /// A registry could not be asked.
    #[error(transparent)]
    Registry(#[from] Arc<RegistryError>),
    /// Credentials could not be looked up.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// The base is an image of ours that no registry has.
    #[error("no registry has the image {reference}, on which this one is based")]
    NoBase {
        /// The base.
        reference: String,
    },
    /// Nothing was said of what becomes of the image.
    #[error("buildkitd keeps no images: say where this one goes")]
    NoDestination,
    /// A `docker save` archive has one platform.
    #[error("an archive for docker can't have several platforms")]
    SeveralPlatforms,
    /// The daemon did not say what it built.
    #[error("buildkitd did not say what it built")]
    NoResult,
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What the daemon sent is no archive.
    #[error("what buildkitd sent for {} is no archive", path.display())]
    Archive {
        /// What it was for.
        path: PathBuf,
        /// Why.
        source: tierce_layer::ReadError,
    },
}

impl From<SolveError> for BuildkitError {
    fn from(error: SolveError) -> Self {
        BuildkitError::Solve(Box::new(error))
    }
}

impl From<RegistryError> for BuildkitError {
    fn from(error: RegistryError) -> Self {
        BuildkitError::Registry(Arc::new(error))
    }
}

impl From<BuildkitError> for BuilderError {
    fn from(error: BuildkitError) -> Self {
        BuilderError(Arc::new(error) as AnyDiagnostic)
    }
}

impl BuildkitError {
    fn inner(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            BuildkitError::Connect(e) => e,
            BuildkitError::Solve(e) => &**e,
            BuildkitError::Input(e) => e,
            BuildkitError::Registry(e) => &**e,
            _ => return None,
        })
    }
}

impl Diagnostic for BuildkitError {
    fn code(&self) -> &'static str {
        if let Some(inner) = self.inner() {
            return inner.code();
        }
        match self {
            BuildkitError::Endpoint(_) => "buildkit/invalid-address",
            BuildkitError::Cache(_) => "buildkit/invalid-cache",
            BuildkitError::LocalCache(_) => "buildkit/local-cache",
            BuildkitError::Credentials(_) => "registry/credentials",
            BuildkitError::NoBase { .. } => "builder/no-base",
            BuildkitError::NoDestination => "buildkit/no-destination",
            BuildkitError::SeveralPlatforms => "builder/several-platforms",
            BuildkitError::NoResult => "builder/no-result",
            BuildkitError::File { .. } => "export/unwritable",
            BuildkitError::Archive { .. } => "buildkit/malformed",
            _ => "buildkit/bug",
        }
    }

    fn kind(&self) -> ErrorKind {
        if let Some(inner) = self.inner() {
            return inner.kind();
        }
        match self {
            BuildkitError::Credentials(_)
            | BuildkitError::NoResult
            | BuildkitError::File { .. }
            | BuildkitError::Archive { .. } => ErrorKind::Environment,
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(inner) = self.inner() {
            return inner.hint();
        }
        Some(match self {
            BuildkitError::Endpoint(_) => {
                "Write `buildkit.address` as unix:///path or tcp://host:port.".into()
            }
            BuildkitError::LocalCache(_) => "Use a cache of type=registry.".into(),
            BuildkitError::NoBase { .. } => {
                "Give it a registry, so that it is pushed before this one is built.".into()
            }
            BuildkitError::NoDestination => {
                "Push it (--push), or write it with --output oci:DIR.".into()
            }
            BuildkitError::SeveralPlatforms => {
                "Write an OCI layout (--output oci:DIR), or name one platform.".into()
            }
            _ => return None,
        })
    }
}
