//! Any failure of the library's operations.

use std::sync::Arc;
use tierce_dockerfile::RenderError;
use tierce_engine::BuildError;
use tierce_native::NativeError;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_store::ImportError;

/// Any failure of the library's operations. Code, kind and hint are those of what failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A build failed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Something below the build failed.
    #[error(transparent)]
    Native(#[from] Arc<NativeError>),
    /// An image could not be read from a file or directory.
    #[error(transparent)]
    Import(#[from] Arc<ImportError>),
    /// An image could not be written as a Dockerfile.
    #[error(transparent)]
    Render(Arc<RenderError>),
}

impl From<NativeError> for Error {
    fn from(error: NativeError) -> Self {
        Error::Native(Arc::new(error))
    }
}

impl Error {
    fn inner(&self) -> &dyn Diagnostic {
        match self {
            Error::Build(e) => e,
            Error::Native(e) => &**e,
            Error::Import(e) => &**e,
            Error::Render(e) => &**e,
        }
    }
}

impl Diagnostic for Error {
    fn code(&self) -> &'static str {
        self.inner().code()
    }

    fn kind(&self) -> ErrorKind {
        self.inner().kind()
    }

    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }
}
