//! What to run: plain data.

use crate::secret::{SecretFile, SecretVariable};
use crate::wire;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// A program to run in a root file system. Plain data: nothing of it is looked up before
/// [`crate::Sandbox::run`]. `Debug` shows the names of variables only: there may be credentials in
/// any of them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The layers of the root file system, base first: directories made by
    /// [`crate::Sandbox::unpack`], or the scratch directories of earlier runs.
    #[serde(with = "wire::paths")]
    pub lowers: Vec<PathBuf>,
    /// Where changes go. Made if it isn't there; several runs may use the same one after another.
    #[serde(with = "wire::path")]
    pub scratch: PathBuf,
    /// The program and its arguments. A program without a slash is searched for in the `PATH` of
    /// [`Process::env`], or in Docker's default path.
    pub argv: Vec<String>,
    /// The whole environment, apart from what [`Process::ca_bundle`] adds.
    pub env: Vec<(String, String)>,
    /// The working directory inside the root; made, as Docker does, if it isn't there.
    pub cwd: String,
    /// Whom to run as: empty, or `user`, `uid`, `user:group`, `uid:gid` and so on, looked up in
    /// the image's `/etc/passwd` and `/etc/group`.
    pub user: String,
    /// Which network it sees.
    pub network: Network,
    /// What is mounted besides `/proc`, `/dev`, `/sys` and a few files in `/etc`.
    pub mounts: Vec<Mount>,
    /// Files that it alone may read, and that are nowhere but in memory.
    pub secret_files: Vec<SecretFile>,
    /// Variables that win over those of [`Process::env`]. A process with secrets leaves no core
    /// dumps.
    pub secret_env: Vec<SecretVariable>,
    /// Where its input and output go.
    pub stdio: Stdio,
    /// After how long it is killed.
    pub time_limit: Option<Duration>,
    /// The host's certificate authorities, to be seen by the program during the run.
    #[serde(with = "wire::optional_path")]
    pub ca_bundle: Option<PathBuf>,
    /// The host name that it sees.
    pub hostname: String,
    /// Extra lines for `/etc/hosts`: name and address.
    pub hosts: Vec<(String, String)>,
    /// The host's resolver configuration, shown as `/etc/resolv.conf` unless the network is
    /// [`Network::None`]; `None` for `/etc/resolv.conf` itself.
    #[serde(with = "wire::optional_path")]
    pub resolv_conf: Option<PathBuf>,
}

impl Process {
    /// A process of root's in `/`, its output captured, on the host's network.
    pub fn new(lowers: Vec<PathBuf>, scratch: PathBuf, argv: Vec<String>) -> Self {
        Process {
            lowers,
            scratch,
            argv,
            env: Vec::new(),
            cwd: "/".to_owned(),
            user: String::new(),
            network: Network::Host,
            mounts: Vec::new(),
            secret_files: Vec::new(),
            secret_env: Vec::new(),
            stdio: Stdio::Captured,
            time_limit: None,
            ca_bundle: None,
            hostname: "tierce".to_owned(),
            hosts: Vec::new(),
            resolv_conf: None,
        }
    }
}

impl Process {
    /// Whether it is given any secret.
    pub(crate) fn has_secrets(&self) -> bool {
        !self.secret_files.is_empty() || !self.secret_env.is_empty()
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        let Process { lowers, scratch, argv, cwd, user, network, mounts, .. } = self;
        f.debug_struct("Process")
            .field("lowers", lowers)
            .field("scratch", scratch)
            .field("argv", argv)
            .field("env", &names)
            .field("cwd", cwd)
            .field("user", user)
            .field("network", network)
            .field("mounts", mounts)
            .field("secret_files", &self.secret_files)
            .field("secret_env", &self.secret_env)
            .finish_non_exhaustive()
    }
}

/// Which network a process sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// The host's.
    Host,
    /// Only a loopback interface of its own.
    None,
}

/// Something mounted for the time of a run. Targets are resolved inside the root file system,
/// made where they are missing, and leave nothing behind in the layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mount {
    /// A directory of tierce's own that the process may write and that outlives the run.
    Cache {
        /// The directory on the host; made if it isn't there. Must not be a symbolic link.
        #[serde(with = "wire::path")]
        source: PathBuf,
        /// Where it is seen.
        target: String,
    },
    /// A file or directory of the host.
    Bind {
        /// The file or directory on the host. Must not be a symbolic link.
        #[serde(with = "wire::path")]
        source: PathBuf,
        /// Where it is seen.
        target: String,
        /// Whether the process may only read it.
        read_only: bool,
    },
    /// An empty directory in memory.
    Tmpfs {
        /// Where it is seen.
        target: String,
    },
}

impl Mount {
    /// Where it is seen, as written.
    pub fn target(&self) -> &str {
        match self {
            Mount::Cache { target, .. } | Mount::Bind { target, .. } | Mount::Tmpfs { target } => {
                target
            }
        }
    }
}

/// Where a process's input and output go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdio {
    /// Input from `/dev/null`, output to the callback of [`crate::Sandbox::run`]; a session of
    /// its own, without a controlling terminal.
    Captured,
    /// The caller's own, so that terminal programs work.
    Inherit,
}

/// Where a piece of output comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// A signal of this number killed it.
    Signal(i32),
    /// It was killed because [`Process::time_limit`] had passed.
    TimedOut,
    /// It was killed because of [`crate::Cancel`].
    Cancelled,
}
