//! One line a step, once it has ended: for programs that say other things besides.

use crate::{Plain, text, units};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tierce_engine::{BuildEvent, EventSink, Outcome, StepId};

/// Of what a step said that failed these last lines are shown.
const KEPT: usize = 20;

/// Writes a line for each step that has ended. What its program said is shown where it failed: the
/// end of it.
#[derive(Default)]
pub struct Steps {
    running: Mutex<HashMap<StepId, Running>>,
    plain: Plain,
}

#[derive(Default)]
struct Running {
    title: String,
    said: VecDeque<String>,
}

impl EventSink for Steps {
    fn emit(&self, event: &BuildEvent) {
        if let Some(lines) = self.lines(event) {
            eprintln!("{lines}");
        }
    }
}

impl Steps {
    /// The line for an event, or the lines, without an end of the last one; if it is worth any.
    pub fn lines(&self, event: &BuildEvent) -> Option<String> {
        match event {
            BuildEvent::StepStarted { step, title, .. } => {
                let running =
                    Running { title: text::line(title).into_owned(), ..Running::default() };
                self.lock().insert(*step, running);
                None
            }
            BuildEvent::StepProgress { .. } => None,
            BuildEvent::StepOutput { step, line, .. } => {
                let mut running = self.lock();
                let said = &mut running.entry(*step).or_default().said;
                if said.len() == KEPT {
                    said.pop_front();
                }
                said.push_back(format!("#{} | {}", step.0, text::line(line)));
                None
            }
            BuildEvent::StepFinished { step, outcome, detail, millis } => {
                let Running { title, .. } = self.lock().remove(step).unwrap_or_default();
                let outcome = match outcome {
                    Outcome::Cached => "cached",
                    Outcome::Made => "done",
                };
                let detail = detail.as_deref().map(|d| format!(", {}", text::line(d)));
                let (millis, detail) = (units::millis(*millis), detail.unwrap_or_default());
                Some(format!("#{} {title}: {outcome} in {millis}{detail}", step.0))
            }
            BuildEvent::StepFailed { step, millis } => {
                let Running { title, said } = self.lock().remove(step).unwrap_or_default();
                let mut lines = Vec::from(said);
                let millis = units::millis(*millis);
                lines.push(format!("#{} {title}: failed after {millis}", step.0));
                Some(lines.join("\n"))
            }
            BuildEvent::BuildStarted { .. }
            | BuildEvent::BuildFinished { .. }
            | BuildEvent::Warning { .. } => self.plain.line(event),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<StepId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_engine::{OutputStream, StepKind};

    fn started(step: u32, title: &str) -> BuildEvent {
        let (kind, title) = (StepKind::Execute, title.to_owned());
        BuildEvent::StepStarted { step: StepId(step), kind, title }
    }

    fn said(step: u32, line: impl Into<String>) -> BuildEvent {
        let stream = OutputStream::Stdout;
        BuildEvent::StepOutput { step: StepId(step), stream, line: line.into() }
    }

    fn finished(step: u32, outcome: Outcome, detail: Option<&str>) -> BuildEvent {
        let detail = detail.map(str::to_owned);
        BuildEvent::StepFinished { step: StepId(step), outcome, detail, millis: 1250 }
    }

    fn shown(events: &[BuildEvent]) -> String {
        let steps = Steps::default();
        let lines: Vec<String> = events.iter().filter_map(|event| steps.lines(event)).collect();
        lines.join("\n")
    }

    #[test]
    fn a_step_is_a_line_when_it_has_ended() {
        let uri = "r.example/app:1".to_owned();
        let mut events = vec![
            BuildEvent::BuildStarted { uri: uri.clone(), builder: "native".into() },
            started(1, "resolve\x1b[2Kbase"),
            started(2, "run make"),
            BuildEvent::StepProgress { step: StepId(1), done: 1, total: None },
            finished(1, Outcome::Cached, None),
            BuildEvent::Warning { code: "a/b".into(), message: "old".into() },
        ];
        events.extend((0..500).map(|number| said(2, format!("unpacking {number}"))));
        events.push(finished(2, Outcome::Made, Some("12 kB")));
        events.push(BuildEvent::BuildFinished { uri, digest: None, millis: 61_000 });
        assert_eq!(
            shown(&events),
            "building r.example/app:1 (native)\n\
             #1 resolve\u{fffd}[2Kbase: cached in 1.2 s\n\
             warning[a/b]: old\n\
             #2 run make: done in 1.2 s, 12 kB\n\
             built r.example/app:1 in 1 min 1 s"
        );
    }

    #[test]
    fn what_a_step_said_last_is_shown_where_it_failed() {
        let mut events = vec![started(1, "run make"), started(2, "run other"), said(2, "fine")];
        events.extend((0..30).map(|number| said(1, format!("line {number}\r"))));
        events.push(BuildEvent::StepFailed { step: StepId(1), millis: 30 });
        let shown = shown(&events);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), KEPT + 1);
        assert_eq!(lines[0], "#1 | line 10\u{fffd}");
        assert_eq!(lines[KEPT - 1], "#1 | line 29\u{fffd}");
        assert_eq!(lines[KEPT], "#1 run make: failed after 30 ms");
    }
}
