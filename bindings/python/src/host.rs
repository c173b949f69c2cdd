//! What images take from the Python that runs.

use crate::session;
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::path::{Path, PathBuf};
use tierce::spec::PythonVersion;
use tierce_flyte::Host;

/// The Python that runs, and what `tierce.init` said.
pub fn host(py: Python<'_>) -> Host {
    let running = py.version_info();
    let python =
        PythonVersion { major: running.major.into(), minor: running.minor.into(), patch: None };
    Host { python, flyte: None, registry: session::init().image_registry }
}

/// The version of the Flyte that is installed beside this package; looking for it takes longer
/// than all else about an image.
pub fn flyte(py: Python<'_>) -> PyResult<Option<String>> {
    let modules = py.import("sys")?.getattr("modules")?;
    if let Ok(flyte) = modules.get_item("flyte") {
        let version = flyte.getattr("__version__");
        if let Ok(version) = version.and_then(|v| Ok(v.cast_into::<PyString>()?.to_string())) {
            return Ok(Some(version));
        }
    }
    let origin = match spec(py, "flyte")? {
        Some(spec) => spec.getattr("origin")?.extract::<Option<PathBuf>>()?,
        None => return Ok(None),
    };
    // What is installed has its version in the name of a folder beside it. Anything else is for
    // a module that takes longer to import than all else here.
    if let Some(version) = origin.as_deref().and_then(|file| installed_beside(file, "flyte")) {
        return Ok(Some(version));
    }
    let metadata = py.import("importlib.metadata")?;
    match metadata.call_method1("version", ("flyte",)) {
        Ok(version) => version.extract().map(Some),
        Err(error) => {
            let none = metadata.getattr("PackageNotFoundError")?;
            if error.matches(py, none)? { Ok(None) } else { Err(error) }
        }
    }
}

/// The version of the package `name` whose `__init__.py` is `module`, as installers write it
/// (recording installed projects, "The .dist-info directory").
fn installed_beside(module: &Path, name: &str) -> Option<String> {
    let entries = std::fs::read_dir(module.ancestors().nth(2)?).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut versions = names.filter_map(|folder| {
        let version = folder.strip_suffix(".dist-info")?.strip_prefix(name)?.strip_prefix('-')?;
        Some(version.to_owned())
    });
    // Two of them are what a failed removal leaves.
    let version = versions.next()?;
    versions.next().is_none().then_some(version)
}

/// Where a module would be imported from; `None` where there is none of this name. As
/// `importlib.util.find_spec` does it, which has a lot to import first.
fn spec<'py>(py: Python<'py>, module: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
    for finder in py.import("sys")?.getattr("meta_path")?.try_iter()? {
        let finder = finder?;
        if finder.hasattr("find_spec")? {
            let spec = finder.call_method1("find_spec", (module, py.None()))?;
            if !spec.is_none() {
                return Ok(Some(spec));
            }
        }
    }
    Ok(None)
}

/// The folder of wheels of a checkout: that in which Flyte lies, or the project's own.
pub fn dist(py: Python<'_>, below: &str) -> PyResult<PathBuf> {
    let origin: Option<PathBuf> = match spec(py, "flyte")? {
        Some(spec) => spec.getattr("origin")?.extract()?,
        None => None,
    };
    // `src/flyte/__init__.py`
    let checkout = origin.as_deref().and_then(|file| file.ancestors().nth(3));
    Ok(checkout.unwrap_or(Path::new("")).join(below))
}
