//! `imageSpec.yaml` as a specification.

use super::failure::Failure;
use super::trust;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tierce::imagespec::{BuilderRules, DefaultBase, ImageSpec, Lowered, Surroundings};
use tierce::{DebianBase, Platform, Settings};

/// Whether a file is an ImageSpec, by its name.
pub fn is_one(file: &Path) -> bool {
    matches!(file.extension().and_then(OsStr::to_str), Some("yaml" | "yml"))
}

/// The image that the file `name` describes; paths in it are relative to `root`.
pub fn lower(text: &str, name: &str, root: &Path, settings: &Settings) -> Result<Lowered, Failure> {
    let spec = ImageSpec::from_yaml(text, name)?;
    let wanted = spec.wanted();
    let folders: BTreeSet<PathBuf> =
        wanted.copy.iter().filter(|p| root.join(p).is_dir()).map(|p| p.to_path_buf()).collect();
    // Files that can't be read are reported by whoever needs them.
    let requirements: BTreeMap<PathBuf, String> = wanted
        .requirements
        .iter()
        .filter_map(|p| Some((p.to_path_buf(), std::fs::read_to_string(root.join(p)).ok()?)))
        .collect();
    let default_base = match &settings.debian_base {
        DebianBase::Suite(suite) => DefaultBase::Suite(suite.clone()),
        DebianBase::Image(template) => DefaultBase::Image(template.to_string()),
    };
    let builder = spec.fields().builder.as_ref().or(settings.builder.as_ref());
    let builder = BuilderRules {
        name: builder.cloned().unwrap_or_else(|| "native".to_owned()),
        ..BuilderRules::default()
    };
    let surroundings = Surroundings {
        host: Platform::host(),
        folders,
        requirements,
        default_base,
        builder,
        force: settings.image_spec.force_push,
        ..Surroundings::default()
    };
    let mut lowered = spec.lower(&surroundings)?;
    for path in lowered.secret_files.values_mut() {
        *path = root.join(&path);
    }
    trust::check_secret_files(lowered.secret_files.values(), root, settings)?;
    Ok(lowered)
}
