//! Why a daemon did not come to a result.

use std::io;
use tierce_oci::{Diagnostic, ErrorKind};
use tonic::{Code, Status};

/// Why there is no connection to a daemon.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to BuildKit at {address}")]
pub struct ConnectError {
    /// The daemon's address.
    pub address: String,
    /// Why.
    pub source: io::Error,
}

impl Diagnostic for ConnectError {
    fn code(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::PermissionDenied => "buildkit/permission-denied",
            io::ErrorKind::InvalidInput => "buildkit/tls",
            _ => "buildkit/unreachable",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.source.kind() {
            io::ErrorKind::InvalidInput => ErrorKind::User,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self.source.kind() {
            io::ErrorKind::PermissionDenied => {
                format!("This user may not open {}: join the group that owns it.", self.address)
            }
            io::ErrorKind::InvalidInput => {
                "Check the files named by `ca`, `cert` and `key` of the buildkit builder.".into()
            }
            _ => format!(
                "Start buildkitd, or correct its address: nothing answers at {}.",
                self.address
            ),
        })
    }
}

/// A step that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedStep {
    /// The step's name.
    pub title: String,
    /// What it last said.
    pub tail: Vec<String>,
}

/// A solve failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.text())]
pub struct SolveError {
    /// In what way.
    pub failure: SolveFailure,
    /// What the daemon says, secrets taken out.
    pub message: String,
    /// The step that it happened in, where one did.
    pub step: Option<FailedStep>,
}

/// In what way a solve failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SolveFailure {
    /// A command of the build ended with anything but success.
    Step,
    /// The Dockerfile is not one that this daemon understands.
    Dockerfile,
    /// A registry refused.
    Denied,
    /// An image is not there.
    NotFound,
    /// A secret is not there.
    Secret,
    /// The daemon's disk is full.
    DiskFull,
    /// The context could not be read on this side.
    Context,
    /// The connection broke.
    Disconnected,
    /// Anything else.
    Failed,
}

impl SolveError {
    pub(crate) fn new(status: &Status, message: String, step: Option<FailedStep>) -> Self {
        SolveError { failure: classify(status, step.is_some()), message, step }
    }

    fn text(&self) -> String {
        match (&self.step, self.failure) {
            (Some(step), SolveFailure::Step) => {
                let ending = self.message.rfind("exit code").map(|at| &self.message[at..]);
                format!("step failed: {} ({})", step.title, ending.unwrap_or(&self.message))
            }
            _ => format!("the build failed: {}", self.message),
        }
    }
}

/// BuildKit's errors are texts: what they begin with is all there is to go by.
fn classify(status: &Status, in_step: bool) -> SolveFailure {
    let text = status.message();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["no space left on device"]) {
        return SolveFailure::DiskFull;
    }
    if has(&["the context could not be read"]) {
        return SolveFailure::Context;
    }
    if in_step && has(&["exit code", "did not complete successfully", "executor failed running"]) {
        return SolveFailure::Step;
    }
    if has(&["dockerfile parse error", "failed to parse", "unknown instruction"]) {
        return SolveFailure::Dockerfile;
    }
    if has(&["no secret ", "secret not found"]) || text.ends_with(": not found") && has(&["secret"])
    {
        return SolveFailure::Secret;
    }
    let denied = ["denied", "unauthorized", "no basic auth", "insufficient_scope", "401", "403"];
    if has(&denied) {
        return SolveFailure::Denied;
    }
    match status.code() {
        Code::Unavailable | Code::Cancelled => SolveFailure::Disconnected,
        Code::NotFound => SolveFailure::NotFound,
        _ if has(&["not found", "manifest unknown"]) => SolveFailure::NotFound,
        _ => SolveFailure::Failed,
    }
}

impl Diagnostic for SolveError {
    fn code(&self) -> &'static str {
        match self.failure {
            SolveFailure::Step => "step/failed",
            SolveFailure::Dockerfile => "buildkit/dockerfile",
            SolveFailure::Denied => "registry/denied",
            SolveFailure::NotFound => "buildkit/not-found",
            SolveFailure::Secret => "buildkit/no-secret",
            SolveFailure::DiskFull => "buildkit/disk-full",
            SolveFailure::Context => "buildkit/context",
            SolveFailure::Disconnected => "buildkit/disconnected",
            SolveFailure::Failed => "buildkit/failed",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.failure {
            SolveFailure::Step => ErrorKind::Step,
            SolveFailure::Dockerfile | SolveFailure::Secret => ErrorKind::User,
            SolveFailure::Denied | SolveFailure::NotFound => ErrorKind::Upstream,
            SolveFailure::DiskFull
            | SolveFailure::Context
            | SolveFailure::Disconnected
            | SolveFailure::Failed => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self.failure {
            SolveFailure::Step => {
                let tail = self.step.as_ref().map(|s| s.tail.join("\n  ")).unwrap_or_default();
                (!tail.is_empty()).then(|| format!("its last output was:\n  {tail}"))
            }
            SolveFailure::Dockerfile => Some(
                "The daemon's BuildKit is older than the Dockerfile needs: update Docker, or name a \
                 frontend with `# syntax=docker/dockerfile:1`."
                    .into(),
            ),
            SolveFailure::Denied => {
                Some("Log in with `docker login`, or check that the repository may be pushed to.".into())
            }
            SolveFailure::NotFound => {
                Some("Check the base's name: the daemon looks it up itself.".into())
            }
            SolveFailure::DiskFull => Some("Free space with `docker builder prune`.".into()),
            SolveFailure::Disconnected => Some("Look at the daemon's log: it went away.".into()),
            SolveFailure::Secret | SolveFailure::Context | SolveFailure::Failed => None,
        }
    }
}
