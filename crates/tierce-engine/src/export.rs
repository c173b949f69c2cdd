//! Where a built image goes.

use serde::Serialize;
use std::path::PathBuf;
use std::str::FromStr;
use tierce_oci::{Diagnostic, ErrorKind, Reference};

/// One destination of a built image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Export {
    /// A registry.
    Push(Reference),
    /// An OCI image layout directory.
    OciLayout(PathBuf),
    /// An OCI image layout in a tar file.
    OciArchive(PathBuf),
    /// A `docker save` tar file.
    DockerArchive(PathBuf),
    /// The local Docker or podman engine.
    Load,
}

/// The kinds of destinations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportKind {
    /// The builder's own store, or engine: what is built without any export.
    Local,
    /// [`Export::Push`].
    Push,
    /// [`Export::OciLayout`].
    OciLayout,
    /// [`Export::OciArchive`].
    OciArchive,
    /// [`Export::DockerArchive`].
    DockerArchive,
    /// [`Export::Load`].
    Load,
}

impl Export {
    /// Its kind.
    pub fn kind(&self) -> ExportKind {
        match self {
            Export::Push(_) => ExportKind::Push,
            Export::OciLayout(_) => ExportKind::OciLayout,
            Export::OciArchive(_) => ExportKind::OciArchive,
            Export::DockerArchive(_) => ExportKind::DockerArchive,
            Export::Load => ExportKind::Load,
        }
    }
}

/// Why `--output` could not be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// No `kind:` in front.
    #[error("output {0:?} names no format")]
    NoFormat(String),
    /// A `kind:` that does not exist.
    #[error("output format {0:?} does not exist")]
    UnknownFormat(String),
    /// Nothing after the colon.
    #[error("output {0:?} names no path")]
    NoPath(String),
}

impl Diagnostic for ExportError {
    fn code(&self) -> &'static str {
        "cli/invalid-output"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Write oci:DIR, oci-archive:FILE or docker-archive:FILE.".into())
    }
}

impl FromStr for Export {
    type Err = ExportError;

    fn from_str(s: &str) -> Result<Self, ExportError> {
        let (format, path) = s.split_once(':').ok_or_else(|| ExportError::NoFormat(s.into()))?;
        let make = match format {
            "oci" => Export::OciLayout,
            "oci-archive" => Export::OciArchive,
            "docker-archive" => Export::DockerArchive,
            other => return Err(ExportError::UnknownFormat(other.into())),
        };
        match path {
            "" => Err(ExportError::NoPath(s.into())),
            path => Ok(make(PathBuf::from(path))),
        }
    }
}
