//! The program under test.

use serde_json::Value;
use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// Variables of the caller that would change what the program does.
const FOREIGN: [&str; 20] = [
    "CONDA_PREFIX",
    "TIERCE_PYTHON",
    "VIRTUAL_ENV",
    "FLYTECTL_CONFIG",
    "FLYTE_IMAGE_BUILDER",
    "FLYTE_IMAGE_REGISTRY",
    "FLYTE_IMG_FAST_FAIL",
    "TIERCE_IMAGE_BUILDER",
    "TIERCE_INDEX",
    "TIERCE_UNKNOWN_IMAGE",
    "UCTL_CONFIG",
    "DOCKER_CONFIG",
    "DOCKER_HOST",
    "REGISTRY_AUTH_FILE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "TIERCE_CONFIG",
    "TIERCE_PROGRESS",
    "TIERCE_REGISTRY",
];

/// One invocation of the program.
pub struct Tierce {
    command: Command,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; 128 and the signal where one ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Tierce {
    /// `tierce ARGS...`
    pub fn new<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tierce"));
        FOREIGN.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.stdin(Stdio::null());
        Tierce { command }.args(args)
    }

    /// With further arguments.
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    /// With a variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// In a directory.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// The same, started by `sh -c 'SETUP; exec tierce ARGS...'`.
    pub fn after(self, setup: &str) -> Self {
        let script = format!("{setup}; exec \"$0\" \"$@\"");
        self.behind(&["/bin/sh", "-c", &script])
    }

    /// The same, started by another program: `LAUNCHER... tierce ARGS...`.
    pub fn behind(self, launcher: &[&str]) -> Self {
        let mut outer = Command::new(launcher[0]);
        outer.args(&launcher[1..]);
        outer.arg(self.command.get_program()).args(self.command.get_args());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => outer.env(name, value),
                None => outer.env_remove(name),
            };
        }
        if let Some(directory) = self.command.get_current_dir() {
            outer.current_dir(directory);
        }
        outer.stdin(Stdio::null());
        Tierce { command: outer }
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Outcome {
        Outcome::of(self.command.output().expect("the program starts"))
    }

    /// Runs it; it must succeed.
    #[track_caller]
    pub fn ok(self) -> Outcome {
        let outcome = self.run();
        assert_eq!(outcome.code, 0, "{outcome}");
        outcome
    }

    /// Runs it; it must fail with this exit code and this error code.
    #[track_caller]
    pub fn fails(self, code: i32, error: &str) -> Outcome {
        let outcome = self.run();
        assert_eq!((outcome.code, outcome.error_code()), (code, Some(error)), "{outcome}");
        assert_eq!(outcome.stdout, "", "results only: {outcome}");
        outcome
    }

    /// Starts it, its output piped.
    pub fn spawn(mut self) -> Child {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().expect("the program starts")
    }
}

impl Outcome {
    /// What a process left.
    pub fn of(output: Output) -> Self {
        let status = output.status;
        let signal = status.signal().unwrap_or_default();
        Outcome {
            code: status.code().unwrap_or(128 + signal),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The only line of standard output.
    #[track_caller]
    pub fn line(&self) -> &str {
        let line = self.stdout.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {self}"));
        assert!(!line.contains('\n'), "one line: {self}");
        line
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self}"))
    }

    /// What is in the brackets of `error[...]:`.
    pub fn error_code(&self) -> Option<&str> {
        let line = self.stderr.lines().find_map(|line| line.strip_prefix("error["))?;
        line.split(']').next()
    }

    /// What follows the first `hint:`.
    pub fn hint(&self) -> Option<&str> {
        self.stderr.split_once("hint: ").map(|(_, hint)| hint)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Outcome { code, stdout, stderr } = self;
        write!(f, "exit code {code}\n--- stdout\n{stdout}--- stderr\n{stderr}---")
    }
}
