//! Debian's `docker-registry`, on a free port.

use crate::process::Daemon;
use crate::require::or_skip;
use crate::{program, skip};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A registry that speaks plain HTTP on a loopback port.
pub struct Registry {
    daemon: Option<Daemon>,
    _directory: TempDir,
    port: u16,
}

impl Registry {
    /// Starts a registry for everyone; `None` (and a printed reason) where that is not possible.
    pub fn start() -> Option<Self> {
        Self::with_users(None)
    }

    /// Starts a registry for one user.
    pub fn with_password(user: &str, password: &str) -> Option<Self> {
        if program("htpasswd").is_none() {
            skip("registry", "apache2-utils is not installed");
            return None;
        }
        Self::with_users(Some((user, password)))
    }

    fn with_users(user: Option<(&str, &str)>) -> Option<Self> {
        let Some(registry) = program("docker-registry") else {
            skip("registry", "docker-registry is not installed");
            return None;
        };
        let directory = or_skip("registry", TempDir::with_prefix("registry"))?;
        // A port that was free a moment ago may be taken by now.
        for _ in 0..5 {
            let port = or_skip("registry", free_port())?;
            let config = directory.path().join("config.yml");
            let text = or_skip("registry", configuration(directory.path(), port, user))?;
            or_skip("registry", std::fs::write(&config, text))?;
            let mut command = Command::new(&registry);
            command.arg("serve").arg(&config);
            let log = directory.path().join("log");
            let mut daemon = or_skip("registry", Daemon::start(&mut command, &log))?;
            if daemon.wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok()) {
                return Some(Registry { daemon: Some(daemon), _directory: directory, port });
            }
        }
        skip("registry", "docker-registry does not start here");
        None
    }

    /// `localhost:<port>`: engines speak plain HTTP to it without being told.
    pub fn host(&self) -> String {
        format!("localhost:{}", self.port)
    }

    /// The registry's port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.daemon.take());
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn configuration(directory: &Path, port: u16, user: Option<(&str, &str)>) -> io::Result<String> {
    let mut config = format!(
        "version: 0.1\nlog: {{level: warn}}\n\
         storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"127.0.0.1:{port}\"}}\n",
        directory.join("data").display()
    );
    if let Some((user, password)) = user {
        let file = directory.join("htpasswd");
        let output = Command::new("htpasswd").args(["-Bbn", user, password]).output()?;
        std::fs::write(&file, output.stdout)?;
        let file = file.display();
        config += &format!("auth: {{htpasswd: {{realm: test, path: {file}}}}}\n");
    }
    Ok(config)
}
