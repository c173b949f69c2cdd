//! What can go wrong with source trees.

use crate::index::SaveError;
use std::io;
use std::path::PathBuf;
use tierce_layer::{LayerPath, WriteError};
use tierce_oci::{Diagnostic, ErrorKind};

/// Why ignore rules could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: pattern {pattern:?} {problem}")]
pub struct IgnoreError {
    /// The line's number, from 1.
    pub line: usize,
    /// The pattern as it was written.
    pub pattern: String,
    /// What is wrong with it.
    pub problem: PatternProblem,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternProblem {
    /// `!` with nothing after it.
    #[error("is an exception for nothing")]
    LoneException,
    /// A `[` without its `]`, an empty class, or a range that is none.
    #[error("has a malformed character class")]
    BadClass,
    /// A `\` at the end.
    #[error("ends in a backslash that escapes nothing")]
    LoneEscape,
}

impl Diagnostic for IgnoreError {
    fn code(&self) -> &'static str {
        "source/invalid-pattern"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.problem {
            PatternProblem::LoneException => "Write what to keep after the !.",
            PatternProblem::BadClass => "Write \\[ for the character itself.",
            PatternProblem::LoneEscape => "Write \\\\ for the character itself.",
        };
        Some(hint.to_owned())
    }
}

/// Why a source tree could not be scanned.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root, or the file, is not there.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// What was to be scanned.
        path: PathBuf,
    },
    /// The root is not a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// What was to be scanned.
        path: PathBuf,
    },
    /// What should be a file is none.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// What was to be scanned.
        path: PathBuf,
    },
    /// A file that was asked for is not below the root.
    #[error("{} is not a file below {}", path.display(), root.display())]
    Outside {
        /// The file's path.
        path: PathBuf,
        /// What was to be scanned.
        root: PathBuf,
    },
    /// A file that was asked for is behind a symbolic link, which is not followed.
    #[error("{} is a symbolic link: no file can be taken from behind it", path.display())]
    BehindLink {
        /// The link.
        path: PathBuf,
    },
    /// Something in the tree can't be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What can't be read.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file changed while it was read.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file that is read whole is larger than such files are.
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        limit: u64,
    },
    /// A name that layers reserve for whiteouts.
    #[error("the name of {} is reserved: names in images can't begin with .wh.", path.display())]
    ReservedName {
        /// What has the name.
        path: PathBuf,
    },
}

impl ScanError {
    /// What the error is about.
    pub fn path(&self) -> &PathBuf {
        match self {
            ScanError::NotFound { path }
            | ScanError::NotADirectory { path }
            | ScanError::NotAFile { path }
            | ScanError::Outside { path, .. }
            | ScanError::BehindLink { path }
            | ScanError::Unreadable { path, .. }
            | ScanError::Changed { path }
            | ScanError::TooLarge { path, .. }
            | ScanError::ReservedName { path } => path,
        }
    }
}

impl Diagnostic for ScanError {
    fn code(&self) -> &'static str {
        match self {
            ScanError::NotFound { .. } => "source/missing",
            ScanError::NotADirectory { .. } | ScanError::NotAFile { .. } => "source/wrong-kind",
            ScanError::Outside { .. } => "source/outside",
            ScanError::BehindLink { .. } => "source/behind-link",
            ScanError::Unreadable { .. } => "source/unreadable",
            ScanError::Changed { .. } => "source/changed",
            ScanError::TooLarge { .. } => "source/too-large",
            ScanError::ReservedName { .. } => "source/reserved-name",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            ScanError::NotFound { .. } => return None,
            ScanError::NotADirectory { .. } => "Copy a single file with a file step.",
            ScanError::NotAFile { .. } => "Copy a directory with a folder step.",
            ScanError::Outside { .. } => "Name it by its path below the folder.",
            ScanError::BehindLink { .. } => "Name the file by the path that it really has.",
            ScanError::Unreadable { .. } => "Make it readable, or leave it out in .dockerignore.",
            ScanError::Changed { .. } => {
                "Leave it out in .dockerignore, or build when it is quiet."
            }
            ScanError::TooLarge { .. } => "Name another file: manifests and locks are smaller.",
            ScanError::ReservedName { .. } => "Rename it, or leave it out in .dockerignore.",
        };
        Some(hint.to_owned())
    }
}

/// What about a source is not as it was scanned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is gone.
    Gone,
    /// It is something else than it was.
    Kind,
    /// The file's content or its size.
    Content,
    /// The file's executable bit.
    Executable,
    /// Where the link points to.
    Target,
}

/// Why a tree could not be written to a layer.
#[derive(Debug, thiserror::Error)]
pub enum ShipError {
    /// A source is not as it was scanned, so that the layer would not be what its key says.
    #[error("source changed: {}", path.display())]
    SourceChanged {
        /// The source.
        path: PathBuf,
        /// What about it.
        difference: Difference,
    },
    /// A source can't be read any more.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The source.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A single file can't be the root of an image.
    #[error("a file can't be put in the place of the root directory")]
    FileAtRoot,
    /// The layer can't be written.
    #[error("cannot write {path} to the layer")]
    Write {
        /// The entry.
        path: LayerPath,
        /// Why.
        #[source]
        source: WriteError,
    },
}

impl Diagnostic for ShipError {
    fn code(&self) -> &'static str {
        match self {
            ShipError::SourceChanged { .. } => "source/changed",
            ShipError::Unreadable { .. } => "source/unreadable",
            ShipError::FileAtRoot => "source/file-at-root",
            ShipError::Write { source, .. } => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ShipError::Write { source, .. } => source.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ShipError::SourceChanged { .. } => {
                Some("Build again when nothing writes to the sources.".to_owned())
            }
            ShipError::Unreadable { .. } => None,
            ShipError::FileAtRoot => Some("Name the file in the destination.".to_owned()),
            ShipError::Write { source, .. } => source.hint(),
        }
    }
}

impl Diagnostic for SaveError {
    fn code(&self) -> &'static str {
        "source/index-not-saved"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }
}
