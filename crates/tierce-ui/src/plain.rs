//! One line an event: for logs and pipes.

use crate::{text, units};
use std::collections::HashMap;
use std::sync::Mutex;
use tierce_engine::{BuildEvent, EventSink, Outcome, StepId};

/// Writes plain lines; step output is marked with its step's number.
#[derive(Default)]
pub struct Plain {
    titles: Mutex<HashMap<StepId, String>>,
}

impl EventSink for Plain {
    fn emit(&self, event: &BuildEvent) {
        if let Some(line) = self.line(event) {
            eprintln!("{line}");
        }
    }
}

impl Plain {
    /// The line for an event, if it is worth one.
    pub fn line(&self, event: &BuildEvent) -> Option<String> {
        Some(match event {
            BuildEvent::BuildStarted { uri, builder } => {
                format!("building {} ({})", text::line(uri), text::line(builder))
            }
            BuildEvent::StepStarted { step, title, .. } => {
                let title = text::line(title).into_owned();
                self.lock().insert(*step, title.clone());
                format!("#{} {title}", step.0)
            }
            BuildEvent::StepProgress { .. } => return None,
            BuildEvent::StepOutput { step, line, .. } => {
                let titles = self.lock();
                let title: String =
                    titles.get(step).map(|t| t.chars().take(24).collect()).unwrap_or_default();
                format!("#{} {title} | {}", step.0, text::line(line))
            }
            BuildEvent::StepFinished { step, outcome, detail, millis } => {
                let outcome = match outcome {
                    Outcome::Cached => "cached",
                    Outcome::Made => "done",
                };
                let detail = detail.as_deref().map(|d| format!(", {}", text::line(d)));
                let detail = detail.unwrap_or_default();
                format!("#{} {outcome} in {}{detail}", step.0, units::millis(*millis))
            }
            BuildEvent::StepFailed { step, millis } => {
                let title = self.lock().remove(step).unwrap_or_default();
                format!("#{} failed after {}: {title}", step.0, units::millis(*millis))
            }
            BuildEvent::Warning { code, message } => {
                format!("warning[{}]: {}", text::line(code), text::lines(message))
            }
            BuildEvent::BuildFinished { uri, digest, millis } => {
                let digest = digest.as_deref().map(|d| format!("@{d}")).unwrap_or_default();
                format!("built {}{digest} in {}", text::line(uri), units::millis(*millis))
            }
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StepId, String>> {
        self.titles.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
