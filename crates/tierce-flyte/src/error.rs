//! What can be wrong with an image in Flyte's words.

use tierce_oci::{Diagnostic, ErrorKind};

/// What can be wrong with an image in Flyte's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlyteError {
    /// A layer is added to an image that can't have more.
    #[error("the image can't be extended")]
    NotExtendable,
}

impl Diagnostic for FlyteError {
    fn code(&self) -> &'static str {
        match self {
            FlyteError::NotExtendable => "flyte/not-extendable",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }
}
