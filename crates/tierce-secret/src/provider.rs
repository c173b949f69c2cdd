//! Places where values are found.

use crate::value::SecretValue;
use async_trait::async_trait;
use tierce_spec::SecretId;

/// Why a place could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// A file could not be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// One place where values are found.
#[async_trait]
pub trait SecretProvider: Send + Sync {
    /// Where it would look for `id`, for the message that says where a value was not.
    fn describe(&self, id: &SecretId) -> String;

    /// The value of `id`; `None` where this place has none.
    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError>;
}
