//! Runs of the program that is measured.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program, with a store.
pub struct Tierce {
    binary: PathBuf,
    store: PathBuf,
    home: PathBuf,
}

/// What a build came to.
pub struct Outcome {
    /// The image's name.
    pub uri: String,
    /// `built` or `present`.
    pub status: String,
    /// From the program's start to its end.
    pub wall: Duration,
    /// What it says it sent.
    pub bytes_uploaded: u64,
    /// How many requests it says it made.
    pub requests: u64,
    /// The most memory it had at a time (`ru_maxrss`), in bytes.
    pub peak_memory: u64,
    /// Processor time, in the program and in the kernel for it.
    pub processor: Duration,
}

impl Tierce {
    /// Settings of the user who runs this are of no account.
    pub fn new(binary: &Path, store: &Path, home: &Path) -> Self {
        Tierce { binary: binary.to_owned(), store: store.to_owned(), home: home.to_owned() }
    }

    fn command(&self, arguments: &[&str], project: &Path) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).arg(project);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TIERCE_") {
                command.env_remove(name);
            }
        }
        command.env("TIERCE_STORE", &self.store).env("HOME", &self.home);
        command.env("TIERCE_PROGRESS", "quiet").env_remove("XDG_CONFIG_HOME");
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command
    }

    /// Resolves and fetches what the image needs.
    pub fn plan(&self, project: &Path) -> Result<()> {
        run(self.command(&["plan", "--format", "json"], project)).map(drop)
    }

    /// Builds the image and pushes it.
    pub fn build(&self, project: &Path, registry: &str) -> Result<Outcome> {
        let arguments = ["build", "--push", "--registry", registry, "--format", "json"];
        let Run { output, wall, usage } = run(self.command(&arguments, project))?;
        let json: Value = serde_json::from_slice(&output).context("tierce printed no JSON")?;
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| json[name].as_u64().unwrap_or_default();
        Ok(Outcome {
            uri: text("uri"),
            status: text("status"),
            wall,
            bytes_uploaded: number("bytes-uploaded"),
            requests: number("requests"),
            peak_memory: usage.peak_memory,
            processor: usage.processor,
        })
    }
}

struct Run {
    output: Vec<u8>,
    wall: Duration,
    usage: Usage,
}

fn run(mut command: Command) -> Result<Run> {
    let started = Instant::now();
    let mut child = command.spawn().context("cannot start tierce")?;
    let mut output = vec![];
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut output)?;
    }
    let usage = wait(child)?;
    let wall = started.elapsed();
    match usage.success {
        true => Ok(Run { output, wall, usage }),
        false => bail!("tierce failed"),
    }
}

struct Usage {
    success: bool,
    peak_memory: u64,
    processor: Duration,
}

/// Waits for the child, and hears what it used (`wait4(2)`, which std does not have).
#[expect(unsafe_code, reason = "a system call that no safe library offers")]
fn wait(child: Child) -> Result<Usage> {
    let id = libc::pid_t::try_from(child.id())?;
    let mut status = 0;
    // SAFETY: `rusage` is plain numbers, of which zeros are valid; both pointers are to locals
    // that outlive the call; the child was not waited for, so its id is still its own.
    let (result, usage) = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        (libc::wait4(id, &mut status, 0, &mut usage), usage)
    };
    if result != id {
        return Err(std::io::Error::last_os_error()).context("cannot wait for tierce");
    }
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
    };
    Ok(Usage {
        success: libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        // Linux counts in KiB.
        peak_memory: usage.ru_maxrss as u64 * 1024,
        processor: time(usage.ru_utime) + time(usage.ru_stime),
    })
}
