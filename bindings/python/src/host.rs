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
    let metadata = py.import("importlib.metadata")?;
    match metadata.call_method1("version", ("flyte",)) {
        Ok(version) => version.extract().map(Some),
        Err(error) => {
            let none = metadata.getattr("PackageNotFoundError")?;
            if error.matches(py, none)? { Ok(None) } else { Err(error) }
        }
    }
}

/// The folder of wheels of a checkout: that in which Flyte lies, or the project's own.
pub fn dist(py: Python<'_>, below: &str) -> PyResult<PathBuf> {
    let spec = py.import("importlib.util")?.call_method1("find_spec", ("flyte",))?;
    let origin: Option<PathBuf> = match spec.is_none() {
        true => None,
        false => spec.getattr("origin")?.extract()?,
    };
    // `src/flyte/__init__.py`
    let checkout = origin.as_deref().and_then(|file| file.ancestors().nth(3));
    Ok(checkout.unwrap_or(Path::new("")).join(below))
}
