//! The daemon's progress, as events.

use crate::error::{FailedStep, SolveError};
use bollard_buildkit_proto::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog, VertexStatus};
use std::collections::{BTreeMap, HashMap, VecDeque};
use tierce_engine::{Events, Outcome, OutputStream, StepHandle, StepKind};
use tierce_secret::Secrets;
use tonic::Status;

/// How many lines of a step's output are kept for its error.
const TAIL: usize = 20;

/// Turns vertices into steps.
pub(crate) struct Progress<'a> {
    events: &'a Events,
    secrets: Secrets,
    steps: HashMap<String, Step>,
    failed: Option<String>,
}

/// What is known of one vertex.
#[derive(Default)]
struct Step {
    title: String,
    state: State,
    /// Bytes done and in all, by the status's id.
    bytes: BTreeMap<String, (i64, i64)>,
    /// Output that no end of a line was seen of yet, by stream.
    partial: HashMap<i64, Vec<u8>>,
    tail: VecDeque<String>,
}

#[derive(Default)]
enum State {
    /// It has not started, or is not shown.
    #[default]
    Idle,
    Running(StepHandle),
    Done,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(events: &'a Events, secrets: Secrets) -> Self {
        Progress { events, secrets, steps: HashMap::new(), failed: None }
    }

    pub(crate) fn update(&mut self, status: StatusResponse) {
        for vertex in &status.vertexes {
            self.start(vertex);
        }
        for status in status.statuses {
            self.advance(status);
        }
        for log in status.logs {
            self.log(log);
        }
        for vertex in status.vertexes {
            self.end(vertex);
        }
        for warning in status.warnings {
            let text = String::from_utf8_lossy(&warning.short).into_owned();
            self.events.warn("buildkit/warning", self.secrets.redact(&text));
        }
    }

    fn start(&mut self, vertex: &Vertex) {
        let step = self.steps.entry(vertex.digest.clone()).or_default();
        step.title = short_title(&self.secrets.redact(&vertex.name));
        let begins = vertex.started.is_some() && matches!(step.state, State::Idle);
        if begins && let Some(kind) = kind(&vertex.name) {
            step.state = State::Running(self.events.step(kind, step.title.clone()));
        }
    }

    fn advance(&mut self, status: VertexStatus) {
        let Some(step) = self.steps.get_mut(&status.vertex) else { return };
        // Only transfers have a size; the others count nothing.
        if status.total <= 0 {
            return;
        }
        step.bytes.insert(status.id, (status.current, status.total));
        if let State::Running(handle) = &step.state {
            let done: i64 = step.bytes.values().map(|(done, _)| done).sum();
            let total: i64 = step.bytes.values().map(|(_, total)| total).sum();
            handle.reporter().progress(done.max(0) as u64, u64::try_from(total).ok());
        }
    }

    fn log(&mut self, log: VertexLog) {
        let step = self.steps.entry(log.vertex).or_default();
        let mut text = step.partial.remove(&log.stream).unwrap_or_default();
        text.extend_from_slice(&log.msg);
        let whole = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let rest = text.split_off(whole);
        for line in text.split_inclusive(|b| *b == b'\n') {
            step.line(log.stream, line, &self.secrets);
        }
        if !rest.is_empty() {
            step.partial.insert(log.stream, rest);
        }
    }

    fn end(&mut self, vertex: Vertex) {
        let Some(step) = self.steps.get_mut(&vertex.digest) else { return };
        if vertex.completed.is_none() || matches!(step.state, State::Done) {
            return;
        }
        // A failure is ended when the solve is: its last lines may be on their way.
        if !vertex.error.is_empty() {
            // What ran beside the failure is cancelled, and failed of that alone.
            if self.failed.is_none() && !vertex.error.ends_with("context canceled") {
                self.failed = Some(vertex.digest);
            }
            return;
        }
        step.flush(&self.secrets);
        let outcome = if vertex.cached { Outcome::Cached } else { Outcome::Made };
        if let State::Running(handle) = std::mem::replace(&mut step.state, State::Done) {
            handle.finish(outcome, None);
        }
    }

    /// Ends what the daemon said no end of, after a solve that went well.
    pub(crate) fn finish(&mut self) {
        for step in self.steps.values_mut() {
            step.flush(&self.secrets);
            if let State::Running(handle) = std::mem::replace(&mut step.state, State::Done) {
                handle.finish(Outcome::Made, None);
            }
        }
    }

    /// The solve failed: `status` says why, and the step that failed is known.
    pub(crate) fn error(&mut self, status: &Status) -> SolveError {
        for step in self.steps.values_mut() {
            step.flush(&self.secrets);
        }
        let failed = self.failed.as_ref().and_then(|digest| self.steps.get(digest));
        let failed = failed.map(|step| FailedStep {
            title: step.title.clone(),
            tail: step.tail.iter().cloned().collect(),
        });
        let message = self.secrets.redact(status.message()).into_owned();
        // Dropping the handles of what still runs marks them as failed.
        self.steps.clear();
        SolveError::new(status, message, failed)
    }
}

impl Step {
    fn line(&mut self, stream: i64, line: &[u8], secrets: &Secrets) {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end_matches(['\n', '\r']);
        let text = secrets.redact(text).into_owned();
        if let State::Running(handle) = &self.state {
            let stream = if stream == 2 { OutputStream::Stderr } else { OutputStream::Stdout };
            handle.reporter().line(stream, text.clone());
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(text);
    }

    fn flush(&mut self, secrets: &Secrets) {
        let mut rest: Vec<_> = self.partial.drain().collect();
        rest.sort();
        for (stream, line) in rest {
            self.line(stream, &line, secrets);
        }
    }
}

/// How many characters of an instruction are shown.
const TITLE: usize = 100;

/// An instruction as a title: without the flags that say how it is run, on one line, cut.
pub fn short_title(name: &str) -> String {
    let mut words = vec![];
    let mut is_flag = false;
    for word in name.split_whitespace() {
        // Flags stand between the instruction and its arguments.
        is_flag = word.starts_with("--") && (is_flag || words.last() == Some(&"RUN"));
        if !is_flag && word != "\\" {
            words.push(word);
        }
    }
    let text = tierce_oci::hide_credentials(&words.join(" "));
    match text.char_indices().nth(TITLE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// What a vertex does, by its name; `None` for BuildKit's own housekeeping.
fn kind(name: &str) -> Option<StepKind> {
    // "[2/5] RUN x", "[linux/amd64 base 2/5] RUN x"
    let (group, instruction) = match name.strip_prefix('[').and_then(|n| n.split_once("] ")) {
        Some((group, instruction)) => (group, instruction),
        None => ("", name),
    };
    if matches!(group, "internal" | "auth") {
        return None;
    }
    let word = instruction.split([' ', ':']).next().unwrap_or_default();
    Some(match word {
        "RUN" => StepKind::Execute,
        "FROM" => StepKind::Fetch,
        "COPY" | "ADD" | "WORKDIR" => StepKind::Assemble,
        "exporting" | "pushing" | "sending" | "writing" | "naming" => StepKind::Export,
        "importing" | "http" | "https" | "docker-image" | "git" => StepKind::Fetch,
        "resolve" | "load" => StepKind::Resolve,
        _ => StepKind::Assemble,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard_buildkit_proto::google::protobuf::Timestamp;
    use std::sync::{Arc, Mutex};
    use tierce_engine::{BuildEvent, EventSink};
    use tierce_secret::SecretValue;
    use tierce_spec::Secret;

    #[derive(Default)]
    struct Record(Mutex<Vec<String>>);

    impl EventSink for Record {
        fn emit(&self, event: &BuildEvent) {
            let text = match event {
                BuildEvent::StepStarted { step, kind, title } => {
                    format!("{} {kind:?} {title}", step.0)
                }
                BuildEvent::StepOutput { step, stream, line } => {
                    format!("{} {stream:?} {line}", step.0)
                }
                BuildEvent::StepFinished { step, outcome, .. } => format!("{} {outcome:?}", step.0),
                BuildEvent::StepFailed { step, .. } => format!("{} failed", step.0),
                BuildEvent::StepProgress { step, done, total } => {
                    format!("{} {done}/{total:?}", step.0)
                }
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(text);
        }
    }

    #[test]
    fn titles_say_what_is_run() {
        let long = format!(
            "[2/3] RUN --mount=type=cache,id=x,target=/c   --network=none   a && \n  b {}",
            "x".repeat(200)
        );
        let title = short_title(&long);
        assert!(title.starts_with("[2/3] RUN a && b xxx") && title.ends_with("x…"), "{title}");
        assert_eq!(title.chars().count(), TITLE + 1);
        for plain in
            ["[1/2] FROM docker.io/library/a", "[2/2] COPY --chmod=755 a /b", "exporting to image"]
        {
            assert_eq!(short_title(plain), plain);
        }
        assert_eq!(short_title("RUN echo --flag"), "RUN echo --flag");
    }

    fn vertex(digest: &str, name: &str, done: bool) -> Vertex {
        Vertex {
            digest: digest.into(),
            name: name.into(),
            started: Some(Timestamp::default()),
            completed: done.then(Timestamp::default),
            ..Vertex::default()
        }
    }

    fn log(vertex: &str, stream: i64, text: &str) -> VertexLog {
        VertexLog { vertex: vertex.into(), stream, msg: text.into(), timestamp: None }
    }

    #[test]
    fn vertices_become_steps_and_secrets_are_hidden() {
        let record = Arc::new(Record::default());
        let events = Events::new(record.clone());
        let secret = Secret::new("token");
        let secrets = Secrets::new([(secret.id(), SecretValue::new("s3cr3t-value"))]);
        let mut progress = Progress::new(&events, secrets);
        progress.update(StatusResponse {
            vertexes: vec![
                vertex("i", "[internal] load build definition from Dockerfile", true),
                Vertex { cached: true, ..vertex("f", "[1/2] FROM docker.io/library/a", true) },
                vertex("r", "[2/2] RUN make", false),
            ],
            logs: vec![log("r", 1, "one\ntwo s3cr3t-"), log("r", 2, "warned\n")],
            ..StatusResponse::default()
        });
        progress.update(StatusResponse {
            vertexes: vec![Vertex {
                error: "exit code: 3".into(),
                ..vertex("r", "[2/2] RUN make", true)
            }],
            logs: vec![log("r", 1, "value\nlast")],
            ..StatusResponse::default()
        });
        let status =
            Status::unknown("process \"make\" did not complete successfully: exit code: 3");
        let error = progress.error(&status);
        assert_eq!(error.to_string(), "step failed: [2/2] RUN make (exit code: 3)");
        let tail = error.step.unwrap().tail;
        assert_eq!(tail.first().map(String::as_str), Some("one"));
        assert_eq!(tail.last().map(String::as_str), Some("last"));
        let record = record.0.lock().unwrap();
        assert!(!record.iter().any(|line| line.contains("s3cr3t")), "{record:?}");
        let shape: Vec<_> = record.iter().filter(|l| !l.contains("two")).collect();
        assert_eq!(
            shape,
            [
                "1 Fetch [1/2] FROM docker.io/library/a",
                "2 Execute [2/2] RUN make",
                "2 Stdout one",
                "2 Stderr warned",
                "1 Cached",
                "2 Stdout last",
                "2 failed",
            ]
        );
    }
}
