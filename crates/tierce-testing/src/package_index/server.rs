//! As much of HTTP/1.1 as package installers speak.

use super::{State, lock, page};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::Mutex;

/// A request without a body.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    accept: String,
    pub(crate) user: Option<(String, String)>,
    /// The first and last byte asked for.
    range: Option<(Option<usize>, Option<usize>)>,
}

/// Answers requests until the client goes away, which it may at any time.
pub(super) fn answer(mut stream: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let (head, body) = respond(&request, state);
        let with_body = request.method != "HEAD";
        let sent = stream.write_all(head.as_bytes()).and_then(|()| match with_body {
            true => stream.write_all(&body),
            false => Ok(()),
        });
        if sent.is_err() {
            return;
        }
    }
}

fn respond(request: &Request, state: &Mutex<State>) -> (String, Vec<u8>) {
    let mut state = lock(state);
    let line = format!("{} {}", request.method, request.path);
    if state.known.is_some() && request.user != state.known {
        state.refused.push(line);
        return head("401 Unauthorized", "WWW-Authenticate: Basic realm=\"index\"\r\n", vec![]);
    }
    state.requests.push(line);
    let path = decode(request.path.split('?').next().unwrap_or_default());
    let Some(found) = page::at(&state, &path, &request.accept) else {
        return head("404 Not Found", "Content-Type: text/plain\r\n", b"not here\n".to_vec());
    };
    let common = format!("Content-Type: {}\r\nAccept-Ranges: bytes\r\n", found.content_type);
    let total = found.body.len();
    match request.range.map(|range| bounds(range, total)) {
        None => head("200 OK", &common, found.body.to_vec()),
        Some(Some((from, to))) => {
            let range = format!("{common}Content-Range: bytes {from}-{to}/{total}\r\n");
            head("206 Partial Content", &range, found.body[from..=to].to_vec())
        }
        Some(None) => {
            let range = format!("Content-Range: bytes */{total}\r\n");
            head("416 Range Not Satisfiable", &range, vec![])
        }
    }
}

pub(crate) fn head(status: &str, headers: &str, body: Vec<u8>) -> (String, Vec<u8>) {
    (format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len()), body)
}

fn bounds((from, to): (Option<usize>, Option<usize>), total: usize) -> Option<(usize, usize)> {
    let last = total.checked_sub(1)?;
    let (from, to) = match (from, to) {
        (Some(from), to) => (from, to.unwrap_or(last).min(last)),
        (None, Some(length)) => (total.saturating_sub(length), last),
        (None, None) => return None,
    };
    (from <= to).then_some((from, to))
}

pub(crate) fn read(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, accept: String::new(), user: None, range: None };
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { return Some(request) };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "accept" => request.accept = value.to_owned(),
            "authorization" => request.user = user(value),
            "range" => request.range = range(value),
            _ => {}
        }
    }
}

fn user(value: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(value.strip_prefix("Basic ")?).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn range(value: &str) -> Option<(Option<usize>, Option<usize>)> {
    let (from, to) = value.strip_prefix("bytes=")?.split_once('-')?;
    Some((from.parse().ok(), to.parse().ok()))
}

pub(crate) fn decode(path: &str) -> String {
    let mut bytes = vec![];
    let mut rest = path.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.filter(|_| *first == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
