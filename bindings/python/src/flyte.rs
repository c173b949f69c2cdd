//! What tierce has to be asked where Flyte has chosen it.

use crate::session;
use pyo3::prelude::*;

/// The builder for images of Flyte's where Flyte's own configuration names another one, as `remote`,
/// which is none of tierce's; `None` where tierce's settings decide.
#[pyfunction]
pub fn builder_for_flyte(py: Python<'_>) -> PyResult<Option<&'static str>> {
    Ok(session::settings(py)?.has_builder_of_flytes().then_some("native"))
}
