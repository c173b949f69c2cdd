//! Who builds Dockerfiles on this machine: for images of other systems that are made of one.

use crate::job::{self, Answer};
use crate::{error, session};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use tierce::Cancel;
use tierce::contexts::BuilderWish;

/// The name of the builder that builds Dockerfiles here, an awaitable: the configured one where it
/// does, else whatever answers. Raises where nothing does, and says what was looked at.
#[pyfunction]
pub fn dockerfile_builder(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let (settings, program) = (session::settings(py)?, session::program(py)?);
    let cancel = Cancel::new();
    let switch = cancel.clone();
    job::awaitable(py, &cancel, async move {
        let wish = BuilderWish::Automatic { engine: None };
        let chosen = tierce::Tierce::context_builder(&settings, &switch, program, &wish).await;
        Box::new(move |py: Python<'_>| match chosen {
            Ok(builder) => builder.name.into_py_any(py),
            Err(problem) => Err(error::to_py(py, &problem)),
        }) as Answer
    })
}
