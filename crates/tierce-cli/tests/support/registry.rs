//! Debian's `docker-registry`, on a free port of the loopback interface.

use super::tools::tool;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The user that a private registry knows.
pub const USER: &str = "alice";
/// Her password.
pub const PASSWORD: &str = "correct horse";
/// What `htpasswd -B` makes of the two; the cheapest cost, since every request pays it.
const HTPASSWD: &str = "alice:$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e\n";

/// How long a registry may take to start or to write its log on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running registry; it ends with this value.
pub struct Registry {
    process: Child,
    scratch: TempDir,
    address: String,
    sentinels: AtomicUsize,
}

impl Registry {
    /// A registry that everybody may read and write; `None`, with a printed reason, where none
    /// is installed.
    pub fn start() -> Option<Self> {
        Self::launch("", "")
    }

    /// A registry that only [`USER`] may use.
    pub fn private() -> Option<Self> {
        Self::launch("auth: {htpasswd: {realm: test, path: PATH/htpasswd}}\n", "")
    }

    /// A registry with this certificate, for those alone who show one of the authority's if one
    /// is named. Its requests are not to be had.
    pub fn encrypted(certificate: &Path, key: &Path, authority: Option<&Path>) -> Option<Self> {
        let clients = authority.map(|file| format!(", clientcas: [{file:?}]")).unwrap_or_default();
        Self::launch("", &format!(", tls: {{certificate: {certificate:?}, key: {key:?}{clients}}}"))
    }

    fn launch(auth: &str, tls: &str) -> Option<Self> {
        let program = tool("docker-registry")?;
        let scratch = tempfile::tempdir().expect("a scratch directory");
        let path = scratch.path().display().to_string();
        // The registry chooses the port, so that no one can take it in between.
        let config = format!(
            "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: '127.0.0.1:0'{tls}}}\n\
             storage: {{filesystem: {{rootdirectory: {path}/data}}}}\n{}",
            auth.replace("PATH", &path)
        );
        fs::write(scratch.path().join("config.yml"), config).expect("a file");
        fs::write(scratch.path().join("htpasswd"), HTPASSWD).expect("a file");
        let log = |name: &str| File::create(scratch.path().join(name)).expect("a file");
        let process = Command::new(program)
            .arg("serve")
            .arg(scratch.path().join("config.yml"))
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdin(Stdio::null())
            .stdout(log("access.log"))
            .stderr(log("registry.log"))
            .spawn()
            .expect("the registry starts");
        let mut registry =
            Registry { process, scratch, address: String::new(), sentinels: AtomicUsize::new(0) };
        registry.address = registry.wait_for_address();
        Some(registry)
    }

    fn wait_for_address(&self) -> String {
        let started = Instant::now();
        loop {
            let log = self.log("registry.log");
            if let Some((_, rest)) = log.split_once("listening on ") {
                let end = rest.find(|c: char| !c.is_ascii_digit() && !".:".contains(c));
                if let Some(end) = end {
                    return rest[..end].to_owned();
                }
            }
            assert!(started.elapsed() < PATIENCE, "the registry does not listen: {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default()
    }

    /// The directory with all that it keeps, its logs too.
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// The requests so far, each as `METHOD /path status`.
    pub fn requests(&self) -> Vec<String> {
        // The registry logs a request after its answer: a later one that is in the log vouches
        // for all before it.
        let number = self.sentinels.fetch_add(1, Ordering::Relaxed);
        let sentinel = format!("/sentinel-{number}-");
        self.get(&sentinel);
        let started = Instant::now();
        loop {
            let log = self.log("access.log");
            if log.contains(&sentinel) {
                return log.lines().filter_map(request).collect();
            }
            assert!(started.elapsed() < PATIENCE, "the registry logs nothing: {log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The requests that `work` leads to.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Vec<String>) {
        let before = self.requests().len();
        let result = work();
        (result, self.requests().split_off(before))
    }

    fn get(&self, path: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("the registry listens");
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("a request");
        stream.read_to_end(&mut vec![]).expect("an answer");
    }

    /// Loses everything that was pushed, as registries do that are set up anew at their old
    /// address.
    pub fn forget(&self) {
        fs::remove_dir_all(self.scratch.path().join("data")).expect("its directory");
    }

    /// Loses one blob, as a registry does whose garbage collection ran at the wrong time.
    pub fn lose(&self, repository: &str, digest: &str) {
        let hex = digest.strip_prefix("sha256:").expect("a SHA-256 digest");
        fs::remove_file(self.blob_file(digest)).expect("a blob");
        let links = format!("data/docker/registry/v2/repositories/{repository}/_layers/sha256");
        fs::remove_dir_all(self.scratch.path().join(links).join(hex)).expect("a link");
    }

    /// The file in which it keeps a blob, to be spoilt.
    pub fn blob_file(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a SHA-256 digest");
        let blobs = "data/docker/registry/v2/blobs/sha256";
        self.scratch.path().join(blobs).join(&hex[..2]).join(hex).join("data")
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A line of the access log in Apache's format; none for the tests' own requests.
fn request(line: &str) -> Option<String> {
    let mut parts = line.split('"');
    let (_, request, status) = (parts.next()?, parts.next()?, parts.next()?);
    let (method_and_path, _) = request.rsplit_once(' ')?;
    let status = status.split_whitespace().next()?;
    (!request.contains("/sentinel-")).then(|| format!("{method_and_path} {status}"))
}
