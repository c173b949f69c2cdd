//! What a builder says while it builds, kept.

use std::sync::{Arc, Mutex, PoisonError};
use tierce_engine::{BuildEvent, EventSink, Events};

/// Keeps events as text.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<String>>);

impl EventSink for Recorder {
    fn emit(&self, event: &BuildEvent) {
        let line = serde_json::to_string(event).unwrap_or_default();
        let mut text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.push_str(&line);
        text.push('\n');
    }
}

impl Recorder {
    pub(crate) fn events(&self) -> Events {
        Events::new(Arc::new(self.clone()))
    }

    /// All events, one a line, as JSON.
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
