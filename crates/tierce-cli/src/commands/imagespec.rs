//! `imageSpec.yaml` as a specification.

use super::failure::Failure;
use super::trust;
use std::ffi::OsStr;
use std::path::Path;
use tierce::Settings;
use tierce::fronts::{self, Front};
use tierce::imagespec::ImageSpec;

/// Whether a file is an ImageSpec, by its name.
pub fn is_one(file: &Path) -> bool {
    matches!(file.extension().and_then(OsStr::to_str), Some("yaml" | "yml"))
}

/// The image that the file `name` describes; paths in it are relative to `root`.
pub fn lower(text: &str, name: &str, root: &Path, settings: &Settings) -> Result<Front, Failure> {
    let spec = ImageSpec::from_yaml(text, name)?;
    let front = fronts::image_spec(&spec, root, settings, None)?;
    trust::check_secret_files(front.secret_files.values(), root, settings)?;
    Ok(front)
}
