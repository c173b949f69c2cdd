//! Reading what people and other tools write: YAML and TOML, with limits.

use serde::de::DeserializeOwned;
use serde_saphyr::budget::Budget;
use serde_saphyr::options::{DuplicateKeyPolicy, Options};

/// Files that are larger than this are none that people or tools write.
pub(crate) const MOST_BYTES: usize = 64 << 20;

/// Why a file can't be read at all.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// It is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// It is far too large.
    #[error("it is larger than {} MiB", MOST_BYTES >> 20)]
    TooLarge,
    /// It is not YAML of the right shape.
    #[error("it is no valid YAML, or not what it should be")]
    Yaml(#[source] Box<serde_saphyr::Error>),
    /// It is not TOML of the right shape.
    #[error("it is no valid TOML, or not what it should be")]
    Toml(#[source] Box<toml::de::Error>),
}

/// The text of a file.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, TextError> {
    if bytes.len() > MOST_BYTES {
        return Err(TextError::TooLarge);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| TextError::NotUtf8)?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// What a YAML file says. Aliases may not multiply it, since nobody writes these files with any.
pub(crate) fn yaml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, TextError> {
    let text = text(bytes)?;
    let mut options = Options::default();
    let mut budget = Budget::default();
    budget.max_reader_input_bytes = Some(MOST_BYTES);
    budget.max_events = 16_000_000;
    budget.max_nodes = 8_000_000;
    budget.max_total_scalar_bytes = MOST_BYTES;
    budget.max_depth = 64;
    budget.max_anchors = 1_000;
    budget.max_aliases = 1_000;
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.with_snippet = false;
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| TextError::Yaml(Box::new(error)))
}

/// What a TOML file says.
pub(crate) fn toml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, TextError> {
    toml::from_str(text(bytes)?).map_err(|error| TextError::Toml(Box::new(error)))
}
