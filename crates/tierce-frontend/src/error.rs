//! Why a request is no input.

use tierce_dockerfile::RenderError;
use tierce_engine::{AnyDiagnostic, VerifyError};
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a request is no input for a Dockerfile builder.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The image cannot be written as a Dockerfile.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// It cannot be told how its Python packages are installed.
    #[error(transparent)]
    Python(#[from] AnyDiagnostic),
    /// A source is not what the image's key is made of.
    #[error(transparent)]
    Source(#[from] VerifyError),
}

impl InputError {
    fn inner(&self) -> &dyn Diagnostic {
        match self {
            InputError::Render(e) => e,
            InputError::Python(e) => &**e,
            InputError::Source(e) => e,
        }
    }
}

impl Diagnostic for InputError {
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
