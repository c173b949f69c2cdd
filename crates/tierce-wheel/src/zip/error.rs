//! Why a file is not a zip that may be installed from.

/// What is wrong with a zip file.
///
/// Everything that two readers could understand differently is an error here, whatever a more
/// forgiving reader would make of it.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// Reading failed.
    #[error("the zip file can't be read")]
    Io(#[from] std::io::Error),
    /// There is no end-of-central-directory record at the very end.
    #[error(
        "there is no zip directory at the end of the file: it is truncated, has bytes after its end, or is no zip file"
    )]
    NoDirectory,
    /// More than one end record fits the end of the file.
    #[error("more than one zip directory fits the end of the file")]
    AmbiguousDirectory,
    /// The archive is split over several files.
    #[error("the zip file is one part of several")]
    MultiPart,
    /// Two records that must agree do not.
    #[error("the zip directory contradicts itself: {0}")]
    Inconsistent(&'static str),
    /// A record ends in the middle.
    #[error("the zip file's {0} is cut short or malformed")]
    Malformed(&'static str),
    /// A name is unsafe or ambiguous.
    #[error("zip entry {name:?}: {problem}")]
    Name {
        /// The name, made printable.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry can't be used.
    #[error("zip entry {name:?}: {problem}")]
    Entry {
        /// The entry.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The compression method is neither stored nor deflated.
    #[error(
        "zip entry {name:?} uses compression method {method}, wheels use 0 (stored) and 8 (deflated)"
    )]
    Method {
        /// The entry.
        name: String,
        /// The method's number.
        method: u16,
    },
    /// The local header and the central directory disagree.
    #[error("zip entry {name:?}: its local header and the directory disagree about its {field}")]
    Disagreement {
        /// The entry.
        name: String,
        /// Which field.
        field: &'static str,
    },
    /// Bytes between entries, before the first or after the last belong to nothing.
    #[error(
        "the zip file has bytes at offset {offset} that belong to no entry, or entries that overlap"
    )]
    Gap {
        /// Where the unclaimed or doubly claimed bytes begin.
        offset: u64,
    },
    /// The declared sizes exceed the limit.
    #[error("the zip file unpacks to {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// What the entries add up to.
        size: u64,
        /// The limit.
        limit: u64,
    },
}
