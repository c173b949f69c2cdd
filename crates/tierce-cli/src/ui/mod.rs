//! What people see on standard error.

mod error;

use crate::args::Progress;
use std::io::IsTerminal;
use std::sync::Arc;
use tierce::{BuildEvent, EventSink};

pub use error::{report, report_failure};
pub use tierce_ui::{Live, Plain, text, units};

/// The sink for `progress`.
pub fn sink(progress: Progress) -> Arc<dyn EventSink> {
    match progress {
        Progress::Auto if std::io::stderr().is_terminal() => Arc::new(Live::new()),
        Progress::Auto | Progress::Plain => Arc::new(Plain::default()),
        Progress::Json => Arc::new(Json),
        Progress::Quiet => Arc::new(Quiet),
    }
}

/// One JSON object a line.
struct Json;

impl EventSink for Json {
    fn emit(&self, event: &BuildEvent) {
        if let Ok(line) = serde_json::to_string(event) {
            eprintln!("{line}");
        }
    }
}

/// Warnings only.
struct Quiet;

impl EventSink for Quiet {
    fn emit(&self, event: &BuildEvent) {
        if let BuildEvent::Warning { code, message } = event {
            eprintln!("warning[{}]: {}", text::line(code), text::lines(message));
        }
    }
}
