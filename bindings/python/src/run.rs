//! Builds in the background, as Python sees them.

use crate::built::ImageBuild;
use crate::runtime::SIGNAL_PAUSE;
use crate::{convert, error, session};
use pyo3::prelude::*;
use std::time::Duration;
use tierce::ErrorKind;
use tierce::runs::{self, Cancelled, RunError, RunFailure, RunResult, RunState, RunStatus, Runs};
use tierce_ui::Plain;

/// A build that goes on in the background, in a process of its own: it does not end with this one.
///
/// `tierce runs` lists them; the store keeps what came of each.
///
/// Example:
///     >>> import tierce
///     >>> build = tierce.build(image, wait=False)        # doctest: +SKIP
///     >>> build.remote_run                               # doctest: +SKIP
///     <tierce run w3k9xpt2: running, app:5rqv...>
///     >>> build.remote_run.wait().digest                 # doctest: +SKIP
///     'sha256:...'
#[pyclass(module = "tierce", frozen)]
pub struct Run {
    run: runs::Run,
    uri: String,
}

#[pymethods]
impl Run {
    /// The run with this id, or the only one whose id begins so.
    #[staticmethod]
    fn get(py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<Self> {
        let id = convert::borrowed("id", id)?;
        let runs = Runs::open(&session::settings(py)?.store);
        let run = py.detach(|| runs.find(id)).map_err(|e| error::to_py(py, &e))?;
        let uri = run.status().map_err(|e| error::to_py(py, &e))?.uri;
        Ok(Run { run, uri })
    }

    /// Its id, as `tierce runs` takes it.
    #[getter]
    pub fn id(&self) -> String {
        self.run.id().to_string()
    }

    /// Its id: what Flyte's runs call it.
    #[getter]
    fn name(&self) -> String {
        self.id()
    }

    /// The image's name, as it was when the run was started.
    #[getter]
    fn uri(&self) -> &str {
        &self.uri
    }

    /// Where its files are.
    #[getter]
    fn url(&self) -> String {
        format!("file://{}", self.run.directory().display())
    }

    /// How it is: `running`, `succeeded`, `failed`, `cancelled` or `lost`.
    #[getter]
    fn status(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.now(py)?.state.to_string())
    }

    /// Whether it is over.
    fn done(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.now(py)?.state != RunState::Running)
    }

    /// Waits for its end. Ctrl-C stops waiting, and not the run.
    ///
    /// Returns:
    ///     What came of the build.
    ///
    /// Raises:
    ///     TierceError: The build failed.
    fn wait(&self, py: Python<'_>) -> PyResult<ImageBuild> {
        while py.detach(|| self.run.is_running()) {
            py.detach(|| std::thread::sleep(SIGNAL_PAUSE));
            py.check_signals()?;
        }
        let ended = py.detach(|| self.run.wait());
        self.result(py, ended)
    }

    /// What has been said so far: lines as `tierce runs logs` prints them.
    fn logs(&self) -> Vec<String> {
        let plain = Plain::default();
        self.run.follow(false).filter_map(|event| plain.line(&event)).collect()
    }

    /// Asks it to stop, and kills it where it has not within `patience` seconds.
    #[pyo3(signature = (patience=10.0))]
    fn cancel(&self, py: Python<'_>, patience: f64) -> PyResult<bool> {
        let patience = Duration::try_from_secs_f64(patience).unwrap_or(Duration::MAX);
        let cancelled = py.detach(|| self.run.cancel(patience));
        let cancelled = cancelled.map_err(|e| error::to_py(py, &e))?;
        Ok(cancelled != Cancelled::Ended)
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let state = self.now(py).map_or_else(|_| "gone".to_owned(), |s| s.state.to_string());
        format!("<tierce run {}: {state}, {}>", self.run.id(), self.uri)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Run>().is_ok_and(|other| other.get().run.id() == self.run.id())
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.run.id().hash(&mut hasher);
        hasher.finish()
    }

    fn __reduce__(&self, py: Python<'_>) -> PyResult<(Py<PyAny>, (String,))> {
        let get = py.import("tierce")?.getattr("Run")?.getattr("get")?;
        Ok((get.unbind(), (self.id(),)))
    }
}

impl Run {
    /// The run, whose image is called `uri`.
    pub fn of(run: runs::Run, uri: String) -> Self {
        Run { run, uri }
    }

    fn now(&self, py: Python<'_>) -> PyResult<RunStatus> {
        self.run.status().map_err(|e| error::to_py(py, &e))
    }

    fn result(&self, py: Python<'_>, ended: Result<RunResult, RunError>) -> PyResult<ImageBuild> {
        let RunResult { state, exit_code, build, error, .. } =
            ended.map_err(|e| error::to_py(py, &e))?;
        match (state, build, error) {
            (RunState::Succeeded, Some(build), _) => ImageBuild::read(py, build),
            (RunState::Cancelled, ..) => Err(error::raised(
                py,
                ErrorKind::Step,
                &format!("the run {} was stopped", self.run.id()),
                "run/cancelled",
                Some("Build it again: what it had made by then is kept."),
            )),
            (.., Some(failure)) => Err(raised(py, exit_code, &failure)),
            _ => Err(error::raised(
                py,
                ErrorKind::Bug,
                &format!("the run {} left no result", self.run.id()),
                "run/no-result",
                Some("Its logs() may say why; build it again."),
            )),
        }
    }
}

/// An error of another process, as the exception that it would have been in this one.
fn raised(py: Python<'_>, exit_code: u8, failure: &RunFailure) -> PyErr {
    let RunFailure { code, message, causes, hint } = failure;
    let mut text = message.clone();
    let mut said = message;
    for cause in causes {
        if cause != said {
            text = format!("{text}\n  because {}", cause.trim_end().replace('\n', "\n    "));
        }
        said = cause;
    }
    let kinds = [
        ErrorKind::User,
        ErrorKind::Environment,
        ErrorKind::Upstream,
        ErrorKind::Step,
        ErrorKind::Bug,
    ];
    let kind = kinds.into_iter().find(|kind| kind.exit_code() == exit_code);
    error::raised(py, kind.unwrap_or(ErrorKind::Bug), &text, code, hint.as_deref())
}
