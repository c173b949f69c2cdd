//! A layer of an image under construction.

use crate::key::LayerKey;
use serde::{Deserialize, Serialize};
use tierce_layer::LayerInfo;
use tierce_oci::{BlobLocation, Descriptor, DiffId};

/// What the store remembers of a layer: enough to put it into an image without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The compressed blob.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
}

/// What making a layer came to: steps that changed nothing make none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerOutcome {
    /// A layer.
    Layer(Box<LayerRecord>),
    /// Nothing changed.
    Empty,
}

impl From<LayerInfo> for LayerOutcome {
    fn from(info: LayerInfo) -> Self {
        let LayerInfo { descriptor, diff_id, .. } = info;
        LayerOutcome::Layer(Box::new(LayerRecord { descriptor, diff_id }))
    }
}

/// A layer that is there: of the base, from the cache, or just made.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Blob and uncompressed digest.
    pub record: LayerRecord,
    /// Where the blob is.
    pub location: BlobLocation,
    /// What made it, for the image's history.
    pub created_by: String,
    /// Whether it was there before this build.
    pub cached: bool,
}

/// A layer's place in a stack: everything below it, and itself.
///
/// What an executed layer depends on is the whole stack below; this names it without the layers
/// having to be made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stack(pub LayerKey);
