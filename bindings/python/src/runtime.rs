//! The library's work, on threads of its own, and waiting for it from Python.
//!
//! Each piece of work has its own runtime, which ends with it: there is nothing that a process
//! made by `fork` could have half of, and stopped work has cleaned up when it is said to have
//! ended.

use crate::error;
use crate::threads::{self, Thread};
use pyo3::exceptions::PySystemExit;
use pyo3::prelude::*;
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tierce::{Cancel, ErrorKind};
use tokio::runtime::{Builder, Runtime};

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
            threads::attach(|py| {
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
            // Threads that still wait end with the program, and have nothing to say of it.
            Ended::Stopped if threads::is_ending() => Err(PySystemExit::new_err(())),
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
    thread: Arc<Thread>,
}

impl<T: Send + 'static> Work<T> {
    /// Starts `work`; `cancel` is the switch of what it runs in a sandbox. The bell rings when it
    /// has ended.
    pub fn start<F>(py: Python<'_>, cancel: &Cancel, bell: Arc<Bell>, work: F) -> PyResult<Self>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let runtime = runtime().map_err(|error| no_threads(py, &error))?;
        let (state, thread) = (Arc::new(Mutex::new(State::Running)), Thread::new(py, cancel)?);
        let (ends, drives, rings) = (state.clone(), thread.clone(), bell.clone());
        let drive = move || {
            let ended = drive(runtime, &drives, work);
            *lock(&ends) = State::Ended(ended);
            rings.ring();
            // Neither may be what lets go of an object of Python's after that.
            drop((ends, rings));
            drives.leave();
        };
        let spawned = std::thread::Builder::new().name("tierce".to_owned()).spawn(drive);
        if let Err(error) = spawned {
            thread.leave();
            return Err(no_threads(py, &error));
        }
        Ok(Work { state, bell, thread })
    }
}

impl<T> Work<T> {
    /// Asks it to stop.
    pub fn stop(&self) {
        self.thread.stop();
    }

    /// Whether it was started by this process, not by one that this was made of by `fork`.
    pub fn is_of_this_process(&self) -> bool {
        self.thread.is_of_this_process()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        !matches!(*lock(&self.state), State::Running)
    }

    fn taken(&self) -> Option<Ended<T>> {
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
    /// How it ended; once. Its thread will not enter Python any more.
    pub fn take(&self, py: Python<'_>) -> Option<Ended<T>> {
        let taken = self.taken()?;
        self.leave(py);
        Some(taken)
    }

    /// Waits until its thread, if it has ended, will not enter Python any more.
    pub fn leave(&self, py: Python<'_>) {
        if self.has_ended() {
            // It has one thing left to do: to tell that it has ended.
            py.detach(|| self.thread.wait(CLEANUP));
        }
    }

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
        self.leave(py);
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

fn drive<T, F>(runtime: Runtime, thread: &Thread, work: F) -> Ended<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let ended = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            tokio::select! {
                result = work => Ended::Done(result),
                () = thread.stop.notified() => Ended::Stopped,
            }
        })
    }));
    let ended = ended.unwrap_or_else(Ended::Panicked);
    match ended {
        Ended::Done(_) => runtime.shutdown_timeout(LEFTOVERS),
        Ended::Stopped | Ended::Panicked(_) => {
            // What runs in a sandbox ends now; its threads unmount and remove what they made.
            thread.cancel.cancel();
            runtime.shutdown_timeout(CLEANUP);
        }
    }
    ended
}

fn no_threads(py: Python<'_>, error: &std::io::Error) -> PyErr {
    let message = format!("cannot start threads\n  because {error}");
    let hint =
        "Let this user have more threads: see `ulimit -u`, or the container's limit of pids.";
    error::raised(py, ErrorKind::Environment, &message, "python/no-threads", Some(hint))
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
        if let Some(ended) = work.take(py) {
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
