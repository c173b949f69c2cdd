//! One run of an external builder: a process group of its own, bounded in time and output, that
//! never outlives its use.
//!
//! Pipes are served by threads, not by tasks: they must go on when the caller's future is dropped
//! and its runtime ends, because that is when a builder has to be stopped.

use crate::error::{PluginError, Tail};
use crate::protocol::{Call, Event, Garbage, Message};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};
use serde_json::Value;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tierce_secret::Secrets;
use tokio::sync::mpsc;

/// The longest line of standard output. A Dockerfile step's output line fits in many times over.
const MAX_LINE: u64 = 1 << 20;
/// All of standard output.
const MAX_OUTPUT: u64 = 256 << 20;
/// A longer line of standard error is cut: it is for people.
const MAX_LOG_LINE: u64 = 8 << 10;

/// How long a builder may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For `describe`.
    pub describe: Duration,
    /// For `check`.
    pub check: Duration,
    /// During `build`: between two messages or lines of standard error.
    pub idle: Duration,
    /// For `build` in all; `None` for as long as it takes.
    pub build: Option<Duration>,
    /// To stop after `cancel` and, as long again, after SIGTERM.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            describe: Duration::from_secs(10),
            check: Duration::from_secs(30),
            idle: Duration::from_secs(30 * 60),
            build: None,
            grace: Duration::from_secs(2),
        }
    }
}

/// What a builder was asked, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `describe`
    Describe,
    /// `check`
    Check,
    /// `build`
    Build,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Describe => "`describe`",
            Phase::Check => "`check`",
            Phase::Build => "`build`",
        })
    }
}

/// The program of an external builder.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// The builder's name.
    pub builder: String,
    /// The executable.
    pub path: PathBuf,
    /// How long it may take.
    pub limits: Limits,
}

/// What a builder wrote besides its answer.
pub(crate) enum Said {
    /// An event.
    Event(Event),
    /// A line of its standard error.
    Log(String),
}

impl Program {
    /// Asks the program and waits for its answer, handing on what it says meanwhile. The process
    /// and all that it started are gone when this returns, whatever happens, and soon after the
    /// future is dropped.
    pub(crate) async fn ask(
        &self,
        call: &Call,
        secrets: &Secrets,
        on: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Value, PluginError> {
        let (phase, total, idle) = match call {
            Call::Describe => (Phase::Describe, Some(self.limits.describe), None),
            Call::Check(_) => (Phase::Check, Some(self.limits.check), None),
            Call::Build(_) | Call::Cancel => {
                (Phase::Build, self.limits.build, Some(self.limits.idle))
            }
        };
        let mut run = Run::start(self, call, secrets).map_err(|source| PluginError::Start {
            builder: self.builder.clone(),
            program: self.path.clone(),
            source: Arc::new(source),
        })?;
        let clock = Clock { started: Instant::now(), total, idle };
        let mut dialogue = Dialogue { program: self, phase, secrets, tail: Tail::default() };
        match dialogue.listen(&mut run, &clock, on).await {
            Ok(answer) => {
                let status = run.finish(self.limits.grace).await;
                dialogue.judge(answer, status)
            }
            Err(error) => {
                run.stop().await;
                Err(error)
            }
        }
    }
}

/// When it has taken too long.
struct Clock {
    started: Instant,
    total: Option<Duration>,
    idle: Option<Duration>,
}

/// What listening comes to: an answer that is still to be reconciled with the exit status.
type Answer = Option<Value>;

struct Dialogue<'a> {
    program: &'a Program,
    phase: Phase,
    secrets: &'a Secrets,
    tail: Tail,
}

impl Dialogue<'_> {
    fn builder(&self) -> String {
        self.program.builder.clone()
    }

    /// Reads until the program is done with its standard output.
    async fn listen(
        &mut self,
        run: &mut Run,
        clock: &Clock,
        on: &mut (dyn FnMut(Said) + Send),
    ) -> Result<Answer, PluginError> {
        let mut answer = None;
        let mut closing = None;
        while run.open > 0 {
            let heard = match closing {
                None => self.next(run, clock).await?,
                // There is nothing more to come, but for what is in the pipes.
                Some(since) => match run.next_until(since, self.program.limits.grace).await {
                    Some(heard) => heard,
                    None => break,
                },
            };
            match heard {
                Heard::Line(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                Heard::Line(line) => match self.message(&line, answer.is_some())? {
                    Message::Event(event) => on(Said::Event(self.clean(event))),
                    Message::Result(result) => {
                        answer = Some(result);
                        closing = closing.or_else(|| Some(Instant::now()));
                    }
                    Message::Error(mut reported) => {
                        reported.message = self.secrets.redact(&reported.message).into_owned();
                        reported.hint = reported.hint.map(|h| self.secrets.redact(&h).into_owned());
                        // What it still says goes with the error.
                        self.drain(run).await;
                        let tail = std::mem::take(&mut self.tail);
                        return Err(PluginError::Reported {
                            builder: self.builder(),
                            reported: Box::new(reported),
                            tail,
                        });
                    }
                },
                Heard::Log(line) => {
                    let line = self.secrets.redact(&line).into_owned();
                    self.tail.push(line.clone());
                    on(Said::Log(line));
                }
                Heard::TooLong => return Err(self.flood("in one line", MAX_LINE)),
                Heard::TooMuch => return Err(self.flood("in all", MAX_OUTPUT)),
                // Whatever it started must not hold its outputs open.
                Heard::Exited => {
                    closing = closing.or_else(|| Some(Instant::now()));
                    run.kill();
                }
                Heard::End => closing = closing.or_else(|| Some(Instant::now())),
                Heard::LogEnd => {}
            }
        }
        Ok(answer)
    }

    async fn next(&mut self, run: &mut Run, clock: &Clock) -> Result<Heard, PluginError> {
        let left = clock.total.map(|total| total.saturating_sub(clock.started.elapsed()));
        let patience = match (left, clock.idle) {
            (Some(left), Some(idle)) => left.min(idle),
            (Some(left), None) => left,
            (None, idle) => idle.unwrap_or(Duration::MAX),
        };
        if let Some(heard) = run.next_within(patience).await {
            return Ok(heard);
        }
        let (builder, phase, tail) = (self.builder(), self.phase, std::mem::take(&mut self.tail));
        Err(match (clock.total, clock.idle) {
            (Some(limit), _) if clock.started.elapsed() >= limit => {
                PluginError::Slow { builder, phase, limit, tail }
            }
            (_, idle) => {
                PluginError::Silent { builder, phase, limit: idle.unwrap_or_default(), tail }
            }
        })
    }

    /// Keeps the last lines of a program that has said that it failed.
    async fn drain(&mut self, run: &mut Run) {
        let now = Instant::now();
        while run.open > 0 {
            match run.next_until(now, self.program.limits.grace).await {
                Some(Heard::Log(line)) => self.tail.push(self.secrets.redact(&line).into_owned()),
                Some(Heard::Exited) => run.kill(),
                Some(_) => {}
                None => return,
            }
        }
    }

    fn message(&mut self, line: &[u8], answered: bool) -> Result<Message, PluginError> {
        let message = match Message::parse(line) {
            Ok(_) if answered => Err(Garbage::AfterAnswer),
            other => other,
        };
        message.map_err(|source| {
            let text: String = String::from_utf8_lossy(line).chars().take(200).collect();
            PluginError::Garbage {
                builder: self.builder(),
                line: self.secrets.redact(&text).into_owned(),
                source: Arc::new(source),
                tail: std::mem::take(&mut self.tail),
            }
        })
    }

    fn clean(&self, event: Event) -> Event {
        let clean = |text: String| self.secrets.redact(&text).into_owned();
        match event {
            Event::StepStarted { step, kind, title } => {
                Event::StepStarted { step, kind, title: clean(title) }
            }
            Event::StepOutput { step, stream, line } => {
                Event::StepOutput { step, stream, line: clean(line) }
            }
            Event::StepFinished { step, outcome, detail } => {
                Event::StepFinished { step, outcome, detail: detail.map(clean) }
            }
            Event::Warning { code, message } => {
                Event::Warning { code: code.map(clean), message: clean(message) }
            }
            other => other,
        }
    }

    fn flood(&mut self, what: &'static str, limit: u64) -> PluginError {
        let tail = std::mem::take(&mut self.tail);
        PluginError::Flood { builder: self.builder(), what, limit, tail }
    }

    fn judge(&mut self, answer: Answer, ended: Ended) -> Result<Value, PluginError> {
        let (builder, phase, tail) = (self.builder(), self.phase, std::mem::take(&mut self.tail));
        match (answer, ended) {
            (Some(result), Ended::Killed) => {
                tracing::warn!(builder, %phase, "the builder did not end after its answer");
                Ok(result)
            }
            (Some(result), Ended::Itself(status)) if status.success() => Ok(result),
            (Some(_), Ended::Itself(status)) => {
                Err(PluginError::Contradiction { builder, phase, status, tail })
            }
            (None, Ended::Itself(status)) => {
                Err(PluginError::Died { builder, phase, status, tail })
            }
            (None, Ended::Killed) => {
                let limit = self.program.limits.grace;
                Err(PluginError::Silent { builder, phase, limit, tail })
            }
        }
    }
}

/// What the threads hear.
enum Heard {
    /// A line of standard output.
    Line(Vec<u8>),
    /// A line of standard output that is longer than [`MAX_LINE`].
    TooLong,
    /// More standard output than [`MAX_OUTPUT`].
    TooMuch,
    /// A line of standard error.
    Log(String),
    /// The program ended; its children may live.
    Exited,
    /// Nobody holds standard output any more.
    End,
    /// Nobody holds standard error any more.
    LogEnd,
}

/// A running program. Dropping it stops the program.
struct Run {
    heard: mpsc::Receiver<Heard>,
    /// How many of its two outputs somebody still holds.
    open: u32,
    say: Option<std::sync::mpsc::Sender<Vec<u8>>>,
    leash: Option<Leash>,
    grace: Duration,
}

impl Run {
    fn start(program: &Program, call: &Call, secrets: &Secrets) -> io::Result<Self> {
        let mut child = spawn(&program.path, &secrets.variables())?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        // From here on, whatever fails, the process is on its leash.
        let leash = Leash::new(child);
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("the pipes to the program are missing"));
        };
        let (tell, heard) = mpsc::channel(256);
        let (say, lines) = std::sync::mpsc::channel::<Vec<u8>>();
        thread("stdin", move || write_lines(stdin, &lines))?;
        let to = tell.clone();
        thread("stdout", move || read_messages(stdout, &to))?;
        let to = tell.clone();
        thread("stderr", move || read_log(stderr, &to))?;
        let pid = leash.pid;
        thread("exit", move || {
            wait_without_reaping(pid);
            let _ = tell.blocking_send(Heard::Exited);
        })?;
        let _ = say.send(call.to_line());
        // Only a build can be cancelled; for the rest, the request is all of standard input.
        let say = matches!(call, Call::Build(_)).then_some(say);
        Ok(Run { heard, open: 2, say, leash: Some(leash), grace: program.limits.grace })
    }

    fn kill(&self) {
        if let Some(leash) = &self.leash {
            leash.signal(Signal::KILL);
        }
    }

    /// What is heard next; `None` where nothing is for that long.
    async fn next_within(&mut self, patience: Duration) -> Option<Heard> {
        let heard = tokio::time::timeout(patience, self.heard.recv()).await.ok()?;
        if let None | Some(Heard::End | Heard::LogEnd) = heard {
            self.open = self.open.saturating_sub(1);
        }
        Some(heard.unwrap_or(Heard::End))
    }

    /// The same, at most so long after `since`.
    async fn next_until(&mut self, since: Instant, patience: Duration) -> Option<Heard> {
        self.next_within(patience.saturating_sub(since.elapsed())).await
    }

    /// Lets a program that has closed its output end by itself.
    async fn finish(mut self, grace: Duration) -> Ended {
        self.say = None;
        let Some(leash) = self.leash.take() else { return Ended::Killed };
        let ended = tokio::task::spawn_blocking(move || match leash.wait(grace) {
            true => leash.reap().map_or(Ended::Killed, Ended::Itself),
            false => Ended::Killed,
        });
        ended.await.unwrap_or(Ended::Killed)
    }

    /// Stops the program, and waits until it is gone.
    async fn stop(mut self) {
        let Some(leash) = self.leash.take() else { return };
        let (say, grace) = (self.say.take(), self.grace);
        let _ = tokio::task::spawn_blocking(move || leash.stop(say, grace)).await;
    }
}

/// How a program ended.
enum Ended {
    /// By itself.
    Itself(ExitStatus),
    /// It had to be killed.
    Killed,
}

impl Drop for Run {
    fn drop(&mut self) {
        let Some(leash) = self.leash.take() else { return };
        let farewell = Farewell { leash: Some(leash), say: self.say.take(), grace: self.grace };
        let stop = move || drop(farewell);
        // A runtime that is about to end waits for such tasks. Elsewhere a thread has to do.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(stop)),
            Err(_) => drop(thread("stop", stop)),
        }
    }
}

/// Stops a program when it is dropped: a runtime that ends drops the tasks that it has not begun,
/// and their programs are to be told, too.
struct Farewell {
    leash: Option<Leash>,
    say: Option<std::sync::mpsc::Sender<Vec<u8>>>,
    grace: Duration,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(leash) = self.leash.take() {
            leash.stop(self.say.take(), self.grace);
        }
    }
}

/// Starts the program in a process group of its own. A program that somebody still has open for
/// writing (it was just installed, and another thread's fork holds the descriptor) is tried again.
///
/// It does not inherit the variables `hidden`: a builder that may have secrets gets them with its
/// request.
fn spawn(path: &Path, hidden: &[String]) -> io::Result<Child> {
    let mut attempts = 0;
    loop {
        let mut command = Command::new(path);
        for variable in hidden {
            command.env_remove(variable);
        }
        let spawned = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        match spawned {
            Err(e) if e.kind() == io::ErrorKind::ExecutableFileBusy && attempts < 20 => {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(25));
            }
            other => return other,
        }
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(format!("builder-{name}")).spawn(work).map(drop)
}

fn write_lines(mut stdin: impl Write, lines: &std::sync::mpsc::Receiver<Vec<u8>>) {
    for line in lines {
        // A program that reads nothing says why when it ends.
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read_messages(stdout: impl Read, to: &mpsc::Sender<Heard>) {
    let mut reader = BufReader::new(stdout);
    let mut total = 0;
    loop {
        let mut line = vec![];
        // An unreadable pipe has nothing more to say.
        let read = (&mut reader).take(MAX_LINE + 1).read_until(b'\n', &mut line).unwrap_or(0);
        total += read as u64;
        let heard = match read as u64 {
            0 => Heard::End,
            n if n > MAX_LINE => Heard::TooLong,
            _ if total > MAX_OUTPUT => Heard::TooMuch,
            _ => Heard::Line(line),
        };
        let last = !matches!(heard, Heard::Line(_));
        if to.blocking_send(heard).is_err() || last {
            // Nobody listens any more; the program must not be stopped by a full pipe while it
            // cleans up.
            let _ = io::copy(&mut reader, &mut io::sink());
            return;
        }
    }
}

fn read_log(stderr: impl Read, to: &mpsc::Sender<Heard>) {
    let mut reader = BufReader::new(stderr);
    loop {
        let mut line = vec![];
        match (&mut reader).take(MAX_LOG_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => {
                let _ = to.blocking_send(Heard::LogEnd);
                return;
            }
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if to.blocking_send(Heard::Log(text.trim_end().to_owned())).is_err() {
            let _ = io::copy(&mut reader, &mut io::sink());
            return;
        }
    }
}

fn wait_without_reaping(pid: Pid) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while let Err(rustix::io::Errno::INTR) = rustix::process::waitid(WaitId::Pid(pid), options) {}
}

/// A process and its group. The process is reaped only after its group was killed, so that the
/// group's number means nobody else. Dropping kills the group at once.
struct Leash {
    child: Option<Child>,
    pid: Pid,
}

impl Leash {
    fn new(child: Child) -> Self {
        Leash { pid: Pid::from_child(&child), child: Some(child) }
    }

    fn signal(&self, signal: Signal) {
        // A group whose members are all gone needs no signal.
        let _ = rustix::process::kill_process_group(self.pid, signal);
    }

    fn has_exited(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        !matches!(rustix::process::waitid(WaitId::Pid(self.pid), options), Ok(None))
    }

    /// Waits for the process to end, for at most `patience`; whether it did.
    fn wait(&self, patience: Duration) -> bool {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        while !self.has_exited() {
            if started.elapsed() >= patience {
                return false;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        }
        true
    }

    /// Asks the program to give up, then makes it: `cancel`, SIGTERM, SIGKILL.
    fn stop(self, say: Option<std::sync::mpsc::Sender<Vec<u8>>>, grace: Duration) {
        if let Some(say) = say {
            let _ = say.send(Call::Cancel.to_line());
            drop(say);
            self.wait(grace);
        }
        if !self.has_exited() {
            self.signal(Signal::TERM);
            self.wait(grace);
        }
    }

    /// Ends whatever is left of the group, and gives the process's status.
    fn reap(mut self) -> Option<ExitStatus> {
        self.kill_and_reap()
    }

    fn kill_and_reap(&mut self) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        self.signal(Signal::KILL);
        child.wait().ok()
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.kill_and_reap();
    }
}
