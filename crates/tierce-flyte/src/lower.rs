//! From Flyte's words to an image.

use crate::{FlyteError, FlyteImage, Surroundings};
use std::collections::BTreeSet;
use std::path::Path;
use tierce_spec::Image;

/// The image that was described.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The image.
    pub image: Image,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// Something that the user should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A stable code.
    pub code: &'static str,
    /// What it is.
    pub message: String,
}

impl FlyteImage {
    /// The files whose texts are wanted in [`Surroundings::texts`].
    pub fn wanted(&self) -> BTreeSet<&Path> {
        BTreeSet::new()
    }

    /// The image that is described.
    pub fn lower(&self, _surroundings: &Surroundings) -> Result<Lowered, FlyteError> {
        Err(FlyteError::NoBase)
    }
}
