//! Builders of `ImageSpec`s that are written in Python: flytekit's `ImageSpecBuilder`.

use crate::imagespec::ImageSpec;
use crate::session;
use pyo3::exceptions::{PyNotImplementedError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use tierce::imagespec::{BaseImage, ImageSpec as Spec};
use tierce::{Existence, NotChecked, Settings};

/// The base class of builders of `ImageSpec`s.
///
/// Derive from it, write `build_image`, and hand an instance to `ImageBuildEngine.register`.
///
/// Example:
///     >>> import tierce
///     >>> class Echo(tierce.ImageSpecBuilder):
///     ...     def build_image(self, image_spec):
///     ...         return f"example.com/{image_spec.name}:1"
///     ...     def should_build(self, image_spec):
///     ...         return True
///     >>> Echo().build_image(tierce.ImageSpec("report"))
///     'example.com/report:1'
#[pyclass(module = "tierce", subclass)]
pub struct ImageSpecBuilder;

#[pymethods]
impl ImageSpecBuilder {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        ImageSpecBuilder
    }

    /// Builds the image and pushes it to its registry.
    ///
    /// Args:
    ///     image_spec: What to build; its base is built already, and a reference.
    ///
    /// Returns:
    ///     The image's name, or None where that is `image_spec.image_name()`.
    #[expect(clippy::unused_self, reason = "it is there to be overridden")]
    fn build_image(&self, image_spec: &Bound<'_, ImageSpec>) -> PyResult<Option<String>> {
        let _ = image_spec;
        Err(PyNotImplementedError::new_err("this builder has no build_image"))
    }

    /// Whether the image has to be built: where it is not there, or is forced.
    ///
    /// Args:
    ///     image_spec: What would be built.
    ///
    /// Raises:
    ///     EnvironmentFailure: Nobody can tell, and that is a failure (`FLYTE_IMG_FAST_FAIL`).
    #[expect(clippy::unused_self, reason = "it is there to be overridden")]
    fn should_build(&self, py: Python<'_>, image_spec: &Bound<'_, ImageSpec>) -> PyResult<bool> {
        should_build(py, image_spec.get())
    }
}

/// What [`ImageSpecBuilder::should_build`] says.
pub fn should_build(py: Python<'_>, spec: &ImageSpec) -> PyResult<bool> {
    if spec.inner().is_forced() || session::settings(py)?.image_spec.force_push {
        return Ok(true);
    }
    Ok(match spec.existence(py, None)? {
        Existence::Present(_) | Existence::Vouched(_) | Existence::Assumed(_) => false,
        Existence::NotChecked(why) => !matches!(why, NotChecked::Unmodified | NotChecked::Inside),
        Existence::Absent | Existence::Unknown(_) => true,
    })
}

/// A builder that somebody registered.
struct Registered {
    builder: Py<PyAny>,
    priority: i32,
}

/// What this process has registered and built.
struct Known {
    builders: BTreeMap<String, Registered>,
    /// What builders called images that have other names of their own.
    names: BTreeMap<String, String>,
}

static KNOWN: Mutex<Known> =
    Mutex::new(Known { builders: BTreeMap::new(), names: BTreeMap::new() });

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Adds a builder, in place of one of that name.
pub fn register(name: &str, builder: &Bound<'_, PyAny>, priority: i32) -> PyResult<()> {
    if !builder.hasattr("build_image")? || !builder.hasattr("should_build")? {
        let given = builder.get_type().name()?;
        return Err(PyTypeError::new_err(format!(
            "argument 'image_spec_builder' must be an ImageSpecBuilder, not {given}"
        )));
    }
    let builder = builder.clone().unbind();
    // What was there before is dropped after the lock is: its end may be Python code.
    let _before = known().builders.insert(name.to_owned(), Registered { builder, priority });
    Ok(())
}

/// Every builder that was registered, with its priority.
pub fn registered(py: Python<'_>) -> Vec<(String, Py<PyAny>, i32)> {
    let known = known();
    let all = known.builders.iter();
    all.map(|(name, r)| (name.clone(), r.builder.clone_ref(py), r.priority)).collect()
}

/// What a builder called the image of this name.
pub fn real_name(name: &str) -> Option<String> {
    known().names.get(name).cloned()
}

/// Whether the builder of the spec is one of Python's.
pub fn is_pythons(spec: &Spec, settings: &Settings) -> bool {
    chosen_name(spec, settings, &known()).is_some()
}

/// The builder that a spec names, else that of the settings, else the one with the highest
/// priority; if it is one of Python's.
fn chosen_name(spec: &Spec, settings: &Settings, known: &Known) -> Option<String> {
    let named = spec.fields().builder.as_deref().filter(|name| *name != "default");
    match named.or(settings.builder.as_deref()) {
        Some(name) => known.builders.contains_key(name).then(|| name.to_owned()),
        None => {
            let above = known.builders.iter().filter(|(_, r)| r.priority > NATIVE);
            above.max_by_key(|(_, r)| r.priority).map(|(name, _)| name.clone())
        }
    }
}

/// The priority of tierce's own builder.
const NATIVE: i32 = 0;

/// What came of a build by one of Python's builders.
pub struct Built {
    /// The image's name.
    pub uri: String,
    /// How it came to be there, as `ImageBuild.status` says it.
    pub status: &'static str,
}

/// It was there.
pub const PRESENT: &str = "present";

/// Builds the spec by the builder of Python's that is chosen for it; `None` where it is another
/// one's to build. `builder` is who was named for this build. A dry run builds nothing.
pub fn build(
    py: Python<'_>,
    spec: &ImageSpec,
    builder: Option<&str>,
    force: bool,
    dry_run: bool,
    settings: &Settings,
) -> PyResult<Option<Built>> {
    let found = {
        let known = known();
        let name = match builder {
            Some(name) => Some(name.to_owned()),
            None => chosen_name(spec.inner(), settings, &known),
        };
        name.and_then(|name| known.builders.get(&name).map(|r| r.builder.clone_ref(py)))
    };
    let Some(builder) = found else { return Ok(None) };
    let builder = builder.into_bound(py);
    if settings.execution.is_inside() {
        // Nothing is built in a task. Its files need not be there to name the image.
        let (name, id) = (spec.name_now(py), settings.execution.image_id.clone());
        let uri = name.map(|name| name.whole).or_else(|problem| id.ok_or(problem))?;
        return Ok(Some(Built { uri, status: PRESENT }));
    }
    let with_base = match &spec.inner().fields().base_image {
        Some(BaseImage::Spec(base)) => Some(on_built(py, spec, (**base).clone(), dry_run)?),
        _ => None,
    };
    let spec = match with_base {
        Some(spec) => spec,
        None => Bound::new(py, ImageSpec::of(spec.inner().clone()))?,
    };
    let name = spec.get().name_now(py)?.whole;
    if !force && !builder.call_method1("should_build", (&spec,))?.is_truthy()? {
        let uri = real_name(&name).unwrap_or(name);
        return Ok(Some(Built { uri, status: PRESENT }));
    }
    if dry_run {
        return Ok(Some(Built { uri: name, status: "would-build" }));
    }
    let called: Option<String> = builder.call_method1("build_image", (&spec,))?.extract()?;
    if let Some(called) = &called {
        known().names.insert(name.clone(), called.clone());
    }
    Ok(Some(Built { uri: called.unwrap_or(name), status: "built" }))
}

/// The spec upon its base, which is built first: builders of Python's get references.
fn on_built<'py>(
    py: Python<'py>,
    spec: &ImageSpec,
    base: Spec,
    dry_run: bool,
) -> PyResult<Bound<'py, ImageSpec>> {
    let base = Bound::new(py, ImageSpec::of(base))?;
    if !dry_run {
        py.import("tierce")?.getattr("build")?.call1((&base,))?;
    }
    let changes = PyDict::new(py);
    changes.set_item("base_image", base.call_method0("image_name")?)?;
    let spec = Bound::new(py, ImageSpec::of(spec.inner().clone()))?;
    Ok(spec.call_method("__replace__", (), Some(&changes))?.cast_into()?)
}
