//! The builder's own steps as steps of the build.

use crate::process::Said;
use crate::protocol::{Event, StepNumber};
use std::collections::HashMap;
use tierce_engine::{BuildEvent, Events, Outcome, OutputStream, StepHandle, StepKind};

/// More steps at once are not shown.
const MAX_OPEN: usize = 1024;

/// Turns what a builder says into events of the build.
pub(super) struct Steps<'a> {
    events: &'a Events,
    builder: &'a str,
    /// The whole build; what belongs to no step of the builder's goes here.
    whole: StepHandle,
    open: HashMap<StepNumber, StepHandle>,
}

impl<'a> Steps<'a> {
    pub(super) fn start(events: &'a Events, builder: &'a str, title: String) -> Self {
        let whole = events.step(StepKind::Execute, title);
        Steps { events, builder, whole, open: HashMap::new() }
    }

    pub(super) fn take(&mut self, said: Said) {
        match said {
            Said::Log(line) => self.whole.reporter().line(OutputStream::Stderr, line),
            Said::Event(event) => self.event(event),
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::StepStarted { step, kind, title } => {
                if self.open.len() < MAX_OPEN || self.open.contains_key(&step) {
                    // A number that is used again ends the step that had it.
                    if let Some(old) = self.open.remove(&step) {
                        old.finish(Outcome::Made, None);
                    }
                    self.open.insert(step, self.events.step(kind, title));
                }
            }
            Event::StepProgress { step, done, total } => {
                self.of(step).reporter().progress(done, total);
            }
            Event::StepOutput { step, stream, line } => {
                self.of(step).reporter().line(stream, line);
            }
            Event::StepFinished { step, outcome, detail } => {
                if let Some(handle) = self.open.remove(&step) {
                    handle.finish(outcome, detail);
                }
            }
            Event::StepFailed { step } => drop(self.open.remove(&step)),
            Event::Warning { code, message } => self.events.emit(BuildEvent::Warning {
                code: match code {
                    Some(code) => format!("builder/{}/{code}", self.builder),
                    None => format!("builder/{}", self.builder),
                },
                message,
            }),
            Event::Unknown => {}
        }
    }

    /// The step, or the whole build where the builder never started it.
    fn of(&self, step: StepNumber) -> &StepHandle {
        self.open.get(&step).unwrap_or(&self.whole)
    }

    /// The build went well: so did every step that the builder did not end.
    pub(super) fn finish(self) {
        let mut open: Vec<_> = self.open.into_iter().collect();
        open.sort_by_key(|(number, _)| *number);
        open.into_iter().for_each(|(_, handle)| handle.finish(Outcome::Made, None));
        self.whole.finish(Outcome::Made, None);
    }
}
