//! Debian's `docker-registry`, on a free port, with a directory of its own.

use anyhow::{Context, Result, bail};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A registry that runs.
pub struct Registry {
    child: Child,
    address: SocketAddr,
    directory: PathBuf,
}

impl Registry {
    /// Starts an empty one.
    pub fn start(directory: &Path) -> Result<Self> {
        if directory.exists() {
            std::fs::remove_dir_all(directory)?;
        }
        std::fs::create_dir_all(directory)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        drop(listener);
        let config = directory.join("config.yml");
        std::fs::write(&config, configuration(&directory.join("data"), address))?;
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(File::create(directory.join("access"))?)
            .stderr(File::create(directory.join("log"))?)
            .spawn()
            .context("cannot start docker-registry: apt-get install docker-registry")?;
        let directory = directory.to_owned();
        let registry = Registry { child, address, directory };
        registry.wait()?;
        Ok(registry)
    }

    fn wait(&self) -> Result<()> {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let log = std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        bail!("docker-registry does not answer at {}\n{log}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests it has answered.
    pub fn requests(&self) -> Result<u64> {
        let log = std::fs::read_to_string(self.directory.join("access"))?;
        Ok(log.lines().filter(|line| line.contains(" HTTP/1.1\" ")).count() as u64)
    }

    /// Ends it and removes what it held.
    pub fn stop(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::fs::remove_dir_all(&self.directory)?)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It has ended already, or it is of no use any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(data: &Path, address: SocketAddr) -> String {
    format!(
        "version: 0.1\n\
         log:\n  level: error\n\
         storage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: {address}\n  secret: bench\n",
        data.display()
    )
}
