//! What can go wrong with a context.

use std::io;
use std::path::PathBuf;
use tierce_layer::{PathError, WriteError};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_tree::ScanError;

/// What can go wrong with a context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A path that no context has.
    #[error("{path:?} is not a path in a build context")]
    Path {
        /// The path.
        path: String,
    },
    /// A path that leads out, or can't be one.
    #[error("not a path in a build context")]
    Malformed(#[from] PathError),
    /// Something is there already.
    #[error("{path:?} is in the build context already")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// Something above is no directory.
    #[error("{path:?} can't be in the build context, where {above:?} is not a directory")]
    NotADirectory {
        /// The path.
        path: String,
        /// What is above it.
        above: String,
    },
    /// A file can't be put in.
    #[error("cannot put {} into the build context", path.display())]
    Scan {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ScanError,
    },
    /// A file can't be read any more.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no longer what was put in.
    #[error("{} changed since it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A zip file can't hold a path.
    #[error("{path:?} can't be in a zip file: its name is not UTF-8, or too long")]
    ZipName {
        /// The path.
        path: String,
    },
    /// The archive can't be written.
    #[error("cannot write the build context")]
    Write(#[source] io::Error),
    /// An entry can't be written to the archive.
    #[error("cannot write the build context")]
    Tar(#[source] WriteError),
    /// The directory can't be written.
    #[error("cannot write {}", path.display())]
    Directory {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is something in the directory.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
}

impl Diagnostic for ContextError {
    fn code(&self) -> &'static str {
        match self {
            ContextError::Path { .. } | ContextError::Malformed(_) => "context/invalid-path",
            ContextError::Duplicate { .. } => "context/duplicate-path",
            ContextError::NotADirectory { .. } => "context/not-a-directory",
            ContextError::Scan { source, .. } => source.code(),
            ContextError::Read { .. } => "source/unreadable",
            ContextError::Changed { .. } => "source/changed",
            ContextError::ZipName { .. } => "context/zip-name",
            ContextError::Write(_) | ContextError::Directory { .. } => "context/not-written",
            ContextError::Tar(source) => source.code(),
            ContextError::NotEmpty { .. } => "context/not-empty",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ContextError::Write(_) | ContextError::Directory { .. } => ErrorKind::Environment,
            ContextError::Tar(source) => source.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ContextError::Changed { .. } => {
                Some("Build again when nothing writes to the sources.".to_owned())
            }
            ContextError::ZipName { .. } => {
                Some("Rename it, or leave it out in .dockerignore.".to_owned())
            }
            ContextError::NotEmpty { .. } => Some("Name a new directory.".to_owned()),
            ContextError::Scan { source, .. } => source.hint(),
            ContextError::Tar(source) => source.hint(),
            _ => None,
        }
    }
}
