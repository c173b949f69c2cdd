//! Debian's `docker.io`, on a data root and a socket of its own.

use crate::path::is_root;
use crate::process::Daemon;
use crate::require::or_skip;
use crate::{busybox_tar, program, skip};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A Docker daemon with BuildKit inside it.
///
/// It has no bridge and sets no firewall rule, so containers and build steps have the host's
/// network or none: builds must ask for the host's ([`Dockerd::NETWORK`]).
pub struct Dockerd {
    daemon: Option<Daemon>,
    directory: TempDir,
    client: PathBuf,
}

impl Dockerd {
    /// The network that build steps must ask for.
    pub const NETWORK: &'static str = "host";

    /// Starts a daemon; `None` (and a printed reason) where that is not possible.
    pub fn start() -> Option<Self> {
        if !is_root() {
            skip("docker", "dockerd needs root");
            return None;
        }
        let (Some(dockerd), Some(client)) = (program("dockerd"), client()) else {
            skip("docker", "docker.io is not installed");
            return None;
        };
        // Not below a long TMPDIR: the path of a Unix socket has 107 bytes at most.
        let directory = or_skip("docker", TempDir::with_prefix("dockerd"))?;
        let path = |name: &str| directory.path().join(name);
        // Empty, so that the machine's own /etc/docker/daemon.json does not count.
        or_skip("docker", std::fs::write(path("daemon.json"), "{}"))?;
        let mut command = Command::new(dockerd);
        command
            .arg("--config-file")
            .arg(path("daemon.json"))
            .arg("--data-root")
            .arg(path("data"))
            .arg("--exec-root")
            .arg(path("exec"))
            .arg("--pidfile")
            .arg(path("pid"))
            .arg("-H")
            .arg(format!("unix://{}", path("docker.sock").display()))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .args(["--ip-forward=false", "--ip-masq=false"]);
        let mut daemon = or_skip("docker", Daemon::start(&mut command, &path("log")))?;
        let socket = path("docker.sock");
        if !daemon.wait_until(|| answers(&socket)) {
            skip("docker", format!("dockerd does not start here: {}", last_lines(&path("log"))));
            return None;
        }
        Some(Dockerd { daemon: Some(daemon), directory, client })
    }

    /// The daemon's address, for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// The command-line client, speaking to this daemon and seeing no configuration of the user's.
    pub fn docker(&self) -> Command {
        let mut command = Command::new(&self.client);
        command.env("DOCKER_HOST", self.host());
        command.env("DOCKER_CONFIG", self.directory.path().join("config"));
        command.env_remove("DOCKER_CONTEXT");
        command
    }

    /// Makes an image called `name` that has a shell: [`busybox_tar`](crate::busybox_tar).
    pub fn import_busybox(&self, name: &str) -> Option<()> {
        let tar = self.directory.path().join("busybox.tar");
        if !tar.exists() && !busybox_tar(&tar).ok()? {
            return None;
        }
        let status = self
            .docker()
            .args(["import", "--change", "CMD [\"/bin/sh\"]"])
            .arg("--change")
            .arg("ENV PATH=/usr/local/bin:/usr/bin:/bin")
            .arg(&tar)
            .arg(name)
            .stdout(std::process::Stdio::null())
            .status();
        status.is_ok_and(|s| s.success()).then_some(())
    }

    /// What the daemon said so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        drop(self.daemon.take());
        // The daemon leaves its network namespaces bound to files; and when it is killed, its data
        // root mounted on itself.
        let namespaces = std::fs::read_dir(self.directory.path().join("exec/netns"));
        let namespaces = namespaces.into_iter().flatten().flatten().map(|entry| entry.path());
        for path in namespaces.chain([self.directory.path().join("data")]) {
            let _ = rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

/// The client of Debian's docker.io, which has the means to speak to its daemon's BuildKit: one
/// that somebody put in front of it may lack a plug-in that newer ones need.
fn client() -> Option<PathBuf> {
    let own = PathBuf::from("/usr/bin/docker");
    if own.is_file() { Some(own) } else { program("docker") }
}

/// Whether the daemon answers requests: the socket is there before it does.
fn answers(socket: &Path) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let _ = stream.set_read_timeout(Some(std::time::Duration::from_secs(5)));
    let request = b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n";
    let mut answer = [0; 15];
    stream.write_all(request).is_ok()
        && stream.read_exact(&mut answer).is_ok()
        && answer == *b"HTTP/1.1 200 OK"
}

pub(crate) fn last_lines(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
