//! What happens during a build, shown where Python's users look: a terminal, `sys.stderr`, a
//! notebook, a function of theirs.

use crate::json;
use crate::runtime::lock;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tierce::{BuildEvent, EventSink, Events};
use tierce_ui::{Lines, Live, Plain, Steps};

/// How often a notebook is updated at most.
const PAUSE: Duration = Duration::from_millis(200);

/// Events that wait to be shown by a thread that has the interpreter's lock.
#[derive(Default)]
struct Queue(Mutex<VecDeque<BuildEvent>>);

impl EventSink for Queue {
    fn emit(&self, event: &BuildEvent) {
        let mut queue = lock(&self.0);
        // Of a step's progress the last word counts.
        if let BuildEvent::StepProgress { step, .. } = event
            && matches!(queue.back(), Some(BuildEvent::StepProgress { step: last, .. }) if last == step)
        {
            queue.pop_back();
        }
        queue.push_back(event.clone());
    }
}

impl Queue {
    fn take(&self) -> VecDeque<BuildEvent> {
        std::mem::take(&mut *lock(&self.0))
    }
}

/// Where events are shown.
enum View {
    /// Nowhere, or by the sink itself.
    Elsewhere,
    /// As a line a step on `sys.stderr`.
    Steps(Steps),
    /// Warnings only, there.
    Warnings(Plain),
    /// As one text in a notebook that changes.
    Notebook { lines: Lines, handle: Py<PyAny>, next: Instant },
    /// By a function, which gets a dict an event.
    Function(Py<PyAny>),
}

/// Shows what happens.
pub struct Display {
    queue: Arc<Queue>,
    view: View,
}

impl Display {
    /// Shows nothing.
    pub fn none() -> Self {
        Display { queue: Arc::default(), view: View::Elsewhere }
    }

    /// What `progress` says, and where events go for that.
    pub fn of(progress: Option<&Bound<'_, PyAny>>) -> PyResult<(Self, Events)> {
        let Some(progress) = progress else { return Ok((Self::none(), Events::none())) };
        let word = match progress.cast::<PyString>() {
            Ok(word) => word.to_str()?,
            Err(_) if progress.is_callable() => {
                return Ok(Self::queued(View::Function(progress.clone().unbind())));
            }
            Err(_) => {
                return Err(PyTypeError::new_err(format!(
                    "argument 'progress' must be str, a function or None, not {}",
                    progress.get_type().name()?
                )));
            }
        };
        let py = progress.py();
        Ok(match word {
            "auto" => match place(py)? {
                Place::Nowhere => (Self::none(), Events::none()),
                Place::Terminal => Self::live(),
                Place::Stderr => Self::queued(View::Steps(Steps::default())),
                Place::Notebook => Self::queued(notebook(py)?),
            },
            "live" => Self::live(),
            "plain" => Self::queued(View::Steps(Steps::default())),
            "quiet" => Self::queued(View::Warnings(Plain::default())),
            "notebook" => Self::queued(notebook(py)?),
            other => {
                return Err(PyValueError::new_err(format!(
                    "argument 'progress' must be 'auto', 'live', 'plain', 'notebook', 'quiet', a \
                     function or None, not {other:?}"
                )));
            }
        })
    }

    fn live() -> (Self, Events) {
        (Self::none(), Events::new(Arc::new(Live::new())))
    }

    fn queued(view: View) -> (Self, Events) {
        let queue = Arc::<Queue>::default();
        let events = Events::new(queue.clone());
        (Display { queue, view }, events)
    }

    /// Shows what has happened since the last time.
    pub fn show(&mut self, py: Python<'_>, ended: bool) -> PyResult<()> {
        let events = self.queue.take();
        match &mut self.view {
            View::Elsewhere => Ok(()),
            View::Steps(steps) => write(py, events.iter().filter_map(|event| steps.lines(event))),
            View::Warnings(plain) => {
                let is_warning = |event: &&BuildEvent| matches!(event, BuildEvent::Warning { .. });
                let warnings = events.iter().filter(is_warning);
                write(py, warnings.filter_map(|event| plain.line(event)))
            }
            View::Function(function) => events
                .iter()
                .try_for_each(|event| function.call1(py, (as_dict(py, event)?,)).map(drop)),
            View::Notebook { lines, handle, next } => {
                events.iter().for_each(|event| lines.emit(event));
                let now = Instant::now();
                if now < *next && !ended {
                    return Ok(());
                }
                *next = now + PAUSE;
                handle.call_method1(py, "show", (lines.text(now),)).map(drop)
            }
        }
    }
}

enum Place {
    Nowhere,
    Terminal,
    Stderr,
    Notebook,
}

/// Where those who wait for a build look.
fn place(py: Python<'_>) -> PyResult<Place> {
    let sys = py.import("sys")?;
    // Nothing is imported for programs that have no IPython.
    let modules = sys.getattr("modules")?;
    if modules.contains("IPython")?
        && py.import("tierce._notebook")?.call_method0("is_here")?.is_truthy()?
    {
        return Ok(Place::Notebook);
    }
    let stderr = sys.getattr("stderr")?;
    if stderr.is_none() {
        return Ok(Place::Nowhere);
    }
    let asked = |name: &str| stderr.call_method0(name).ok();
    let is_terminal = asked("isatty").is_some_and(|answer| answer.is_truthy().unwrap_or(false));
    // What stands for a terminal is one only where it is the process's own.
    let is_own = asked("fileno").and_then(|number| number.extract::<i32>().ok()) == Some(2);
    Ok(if is_terminal && is_own { Place::Terminal } else { Place::Stderr })
}

/// A text in a notebook; lines where there is no IPython to show one.
fn notebook(py: Python<'_>) -> PyResult<View> {
    let module = py.import("tierce._notebook")?;
    if !module.call_method0("can_show")?.is_truthy()? {
        return Ok(View::Steps(Steps::default()));
    }
    let handle = module.getattr("View")?.call0()?;
    Ok(View::Notebook { lines: Lines::default(), handle: handle.unbind(), next: Instant::now() })
}

/// Writes to what `sys.stderr` is now.
fn write(py: Python<'_>, lines: impl Iterator<Item = String>) -> PyResult<()> {
    let text: String = lines.map(|line| line + "\n").collect();
    if text.is_empty() {
        return Ok(());
    }
    let stderr = py.import("sys")?.getattr("stderr")?;
    if stderr.is_none() {
        return Ok(());
    }
    // One that was closed or has no room is no reason to stop building.
    let written = stderr.call_method1("write", (text,));
    let _ = written.and_then(|_| stderr.call_method0("flush"));
    Ok(())
}

fn as_dict(py: Python<'_>, event: &BuildEvent) -> PyResult<Py<PyAny>> {
    let value = serde_json::to_value(event).expect("events have only string keys");
    json::to_py(py, &value)
}
