//! podman on storage of its own.

use crate::require::or_skip;
use crate::{busybox_tar, program, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A podman that sees neither the machine's images nor its configuration.
pub struct Podman {
    directory: TempDir,
    program: PathBuf,
}

impl Podman {
    /// What `podman run` needs on machines where nobody may raise a limit, not even root: podman's
    /// own defaults do.
    pub const RUN_ARGUMENTS: [&'static str; 3] =
        ["--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];

    /// A podman with empty storage; `None` (and a printed reason) where it can't run.
    pub fn isolated() -> Option<Self> {
        let Some(program) = program("podman") else {
            skip("podman", "podman is not installed");
            return None;
        };
        let directory = or_skip("podman", TempDir::with_prefix("podman"))?;
        let podman = Podman { directory, program };
        or_skip("podman", podman.write_configuration())?;
        match podman.podman().arg("info").output() {
            Ok(output) if output.status.success() => Some(podman),
            Ok(output) => {
                let message = String::from_utf8_lossy(&output.stderr);
                skip("podman", format!("podman does not work here: {}", message.trim()));
                None
            }
            Err(error) => {
                skip("podman", format!("podman does not work here: {error}"));
                None
            }
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The variables that make any podman work on this storage.
    pub fn variables(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        vec![
            ("CONTAINERS_STORAGE_CONF".to_owned(), path("storage.conf")),
            ("CONTAINERS_CONF".to_owned(), path("containers.conf")),
            // Credentials and registries' settings of the machine's do not count either.
            ("REGISTRY_AUTH_FILE".to_owned(), path("auth.json")),
            ("CONTAINERS_REGISTRIES_CONF".to_owned(), path("registries.conf")),
        ]
    }

    fn write_configuration(&self) -> std::io::Result<()> {
        let path = |name: &str| self.directory.path().join(name).display().to_string();
        let write = |name: &str, text: &str| std::fs::write(self.directory.path().join(name), text);
        write(
            "storage.conf",
            &format!(
                "[storage]\ndriver = \"overlay\"\ngraphroot = {:?}\nrunroot = {:?}\n",
                path("root"),
                path("run")
            ),
        )?;
        // crun refuses to run where version 1 and 2 of the control groups are mounted together.
        let hybrid = !Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let runtime = match (hybrid, crate::program("runc")) {
            (true, Some(_)) => "runtime = \"runc\"\n",
            _ => "",
        };
        write(
            "containers.conf",
            &format!(
                "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n\
                 tmp_dir = {:?}\n{runtime}",
                path("tmp")
            ),
        )?;
        write("auth.json", "{}")?;
        write("registries.conf", "")
    }

    /// A podman command on this storage.
    pub fn podman(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.variables());
        command
    }

    /// Makes an image called `name` that has a shell: [`busybox_tar`](crate::busybox_tar).
    pub fn import_busybox(&self, name: &str) -> Option<()> {
        let tar = self.directory.path().join("busybox.tar");
        if !tar.exists() && !busybox_tar(&tar).ok()? {
            return None;
        }
        let output = self
            .podman()
            .args(["import", "--change", "CMD [\"/bin/sh\"]"])
            .arg("--change")
            .arg("ENV PATH=/usr/local/bin:/usr/bin:/bin")
            .arg(&tar)
            .arg(name)
            .output();
        output.is_ok_and(|o| o.status.success()).then_some(())
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Storage of root's is mounted on itself; that of others goes away with its namespace,
        // in which alone its files can be removed.
        let graph = self.directory.path().join("root/overlay");
        if graph.exists() {
            let _ = rustix::mount::unmount(&graph, rustix::mount::UnmountFlags::DETACH);
        }
        if !crate::path::is_root() {
            let directory = self.directory.path().join("root");
            let _ =
                Command::new(&self.program).args(["unshare", "rm", "-rf"]).arg(directory).status();
        }
    }
}
