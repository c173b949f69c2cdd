//! The environment of the running Python, for `Image.from_env`.

use crate::error;
use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use std::ffi::CString;
use std::path::PathBuf;
use tierce::ErrorKind;
use tierce::spec::PythonVersion;
use tierce_flyte::{Distribution, Environment};

/// A distribution, as Python says it.
type Said = (String, String, Option<String>, Option<String>, bool, Option<PathBuf>);

/// What is installed for this Python, without `excluded`. What is left out is a warning each.
pub fn environment(py: Python<'_>, excluded: &[String]) -> PyResult<Environment> {
    let said = py.import("tierce._environment")?.getattr("distributions")?.call0()?;
    let distributions: Vec<Distribution> =
        said.extract::<Vec<Said>>()?.into_iter().map(distribution).collect();
    let running = py.version_info();
    let python =
        PythonVersion { major: running.major.into(), minor: running.minor.into(), patch: None };
    let found = Environment::of(&distributions, excluded, python, |path| path.exists());
    for warning in &found.warnings {
        // Names and versions: no text of those has a NUL in it.
        let message = CString::new(warning.message.replace('\0', " ")).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)?;
    }
    Ok(found)
}

fn distribution(said: Said) -> Distribution {
    let (name, version, installer, direct_url, is_recorded, develop) = said;
    Distribution { name, version, installer, direct_url, is_recorded, develop }
}

/// The version of an environment's Python is not for anybody to say.
pub fn no_python_version(py: Python<'_>, said: Option<PythonVersion>) -> PyResult<()> {
    let Some(version) = said else { return Ok(()) };
    let message = format!("python_version is that of this environment, and can't be {version}");
    let hint = "Leave python_version out.";
    Err(error::raised(py, ErrorKind::User, &message, "python/from-env-python-version", Some(hint)))
}
