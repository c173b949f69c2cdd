//! Live lines on a terminal: one a step, the step's last output below it while it runs.

use crate::{text, units};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;
use tierce_engine::{BuildEvent, EventSink, Outcome, StepId};

/// Draws on standard error.
pub struct Live {
    bars: MultiProgress,
    steps: Mutex<HashMap<StepId, Step>>,
}

struct Step {
    bar: ProgressBar,
    title: String,
}

/// Steps quicker than this leave no line behind when all they did was to find their result.
const WORTH_A_LINE: u64 = 100;

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

impl Live {
    /// Draws nothing yet.
    pub fn new() -> Self {
        Live { bars: MultiProgress::new(), steps: Mutex::default() }
    }

    fn style(template: &str) -> ProgressStyle {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_spinner())
            .tick_strings(&["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏", " "])
    }

    fn line(&self, text: String) {
        // A terminal that went away is no reason to stop building.
        let _ = self.bars.println(text);
    }

    fn start(&self, step: StepId, title: &str) {
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(Self::style("{spinner:.cyan} {prefix} {wide_msg:.dim} {elapsed:.dim}"));
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        self.lock().insert(step, Step { bar, title: title.to_owned() });
    }

    fn progress(&self, step: StepId, done: u64, total: Option<u64>) {
        if let Some(Step { bar, .. }) = self.lock().get(&step) {
            bar.set_message(match total {
                Some(total) => format!("{} of {}", units::bytes(done), units::bytes(total)),
                None => units::bytes(done),
            });
        }
    }

    fn end(&self, step: StepId, mark: &str, remark: &str) {
        let Some(Step { bar, title }) = self.lock().remove(&step) else { return };
        bar.finish_and_clear();
        self.bars.remove(&bar);
        self.line(format!("{mark} {title} \x1b[2m{remark}\x1b[0m"));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<StepId, Step>> {
        self.steps.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl EventSink for Live {
    fn emit(&self, event: &BuildEvent) {
        match event {
            BuildEvent::BuildStarted { uri, .. } => {
                self.line(format!("building \x1b[1m{}\x1b[0m", text::line(uri)))
            }
            BuildEvent::StepStarted { step, title, .. } => self.start(*step, &text::line(title)),
            BuildEvent::StepProgress { step, done, total } => self.progress(*step, *done, *total),
            BuildEvent::StepOutput { step, line, .. } => {
                if let Some(Step { bar, .. }) = self.lock().get(step) {
                    bar.set_message(text::line(line).into_owned());
                }
            }
            BuildEvent::StepFinished { step, outcome: Outcome::Cached, millis, .. }
                if *millis < WORTH_A_LINE =>
            {
                self.end(*step, "\x1b[32m✓\x1b[0m", "cached");
            }
            BuildEvent::StepFinished { step, outcome, detail, millis } => {
                let mut remark = match outcome {
                    Outcome::Cached => "cached, ".to_owned(),
                    Outcome::Made => String::new(),
                };
                remark += &units::millis(*millis);
                if let Some(detail) = detail {
                    remark = format!("{remark}, {}", text::line(detail));
                }
                self.end(*step, "\x1b[32m✓\x1b[0m", &remark);
            }
            BuildEvent::StepFailed { step, millis } => {
                self.end(*step, "\x1b[31m✗\x1b[0m", &units::millis(*millis));
            }
            BuildEvent::Warning { code, message } => {
                let (code, message) = (text::line(code), text::lines(message));
                self.line(format!("\x1b[33mwarning\x1b[0m[{code}]: {message}"));
            }
            BuildEvent::BuildFinished { uri, millis, .. } => {
                let uri = text::line(uri);
                self.line(format!("built \x1b[1m{uri}\x1b[0m in {}", units::millis(*millis)));
            }
        }
    }
}
