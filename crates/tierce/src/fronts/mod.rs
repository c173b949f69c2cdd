//! What people write in other words than tierce's own, as images: what has to be looked at on
//! this machine is looked at here, for the command and the Python package alike.

mod flyte;
mod imagespec;

pub use flyte::{flyte, flyte_unfetched};
pub use imagespec::{Program, image_spec, image_spec_of};

use crate::OpenError;
use crate::flyte::FlyteError;
use crate::imagespec::ImageSpecError;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_native::NativeError;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::{Image, SecretId};
use tierce_store::StoreError;
use tierce_wheel::{PINNED_VERSION, UvError};

/// The image that somebody described in other words, and what is to be known about it.
#[derive(Clone, Debug)]
pub struct Front {
    /// The image.
    pub image: Image,
    /// What was asked for and is not given, or is given in another way.
    pub warnings: Vec<FrontWarning>,
    /// Whether it is built whatever is there.
    pub force: bool,
    /// Whether it is pushed without being asked to.
    pub pushes: bool,
    /// The files of this machine that hold the values of secrets.
    pub secret_files: BTreeMap<SecretId, PathBuf>,
    /// Whether [`crate::Tierce::fetch_uv`] is to be awaited before anything is done with the
    /// image: steps in it run a uv that is not there yet.
    pub wants_uv: bool,
}

impl Front {
    /// An image that is nothing but itself.
    pub fn of(image: Image) -> Self {
        Front {
            image,
            warnings: vec![],
            force: false,
            pushes: false,
            secret_files: BTreeMap::new(),
            wants_uv: false,
        }
    }
}

/// Something that was asked for and is not given, or is given in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontWarning {
    /// A stable code, as `imagespec/unsupported-parameter`.
    pub code: &'static str,
    /// What, and what to do about it.
    pub message: String,
}

/// Why there is no image for what was written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FrontError {
    /// An `ImageSpec` that has none.
    #[error(transparent)]
    ImageSpec(#[from] ImageSpecError),
    /// An image in Flyte's words that is none.
    #[error(transparent)]
    Flyte(#[from] FlyteError),
    /// What is needed to find programs for steps is not to be had.
    #[error(transparent)]
    Open(Arc<OpenError>),
    /// There is no uv for steps that need it.
    #[error(transparent)]
    Uv(Arc<NativeError>),
    /// A file can't be written that the image is described in.
    #[error("{} can't be written", file.display())]
    Write {
        /// The file.
        file: PathBuf,
        /// Why.
        source: Arc<io::Error>,
    },
    /// The store has no place for it.
    #[error(transparent)]
    Store(Arc<StoreError>),
    /// This machine has no more threads or files.
    #[error("programs for steps can't be looked for")]
    Runtime(#[source] Arc<io::Error>),
}

impl From<OpenError> for FrontError {
    fn from(error: OpenError) -> Self {
        FrontError::Open(Arc::new(error))
    }
}

impl From<StoreError> for FrontError {
    fn from(error: StoreError) -> Self {
        FrontError::Store(Arc::new(error))
    }
}

impl From<UvError> for FrontError {
    fn from(error: UvError) -> Self {
        NativeError::from(error).into()
    }
}

impl From<NativeError> for FrontError {
    fn from(error: NativeError) -> Self {
        FrontError::Uv(Arc::new(error))
    }
}

impl FrontError {
    fn inner(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            FrontError::ImageSpec(error) => error,
            FrontError::Flyte(error) => error,
            FrontError::Open(error) => error.as_ref(),
            FrontError::Uv(error) => error.as_ref(),
            FrontError::Store(error) => error.as_ref(),
            FrontError::Write { .. } | FrontError::Runtime(_) => return None,
        })
    }
}

impl Diagnostic for FrontError {
    fn code(&self) -> &'static str {
        match self {
            FrontError::Write { .. } => "front/unwritable",
            _ => self.inner().map_or("front/runtime", Diagnostic::code),
        }
    }

    fn kind(&self) -> ErrorKind {
        self.inner().map_or(ErrorKind::Environment, Diagnostic::kind)
    }

    fn hint(&self) -> Option<String> {
        match self {
            FrontError::Uv(error) if error.code() == "python/uv-unreachable" => Some(format!(
                "Steps in the image run uv {PINNED_VERSION}, which is fetched once, whatever uv \
                 is installed here: name a package index that has it (TIERCE_INDEX)."
            )),
            _ => self.inner().and_then(Diagnostic::hint),
        }
    }
}

/// Those of `files` that lie below `folder`, relative to it, each once and in order. Links on the
/// way to either are followed; files that are not there are left out.
pub fn below(folder: &Path, files: &[PathBuf]) -> Vec<PathBuf> {
    let Ok(folder) = folder.canonicalize() else { return vec![] };
    let inside = |file: &PathBuf| {
        // The link itself is what lies below, not where it leads.
        let real = file.parent()?.canonicalize().ok()?.join(file.file_name()?);
        let found = real.strip_prefix(&folder).ok()?.to_owned();
        real.exists().then_some(found)
    };
    let mut found: Vec<PathBuf> = files.iter().filter_map(inside).collect();
    found.sort();
    found.dedup();
    found
}
