//! What happens during a build, as values: the terminal, the JSON log and the bindings all
//! consume the same events.

use crate::redact::RedactingSink;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tierce_secret::Secrets;

/// One step of one build. Numbers grow in the order in which steps start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

/// What a step does; decides how its progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// Asks whether the image is there.
    Check,
    /// Finds out what exactly is to be installed.
    Resolve,
    /// Downloads.
    Fetch,
    /// Makes a layer without running anything.
    Assemble,
    /// Runs a program in the image.
    Execute,
    /// Unpacks layers so that something can run in them.
    Unpack,
    /// Pushes or writes the result.
    Export,
}

/// How a step ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The result was there already.
    Cached,
    /// The result was made now.
    Made,
}

/// Which of a program's outputs a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum BuildEvent {
    /// A build begins.
    BuildStarted {
        /// The image's name.
        uri: String,
        /// Who builds it.
        builder: String,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: StepId,
        /// What it does.
        kind: StepKind,
        /// What it is called, for people.
        title: String,
    },
    /// A step got on.
    StepProgress {
        /// Which.
        step: StepId,
        /// Bytes done so far.
        done: u64,
        /// Bytes in all, where known.
        total: Option<u64>,
    },
    /// A step's program wrote a line.
    StepOutput {
        /// Which.
        step: StepId,
        /// Where to.
        stream: OutputStream,
        /// The line, without its end. Bytes that are not UTF-8 are replaced.
        line: String,
    },
    /// A step ended well.
    StepFinished {
        /// Which.
        step: StepId,
        /// Whether there was anything to do.
        outcome: Outcome,
        /// A remark: a size, a version, a count.
        detail: Option<String>,
        /// How long it took.
        millis: u64,
    },
    /// A step failed or was given up; the error follows as the build's result.
    StepFailed {
        /// Which.
        step: StepId,
        /// How long it took.
        millis: u64,
    },
    /// Something the user should know that is no error.
    Warning {
        /// A stable code.
        code: String,
        /// What it is.
        message: String,
    },
    /// The build is done.
    BuildFinished {
        /// The image's name.
        uri: String,
        /// The digest of its manifest or index, where one was made.
        digest: Option<String>,
        /// How long it took.
        millis: u64,
    },
}

/// Takes events in. Called from several threads; must not block for long.
pub trait EventSink: Send + Sync {
    /// Takes in one event.
    fn emit(&self, event: &BuildEvent);
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _: &BuildEvent) {}
}

/// A build's handle on its sink: numbers the steps and times them.
#[derive(Clone)]
pub struct Events {
    sink: Arc<dyn EventSink>,
    next: Arc<AtomicU32>,
}

impl Events {
    /// A handle on `sink`.
    pub fn new(sink: Arc<dyn EventSink>) -> Self {
        Events { sink, next: Arc::new(AtomicU32::new(1)) }
    }

    /// A handle that drops everything.
    pub fn none() -> Self {
        Events::new(Arc::new(NoEvents))
    }

    /// A handle on the same build that hides the values of `secrets` in everything it passes on.
    pub fn redacted(&self, secrets: &Secrets) -> Self {
        if secrets.is_empty() {
            return self.clone();
        }
        let sink = RedactingSink { inner: self.sink.clone(), secrets: secrets.clone() };
        Events { sink: Arc::new(sink), next: self.next.clone() }
    }

    /// Emits an event that belongs to no step.
    pub fn emit(&self, event: BuildEvent) {
        self.sink.emit(&event);
    }

    /// Warns.
    pub fn warn(&self, code: &str, message: impl Into<String>) {
        self.emit(BuildEvent::Warning { code: code.to_owned(), message: message.into() });
    }

    /// Starts a step. Dropping the handle without [`StepHandle::finish`] marks it as failed.
    pub fn step(&self, kind: StepKind, title: impl Into<String>) -> StepHandle {
        let step = StepId(self.next.fetch_add(1, Ordering::Relaxed));
        self.emit(BuildEvent::StepStarted { step, kind, title: title.into() });
        StepHandle { events: self.clone(), step, started: Instant::now(), finished: false }
    }
}

/// Reports on a step from another thread.
#[derive(Clone)]
pub struct StepReporter {
    events: Events,
    step: StepId,
}

impl StepReporter {
    /// Says how far the step is.
    pub fn progress(&self, done: u64, total: Option<u64>) {
        self.events.emit(BuildEvent::StepProgress { step: self.step, done, total });
    }

    /// Warns, while the step is under way.
    pub fn warn(&self, code: &str, message: impl Into<String>) {
        self.events.warn(code, message);
    }

    /// Passes on a line of the step's program.
    pub fn line(&self, stream: OutputStream, line: String) {
        self.events.emit(BuildEvent::StepOutput { step: self.step, stream, line });
    }
}

/// A step under way.
pub struct StepHandle {
    events: Events,
    step: StepId,
    started: Instant,
    finished: bool,
}

impl StepHandle {
    /// A handle that reports on the step from elsewhere, and does not end it.
    pub fn reporter(&self) -> StepReporter {
        StepReporter { events: self.events.clone(), step: self.step }
    }

    /// Ends the step well.
    pub fn finish(mut self, outcome: Outcome, detail: impl Into<Option<String>>) {
        self.finished = true;
        self.events.emit(BuildEvent::StepFinished {
            step: self.step,
            outcome,
            detail: detail.into(),
            millis: self.millis(),
        });
    }

    fn millis(&self) -> u64 {
        self.started.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
    }
}

impl Drop for StepHandle {
    fn drop(&mut self) {
        if !self.finished {
            self.events.emit(BuildEvent::StepFailed { step: self.step, millis: self.millis() });
        }
    }
}
