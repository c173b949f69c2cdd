//! What can go wrong when layers are written and read.

use crate::{LayerPath, PathError, WhiteoutError};
use std::io;
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a layer could not be written. After any error the output is incomplete, and the writer
/// refuses to go on.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The output failed.
    #[error("cannot write the layer")]
    Output(#[source] io::Error),
    /// The content's reader failed.
    #[error("cannot read the content of {path}")]
    Input {
        /// The entry.
        path: LayerPath,
        /// What the reader said.
        #[source]
        source: io::Error,
    },
    /// The content is not as long as the entry declares.
    #[error("content of {path} is not {declared} bytes long as declared")]
    SizeMismatch {
        /// The entry.
        path: LayerPath,
        /// The declared size.
        declared: u64,
    },
    /// The content's CRC-32 is not the declared one.
    #[error("content of {path} has CRC-32 {actual:08x}, declared was {declared:08x}")]
    CrcMismatch {
        /// The entry.
        path: LayerPath,
        /// The declared checksum.
        declared: u32,
        /// The checksum of what was there.
        actual: u32,
    },
    /// The compressed content is no valid deflate stream.
    #[error("compressed content of {path} is not a valid deflate stream")]
    BadDeflate {
        /// The entry.
        path: LayerPath,
    },
    /// The deflate stream does not end where its declared compressed size says.
    #[error("compressed content of {path} does not end after {declared} bytes as declared")]
    DeflatedSizeMismatch {
        /// The entry.
        path: LayerPath,
        /// The declared compressed size.
        declared: u64,
    },
    /// Compressed content was given for something else than a regular file.
    #[error("{path} is not a regular file and can't have content")]
    NotAFile {
        /// The entry.
        path: LayerPath,
    },
    /// A name that layers reserve for whiteouts.
    #[error("the name of {path} is reserved for whiteouts: names in images can't begin with .wh.")]
    ReservedName {
        /// The entry.
        path: LayerPath,
    },
    /// The whiteout can't be written.
    #[error("cannot write a whiteout")]
    Whiteout(#[from] WhiteoutError),
    /// The root of an image can only be a directory.
    #[error("the root of a layer can only be a directory")]
    RootNotDirectory,
    /// A link's target is empty, holds NUL, or is the root.
    #[error("link {path} has an impossible target")]
    LinkTarget {
        /// The entry.
        path: LayerPath,
    },
    /// An extended attribute's name can't be written: empty, or with `=` or NUL.
    #[error("extended attribute {name:?} of {path} has a name that tar can't hold")]
    XattrName {
        /// The entry.
        path: LayerPath,
        /// The attribute.
        name: String,
    },
    /// A size, device number or set of attributes is larger than any tar reader takes.
    #[error("{path} is beyond what a tar archive can hold")]
    TooLarge {
        /// The entry.
        path: LayerPath,
    },
    /// An earlier call failed.
    #[error("the layer is incomplete because an earlier entry failed")]
    Incomplete,
}

impl Diagnostic for WriteError {
    fn code(&self) -> &'static str {
        match self {
            WriteError::Output(_) => "layer/output",
            WriteError::Input { .. } => "layer/input",
            WriteError::SizeMismatch { .. } => "layer/size-mismatch",
            WriteError::CrcMismatch { .. } => "layer/crc-mismatch",
            WriteError::BadDeflate { .. } => "layer/bad-deflate",
            WriteError::DeflatedSizeMismatch { .. } => "layer/deflated-size-mismatch",
            WriteError::NotAFile { .. } => "layer/not-a-file",
            WriteError::ReservedName { .. } => "layer/reserved-name",
            WriteError::Whiteout(_) => "layer/whiteout",
            WriteError::RootNotDirectory => "layer/root-not-directory",
            WriteError::LinkTarget { .. } => "layer/link-target",
            WriteError::XattrName { .. } => "layer/xattr-name",
            WriteError::TooLarge { .. } => "layer/too-large",
            WriteError::Incomplete => "layer/incomplete",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            WriteError::Output(_) | WriteError::Input { .. } => ErrorKind::Environment,
            WriteError::CrcMismatch { .. }
            | WriteError::BadDeflate { .. }
            | WriteError::DeflatedSizeMismatch { .. } => ErrorKind::Upstream,
            WriteError::SizeMismatch { .. }
            | WriteError::ReservedName { .. }
            | WriteError::XattrName { .. }
            | WriteError::TooLarge { .. } => ErrorKind::User,
            WriteError::NotAFile { .. }
            | WriteError::Whiteout(_)
            | WriteError::RootNotDirectory
            | WriteError::LinkTarget { .. }
            | WriteError::Incomplete => ErrorKind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            WriteError::Output(_) => "Check that the disk is not full.",
            WriteError::SizeMismatch { .. } => {
                "Something changes the file while it is read: stop that, and build again."
            }
            WriteError::CrcMismatch { .. }
            | WriteError::BadDeflate { .. }
            | WriteError::DeflatedSizeMismatch { .. } => {
                "The archive that the file comes from is damaged: fetch it again."
            }
            WriteError::ReservedName { .. } => "Rename the file, or leave it out of the image.",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a layer could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The input failed, or its compression is damaged.
    #[error("cannot read the layer")]
    Input(#[from] io::Error),
    /// The layer is compressed in a way that no image specification allows.
    #[error("the layer is compressed with {0}, which layers can't be")]
    Compression(&'static str),
    /// The archive is not one that every reader would understand in the same way.
    #[error("the layer's tar archive is malformed at byte {offset}")]
    Format {
        /// Where the offending header begins in the uncompressed archive.
        offset: u64,
        /// What is wrong.
        #[source]
        source: FormatError,
    },
    /// An earlier call failed.
    #[error("the layer can't be read on because an earlier entry failed")]
    FailedBefore,
}

/// What is wrong with a tar archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The archive ends inside an entry, or without the blocks of zeros that end an archive.
    #[error("the archive is truncated")]
    Truncated,
    /// Something other than zeros follows the end of the archive.
    #[error("something follows the end of the archive")]
    TrailingData,
    /// The header's checksum is wrong.
    #[error("header checksum is wrong")]
    Checksum,
    /// A number is not one, negative, or too large.
    #[error("header field {0} is not a valid number")]
    Number(&'static str),
    /// A type that no file system has, or that tierce does not read.
    #[error("entry {path:?} has the unsupported type {flag:?}")]
    Type {
        /// The entry.
        path: String,
        /// The type flag.
        flag: char,
    },
    /// A sparse file.
    #[error("entry {0:?} is a sparse file, which layers can't hold")]
    Sparse(String),
    /// A path that leaves the root, or is none.
    #[error("entry has an unusable path")]
    Path(#[source] PathError),
    /// A hard link whose target leaves the root, or is none.
    #[error("hard link {path:?} has an unusable target")]
    HardLink {
        /// The entry.
        path: String,
        /// What is wrong with the target.
        #[source]
        source: PathError,
    },
    /// A symbolic link whose target is empty or holds NUL.
    #[error("symbolic link {0:?} has an unusable target")]
    Symlink(String),
    /// The root is something else than a directory.
    #[error("the root of the layer is not a directory")]
    RootNotDirectory,
    /// A malformed pax extended header record.
    #[error("pax header is malformed")]
    PaxRecord,
    /// A pax record with a value that is none, or that can't stand there.
    #[error("pax record {0:?} has an unusable value")]
    PaxValue(String),
    /// An extended header or a long name above the limit.
    #[error("extended header of {0} bytes is too large")]
    ExtensionTooLarge(u64),
    /// Two headers say different things of one entry, so that readers would differ.
    #[error("headers disagree about the {0} of an entry")]
    Ambiguous(&'static str),
    /// An entry without content that declares content.
    #[error("entry {0:?} has no content, but declares some")]
    UnexpectedContent(String),
}

impl Diagnostic for ReadError {
    fn code(&self) -> &'static str {
        match self {
            ReadError::Input(_) => "layer/input",
            ReadError::Compression(_) => "layer/compression",
            ReadError::Format { .. } => "layer/malformed",
            ReadError::FailedBefore => "layer/failed-before",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }

    fn hint(&self) -> Option<String> {
        match self {
            ReadError::Compression(_) | ReadError::Format { .. } => {
                Some("The layer's author has to make it again.".to_owned())
            }
            ReadError::Input(_) | ReadError::FailedBefore => None,
        }
    }
}
