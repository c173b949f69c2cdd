//! Waiting for the library's work from Python: without the interpreter's lock, and no longer than
//! until Ctrl-C.

use pyo3::prelude::*;
use std::future::Future;
use std::time::Duration;
use tierce::Cancel;
use tokio::runtime::Runtime;

/// How often is looked whether a signal came.
const SIGNAL_PAUSE: Duration = Duration::from_millis(50);
/// How long work that was cancelled may take to clean up.
const CLEANUP: Duration = Duration::from_secs(10);

/// The runtime that all work of this process runs on.
pub fn runtime() -> &'static Runtime {
    pyo3_async_runtimes::tokio::get_runtime()
}

/// Waits for `work` with the lock released. Where Python gets a signal whose handler raises, as
/// Ctrl-C does, `cancel` is switched on, the work may clean up, and the exception is raised.
pub fn wait<T, F>(py: Python<'_>, cancel: &Cancel, work: F) -> PyResult<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut task = runtime().spawn(work);
    loop {
        let waited = py.detach(|| {
            runtime().block_on(async { tokio::time::timeout(SIGNAL_PAUSE, &mut task).await })
        });
        match waited {
            Ok(Ok(result)) => return Ok(result),
            Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => {
                if let Err(raised) = py.check_signals() {
                    cancel.cancel();
                    task.abort();
                    let end = async { tokio::time::timeout(CLEANUP, &mut task).await };
                    let _ = py.detach(|| runtime().block_on(end));
                    return Err(raised);
                }
            }
        }
    }
}
