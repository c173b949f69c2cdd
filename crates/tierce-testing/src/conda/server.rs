//! A directory over loopback HTTP, as channels are served.

use crate::encode::hex_sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A channel on a loopback port: whole files with ETags, for everybody, for one user, or for who
/// has a token. Stops when it is dropped.
pub struct ServedChannel {
    address: String,
    state: Arc<Mutex<State>>,
    stop: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    directory: PathBuf,
    basic: Option<String>,
    token: Option<String>,
    requests: Vec<String>,
}

impl ServedChannel {
    pub(super) fn start(directory: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let state = State { directory: directory.to_owned(), ..State::default() };
        let state = Arc::new(Mutex::new(state));
        let stop = Arc::<AtomicBool>::default();
        let (served, ended) = (state.clone(), stop.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let served = served.clone();
                std::thread::spawn(move || answer(&stream, &served));
            }
        });
        ServedChannel { address, state, stop }
    }

    /// The same for one user only (basic authentication).
    pub fn with_basic_auth(self, user: &str, password: &str) -> Self {
        self.state().basic =
            Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        self
    }

    /// The same for those only who ask below `/t/<token>/`.
    pub fn with_token(self, token: &str) -> Self {
        self.state().token = Some(token.to_owned());
        self
    }

    /// The channel's URL, without credentials.
    pub fn url(&self) -> String {
        format!("http://{}/channel/", self.address)
    }

    /// The channel's URL with something before the host, as `user:password@`.
    pub fn url_as(&self, user: &str) -> String {
        format!("http://{user}@{}/channel/", self.address)
    }

    /// The channel's URL with a token.
    pub fn url_with_token(&self, token: &str) -> String {
        format!("http://{}/t/{token}/channel/", self.address)
    }

    /// What was asked for so far, with the answer's status: `200 /channel/noarch/repodata.json`.
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ServedChannel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The listener looks at it when somebody comes.
        let _ = TcpStream::connect(&self.address);
    }
}

/// Answers requests until the client goes away, which it may at any time.
fn answer(mut stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some((method, path, authorization, known)) = read(&mut reader) {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (status, etag, body) = respond(&state, &path, authorization.as_deref(), &known);
        state.requests.push(format!("{} {path}", &status[..3]));
        drop(state);
        let length = body.len();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{etag}\r\n");
        let body = if method == "HEAD" { vec![] } else { body };
        if stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).is_err() {
            return;
        }
    }
}

fn respond(
    state: &State,
    path: &str,
    authorization: Option<&str>,
    known: &str,
) -> (&'static str, String, Vec<u8>) {
    if state.basic.is_some() && authorization != state.basic.as_deref() {
        return ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n".to_owned(), vec![]);
    }
    let path = match &state.token {
        None => path,
        Some(token) => match path.strip_prefix(&format!("/t/{token}")) {
            Some(rest) => rest,
            None => return ("403 Forbidden", String::new(), vec![]),
        },
    };
    let found = path
        .strip_prefix("/channel/")
        .filter(|path| !path.split('/').any(|part| part == ".."))
        .and_then(|path| std::fs::read(state.directory.join(path)).ok());
    let Some(body) = found else { return ("404 Not Found", String::new(), vec![]) };
    let etag = format!("\"{}\"", &hex_sha256(&body)[..16]);
    let header = format!("ETag: {etag}\r\n");
    match known == etag {
        true => ("304 Not Modified", header, vec![]),
        false => ("200 OK", header, body),
    }
}

type Asked = (String, String, Option<String>, String);

fn read(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut authorization, mut known) = (None, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            return Some((method, path, authorization, known));
        };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.trim().to_owned()),
            "if-none-match" => known = value.trim().to_owned(),
            _ => {}
        }
    }
}
