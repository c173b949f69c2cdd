//! Building `ImageSpec`s by builders of Python's, which have an API of their own:
//! `ImageSpecBuilder`. It has words for a spec and nothing else.

use crate::built::ImageBuild;
use crate::engine::Wishes;
use crate::imagespec::ImageSpec;
use crate::imagespec_builders::{self, Built};
use crate::progress::Display;
use crate::{convert, error, session};
use pyo3::prelude::*;
use pyo3::types::PyString;
use tierce::ErrorKind;

/// Whether the image is an ImageSpec that a builder of Python's builds.
#[pyfunction]
pub fn has_spec_builder(
    py: Python<'_>,
    image: &Bound<'_, PyAny>,
    builder: Option<&Bound<'_, PyAny>>,
) -> PyResult<bool> {
    let Ok(spec) = image.cast::<ImageSpec>() else { return Ok(false) };
    match builder.map(|builder| builder.cast::<PyString>()) {
        Some(Ok(name)) => {
            let name = name.to_str()?;
            Ok(imagespec_builders::registered(py).iter().any(|(known, ..)| known == name))
        }
        Some(Err(_)) => Ok(false),
        None => Ok(imagespec_builders::is_pythons(spec.get().inner(), &session::settings(py)?)),
    }
}

/// Builds an ImageSpec by the builder of Python's that is chosen for it, in this thread. `None`
/// where there is none.
#[pyfunction]
#[pyo3(signature = (
    image, dry_run, force, wait, push, exports, builder, platforms, progress, locked, locked_image
))]
#[expect(clippy::too_many_arguments, reason = "they are those of `tierce.build`")]
pub fn build_spec(
    py: Python<'_>,
    image: &Bound<'_, ImageSpec>,
    dry_run: &Bound<'_, PyAny>,
    force: &Bound<'_, PyAny>,
    wait: &Bound<'_, PyAny>,
    push: Option<&Bound<'_, PyAny>>,
    exports: &Bound<'_, PyAny>,
    builder: Option<&Bound<'_, PyAny>>,
    platforms: &Bound<'_, PyAny>,
    progress: Option<&Bound<'_, PyAny>>,
    locked: Option<&Bound<'_, PyAny>>,
    locked_image: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<ImageBuild>> {
    let wait = convert::flag("wait", wait)?;
    let wishes =
        Wishes::read(dry_run, force, push, exports, builder, platforms, locked, locked_image)?;
    // They tell nobody how far they are. What is no progress is wrong all the same.
    Display::of(progress)?;
    check(py, &wishes, wait)?;
    let settings = session::settings(py)?;
    let name = name(builder)?;
    let Wishes { force, dry_run, .. } = wishes;
    let built = imagespec_builders::build(py, image.get(), name, force, dry_run, &settings)?;
    Ok(built.map(|Built { uri, status }| ImageBuild::named(uri, status)))
}

/// The name of an ImageSpec where its builder of Python's says that it need not be built.
#[pyfunction]
pub fn spec_exists(
    py: Python<'_>,
    image: &Bound<'_, ImageSpec>,
    builder: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<String>> {
    let settings = session::settings(py)?;
    let name = name(builder)?;
    let built = imagespec_builders::build(py, image.get(), name, false, true, &settings)?;
    let there = built.filter(|built| built.status == imagespec_builders::PRESENT);
    Ok(there.map(|built| built.uri))
}

fn name<'a>(builder: Option<&'a Bound<'_, PyAny>>) -> PyResult<Option<&'a str>> {
    builder.map(|builder| convert::borrowed("builder", builder)).transpose()
}

/// Fails where something is asked for that such a builder can't be told.
fn check(py: Python<'_>, wishes: &Wishes<'_, '_>, wait: bool) -> PyResult<()> {
    let asked = [
        ("wait=False", !wait && !wishes.dry_run),
        ("push=False", wishes.push == Some(false)),
        ("exports", !wishes.exports.is_empty()),
        ("platforms", !wishes.platforms.is_empty()),
        ("locked", wishes.locked.is_some()),
    ];
    let asked: Vec<&str> = asked.into_iter().filter(|(_, asked)| *asked).map(|(n, _)| n).collect();
    if asked.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{} cannot be given for an ImageSpec that an ImageSpecBuilder of Python's builds",
        asked.join(", ")
    );
    let hint = "leave it out, or name another builder: builder=\"native\"";
    Err(error::raised(py, ErrorKind::User, &message, "python/spec-builder-options", Some(hint)))
}
