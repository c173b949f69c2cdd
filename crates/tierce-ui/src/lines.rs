//! One line a step, as a text: for places that show a text and can put another one in its stead.

use crate::{text, units};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tierce_engine::{BuildEvent, EventSink, Outcome, StepId};

/// Lines have no more characters than these: notebooks break longer ones.
const WIDTH: usize = 110;

/// Takes events in, and says at any time what a build looks like: a line a step, in the order in
/// which they began, with its time once it is done and its program's last line until then.
#[derive(Default)]
pub struct Lines(Mutex<Vec<Line>>);

enum Line {
    /// A line that stays as it is.
    Said(String),
    Step(Step),
}

struct Step {
    id: StepId,
    title: String,
    state: State,
}

enum State {
    Running { since: Instant, remark: String },
    Done(String),
    Failed(u64),
}

impl EventSink for Lines {
    fn emit(&self, event: &BuildEvent) {
        self.take(event, Instant::now());
    }
}

impl Lines {
    fn take(&self, event: &BuildEvent, now: Instant) {
        let mut lines = self.lock();
        match event {
            BuildEvent::BuildStarted { uri, builder } => {
                let (uri, builder) = (text::line(uri), text::line(builder));
                lines.push(Line::Said(format!("building {uri} ({builder})")));
            }
            BuildEvent::StepStarted { step, title, .. } => {
                let title = text::line(title).into_owned();
                let state = State::Running { since: now, remark: String::new() };
                lines.push(Line::Step(Step { id: *step, title, state }));
            }
            BuildEvent::StepProgress { step, done, total } => {
                let done = units::bytes(*done);
                let said = match total {
                    Some(total) => format!("{done} of {}", units::bytes(*total)),
                    None => done,
                };
                remark(&mut lines, *step, said);
            }
            BuildEvent::StepOutput { step, line, .. } => {
                let line = text::line(line);
                if !line.trim().is_empty() {
                    remark(&mut lines, *step, line.trim().to_owned());
                }
            }
            BuildEvent::StepFinished { step, outcome, detail, millis } => {
                let mut said = match outcome {
                    Outcome::Cached => "cached".to_owned(),
                    Outcome::Made => units::millis(*millis),
                };
                if let Some(detail) = detail {
                    let _ = write!(said, ", {}", text::line(detail));
                }
                end(&mut lines, *step, State::Done(said));
            }
            BuildEvent::StepFailed { step, millis } => {
                end(&mut lines, *step, State::Failed(*millis));
            }
            BuildEvent::Warning { code, message } => {
                let (code, message) = (text::line(code), text::lines(message));
                lines.push(Line::Said(format!("warning[{code}]: {message}")));
            }
            BuildEvent::BuildFinished { uri, millis, .. } => {
                let uri = text::line(uri);
                lines.push(Line::Said(format!("built {uri} in {}", units::millis(*millis))));
            }
        }
    }

    /// What there is to see at the time `now`: lines, without an end of the last one.
    pub fn text(&self, now: Instant) -> String {
        let lines: Vec<String> = self.lock().iter().map(|line| line.text(now)).collect();
        lines.join("\n")
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn text(&self, now: Instant) -> String {
        let Step { title, state, .. } = match self {
            Line::Said(text) => return text.clone(),
            Line::Step(step) => step,
        };
        match state {
            State::Done(said) => cut(format!("✓ {title}  {said}")),
            State::Failed(millis) => cut(format!("✗ {title}  {}", units::millis(*millis))),
            State::Running { since, remark } => {
                let seconds = now.saturating_duration_since(*since).as_secs();
                let mut line = format!("• {title}");
                if seconds > 0 {
                    let _ = write!(line, "  {seconds} s");
                }
                if !remark.is_empty() {
                    let _ = write!(line, "  {remark}");
                }
                cut(line)
            }
        }
    }
}

fn running(lines: &mut [Line], id: StepId) -> Option<&mut Step> {
    lines.iter_mut().rev().find_map(|line| match line {
        Line::Step(step) if step.id == id => Some(step),
        _ => None,
    })
}

fn remark(lines: &mut [Line], id: StepId, said: String) {
    if let Some(Step { state: State::Running { remark, .. }, .. }) = running(lines, id) {
        *remark = said;
    }
}

fn end(lines: &mut [Line], id: StepId, ended: State) {
    if let Some(step) = running(lines, id) {
        step.state = ended;
    }
}

fn cut(line: String) -> String {
    match line.char_indices().nth(WIDTH) {
        None => line,
        Some((end, _)) => {
            let keep = line[..end].char_indices().next_back().map_or(0, |(start, _)| start);
            format!("{}…", &line[..keep])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tierce_engine::{OutputStream, StepKind};

    fn started(step: u32, title: &str) -> BuildEvent {
        let (kind, title) = (StepKind::Execute, title.to_owned());
        BuildEvent::StepStarted { step: StepId(step), kind, title }
    }

    fn said(step: u32, line: &str) -> BuildEvent {
        let stream = OutputStream::Stdout;
        BuildEvent::StepOutput { step: StepId(step), stream, line: line.to_owned() }
    }

    fn finished(step: u32, outcome: Outcome, detail: Option<&str>) -> BuildEvent {
        let detail = detail.map(str::to_owned);
        BuildEvent::StepFinished { step: StepId(step), outcome, detail, millis: 1250 }
    }

    /// What is shown after `seconds`, when all the events came at once.
    fn shown(events: &[BuildEvent], seconds: u64) -> String {
        let (lines, begun) = (Lines::default(), Instant::now());
        events.iter().for_each(|event| lines.take(event, begun));
        lines.text(begun + Duration::from_secs(seconds))
    }

    #[test]
    fn a_step_is_one_line_from_its_beginning_to_its_end() {
        let running = [
            BuildEvent::BuildStarted { uri: "r.example/app:1".into(), builder: "native".into() },
            started(1, "check"),
            started(2, "run make"),
            finished(1, Outcome::Cached, None),
            said(2, "compiling \x1b[1ma.c\x1b[0m\r"),
            said(2, "  "),
        ];
        assert_eq!(
            shown(&running, 0),
            "building r.example/app:1 (native)\n✓ check  cached\n• run make  compiling a.c\u{fffd}"
        );
        let mut done = running.to_vec();
        done.extend([
            finished(2, Outcome::Made, Some("12 kB")),
            BuildEvent::BuildFinished {
                uri: "r.example/app:1".into(),
                digest: None,
                millis: 61_000,
            },
        ]);
        assert_eq!(
            shown(&done, 100),
            "building r.example/app:1 (native)\n✓ check  cached\n✓ run make  1.2 s, 12 kB\n\
             built r.example/app:1 in 1 min 1 s"
        );
    }

    #[test]
    fn what_runs_says_for_how_long_and_how_far_it_is() {
        let progress = BuildEvent::StepProgress { step: StepId(1), done: 1000, total: Some(2000) };
        let events = [started(1, "fetch"), progress];
        assert_eq!(shown(&events, 0), "• fetch  1.0 kB of 2.0 kB");
        assert_eq!(shown(&events, 7), "• fetch  7 s  1.0 kB of 2.0 kB");
        let failed = BuildEvent::StepFailed { step: StepId(1), millis: 30 };
        assert_eq!(shown(&[events[0].clone(), failed], 7), "✗ fetch  30 ms");
    }

    #[test]
    fn lines_are_cut_and_warnings_are_not() {
        let long = "ä".repeat(200);
        let warning = BuildEvent::Warning { code: "a/b".into(), message: long.clone() };
        let text = shown(&[started(1, &long), warning], 0);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0].chars().count(), WIDTH);
        assert!(lines[0].ends_with("ä…"));
        assert_eq!(lines[1], format!("warning[a/b]: {long}"));
    }

    #[test]
    fn what_nobody_started_has_no_line() {
        assert_eq!(shown(&[said(1, "a"), finished(1, Outcome::Made, None)], 0), "");
    }
}
