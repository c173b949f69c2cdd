//! Why there is no Python to put into an image.

use super::catalog::BuildLibc;
use crate::target::PythonVersion;
use crate::uv::PINNED_VERSION;
use crate::write::LayerError;
use tierce_fetch::FetchError;
use tierce_layer::{PathError, ReadError, WriteError};
use tierce_oci::{Diagnostic, ErrorKind, Platform};
use tierce_store::StoreError;

/// Why there is no Python to put into an image.
#[derive(Debug, thiserror::Error)]
pub enum StandaloneError {
    /// No build is the one asked for.
    #[error("there is no build of Python {wanted} for {platform} with {libc}")]
    NoBuild {
        /// The version or series.
        wanted: String,
        /// The platform.
        platform: Platform,
        /// The C library.
        libc: BuildLibc,
        /// The versions nearest to it that there are.
        known: Vec<PythonVersion>,
    },
    /// There are no builds for a platform.
    #[error("there are no builds of Python for {0}")]
    Platform(Platform),
    /// The user's list of builds can't be fetched.
    #[error("the list of Python builds {list} can't be fetched")]
    List {
        /// Its address, without credentials.
        list: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The user's list of builds is none.
    #[error("{list} is not a list of Python builds")]
    ListFormat {
        /// Its address, without credentials.
        list: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The archive can't be fetched.
    #[error("Python {version} can't be fetched")]
    Download {
        /// The version.
        version: PythonVersion,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The store can't keep the archive.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive can't be read.
    #[error("{archive} can't be unpacked")]
    Read {
        /// The archive.
        archive: String,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// Something in the archive has no place in an image.
    #[error("{archive} has {path}, {problem}")]
    Hostile {
        /// The archive.
        archive: String,
        /// The entry.
        path: String,
        /// What is wrong with it.
        problem: ArchiveProblem,
    },
    /// The archive is not one of Python.
    #[error("{archive} has no {missing}")]
    NotPython {
        /// The archive.
        archive: String,
        /// What every installation has.
        missing: String,
    },
    /// What `sysconfig` reads is not as Python's build writes it.
    #[error("{path} in {archive} is not what Python's build writes: {what}")]
    Sysconfig {
        /// The archive.
        archive: String,
        /// The file.
        path: String,
        /// What was met.
        what: String,
    },
    /// The layer can't be written.
    #[error(transparent)]
    Layer(#[from] LayerError),
}

/// What is wrong with an entry of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveProblem {
    /// Outside of the one directory that archives have.
    #[error("which is outside of python/")]
    Outside,
    /// Twice, or in place of something else.
    #[error("which is there twice")]
    Twice,
    /// Below something that is no directory.
    #[error("which is below what is no directory")]
    BelowFile,
    /// A link to a place outside.
    #[error("a link that leads out of it")]
    Escape,
    /// A link to what is not there.
    #[error("a link to a file that is not there")]
    Dangling,
    /// A device or the like.
    #[error("which is no file, directory or link")]
    Special,
    /// More than any Python.
    #[error("with which it is larger than any Python")]
    TooLarge,
}

impl From<WriteError> for StandaloneError {
    fn from(error: WriteError) -> Self {
        StandaloneError::Layer(error.into())
    }
}

impl From<PathError> for StandaloneError {
    fn from(error: PathError) -> Self {
        StandaloneError::Layer(error.into())
    }
}

impl Diagnostic for StandaloneError {
    fn code(&self) -> &'static str {
        match self {
            StandaloneError::NoBuild { .. } => "python/no-build",
            StandaloneError::Platform(_) => "python/unsupported-platform",
            StandaloneError::List { source, .. } | StandaloneError::Download { source, .. } => {
                source.code()
            }
            StandaloneError::ListFormat { .. } => "python/bad-build-list",
            StandaloneError::Store(source) => source.code(),
            StandaloneError::Read { .. }
            | StandaloneError::Hostile { .. }
            | StandaloneError::NotPython { .. }
            | StandaloneError::Sysconfig { .. } => "python/bad-build",
            StandaloneError::Layer(source) => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            StandaloneError::NoBuild { .. }
            | StandaloneError::Platform(_)
            | StandaloneError::ListFormat { .. } => ErrorKind::User,
            StandaloneError::List { source, .. } | StandaloneError::Download { source, .. } => {
                source.kind()
            }
            StandaloneError::Store(source) => source.kind(),
            StandaloneError::Read { .. }
            | StandaloneError::Hostile { .. }
            | StandaloneError::NotPython { .. }
            | StandaloneError::Sysconfig { .. } => ErrorKind::Upstream,
            StandaloneError::Layer(source) => source.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            StandaloneError::NoBuild { known, .. } if known.is_empty() => {
                "The list of builds has none for this platform and C library.".to_owned()
            }
            StandaloneError::NoBuild { known, .. } => {
                let known: Vec<String> = known.iter().map(ToString::to_string).collect();
                format!(
                    "There are {}: those that uv {PINNED_VERSION} knows, or the list at \
                     python-downloads-json-url (UV_PYTHON_DOWNLOADS_JSON_URL).",
                    known.join(", ")
                )
            }
            StandaloneError::Platform(_) => {
                "Choose a base that has Python: builds are for linux/amd64 and linux/arm64."
                    .to_owned()
            }
            StandaloneError::Download { source, .. } => return download_hint(source),
            StandaloneError::List { source, .. } => return source.hint(),
            StandaloneError::ListFormat { .. } => {
                "It is to have the format of uv's download-metadata.json.".to_owned()
            }
            StandaloneError::Read { .. }
            | StandaloneError::Hostile { .. }
            | StandaloneError::NotPython { .. }
            | StandaloneError::Sysconfig { .. } => {
                "Its hash is the expected one: whoever made the list of builds \
                 (python-downloads-json-url) has to look at it."
                    .to_owned()
            }
            StandaloneError::Store(source) => return source.hint(),
            StandaloneError::Layer(source) => return source.hint(),
        })
    }
}

/// What to do about a failed download. The fetcher knows nothing of mirrors of Python.
fn download_hint(source: &FetchError) -> Option<String> {
    match source {
        FetchError::DigestMismatch { .. } | FetchError::SizeMismatch { .. } => Some(
            "The hash is the one that uv knows for this build. The file was damaged on the way, \
             or the mirror has another one: correct the mirror, or name another one with \
             python-install-mirror (UV_PYTHON_INSTALL_MIRROR)."
                .to_owned(),
        ),
        FetchError::Status { .. } | FetchError::Transport { .. } | FetchError::Read { .. } => {
            let more = source.hint().map(|hint| format!(" {hint}")).unwrap_or_default();
            Some(format!(
                "Python is fetched from releases.astral.sh and github.com. Name a mirror with \
                 python-install-mirror (UV_PYTHON_INSTALL_MIRROR), or choose a base that has \
                 Python.{more}"
            ))
        }
        _ => source.hint(),
    }
}
