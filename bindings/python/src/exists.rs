//! Whether a registry has an image: for checkers of other systems, which have names of images and
//! nothing else.

use crate::job::{self, Answer};
use crate::{error, session};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use std::fmt::Display;
use std::str::FromStr;
use tierce::{Cancel, ErrorKind, Platform, Presence, Reference};

/// Whether the registry has what `reference` names, for all `platforms`: an awaitable of a bool.
/// Raises where the registry could not tell.
#[pyfunction]
pub fn reference_exists<'py>(
    py: Python<'py>,
    reference: &str,
    platforms: Vec<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let reference: Reference = parsed(py, reference, "python/reference", REFERENCE)?;
    let platforms = platforms.iter().map(|text| parsed(py, text, "python/platform", PLATFORM));
    let platforms: Vec<Platform> = platforms.collect::<PyResult<_>>()?;
    let cancel = Cancel::new();
    let tierce = session::open(py, session::settings(py)?, &cancel)?;
    job::awaitable(py, &cancel, async move {
        let presence = tierce.presence(&reference, &platforms).await;
        Box::new(move |py: Python<'_>| match presence {
            Presence::Present(_) | Presence::Vouched(_) => true.into_py_any(py),
            Presence::Absent => false.into_py_any(py),
            Presence::Unknown(problem) => Err(error::to_py(py, &*problem)),
        }) as Answer
    })
}

const REFERENCE: &str = "Write it as \"ghcr.io/team/app:1.0\".";
const PLATFORM: &str = "Write it as \"linux/amd64\".";

fn parsed<T>(py: Python<'_>, text: &str, code: &str, hint: &str) -> PyResult<T>
where
    T: FromStr<Err: Display>,
{
    let wrong = |problem: T::Err| {
        error::raised(py, ErrorKind::User, &problem.to_string(), code, Some(hint))
    };
    text.parse().map_err(wrong)
}
