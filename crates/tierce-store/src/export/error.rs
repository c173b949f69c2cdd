//! What can go wrong when images are written.

use crate::error::FileError;
use std::path::PathBuf;
use tierce_layer::WriteError;
use tierce_oci::{Diagnostic, Digest, ErrorKind, ManifestError, MediaType, Platform, Reference};

/// Why an image could not be written to a directory or an archive.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A blob is still in its registry.
    #[error("blob {digest} of {reference} has not been fetched")]
    Elsewhere {
        /// The blob.
        digest: Digest,
        /// Where it is.
        reference: Box<Reference>,
    },
    /// A blob is nowhere.
    #[error("the image is incomplete: blob {digest} is missing")]
    Missing {
        /// The blob.
        digest: Digest,
    },
    /// A blob's bytes are not those of its digest.
    #[error("blob {digest} is damaged")]
    Corrupt {
        /// The blob.
        digest: Digest,
        /// The file that should hold it, if it is in one.
        path: Option<PathBuf>,
    },
    /// A document is larger than any reader would accept.
    #[error("document {digest} of {size} bytes is larger than the 4 MiB that registries accept")]
    TooLarge {
        /// The document.
        digest: Digest,
        /// Its length.
        size: u64,
    },
    /// The target has other things in it.
    #[error("{} is neither empty nor an OCI image layout", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
    },
    /// The target is of a version that did not exist when this was written.
    #[error("{} is an OCI image layout of version {version:?}, not 1.0.0", path.display())]
    LayoutVersion {
        /// The directory.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// The target's index can't be added to.
    #[error("{} is not a valid image index", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ManifestError,
    },
    /// The name can't stand in a layout.
    #[error("{name:?} can't be the name of an image in an OCI image layout")]
    RefName {
        /// The name.
        name: String,
    },
    /// A manifest or index is invalid.
    #[error("manifest {digest} is invalid")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        #[source]
        source: ManifestError,
    },
    /// A config is invalid.
    #[error("config {digest} is invalid")]
    Config {
        /// The config.
        digest: Digest,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The config lists other layers than the manifest.
    #[error("the manifest has {layers} layers, but the config {diff_ids}")]
    LayerCount {
        /// In the manifest.
        layers: usize,
        /// In the config.
        diff_ids: usize,
    },
    /// The image, or one of its layers, is of a type that a Docker archive can't hold.
    #[error("a Docker archive can't hold {digest} of type {media_type}")]
    Type {
        /// The content.
        digest: Digest,
        /// Its type.
        media_type: MediaType,
    },
    /// The image is for other platforms.
    #[error("the image is not for {wanted}, only for {}", list(available))]
    NoPlatform {
        /// What this machine needs.
        wanted: Platform,
        /// What there is.
        available: Vec<Platform>,
    },
    /// The archive could not be written.
    #[error("cannot write the archive {}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: WriteError,
    },
}

fn list(platforms: &[Platform]) -> String {
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(", ")
}

impl Diagnostic for ExportError {
    fn code(&self) -> &'static str {
        match self {
            ExportError::File(error) => error.code(),
            ExportError::Elsewhere { .. } => "export/not-fetched",
            ExportError::Missing { .. } => "export/incomplete",
            ExportError::Corrupt { .. } => "export/corrupt",
            ExportError::TooLarge { .. } => "export/too-large",
            ExportError::NotALayout { .. } => "export/not-a-layout",
            ExportError::LayoutVersion { .. } => "export/layout-version",
            ExportError::Index { .. } => "export/invalid-index",
            ExportError::RefName { .. } => "export/invalid-name",
            ExportError::Manifest { .. } => "export/invalid-manifest",
            ExportError::Config { .. } => "export/invalid-config",
            ExportError::LayerCount { .. } => "export/layer-count",
            ExportError::Type { .. } => "export/unsupported-type",
            ExportError::NoPlatform { .. } => "export/no-platform",
            ExportError::Archive { .. } => "export/archive",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ExportError::Elsewhere { .. } | ExportError::Missing { .. } => ErrorKind::Bug,
            ExportError::File(_) | ExportError::Corrupt { .. } | ExportError::Archive { .. } => {
                ErrorKind::Environment
            }
            ExportError::NotALayout { .. }
            | ExportError::LayoutVersion { .. }
            | ExportError::Index { .. }
            | ExportError::RefName { .. }
            | ExportError::NoPlatform { .. } => ErrorKind::User,
            ExportError::TooLarge { .. }
            | ExportError::Manifest { .. }
            | ExportError::Config { .. }
            | ExportError::LayerCount { .. }
            | ExportError::Type { .. } => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            // The store's own advice would be of no use for a path that the user chose.
            ExportError::File(error) => match error.code() {
                "store/disk-full" => "Free some space there, or write the image elsewhere.",
                "store/denied" => "Write the image to a place that this user may write to.",
                _ => return None,
            },
            ExportError::Archive { .. } => "Check that the disk is not full.",
            ExportError::Corrupt { .. } => {
                "Run `tierce cache prune --all` and build again: the blob is made anew."
            }
            ExportError::NotALayout { .. } => "Name a directory that is empty or does not exist.",
            ExportError::LayoutVersion { .. } | ExportError::Index { .. } => {
                "Remove the directory, or name another one."
            }
            ExportError::RefName { .. } => {
                "Use letters and digits, with single separators (- . _ : @ / +) between them."
            }
            ExportError::NoPlatform { .. } => {
                "Name one of the platforms with --platform, or write the image in OCI form, which \
                 holds several."
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
