//! Progress that is written for people, as events: BuildKit's `--progress=plain`, and podman's.

use std::collections::{HashMap, VecDeque};
use tierce_buildkit_client::{FailedStep, short_title};
use tierce_engine::{Events, Outcome, OutputStream, StepHandle, StepKind};
use tierce_secret::Secrets;

/// How many lines are kept for an error.
const TAIL: usize = 20;

/// What a program's lines say of its steps.
pub(crate) trait Progress {
    /// Takes in a line.
    fn line(&mut self, stream: OutputStream, line: &str);

    /// The program succeeded: what still runs has ended well.
    fn finish(&mut self);

    /// The program failed: the step that it failed in, and the last lines of all.
    fn fail(&mut self) -> Failure;
}

/// How a program failed.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    /// The step of the build that failed, and how.
    pub(crate) step: Option<(FailedStep, String)>,
    /// The last lines.
    pub(crate) tail: Vec<String>,
}

impl Failure {
    /// The line that says what is wrong: the last one that calls itself an error, else the last.
    pub(crate) fn message(&self) -> String {
        let is_error = |line: &&String| {
            let line = line.to_lowercase();
            line.starts_with("error") || line.starts_with("failed")
        };
        let found = self.tail.iter().rev().find(is_error).or(self.tail.last());
        let text = found.map(String::as_str).unwrap_or("it said nothing");
        let text = text.strip_prefix("Error: ").or(text.strip_prefix("ERROR: ")).unwrap_or(text);
        text.to_owned()
    }
}

/// The last lines of something.
#[derive(Debug, Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn push(&mut self, line: String) {
        if self.0.len() == TAIL {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.iter().cloned().collect()
    }
}

/// BuildKit's `--progress=plain`: `#5 [2/3] RUN make`, `#5 0.054 a line`, `#5 DONE 0.1s`.
pub(crate) struct BuildkitPlain<'a> {
    events: &'a Events,
    secrets: &'a Secrets,
    steps: HashMap<u32, Step>,
    failed: Option<(u32, String)>,
    tail: Tail,
}

#[derive(Default)]
struct Step {
    /// What it is called in full.
    name: String,
    title: String,
    handle: Option<StepHandle>,
    tail: Tail,
}

impl<'a> BuildkitPlain<'a> {
    pub(crate) fn new(events: &'a Events, secrets: &'a Secrets) -> Self {
        let (steps, tail) = (HashMap::new(), Tail::default());
        BuildkitPlain { events, secrets, steps, failed: None, tail }
    }

    fn of_step(&mut self, number: u32, text: &str) {
        let Some(step) = self.steps.get_mut(&number) else {
            let title = short_title(&self.secrets.redact(text));
            let handle = kind(text).map(|kind| self.events.step(kind, title.clone()));
            let (name, tail) = (text.to_owned(), Tail::default());
            self.steps.insert(number, Step { name, title, handle, tail });
            return;
        };
        // Said again when the daemon turns to another step and back, and its digest.
        if text == step.name || text.starts_with("sha256:") || text == "..." {
            return;
        }
        let done = text.strip_prefix("DONE ").is_some_and(|t| t.ends_with('s') && !t.contains(' '));
        if done || text == "CACHED" {
            let outcome = if done { Outcome::Made } else { Outcome::Cached };
            if let Some(handle) = step.handle.take() {
                handle.finish(outcome, None);
            }
        } else if let Some(error) = text.strip_prefix("ERROR: ").or(text.strip_prefix("ERROR ")) {
            let cancelled = error.ends_with("context canceled");
            if self.failed.is_none() && !cancelled {
                self.failed = Some((number, self.secrets.redact(error).into_owned()));
            }
        } else if text != "CANCELED" {
            let line = self.secrets.redact(without_time(text)).into_owned();
            if let Some(handle) = &step.handle {
                handle.reporter().line(OutputStream::Stdout, line.clone());
            }
            step.tail.push(line);
        }
    }
}

impl Progress for BuildkitPlain<'_> {
    fn line(&mut self, _: OutputStream, line: &str) {
        let numbered = line.strip_prefix('#').and_then(|rest| rest.split_once(' '));
        let numbered = numbered.and_then(|(n, text)| Some((n.parse().ok()?, text)));
        match numbered {
            Some((number, text)) => self.of_step(number, text),
            None if line.trim().is_empty() => {}
            None => self.tail.push(self.secrets.redact(line).into_owned()),
        }
    }

    fn finish(&mut self) {
        for (_, step) in self.steps.drain() {
            if let Some(handle) = step.handle {
                handle.finish(Outcome::Made, None);
            }
        }
    }

    fn fail(&mut self) -> Failure {
        let failed = self.failed.take().and_then(|(number, error)| {
            let step = self.steps.get(&number)?;
            let ending = error.rfind("exit code").map(|at| error[at..].to_owned())?;
            Some((FailedStep { title: step.title.clone(), tail: step.tail.lines() }, ending))
        });
        // Dropping the handles marks them as failed.
        self.steps.clear();
        Failure { step: failed, tail: self.tail.lines() }
    }
}

/// A line of a step's output without the seconds in front of it.
fn without_time(text: &str) -> &str {
    match text.split_once(' ') {
        Some((time, rest)) if time.contains('.') && time.parse::<f64>().is_ok() => rest,
        _ => text,
    }
}

fn kind(title: &str) -> Option<StepKind> {
    let (group, instruction) = match title.strip_prefix('[').and_then(|t| t.split_once("] ")) {
        Some((group, instruction)) => (group, instruction),
        None => ("", title),
    };
    if matches!(group, "internal" | "auth") {
        return None;
    }
    Some(kind_of_instruction(instruction))
}

/// What an instruction of a Dockerfile does.
fn kind_of_instruction(instruction: &str) -> StepKind {
    match instruction.split(' ').next().unwrap_or_default() {
        "RUN" => StepKind::Execute,
        "FROM" | "importing" => StepKind::Fetch,
        "exporting" | "pushing" | "COMMIT" => StepKind::Export,
        "resolve" | "load" => StepKind::Resolve,
        _ => StepKind::Assemble,
    }
}

/// podman's: `STEP 2/4: RUN make`, the step's own output, `--> Using cache 12ab` or `--> 12ab`,
/// `COMMIT name`, `Error: ...`.
pub(crate) struct Podman<'a> {
    events: &'a Events,
    secrets: &'a Secrets,
    current: Option<(String, StepHandle)>,
    cached: bool,
    step_tail: Tail,
    tail: Tail,
}

impl<'a> Podman<'a> {
    pub(crate) fn new(events: &'a Events, secrets: &'a Secrets) -> Self {
        let (step_tail, tail) = (Tail::default(), Tail::default());
        Podman { events, secrets, current: None, cached: false, step_tail, tail }
    }

    fn begin(&mut self, title: &str, instruction: &str) {
        self.end();
        let title = short_title(&self.secrets.redact(title));
        let handle = self.events.step(kind_of_instruction(instruction), title.clone());
        self.current = Some((title, handle));
        self.step_tail = Tail::default();
    }

    fn end(&mut self) {
        let outcome = if self.cached { Outcome::Cached } else { Outcome::Made };
        self.cached = false;
        if let Some((_, handle)) = self.current.take() {
            handle.finish(outcome, None);
        }
    }
}

impl Progress for Podman<'_> {
    fn line(&mut self, stream: OutputStream, line: &str) {
        // Of one platform of several: "[linux/arm64] STEP 1/2: FROM x"
        let plain = match line.strip_prefix('[').and_then(|l| l.split_once("] ")) {
            Some((_, rest)) if rest.starts_with("STEP ") => rest,
            _ => line,
        };
        let step = plain.strip_prefix("STEP ").and_then(|rest| rest.split_once(": "));
        if let Some((_, instruction)) = step {
            self.begin(line, instruction);
        } else if let Some(name) = line.strip_prefix("COMMIT ").filter(|_| self.current.is_some()) {
            self.begin(&format!("COMMIT {name}"), "COMMIT");
        } else if let Some(rest) = line.strip_prefix("--> ") {
            self.cached |= rest.starts_with("Using cache");
        } else if !line.trim().is_empty() {
            let line = self.secrets.redact(line).into_owned();
            if let Some((_, handle)) = &self.current {
                handle.reporter().line(stream, line.clone());
                if !line.starts_with("Error: ") {
                    self.step_tail.push(line.clone());
                }
            }
            self.tail.push(line);
        }
    }

    fn finish(&mut self) {
        self.end();
    }

    fn fail(&mut self) -> Failure {
        let tail = self.tail.lines();
        // "Error: building at STEP "RUN x": while running runtime: exit status 7"
        let ending = tail.iter().rev().find(|line| line.starts_with("Error: building at STEP"));
        let ending = ending.and_then(|line| Some(line[line.rfind("exit status")?..].to_owned()));
        let step = match (self.current.take(), ending) {
            (Some((title, _)), Some(ending)) => {
                Some((FailedStep { title, tail: self.step_tail.lines() }, ending))
            }
            _ => None,
        };
        Failure { step, tail }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use tierce_engine::{BuildEvent, EventSink};

    #[derive(Default)]
    struct Record(Mutex<Vec<String>>);

    impl EventSink for Record {
        fn emit(&self, event: &BuildEvent) {
            let text = match event {
                BuildEvent::StepStarted { kind, title, .. } => format!("{kind:?} {title}"),
                BuildEvent::StepOutput { line, .. } => format!("| {line}"),
                BuildEvent::StepFinished { outcome, .. } => format!("{outcome:?}"),
                BuildEvent::StepFailed { .. } => "failed".to_owned(),
                _ => return,
            };
            self.0.lock().unwrap().push(text);
        }
    }

    fn record(
        text: &str,
        of: impl FnOnce(&Events, &Secrets, &[&str]) -> Failure,
    ) -> (Vec<String>, Failure) {
        let record = Arc::new(Record::default());
        let events = Events::new(record.clone());
        let lines: Vec<&str> = text.lines().collect();
        let failure = of(&events, &Secrets::default(), &lines);
        let events = record.0.lock().unwrap().clone();
        (events, failure)
    }

    const BUILDKIT: &str = r#"#1 [internal] load build definition from Dockerfile
#1 sha256:67a4
#1 transferring dockerfile: 142B done
#1 DONE 0.0s

#4 [1/3] FROM docker.io/library/base:1
#4 sha256:cb6e
#4 CACHED

#5 [2/3] RUN make
#5 sha256:d190
#5 0.055 one
#5 0.056 two words
#5 ERROR: executor failed running [/bin/sh -c make]: exit code: 2
------
 > [2/3] RUN make:
------
failed to solve: executor failed running [/bin/sh -c make]: exit code: 2
"#;

    #[test]
    fn buildkits_plain_progress() {
        let (events, failure) = record(BUILDKIT, |events, secrets, lines| {
            let mut progress = BuildkitPlain::new(events, secrets);
            lines.iter().for_each(|line| progress.line(OutputStream::Stderr, line));
            progress.fail()
        });
        assert_eq!(
            events,
            [
                "Fetch [1/3] FROM docker.io/library/base:1",
                "Cached",
                "Execute [2/3] RUN make",
                "| one",
                "| two words",
                "failed"
            ]
        );
        let (step, ending) = failure.step.as_ref().unwrap();
        assert_eq!((step.title.as_str(), ending.as_str()), ("[2/3] RUN make", "exit code: 2"));
        assert_eq!(step.tail, ["one", "two words"]);
        assert!(failure.message().starts_with("failed to solve"), "{}", failure.message());
    }

    const PODMAN: &str = r#"STEP 1/3: FROM localhost/base:1
STEP 2/3: RUN true
--> Using cache 12ab
--> 12ab
STEP 3/3: RUN make
one
Error: building at STEP "RUN make": while running runtime: exit status 7
"#;

    #[test]
    fn podmans_progress() {
        let (events, failure) = record(PODMAN, |events, secrets, lines| {
            let mut progress = Podman::new(events, secrets);
            lines.iter().for_each(|line| progress.line(OutputStream::Stdout, line));
            progress.fail()
        });
        assert_eq!(
            events,
            [
                "Fetch STEP 1/3: FROM localhost/base:1",
                "Made",
                "Execute STEP 2/3: RUN true",
                "Cached",
                "Execute STEP 3/3: RUN make",
                "| one",
                "| Error: building at STEP \"RUN make\": while running runtime: exit status 7",
                "failed"
            ]
        );
        let (step, ending) = failure.step.as_ref().unwrap();
        assert_eq!(ending, "exit status 7");
        assert_eq!(step.tail, ["one"]);
    }
}
