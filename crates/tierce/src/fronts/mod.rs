//! What people write in other words than tierce's own, as images: what has to be looked at on
//! this machine is looked at here, for the command and the Python package alike.

mod imagespec;

pub use imagespec::{Program, image_spec, image_spec_of};

use crate::imagespec::ImageSpecError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::{Image, SecretId};

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
}

impl FrontError {
    fn inner(&self) -> &dyn Diagnostic {
        match self {
            FrontError::ImageSpec(error) => error,
        }
    }
}

impl Diagnostic for FrontError {
    fn code(&self) -> &'static str {
        self.inner().code()
    }

    fn kind(&self) -> ErrorKind {
        self.inner().kind()
    }

    fn hint(&self) -> Option<String> {
        self.inner().hint()
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
