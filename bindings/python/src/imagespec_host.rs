//! What a spec needs to know of the running Python.

use crate::{convert, error, session};
use pyo3::prelude::*;
use std::path::PathBuf;
use tierce::Settings;
use tierce::fronts::{self, Front, Program};
use tierce::imagespec::{Fields, ImageSpec, InstalledPackage, from_env as pinned};
use tierce::spec::PythonVersion;

/// The image of a spec, whose paths are relative to the folder that `tierce.init` named.
pub fn front(py: Python<'_>, spec: &ImageSpec, settings: &Settings) -> PyResult<Front> {
    let program = Program {
        loaded: match spec.wanted().source_roots.is_empty() {
            true => Some(vec![]),
            false => Some(loaded_modules(py)?),
        },
        flytekit: flytekit(py)?,
    };
    let root = session::root();
    fronts::image_spec_of(spec, &root, settings, &program).map_err(|e| error::to_py(py, &e))
}

/// The files of the modules that this program has loaded: the user's, not what is installed.
pub fn loaded_modules(py: Python<'_>) -> PyResult<Vec<PathBuf>> {
    py.import("tierce._modules")?.getattr("loaded_files")?.call0()?.extract()
}

/// The requirement of flytekit that is added to specs: the release that is installed here. One in
/// development is on no index.
pub fn flytekit(py: Python<'_>) -> PyResult<Option<String>> {
    let release = |version: String| (!version.contains("dev")).then_some(version);
    let found = py.import("tierce._modules")?.getattr("installed_version")?;
    let version: Option<String> = found.call1(("flytekit",))?.extract()?;
    let version = version.and_then(release);
    Ok(version.map(|version| format!("flytekit=={version}")))
}

/// The spec of `fields` for this Python, with packages at the versions that are installed.
pub fn from_env(
    py: Python<'_>,
    fields: Fields,
    pinned_packages: Option<&Bound<'_, PyAny>>,
) -> PyResult<ImageSpec> {
    let names = convert::optional("pinned_packages", pinned_packages, convert::texts)?;
    let names = names.unwrap_or_default();
    let mut versions = vec![];
    for name in &names {
        versions.push((name, installed_version(py, name)?));
    }
    let installed: Vec<InstalledPackage<'_>> = versions
        .iter()
        .filter_map(|(name, version)| Some(InstalledPackage { name, version: version.as_ref()? }))
        .collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let running = py.version_info();
    let python =
        PythonVersion { major: running.major.into(), minor: running.minor.into(), patch: None };
    pinned(fields, &installed, &wanted, python).map_err(|problem| error::to_py(py, &problem))
}

/// The version of a package that is installed for this Python.
fn installed_version(py: Python<'_>, name: &str) -> PyResult<Option<String>> {
    let metadata = py.import("importlib.metadata")?;
    match metadata.call_method1("version", (name,)) {
        Ok(version) => Ok(Some(version.extract()?)),
        Err(problem) if problem.is_instance(py, &metadata.getattr("PackageNotFoundError")?) => {
            Ok(None)
        }
        Err(problem) => Err(problem),
    }
}
