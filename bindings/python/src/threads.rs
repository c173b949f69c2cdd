//! The library's threads and the interpreter. One that is ending aborts the process when a thread
//! comes back to it, so none of ours does: those who wait for work wait until its thread is done
//! with Python, and what nobody waited for is stopped and waited for when Python exits.

use crate::runtime::lock;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tierce::Cancel;
use tokio::sync::Notify;

/// How long the end of the interpreter waits for work that nobody waited for.
const PATIENCE: Duration = Duration::from_secs(12);
/// How often is looked whether all have left.
const PAUSE: Duration = Duration::from_millis(1);

/// How many threads of ours are in Python, and whether more may enter.
static INSIDE: AtomicUsize = AtomicUsize::new(0);
static CLOSED: AtomicBool = AtomicBool::new(false);
/// Whether work is stopped because Python is ending.
static ENDING: AtomicBool = AtomicBool::new(false);
/// Threads that work. It is locked only by those who hold the interpreter's lock, as `fork` does.
static WORKING: Mutex<Vec<Weak<Thread>>> = Mutex::new(Vec::new());
/// Whether the interpreter tells of its end; the same of this.
static HOOKED: Mutex<bool> = Mutex::new(false);

/// Calls `function` with the interpreter's lock, from any thread; `None` once Python is ending.
pub fn attach<R>(function: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    let _entered = Entered::new()?;
    Python::try_attach(function)
}

/// The same, for what may fail anyway.
pub fn attached<R>(function: impl FnOnce(Python<'_>) -> PyResult<R>) -> PyResult<R> {
    attach(function).unwrap_or_else(|| Err(PyRuntimeError::new_err("Python is ending")))
}

/// Whether work that was stopped was stopped because Python is ending.
pub fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

struct Entered;

impl Entered {
    fn new() -> Option<Self> {
        INSIDE.fetch_add(1, Ordering::SeqCst);
        let entered = Entered;
        (!CLOSED.load(Ordering::SeqCst)).then_some(entered)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        INSIDE.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A thread that does work.
pub struct Thread {
    /// Asks the work to stop.
    pub stop: Notify,
    /// The switch of what the work runs in a sandbox.
    pub cancel: Cancel,
    process: u32,
    left: Mutex<bool>,
    leaves: Condvar,
}

impl Thread {
    /// One that is about to begin.
    pub fn new(py: Python<'_>, cancel: &Cancel) -> PyResult<Arc<Self>> {
        hook(py)?;
        // Other hooks that run at exit may build.
        CLOSED.store(false, Ordering::SeqCst);
        ENDING.store(false, Ordering::SeqCst);
        let thread = Arc::new(Thread {
            stop: Notify::new(),
            cancel: cancel.clone(),
            process: std::process::id(),
            left: Mutex::new(false),
            leaves: Condvar::new(),
        });
        let mut working = lock(&WORKING);
        working.retain(|other| other.upgrade().is_some_and(|other| !other.has_left()));
        working.push(Arc::downgrade(&thread));
        Ok(thread)
    }

    /// Asks the work to stop.
    pub fn stop(&self) {
        // A process made by `fork` has a copy of this, and the switch that works in this one.
        if self.is_of_this_process() {
            self.stop.notify_one();
            self.cancel.cancel();
        }
    }

    /// Whether it is one of this process, not of one that this was made of by `fork`.
    pub fn is_of_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// It will not enter Python again.
    pub fn leave(&self) {
        *lock(&self.left) = true;
        self.leaves.notify_all();
    }

    /// Waits until it will not enter Python again, no longer than `most`. Whoever waits must not
    /// hold the interpreter's lock, which the thread may need to leave.
    pub fn wait(&self, most: Duration) {
        if self.is_of_this_process() {
            let waited = self.leaves.wait_timeout_while(lock(&self.left), most, |left| !*left);
            drop(waited.unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn has_left(&self) -> bool {
        // That of another process may be locked for ever.
        !self.is_of_this_process() || *lock(&self.left)
    }
}

/// Has the interpreter tell of its end, and of copies of the process.
fn hook(py: Python<'_>) -> PyResult<()> {
    if std::mem::replace(&mut *lock(&HOOKED), true) {
        return Ok(());
    }
    let own = py.import("tierce._tierce")?;
    py.import("atexit")?.call_method1("register", (own.getattr("end_threads")?,))?;
    let os = py.import("os")?;
    if let Some(register) = os.getattr_opt("register_at_fork")? {
        let said = PyDict::new(py);
        said.set_item("after_in_child", own.getattr("forget_threads")?)?;
        register.call((), Some(&said))?;
    }
    Ok(())
}

/// Stops all work, and waits until no thread of it will enter Python again.
#[pyfunction]
pub fn end_threads(py: Python<'_>) {
    ENDING.store(true, Ordering::SeqCst);
    let working = std::mem::take(&mut *lock(&WORKING));
    let working: Vec<_> = working.iter().filter_map(Weak::upgrade).collect();
    py.detach(|| {
        let end = Instant::now() + PATIENCE;
        working.iter().for_each(|thread| thread.stop());
        for thread in working {
            thread.wait(end.saturating_duration_since(Instant::now()));
        }
        CLOSED.store(true, Ordering::SeqCst);
        while INSIDE.load(Ordering::SeqCst) > 0 && Instant::now() < end {
            std::thread::sleep(PAUSE);
        }
    });
}

/// In a process made by `fork`: the threads of the other one are not here.
#[pyfunction]
pub fn forget_threads() {
    lock(&WORKING).clear();
    INSIDE.store(0, Ordering::SeqCst);
    CLOSED.store(false, Ordering::SeqCst);
    ENDING.store(false, Ordering::SeqCst);
}
