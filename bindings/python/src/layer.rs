//! `tierce.Layer`: what an image shows of itself.

use crate::image_text;
use pyo3::prelude::*;
use std::hash::{DefaultHasher, Hash, Hasher};

/// One layer of an image, as `image.layers` has them.
///
/// Example:
///     >>> import tierce
///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False, name="etl")
///     >>> [layer] = image.with_apt_packages("git", "curl").layers
///     >>> layer
///     Layer.with_apt_packages('git', 'curl')
///     >>> str(layer)
///     'apt git curl'
#[pyclass(module = "tierce", frozen, eq)]
#[derive(PartialEq)]
pub struct Layer(tierce_flyte::Layer);

impl From<tierce_flyte::Layer> for Layer {
    fn from(layer: tierce_flyte::Layer) -> Self {
        Layer(layer)
    }
}

impl Layer {
    /// The layer, in the library's words.
    pub fn inner(&self) -> &tierce_flyte::Layer {
        &self.0
    }
}

#[pymethods]
impl Layer {
    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(&self.0).unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("Layer.{}", image_text::call(&self.0))
    }

    fn __str__(&self) -> String {
        self.0.to_string()
    }
}
