//! Images of all kinds as the library's: tierce's own, and those of Flyte and flytekit.

use crate::image::Image;
use crate::imagespec::ImageSpec;
use crate::{error, imagespec_host, runtime, session};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use std::path::{Path, PathBuf};
use tierce::fronts::{self, Front};
use tierce::spec::{Base, CopyStyle, Step};
use tierce::{BuildOptions, Cancel, CodeSource, Events, Image as SpecImage, Settings};
use tierce_flyte::FlyteImage;

/// The image that a Python value stands for: a `tierce.Image` or `tierce.ImageSpec`, or what
/// Flyte and flytekit have under these names. Where it `wants_uv`, that is to be fetched before
/// anything is done with it: here is no network.
pub fn lower(py: Python<'_>, value: &Bound<'_, PyAny>, settings: &Settings) -> PyResult<Front> {
    if let Ok(image) = value.cast::<Image>() {
        return flyte(py, image.get().inner(), settings);
    }
    if let Ok(spec) = value.cast::<ImageSpec>() {
        return imagespec_host::front(py, spec.get().inner(), settings);
    }
    if is_foreign(value, "flyte", "Image")? {
        let convert = py.import("tierce.integrations._flyte_image")?.getattr("to_document")?;
        let image = Image::from_json(py, convert.call1((value,))?.extract()?)?;
        return flyte(py, image.inner(), settings);
    }
    if is_foreign(value, "flytekit", "ImageSpec")? {
        let convert = py.import("tierce.integrations.flytekit")?.getattr("to_image_spec")?;
        let spec = convert.call1((value,))?;
        return imagespec_host::front(py, spec.cast::<ImageSpec>()?.get().inner(), settings);
    }
    let given = value.get_type();
    let message = format!("argument 'image' must be Image or ImageSpec, not {}", given.name()?);
    Err(PyTypeError::new_err(message))
}

fn flyte(py: Python<'_>, image: &FlyteImage, settings: &Settings) -> PyResult<Front> {
    let root = session::root();
    let front = py.detach(|| fronts::flyte_unfetched(image, &root, settings));
    front.map_err(|problem| error::to_py(py, &problem))
}

/// Fetches what steps in the image run and is not there yet, so that its name can be told. Ctrl-C
/// stops it.
pub fn fetch(py: Python<'_>, front: &Front, settings: &Settings) -> PyResult<()> {
    if !front.wants_uv {
        return Ok(());
    }
    let cancel = Cancel::new();
    let tierce = session::open(py, settings.clone(), &cancel)?;
    let fetched =
        runtime::wait(py, &cancel, async move { tierce.fetch_uv(&Events::none()).await })?;
    fetched.map_err(|problem| error::to_py(py, &problem))
}

/// Whether a value is of a class of another package: of one that was imported, then.
fn is_foreign(value: &Bound<'_, PyAny>, package: &str, class: &str) -> PyResult<bool> {
    let modules = value.py().import("sys")?.getattr("modules")?;
    match modules.get_item(package).and_then(|package| package.getattr(class)) {
        Ok(class) => value.is_instance(&class),
        Err(_) => Ok(false),
    }
}

/// The options of builds in this process of the image that `value` stands for, but for what a
/// single build says.
pub fn options(
    value: &Bound<'_, PyAny>,
    front: &Front,
    settings: &Settings,
) -> PyResult<BuildOptions> {
    let root = session::root();
    let code = match value.cast::<Image>() {
        // An image that has its name already was named by Flyte, which brings the code.
        Ok(image) if image.get().inner().uri.is_none() => code(value.py(), &front.image, &root)?,
        _ => CodeSource::Runner,
    };
    Ok(BuildOptions { root, code, ..tierce::build_options(settings) })
}

/// Who brings the code: the image itself, as nobody else does. What this program has loaded is
/// looked at where somebody wants to know.
fn code(py: Python<'_>, image: &SpecImage, root: &Path) -> PyResult<CodeSource> {
    let mut bundles = vec![];
    let mut next = Some(image);
    while let Some(image) = next {
        bundles.extend(image.steps().iter().filter_map(|step| match step {
            Step::CodeBundle(bundle) => Some(bundle.style),
            _ => None,
        }));
        next = match image.base() {
            Base::Image(below) => Some(below.as_ref()),
            _ => None,
        };
    }
    if bundles.is_empty() {
        return Ok(CodeSource::Runner);
    }
    let loaded = match bundles.contains(&CopyStyle::LoadedModules) {
        true => fronts::below(root, &imagespec_host::loaded_modules(py)?),
        false => vec![],
    };
    Ok(CodeSource::Image { root: PathBuf::from("."), loaded: Some(loaded) })
}

/// What a build calls an image. Nothing but files of this machine is looked at, once what steps in
/// it run was fetched.
pub fn name(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = value.py();
    let settings = session::settings(py)?;
    let front = lower(py, value, &settings)?;
    fetch(py, &front, &settings)?;
    let options = options(value, &front, &settings)?;
    let name = py.detach(|| tierce::offline(&settings).name(&front.image, &options));
    name.map_err(|problem| error::to_py(py, &problem))
}
