//! Work that Python waits for: in a thread, or as a coroutine. While it waits, Python shows what
//! happens, and runs what the work wants it to run: builders and checkers that are written in
//! Python.

use crate::progress::Display;
use crate::runtime::{Bell, SIGNAL_PAUSE, Work, lock};
use crate::threads::attached;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use tierce::Cancel;
use tokio::sync::oneshot;

/// What comes of work, as a value of Python's.
pub type Answer = Box<dyn for<'py> FnOnce(Python<'py>) -> PyResult<Py<PyAny>> + Send>;

/// A function that the work wants to be called.
#[pyclass(module = "tierce._tierce", frozen)]
pub struct Call {
    function: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
    answer: Mutex<Option<oneshot::Sender<PyResult<Py<PyAny>>>>>,
}

#[pymethods]
impl Call {
    /// The function.
    #[getter]
    fn function(&self, py: Python<'_>) -> Py<PyAny> {
        self.function.clone_ref(py)
    }

    /// Calls the function.
    fn run(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let kwargs = self.kwargs.as_ref().map(|kwargs| kwargs.bind(py));
        self.function.call(py, self.args.bind(py).clone(), kwargs)
    }

    /// Says what came of it.
    fn answer(&self, value: Py<PyAny>) {
        self.send(Ok(value));
    }

    /// Says what it raised.
    fn fail(&self, raised: &Bound<'_, PyAny>) {
        self.send(Err(PyErr::from_value(raised.clone())));
    }
}

impl Call {
    fn send(&self, answer: PyResult<Py<PyAny>>) {
        if let Some(sender) = lock(&self.answer).take() {
            // Work that was stopped does not want to know any more.
            let _ = sender.send(answer);
        }
    }
}

/// What a call is made of.
pub struct Wanted {
    /// The function.
    pub function: Py<PyAny>,
    /// Its arguments.
    pub args: Py<PyTuple>,
    /// Its arguments by name.
    pub kwargs: Option<Py<PyDict>>,
}

/// From the work to those who wait for it: please call this.
#[derive(Clone, Default)]
pub struct Calls {
    queue: Arc<Mutex<VecDeque<Call>>>,
    bell: Arc<Bell>,
}

impl Calls {
    /// Has a function called in the caller's thread or on its loop, and awaited if it is to be;
    /// gives what comes of it.
    pub async fn call(
        &self,
        make: impl FnOnce(Python<'_>) -> PyResult<Wanted>,
    ) -> PyResult<Py<PyAny>> {
        let Wanted { function, args, kwargs } = attached(make)?;
        let (sender, receiver) = oneshot::channel();
        let answer = Mutex::new(Some(sender));
        lock(&self.queue).push_back(Call { function, args, kwargs, answer });
        let bell = self.bell.clone();
        // Whoever listens is called with the interpreter's lock, which may take a while to get.
        let rung = tokio::task::spawn_blocking(move || bell.ring()).await;
        if let Err(failed) = rung
            && let Ok(panic) = failed.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
        match receiver.await {
            Ok(answer) => answer,
            Err(_) => Err(PyRuntimeError::new_err("nobody waits for the build any more")),
        }
    }
}

/// Work, as those in Python see it who wait for it.
#[pyclass(module = "tierce._tierce", frozen)]
pub struct Job {
    work: Work<Answer>,
    calls: Calls,
    display: Mutex<Display>,
}

#[pymethods]
impl Job {
    /// Waits in this thread: for its end, which is true, or until it wants something to be
    /// called. Ctrl-C stops it.
    fn run(&self, py: Python<'_>) -> PyResult<bool> {
        loop {
            if self.poll(py)? {
                return Ok(true);
            }
            if !lock(&self.calls.queue).is_empty() {
                return Ok(false);
            }
            py.detach(|| self.calls.bell.wait(SIGNAL_PAUSE));
            if let Err(raised) = py.check_signals() {
                self.end(py)?;
                return Err(raised);
            }
        }
    }

    /// Shows what has happened; says whether it has ended.
    fn poll(&self, py: Python<'_>) -> PyResult<bool> {
        self.is_of_this_process()?;
        let ended = self.work.has_ended();
        if let Err(raised) = self.show(py, ended) {
            self.end(py)?;
            return Err(raised);
        }
        Ok(ended)
    }

    /// Whether it has ended.
    #[getter]
    fn ended(&self) -> bool {
        self.work.has_ended()
    }

    /// What it wants to be called; each once.
    fn calls(&self) -> Vec<Call> {
        lock(&self.calls.queue).drain(..).collect()
    }

    /// Calls `listener`, from any thread, when there are calls or it has ended.
    #[pyo3(signature = (listener))]
    fn listen(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        self.calls.bell.listen(py, listener)
    }

    /// Asks it to stop.
    fn stop(&self) {
        self.work.stop();
    }

    /// Nobody listens any more; if it has ended, nothing of it will enter Python again.
    fn leave(&self, py: Python<'_>) -> PyResult<()> {
        self.calls.bell.listen(py, None)?;
        self.work.leave(py);
        Ok(())
    }

    /// Stops it, and waits until it has cleaned up.
    fn end(&self, py: Python<'_>) -> PyResult<()> {
        self.is_of_this_process()?;
        self.work.end(py);
        // What is shown of the end must not hide why it ended.
        let _ = self.show(py, true);
        Ok(())
    }

    /// What came of it, once it has ended; once.
    fn result(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        match self.work.take(py) {
            Some(ended) => ended.result(py)?(py),
            None => Err(PyRuntimeError::new_err("there is no result, or it was taken")),
        }
    }
}

impl Job {
    /// Starts `work`, which may have `calls` made; `cancel` is the switch of what it runs in a
    /// sandbox.
    pub fn start<F>(
        py: Python<'_>,
        cancel: &Cancel,
        calls: Calls,
        display: Display,
        work: F,
    ) -> PyResult<Self>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let work = Work::start(py, cancel, calls.bell.clone(), work)?;
        Ok(Job { work, calls, display: Mutex::new(display) })
    }

    fn show(&self, py: Python<'_>, ended: bool) -> PyResult<()> {
        // Somebody else who shows things now will show these, too; at the end nobody else does.
        match self.display.try_lock() {
            Ok(mut display) => display.show(py, ended),
            Err(_) => Ok(()),
        }
    }

    fn is_of_this_process(&self) -> PyResult<()> {
        match self.work.is_of_this_process() {
            true => Ok(()),
            false => {
                Err(PyRuntimeError::new_err("the build runs in the process that this was made by"))
            }
        }
    }
}

/// An awaitable of what comes of `work`: on whatever loop waits for it, which goes on meanwhile.
/// To cancel it stops the work; `cancel` is the switch of what that runs in a sandbox.
pub fn awaitable<'py, F>(py: Python<'py>, cancel: &Cancel, work: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let job = Job::start(py, cancel, Calls::default(), Display::none(), work)?;
    py.import("tierce._build")?.getattr("wait_for")?.call1((Bound::new(py, job)?,))
}
