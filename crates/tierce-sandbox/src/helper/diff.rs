//! Changes to layers.
use crate::DiffError;
use crate::options::DiffJob;
use std::fs::File;
use tierce_layer::LayerInfo;
pub(crate) fn diff(_job: &DiffJob, _out: File) -> Result<Option<LayerInfo>, DiffError> {
    Ok(None)
}
