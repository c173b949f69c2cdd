//! Reads what a builder delivered.

mod docker;
mod layout;
mod registry;
mod unpack;

use crate::filesystem::FileSystem;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::{Digest, ImageConfig, ManifestError, Platform};
use tierce_registry::RegistryError;
use tierce_secret::Secrets;

pub(crate) use docker::read_docker_archive;
pub(crate) use layout::{read_oci_archive, read_oci_layout};
pub(crate) use registry::read_registry;

/// An image, read whole.
#[derive(Clone, Debug)]
pub struct ReadImage {
    /// The digest of the manifest or index; Docker's archives have none.
    pub digest: Option<Digest>,
    /// Its platforms.
    pub platforms: BTreeMap<Platform, ReadPlatform>,
}

/// One platform of an image.
#[derive(Clone, Debug)]
pub struct ReadPlatform {
    /// The digest of the manifest; Docker's archives have none.
    pub digest: Option<Digest>,
    /// The configuration.
    pub config: ImageConfig,
    /// All layers, one on top of the other.
    pub files: FileSystem,
    /// Where values of secrets were found: a file, `the configuration`.
    pub leaks: Vec<String>,
}

/// Why what was delivered cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A document is not what it should be.
    #[error("{what} is not valid")]
    Json {
        /// Which.
        what: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A manifest or index is not what it should be.
    #[error("the manifest {digest} is not valid")]
    Manifest {
        /// Which.
        digest: Digest,
        /// Why.
        source: ManifestError,
    },
    /// A layer is not what it should be.
    #[error("the layer {layer} is not valid")]
    Layer {
        /// Which.
        layer: String,
        /// Why.
        source: tierce_layer::ReadError,
    },
    /// Something is missing.
    #[error("{0} is missing")]
    Missing(String),
    /// A blob is not what its digest says.
    #[error("the blob {expected} has the digest {found}")]
    Digest {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// The registry does not hand it out.
    #[error("cannot read it from the registry")]
    Registry(#[source] Box<RegistryError>),
}

impl From<RegistryError> for ReadError {
    fn from(error: RegistryError) -> Self {
        ReadError::Registry(Box::new(error))
    }
}

/// The values that must not be found, and where they were.
pub(crate) struct Search<'a> {
    pub secrets: &'a Secrets,
    pub leaks: Vec<String>,
}

impl Search<'_> {
    fn document(&mut self, what: &str, bytes: &[u8]) {
        // JSON escapes some characters: a value with such is looked for in both forms.
        let escaped = String::from_utf8_lossy(bytes).replace("\\\"", "\"").replace("\\\\", "\\");
        let mut found = self.secrets.scanner().feed(bytes).is_some();
        found |= self.secrets.scanner().feed(escaped.as_bytes()).is_some();
        if found {
            self.leaks.push(what.to_owned());
        }
    }
}
