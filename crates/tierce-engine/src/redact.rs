//! Keeps the values of secrets out of what builders say.

use crate::checker::AnyDiagnostic;
use crate::event::{BuildEvent, EventSink};
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_secret::Secrets;

/// Passes events on without the values.
pub struct RedactingSink {
    /// Who gets them.
    pub inner: Arc<dyn EventSink>,
    /// The values.
    pub secrets: Secrets,
}

impl EventSink for RedactingSink {
    fn emit(&self, event: &BuildEvent) {
        let hide = |text: &String| self.secrets.redact(text).into_owned();
        let hidden = match event {
            BuildEvent::StepProgress { .. } | BuildEvent::StepFailed { .. } => {
                return self.inner.emit(event);
            }
            BuildEvent::BuildStarted { uri, builder } => {
                BuildEvent::BuildStarted { uri: hide(uri), builder: hide(builder) }
            }
            BuildEvent::StepStarted { step, kind, title } => {
                BuildEvent::StepStarted { step: *step, kind: *kind, title: hide(title) }
            }
            BuildEvent::StepOutput { step, stream, line } => {
                BuildEvent::StepOutput { step: *step, stream: *stream, line: hide(line) }
            }
            BuildEvent::StepFinished { step, outcome, detail, millis } => {
                BuildEvent::StepFinished {
                    step: *step,
                    outcome: *outcome,
                    detail: detail.as_ref().map(hide),
                    millis: *millis,
                }
            }
            BuildEvent::Warning { code, message } => {
                BuildEvent::Warning { code: hide(code), message: hide(message) }
            }
            BuildEvent::BuildFinished { uri, digest, millis } => BuildEvent::BuildFinished {
                uri: hide(uri),
                digest: digest.clone(),
                millis: *millis,
            },
        };
        self.inner.emit(&hidden);
    }
}

/// A failure, as texts without the values. Its own form is given up: whatever it holds besides
/// its messages is not looked through.
#[derive(Debug)]
struct Redacted {
    code: &'static str,
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    cause: Option<Cause>,
}

#[derive(Debug)]
struct Cause {
    message: String,
    cause: Option<Box<Cause>>,
}

/// `error` without the values of `secrets`, in itself or in its causes.
pub fn redacted(error: AnyDiagnostic, secrets: &Secrets) -> AnyDiagnostic {
    if secrets.is_empty() {
        return error;
    }
    let hide = |text: String| secrets.redact(&text).into_owned();
    Arc::new(Redacted {
        code: error.code(),
        kind: error.kind(),
        message: hide(error.to_string()),
        hint: error.hint().map(hide),
        cause: error.source().map(|cause| Cause::of(cause, secrets)),
    })
}

impl Cause {
    fn of(error: &(dyn Error + 'static), secrets: &Secrets) -> Self {
        Cause {
            message: secrets.redact(&error.to_string()).into_owned(),
            cause: error.source().map(|cause| Box::new(Cause::of(cause, secrets))),
        }
    }
}

impl fmt::Display for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Redacted {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl Diagnostic for Redacted {
    fn code(&self) -> &'static str {
        self.code
    }

    fn kind(&self) -> ErrorKind {
        self.kind
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}
