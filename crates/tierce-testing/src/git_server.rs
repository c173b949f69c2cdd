//! A git repository on a loopback port.

use crate::package_index::server::{decode, head, read};
use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A repository served as files, as any web server does it (git's "dumb" protocol): there are no
/// single commits to be had, but all of them. For one user only where that is asked for.
pub struct GitServer {
    address: String,
    state: Arc<State>,
}

struct State {
    root: PathBuf,
    known: Option<(String, String)>,
    served: Mutex<usize>,
    stop: AtomicBool,
}

impl GitServer {
    pub(crate) fn start(root: PathBuf, known: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let known = known.map(|(user, password)| (user.to_owned(), password.to_owned()));
        let stop = AtomicBool::new(false);
        let state = Arc::new(State { root, known, served: Mutex::default(), stop });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || answer(&stream, &shared));
            }
        });
        GitServer { address, state }
    }

    /// `http://…/project.git`
    pub fn url(&self) -> String {
        format!("http://{}/project.git", self.address)
    }

    /// The same with a user and a password.
    pub fn url_with(&self, user: &str, password: &str) -> String {
        format!("http://{user}:{password}@{}/project.git", self.address)
    }

    /// How many files were sent so far.
    pub fn served(&self) -> usize {
        *self.state.served.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(&self.address);
    }
}

fn answer(mut stream: &TcpStream, state: &State) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let text = "Content-Type: text/plain\r\n";
        let path = decode(request.path.split('?').next().unwrap_or_default());
        let (head, body) = match file(&state.root, &path) {
            _ if state.known.is_some() && request.user != state.known => {
                let asked = "WWW-Authenticate: Basic realm=\"git\"\r\n";
                head("401 Unauthorized", asked, vec![])
            }
            Some(content) => {
                *state.served.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                head("200 OK", text, content)
            }
            None => head("404 Not Found", text, vec![]),
        };
        let body = if request.method == "HEAD" { vec![] } else { body };
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn file(root: &Path, path: &str) -> Option<Vec<u8>> {
    let below = Path::new(path.trim_start_matches('/'));
    let inside = below.components().all(|part| matches!(part, Component::Normal(_)));
    std::fs::read(root.join(below)).ok().filter(|_| inside)
}
