//! Programs that are run for a build, and leave nothing behind.

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tierce_engine::OutputStream;
use tierce_secret::Secrets;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// How long a program may take to end by itself when it is asked to.
const GRACE: Duration = Duration::from_secs(10);

/// The longest line that is passed on as one.
const LINE: usize = 16 << 10;

/// A program with what always comes before its other arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    /// Variables of this process that it does not inherit.
    pub(crate) hidden: Vec<String>,
}

impl Program {
    /// The first `name` of the directories `path`.
    pub(crate) fn find(name: &str, path: &[PathBuf]) -> Option<Self> {
        let path = path.iter().map(|directory| directory.join(name)).find(|file| file.is_file())?;
        Some(Program { path, arguments: vec![], variables: vec![], hidden: vec![] })
    }

    /// The same, without the variables that `secrets` may be in: it gets the values of those that
    /// it needs in another way.
    pub(crate) fn hiding(mut self, secrets: &Secrets) -> Self {
        self.hidden = secrets.variables();
        self
    }

    /// The program's name, for messages.
    pub(crate) fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Whether it is run with this value of the variable `name` anyway: its own, or what it
    /// inherits.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        match self.variables.iter().rfind(|(own, _)| own == name) {
            Some((_, own)) => own == value,
            None if self.hidden.iter().any(|hidden| hidden == name) => false,
            None => std::env::var_os(name).is_some_and(|inherited| inherited == value),
        }
    }

    /// A command that runs it with `arguments`, in a process group of its own: a terminal's
    /// Ctrl-C must not reach it before we have decided what to do.
    pub(crate) fn command(&self, arguments: &[String]) -> Command {
        let mut command = Command::new(&self.path);
        for variable in &self.hidden {
            command.env_remove(variable);
        }
        command
            .args(&self.arguments)
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        command
    }

    /// The command as people would type it.
    pub(crate) fn display(&self, arguments: &[String]) -> String {
        let words = self.arguments.iter().chain(arguments).map(|word| quoted(word));
        std::iter::once(self.name()).chain(words).collect::<Vec<_>>().join(" ")
    }

    /// Runs it and gives every line of its output to `on_line` as it comes.
    pub(crate) async fn run(
        &self,
        arguments: &[String],
        mut on_line: impl FnMut(OutputStream, &str),
    ) -> io::Result<ExitStatus> {
        let mut running = Running::start(self.command(arguments))?;
        let mut out = Lines::new(running.child.stdout.take());
        let mut err = Lines::new(running.child.stderr.take());
        while !(out.ended && err.ended) {
            tokio::select! {
                line = out.next(), if !out.ended => pass(line?, OutputStream::Stdout, &mut on_line),
                line = err.next(), if !err.ended => pass(line?, OutputStream::Stderr, &mut on_line),
            }
        }
        running.wait().await
    }

    /// Runs it to its end; its output, where it succeeded, else what it said.
    pub(crate) async fn output(&self, arguments: &[String]) -> io::Result<Result<String, String>> {
        let (mut out, mut err) = (String::new(), String::new());
        let status = self
            .run(arguments, |stream, line| {
                let text = if stream == OutputStream::Stdout { &mut out } else { &mut err };
                text.push_str(line);
                text.push('\n');
            })
            .await?;
        Ok(if status.success() { Ok(out) } else { Err(err) })
    }
}

fn pass(line: Option<String>, stream: OutputStream, on_line: &mut impl FnMut(OutputStream, &str)) {
    if let Some(line) = line {
        on_line(stream, &line);
    }
}

/// The lines of one pipe.
struct Lines<R> {
    pipe: Option<BufReader<R>>,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    fn new(pipe: Option<R>) -> Self {
        Lines { ended: pipe.is_none(), pipe: pipe.map(BufReader::new), buffer: vec![] }
    }

    /// The next line. Dropping the future loses nothing.
    async fn next(&mut self) -> io::Result<Option<String>> {
        let Some(pipe) = &mut self.pipe else { return Ok(None) };
        loop {
            let available = pipe.fill_buf().await?;
            if available.is_empty() {
                self.ended = true;
                let rest = std::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then(|| text(&rest)));
            }
            let end = available.iter().position(|b| *b == b'\n');
            let count = end.map_or(available.len(), |at| at + 1);
            self.buffer.extend_from_slice(&available[..count]);
            pipe.consume(count);
            if end.is_some() || self.buffer.len() >= LINE {
                return Ok(Some(text(&std::mem::take(&mut self.buffer))));
            }
        }
    }
}

/// A line as it would stand in a terminal: what a carriage return overwrote is gone.
fn text(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let line = line.trim_end_matches(['\n', '\r']);
    line.rsplit('\r').next().unwrap_or_default().to_owned()
}

/// A running program. Dropped before its end, its whole group is asked to end, and killed if it
/// does not.
struct Running {
    child: Child,
    group: Option<Pid>,
}

impl Running {
    fn start(mut command: Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Ok(Running { child, group })
    }

    async fn wait(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        self.group = None;
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(group) = self.group else { return };
        // At once, as this process may be about to end; the rest is a thread's.
        let containers = ask(group);
        std::thread::spawn(move || insist(group, containers));
    }
}

/// Asks a program to end, and gives the containers that it runs.
///
/// podman runs a step's container in a session of its own, and when it is asked to end it leaves
/// that running. When the container is killed, the step fails, and podman takes everything away
/// as it does after any failure.
fn ask(group: Pid) -> Vec<Pid> {
    let containers = outsiders(group);
    if containers.is_empty() {
        let _ = kill_process_group(group, Signal::TERM);
    }
    for container in &containers {
        let _ = kill_process(*container, Signal::KILL);
    }
    containers
}

/// Waits for a program that was asked to end, and kills it with all that it started.
fn insist(group: Pid, mut containers: Vec<Pid>) {
    let step = Duration::from_millis(50);
    for _ in 0..GRACE.as_millis() / step.as_millis() {
        if test_kill_process_group(group).is_err() {
            return;
        }
        std::thread::sleep(step);
        containers = outsiders(group);
        for container in &containers {
            let _ = kill_process(*container, Signal::KILL);
        }
    }
    let _ = kill_process_group(group, Signal::KILL);
    for container in containers {
        let _ = kill_process(container, Signal::KILL);
    }
}

/// The processes below the leader of `group` that are in other groups; none where there is no
/// `/proc`.
fn outsiders(group: Pid) -> Vec<Pid> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let stat = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // "4341 (a name) S <parent> <group> ...": the name may hold anything.
        let pid = Pid::from_raw(text.split(' ').next()?.parse().ok()?)?;
        let mut rest = text.rsplit_once(") ")?.1.split(' ').skip(1).map(str::parse::<i32>);
        Some((pid, rest.next()?.ok()?, rest.next()?.ok()?))
    };
    let all: Vec<(Pid, i32, i32)> = processes.filter_map(stat).collect();
    let mut found = vec![];
    let mut open = vec![group.as_raw_nonzero().get()];
    while let Some(parent) = open.pop() {
        for (pid, _, own_group) in all.iter().filter(|(_, of, _)| *of == parent) {
            open.push(pid.as_raw_nonzero().get());
            if *own_group != group.as_raw_nonzero().get() {
                found.push(*pid);
            }
        }
    }
    found
}

/// A word as a shell would take it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A path as an argument: it begins with a `/`, so it is never taken for an option.
pub(crate) fn argument(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Program {
        let arguments = vec!["-c".into()];
        Program { path: "/bin/sh".into(), arguments, variables: vec![], hidden: vec![] }
    }

    #[tokio::test]
    async fn lines_come_from_both_pipes_and_the_status_at_the_end() {
        let mut lines = vec![];
        let script = "printf 'one\\ntw\\ro\\n'; echo err >&2; printf rest; exit 3";
        let status = shell().run(&[script.into()], |s, l| lines.push((s, l.to_owned()))).await;
        assert_eq!(status.unwrap().code(), Some(3));
        let of = |stream| {
            lines.iter().filter(|(s, _)| *s == stream).map(|(_, l)| l.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(OutputStream::Stdout), ["one", "o", "rest"]);
        assert_eq!(of(OutputStream::Stderr), ["err"]);
    }

    #[tokio::test]
    async fn the_variables_of_secrets_are_not_inherited() {
        // A variable that every process of a test has.
        let id = tierce_spec::Secret::new("cargo_manifest_dir").id();
        let secrets = Secrets::new([(id, tierce_secret::SecretValue::new("a-canary"))]);
        let script = ["echo \"${CARGO_MANIFEST_DIR-none}\"".to_owned()];
        let open = shell().output(&script).await.unwrap().unwrap();
        assert_ne!(open, "none\n");
        let hidden = shell().hiding(&secrets).output(&script).await.unwrap().unwrap();
        assert_eq!(hidden, "none\n");
    }

    #[tokio::test]
    async fn a_program_that_is_dropped_ends_with_its_children() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let script = "sleep 1000 & echo $!; wait";
            shell().run(&[script.into()], |_, line| sender.send(line.to_owned()).unwrap()).await
        });
        let pid: i32 = receiver.recv().await.unwrap().parse().unwrap();
        task.abort();
        let _ = task.await;
        let gone = || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            status.is_empty() || status.contains(") Z ")
        };
        for _ in 0..200 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("process {pid} is still there");
    }

    #[test]
    fn commands_are_shown_as_they_would_be_typed() {
        let words = ["a b".to_owned(), "it's".into(), "--x=y".into(), String::new()];
        assert_eq!(shell().display(&words), r"sh -c 'a b' 'it'\''s' --x=y ''");
    }
}
