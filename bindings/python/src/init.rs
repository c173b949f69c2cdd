//! `tierce.init`.

use crate::arguments::optional;
use crate::builders::{self, Chosen};
use crate::session::{self, Init};
use crate::{convert, error};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;
use tierce::ErrorKind;
use tierce::config::PushRegistry;

/// Says how this program builds images. What is left out is what the environment and the
/// configuration say; a second call replaces the first.
///
/// Args:
///     image_builder: The builder: the name of one, as `"native"` or `"podman"`; or an object, as
///         `tierce.extend.ImageBuilder` has it.
///     image_registry: Where images are pushed that name no registry of their own.
///     root_dir: The folder that relative paths start from, instead of the current one.
///
/// Example:
///     >>> import tierce
///     >>> tierce.init(image_registry="localhost:5000/team")
///     >>> tierce.Image.from_debian_base((3, 11), install_flyte=False).registry
///     'localhost:5000/team'
///     >>> tierce.init()
#[pyfunction]
#[pyo3(name = "init", signature = (image_builder=None, image_registry=None, root_dir=None))]
pub fn initialise(
    py: Python<'_>,
    image_builder: Option<&Bound<'_, PyAny>>,
    #[pyo3(from_py_with = optional::image_registry)] image_registry: Option<String>,
    #[pyo3(from_py_with = optional::root_dir)] root_dir: Option<PathBuf>,
) -> PyResult<()> {
    let registry = image_registry.filter(|registry| !registry.is_empty());
    let registry = registry.map(|text| text.parse::<PushRegistry>()).transpose();
    let registry = registry.map_err(|problem| {
        let hint = "Write a host, with a port or a path, as \"localhost:5000/team\".";
        convert::senseless(py, "image_registry", &format!("is wrong: {problem}"), Some(hint))
    })?;
    // The program may change its folder later, and means the same one then.
    let root_dir = root_dir.map(std::path::absolute).transpose().map_err(|problem| {
        let message = format!("the current folder is not known: {problem}");
        let hint = "Change to a folder that exists, or name root_dir by an absolute path.";
        error::raised(py, ErrorKind::Environment, &message, "python/no-folder", Some(hint))
    })?;
    let image_builder = builders::set_default(image_builder)?;
    let image_registry = registry.map(|registry| registry.as_str().to_owned());
    session::set_init(Init { image_builder, image_registry, root_dir });
    Ok(())
}

/// What `init` was given last, for whoever loads other people's files.
#[pyfunction]
#[pyo3(name = "_init_said")]
pub fn init_said(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let Init { image_builder, image_registry, root_dir } = session::init();
    let said = PyDict::new(py);
    match Chosen::default(py) {
        Some(Chosen::Object(object)) => said.set_item("image_builder", object)?,
        Some(Chosen::Name(_)) | None => said.set_item("image_builder", image_builder)?,
    }
    said.set_item("image_registry", image_registry)?;
    said.set_item("root_dir", root_dir)?;
    Ok(said)
}
