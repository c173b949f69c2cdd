//! The library's work, on threads of its own, and waiting for it from Python.
//!
//! Each piece of work has its own runtime, which ends with it: there is nothing that a process
//! made by `fork` could have half of, and stopped work has cleaned up when it is said to have
//! ended.

use crate::error;
use pyo3::prelude::*;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tierce::{Cancel, ErrorKind};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// How often is looked whether a signal came.
pub const SIGNAL_PAUSE: Duration = Duration::from_millis(50);
/// How long work that was stopped may take to clean up.
const CLEANUP: Duration = Duration::from_secs(10);
/// How long threads that outlive their work are waited for.
const LEFTOVERS: Duration = Duration::from_millis(200);
/// More threads than these would wait for the network, all at once.
const MOST_THREADS: usize = 8;

/// Rings when there is something to see to.
#[derive(Default)]
pub struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
    listener: Mutex<Option<Arc<Py<PyAny>>>>,
}

impl Bell {
    /// Wakes who waits, and calls who listens: the calling thread must not be attached to Python,
    /// or hold what a thread that is may want.
    pub fn ring(&self) {
        *lock(&self.rung) = true;
        self.changed.notify_all();
        let listener = lock(&self.listener).clone();
        if let Some(listener) = listener {
            // An interpreter that is ending has nobody left who waits.
            Python::try_attach(|py| {
                if let Err(error) = listener.call0(py) {
                    // A loop that was closed meanwhile.
                    error.write_unraisable(py, None);
                }
            });
        }
    }

    /// Calls `listener` from now on, from any thread; at once if it rang before.
    pub fn listen(&self, py: Python<'_>, listener: Option<Py<PyAny>>) -> PyResult<()> {
        let listener = listener.map(Arc::new);
        lock(&self.listener).clone_from(&listener);
        let rang = *lock(&self.rung);
        match listener.filter(|_| rang) {
            Some(listener) => listener.call0(py).map(drop),
            None => Ok(()),
        }
    }

    /// Waits until it rings, no longer than `most`.
    pub fn wait(&self, most: Duration) {
        let rung = lock(&self.rung);
        let waited = self.changed.wait_timeout_while(rung, most, |rung| !*rung);
        let (mut rung, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

/// How work ended.
pub enum Ended<T> {
    /// With a result.
    Done(T),
    /// It was stopped.
    Stopped,
    /// It failed in a way that it must not.
    Panicked(Box<dyn Any + Send>),
}

impl<T> Ended<T> {
    /// The result. What was stopped was stopped by the user.
    pub fn result(self, py: Python<'_>) -> PyResult<T> {
        match self {
            Ended::Done(result) => Ok(result),
            Ended::Stopped => {
                Err(error::raised(py, ErrorKind::Interrupted, "stopped", "python/stopped", None))
            }
            Ended::Panicked(panic) => resume_unwind(panic),
        }
    }
}

enum State<T> {
    Running,
    Ended(Ended<T>),
    Taken,
}

/// Work under way. It is stopped when this is dropped.
pub struct Work<T> {
    state: Arc<Mutex<State<T>>>,
    bell: Arc<Bell>,
    stop: Arc<Notify>,
    cancel: Cancel,
    process: u32,
}

impl<T: Send + 'static> Work<T> {
    /// Starts `work`; `cancel` is the switch of what it runs in a sandbox. The bell rings when it
    /// has ended.
    pub fn start<F>(py: Python<'_>, cancel: &Cancel, bell: Arc<Bell>, work: F) -> PyResult<Self>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let runtime = runtime().map_err(|error| no_threads(py, &error))?;
        let (state, stop) = (Arc::new(Mutex::new(State::Running)), Arc::new(Notify::new()));
        let (ends, stopped, rings) = (state.clone(), stop.clone(), bell.clone());
        let switch = cancel.clone();
        let drive = move || {
            let ended = drive(runtime, &switch, &stopped, work);
            *lock(&ends) = State::Ended(ended);
            rings.ring();
        };
        let thread = std::thread::Builder::new().name("tierce".to_owned()).spawn(drive);
        thread.map_err(|error| no_threads(py, &error))?;
        let process = std::process::id();
        Ok(Work { state, bell, stop, cancel: cancel.clone(), process })
    }
}

impl<T> Work<T> {
    /// Asks it to stop.
    pub fn stop(&self) {
        // A process made by `fork` has a copy of this, and the switch that works in this one.
        if self.is_of_this_process() {
            self.stop.notify_one();
            self.cancel.cancel();
        }
    }

    /// Whether it was started by this process, not by one that this was made of by `fork`.
    pub fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        !matches!(*lock(&self.state), State::Running)
    }

    /// How it ended; once.
    pub fn take(&self) -> Option<Ended<T>> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Ended(ended) => Some(ended),
            State::Running => {
                *state = State::Running;
                None
            }
            State::Taken => None,
        }
    }
}

impl<T: Send> Work<T> {
    /// Stops it, and waits until it has cleaned up, or has taken too long to.
    pub fn end(&self, py: Python<'_>) {
        self.stop();
        py.detach(|| {
            let mut left = CLEANUP;
            while !self.has_ended() && !left.is_zero() {
                self.bell.wait(SIGNAL_PAUSE);
                left = left.saturating_sub(SIGNAL_PAUSE);
            }
        });
    }
}

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn runtime() -> std::io::Result<Runtime> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(threads.min(MOST_THREADS))
        .thread_name("tierce-work")
        .enable_all()
        .build()
}

fn drive<T, F>(runtime: Runtime, cancel: &Cancel, stop: &Notify, work: F) -> Ended<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::select! {
                result = work => Ended::Done(result),
                () = stop.notified() => Ended::Stopped,
            }
        })
    }));
    let ended = ended.unwrap_or_else(Ended::Panicked);
    match ended {
        Ended::Done(_) => runtime.shutdown_timeout(LEFTOVERS),
        Ended::Stopped | Ended::Panicked(_) => {
            // What runs in a sandbox ends now; its threads unmount and remove what they made.
            cancel.cancel();
            runtime.shutdown_timeout(CLEANUP);
        }
    }
    ended
}

fn no_threads(py: Python<'_>, error: &std::io::Error) -> PyErr {
    let message = format!("cannot start threads\n  because {error}");
    error::raised(py, ErrorKind::Environment, &message, "python/no-threads", None)
}

/// Waits for `work` without the interpreter's lock. Where Python gets a signal whose handler
/// raises, as Ctrl-C does, the work is stopped, may clean up, and the exception is raised.
pub fn wait<T, F>(py: Python<'_>, cancel: &Cancel, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let bell = Arc::new(Bell::default());
    let work = Work::start(py, cancel, bell.clone(), work)?;
    loop {
        if let Some(ended) = work.take() {
            return ended.result(py);
        }
        py.detach(|| bell.wait(SIGNAL_PAUSE));
        if let Err(raised) = py.check_signals() {
            work.end(py);
            return Err(raised);
        }
    }
}

/// What a lock guards, whatever happened to those who held it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
