//! An `ImageSpec` as an image.

use super::{Front, FrontError, FrontWarning, below};
use crate::Settings;
use crate::imagespec::{BuilderRules, DefaultBase, ImageSpec, Lowered, Surroundings, Wanted};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tierce_config::DebianBase;
use tierce_oci::Platform;

/// What the program that has a spec knows, and nobody else can.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The files of the modules that it has loaded, wherever they lie; `None` where no Python
    /// runs, and all sources are copied instead.
    pub loaded: Option<Vec<PathBuf>>,
    /// The requirement of flytekit that specs get that have none of their own; `None` for the
    /// latest.
    pub flytekit: Option<String>,
}

/// The image of `spec`, whose paths are relative to `root`. `loaded` are the files of the modules
/// that the program has loaded, if it has loaded any.
pub fn image_spec(
    spec: &ImageSpec,
    root: &Path,
    settings: &Settings,
    loaded: Option<Vec<PathBuf>>,
) -> Result<Front, FrontError> {
    image_spec_of(spec, root, settings, &Program { loaded, ..Program::default() })
}

/// The same, with all that the program knows.
pub fn image_spec_of(
    spec: &ImageSpec,
    root: &Path,
    settings: &Settings,
    program: &Program,
) -> Result<Front, FrontError> {
    let lowered = spec.lower(&surroundings(spec, root, settings, program))?;
    let Lowered { image, warnings, force, secret_files, container_env: _ } = lowered;
    let warnings = warnings.into_iter().map(|w| FrontWarning { code: w.code, message: w.message });
    Ok(Front {
        warnings: warnings.collect(),
        force,
        pushes: settings.image_spec.push
            && (image.registry().is_some() || settings.registry.is_some()),
        secret_files: secret_files.into_iter().map(|(id, path)| (id, root.join(path))).collect(),
        image,
        wants_uv: false,
    })
}

fn surroundings(
    spec: &ImageSpec,
    root: &Path,
    settings: &Settings,
    program: &Program,
) -> Surroundings {
    let Wanted { requirements, copy, source_roots } = spec.wanted();
    let folders: BTreeSet<PathBuf> =
        copy.iter().filter(|p| root.join(p).is_dir()).map(|p| p.to_path_buf()).collect();
    // Files that can't be read are reported by whoever needs them.
    let requirements: BTreeMap<PathBuf, String> = requirements
        .iter()
        .filter_map(|p| Some((p.to_path_buf(), std::fs::read_to_string(root.join(p)).ok()?)))
        .collect();
    let loaded_modules = program.loaded.as_ref().map(|files| {
        source_roots.iter().map(|p| (p.to_path_buf(), below(&root.join(p), files))).collect()
    });
    let default_base = match &settings.debian_base {
        DebianBase::Suite(suite) => DefaultBase::Suite(suite.clone()),
        DebianBase::Image(template) => DefaultBase::Image(template.to_string()),
    };
    let builder = spec.fields().builder.as_ref().or(settings.builder.as_ref());
    let builder = BuilderRules {
        name: builder.cloned().unwrap_or_else(|| "native".to_owned()),
        ..BuilderRules::default()
    };
    let everyones = Surroundings::default();
    Surroundings {
        host: Platform::host(),
        folders,
        requirements,
        loaded_modules,
        default_base,
        flytekit: program.flytekit.clone().or(everyones.flytekit),
        force: settings.image_spec.force_push,
        builder,
    }
}
