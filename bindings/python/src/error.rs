//! Errors of the library as Python's exceptions: `tierce.errors`.

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use tierce::{Diagnostic, ErrorKind};

/// The exception that stands for `error`: its class by the error's kind, with code and hint, and
/// the causes in its message.
pub fn to_py(py: Python<'_>, error: &dyn Diagnostic) -> PyErr {
    raised(py, error.kind(), &message(error), error.code(), error.hint().as_deref())
}

/// An exception of `tierce.errors` for a failure that has no type of its own.
pub fn raised(
    py: Python<'_>,
    kind: ErrorKind,
    message: &str,
    code: &str,
    hint: Option<&str>,
) -> PyErr {
    let class = match kind {
        ErrorKind::User => "SpecificationError",
        ErrorKind::Environment => "EnvironmentFailure",
        ErrorKind::Upstream => "UpstreamError",
        ErrorKind::Step => "StepError",
        ErrorKind::Bug => "InternalError",
        ErrorKind::Interrupted => return PyKeyboardInterrupt::new_err(()),
    };
    made(py, class, message, code, hint)
}

/// A `SpecificationTypeError`: what is both a `TypeError` and a `ValueError`.
pub fn wrong_type(py: Python<'_>, message: &str, code: &str, hint: Option<&str>) -> PyErr {
    made(py, "SpecificationTypeError", message, code, hint)
}

fn made(py: Python<'_>, class: &str, message: &str, code: &str, hint: Option<&str>) -> PyErr {
    let made = py
        .import("tierce.errors")
        .and_then(|module| module.getattr(class))
        .and_then(|class| class.call1((message, code, hint)));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// What happened and why, a line each; a wrapper that says what its cause says is left out.
fn message(error: &dyn Diagnostic) -> String {
    let mut said = error.to_string();
    let mut text = said.clone();
    let mut cause = error.source();
    while let Some(error) = cause {
        let shown = error.to_string();
        if shown != said {
            text = format!("{text}\n  because {}", shown.trim_end().replace('\n', "\n    "));
        }
        said = shown;
        cause = error.source();
    }
    text
}
