//! A package index on a loopback port, whose content a test changes while it serves.

mod page;
pub(crate) mod server;

use crate::distribution::{self, ProjectSpec, WheelSpec};
use crate::encode::{hex_sha256, normalize};
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A simple repository (PEP 503; PEP 691 where a client asks for JSON) with hashes, sizes and
/// metadata files (PEP 658, PEP 714), answering ranges, on a loopback port.
///
/// What a test adds and removes counts from the next request on.
pub struct PackageIndex {
    address: String,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

/// What the index has and has heard.
#[derive(Default)]
struct State {
    /// By normalised name, then by file name.
    projects: BTreeMap<String, BTreeMap<String, IndexFile>>,
    /// Whom it answers: `user:password`.
    known: Option<(String, String)>,
    requests: Vec<String>,
    refused: Vec<String>,
}

/// One file of an index.
struct IndexFile {
    version: String,
    bytes: Arc<Vec<u8>>,
    sha256: String,
    /// The wheel's or source distribution's own metadata, where it is served beside it.
    metadata: Option<Arc<Vec<u8>>>,
    requires_python: Option<String>,
    yanked: Option<String>,
}

/// What an index says of a file that was added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedFile {
    /// Its name.
    pub filename: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
}

impl PackageIndex {
    /// An empty index for everybody.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = Arc::<Mutex<State>>::default();
        let stop = Arc::<AtomicBool>::default();
        let (served, ended) = (state.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let served = served.clone();
                std::thread::spawn(move || server::answer(&stream, &served));
            }
        });
        PackageIndex { address, state, stop }
    }

    /// The same for one user only (basic authentication).
    pub fn with_basic_auth(self, user: &str, password: &str) -> Self {
        self.state().known = Some((user.to_owned(), password.to_owned()));
        self
    }

    /// Adds a wheel made in memory.
    ///
    /// # Panics
    ///
    /// Where the name or a path in it is too long for the formats as written here.
    pub fn add_wheel(&self, wheel: &WheelSpec<'_>) -> AddedFile {
        let metadata = distribution::metadata(&wheel.project);
        let file = IndexFile {
            version: wheel.project.version.to_owned(),
            metadata: Some(Arc::new(metadata.into_bytes())),
            requires_python: wheel.project.requires_python.map(str::to_owned),
            ..IndexFile::new(distribution::wheel(wheel))
        };
        self.add(wheel.project.name, wheel.filename(), file)
    }

    /// Adds a source distribution made in memory. Its build backend is in it, so that building it
    /// needs no other package.
    pub fn add_sdist(&self, project: &ProjectSpec<'_>) -> AddedFile {
        let file = IndexFile {
            version: project.version.to_owned(),
            requires_python: project.requires_python.map(str::to_owned),
            ..IndexFile::new(distribution::sdist(project))
        };
        self.add(project.name, project.sdist_filename(), file)
    }

    /// Adds a file as it is: a real wheel, or one that lies.
    pub fn add_file(&self, name: &str, version: &str, filename: &str, bytes: Vec<u8>) -> AddedFile {
        let file = IndexFile { version: version.to_owned(), ..IndexFile::new(bytes) };
        self.add(name, filename.to_owned(), file)
    }

    fn add(&self, name: &str, filename: String, file: IndexFile) -> AddedFile {
        let (sha256, size) = (file.sha256.clone(), file.bytes.len() as u64);
        let mut state = self.state();
        let files = state.projects.entry(normalize(name)).or_default();
        files.insert(filename.clone(), file);
        AddedFile { filename, sha256, size }
    }

    /// Removes every file of a version; whether there was one.
    pub fn remove(&self, name: &str, version: &str) -> bool {
        let mut state = self.state();
        let name = normalize(name);
        let Some(files) = state.projects.get_mut(&name) else { return false };
        let before = files.len();
        files.retain(|_, file| file.version != version);
        let removed = files.len() < before;
        if files.is_empty() {
            state.projects.remove(&name);
        }
        removed
    }

    /// Removes one file; whether it was there.
    pub fn remove_file(&self, filename: &str) -> bool {
        let mut state = self.state();
        state.projects.values_mut().any(|files| files.remove(filename).is_some())
    }

    /// Yanks a version (PEP 592).
    pub fn yank(&self, name: &str, version: &str, reason: &str) {
        for file in self.state().projects.entry(normalize(name)).or_default().values_mut() {
            if file.version == version {
                file.yanked = Some(reason.to_owned());
            }
        }
    }

    /// Serves other bytes of a file than those whose hash its page tells.
    pub fn tamper(&self, filename: &str) {
        self.change(filename, |file| Arc::make_mut(&mut file.bytes).push(b'\n'));
    }

    /// Serves other bytes of a file, and tells their hash: somebody uploaded it again.
    pub fn replace(&self, filename: &str, bytes: Vec<u8>) {
        self.change(filename, |file| {
            let IndexFile { bytes, sha256, .. } = IndexFile::new(bytes);
            (file.bytes, file.sha256, file.metadata) = (bytes, sha256, None);
        });
    }

    fn change(&self, filename: &str, change: impl FnOnce(&mut IndexFile)) {
        let mut state = self.state();
        let file = state.projects.values_mut().find_map(|files| files.get_mut(filename));
        change(file.unwrap_or_else(|| panic!("{filename} is not in the index")));
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The simple repository's address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}/simple", self.address)
    }

    /// The same with the user and password that it asks for, if any.
    pub fn url_with_credentials(&self) -> String {
        match &self.state().known {
            Some((user, password)) => {
                let (user, password) = (percent(user), percent(password));
                format!("http://{user}:{password}@{}/simple", self.address)
            }
            None => self.url(),
        }
    }

    /// Where a file is served.
    pub fn file_url(&self, filename: &str) -> String {
        format!("http://{}/files/{}", self.address, percent(filename))
    }

    /// The requests that were let in so far, as `GET /simple/name/`.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    /// The requests that came without the right user and password (`401`).
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        let mut state = self.state();
        state.requests.clear();
        state.refused.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for PackageIndex {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(&self.address);
    }
}

impl IndexFile {
    fn new(bytes: Vec<u8>) -> Self {
        IndexFile {
            version: String::new(),
            sha256: hex_sha256(&bytes),
            bytes: Arc::new(bytes),
            metadata: None,
            requires_python: None,
            yanked: None,
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn percent(text: &str) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes()
        .map(|b| match plain(&b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        })
        .collect()
}
