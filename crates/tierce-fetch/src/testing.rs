//! An HTTP server for tests, with faults on demand: it can cut bodies in either direction.
//!
//! Hand-written over TCP because well-behaved server libraries can't be made to misbehave.

use bytes::BytesMut;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

/// A request as the server saw it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// `GET`, ...
    pub method: String,
    /// The path, without the query.
    pub path: String,
    /// The query, without its question mark.
    pub query: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, as far as it was read.
    pub body: Vec<u8>,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// A query parameter's value.
    pub fn param(&self, name: &str) -> Option<String> {
        self.params(name).into_iter().next()
    }

    /// All values of a query parameter.
    pub fn params(&self, name: &str) -> Vec<String> {
        let pairs = form_urlencoded::parse(self.query.as_bytes());
        pairs.filter(|(n, _)| n == name).map(|(_, v)| v.into_owned()).collect()
    }

    /// `METHOD /path`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the server answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    stall: bool,
}

impl Reply {
    /// An empty answer.
    pub fn new(status: u16) -> Self {
        Reply { status, headers: vec![], body: vec![], cut: None, stall: false }
    }

    /// `200 OK` with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Reply::new(200).body(body)
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With another body.
    pub fn map_body(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.body);
        self
    }

    /// Closes the connection after so many bytes of the body, having announced them all.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Says nothing more after so many bytes of the body, and keeps the connection open.
    pub fn stall_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self.stall = true;
        self
    }
}

/// What answers requests.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request.
    fn reply(&self, request: &Request) -> Reply;

    /// Called with a request's head, before its body is read: after how many bytes of the body
    /// to close the connection without an answer. The handler still sees what was read.
    fn cut_request(&self, _head: &Request) -> Option<usize> {
        None
    }
}

impl<F: Fn(&Request) -> Reply + Send + Sync + 'static> Handler for F {
    fn reply(&self, request: &Request) -> Reply {
        self(request)
    }
}

/// A server on a free loopback port; stops when dropped.
pub struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server.
    pub async fn start(handler: impl Handler) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let log = Arc::new(Mutex::new(vec![]));
        let (handler, seen) = (Arc::new(handler), log.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Connection { stream, buffer: BytesMut::new() };
                // A connection that breaks is the point of some tests.
                tokio::spawn(serve(connection, handler.clone(), seen.clone()));
            }
        });
        Ok(Server { address, log, task })
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    /// The URL of a path that starts with a slash.
    pub fn url(&self, path: &str) -> Url {
        let url = format!("http://{}{path}", self.address);
        url.parse().expect("a path makes a URL")
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
}

async fn serve(
    mut connection: Connection,
    handler: Arc<impl Handler>,
    log: Arc<Mutex<Vec<Request>>>,
) -> io::Result<()> {
    while let Some(mut request) = connection.head().await? {
        let cut = handler.cut_request(&request);
        request.body = connection.body(&request, cut).await?;
        log.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let reply = handler.reply(&request);
        if cut.is_some() {
            // Closed with unread data in it, the socket resets the connection.
            return Ok(());
        }
        connection.answer(&request, &reply).await?;
        if reply.stall {
            return std::future::pending().await;
        }
        if reply.cut.is_some() {
            return connection.stream.shutdown().await;
        }
    }
    Ok(())
}

impl Connection {
    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.buffer).await
    }

    async fn head(&mut self) -> io::Result<Option<Request>> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            if self.more().await? == 0 {
                return Ok(None);
            }
            if !self.buffer[0].is_ascii_alphabetic() {
                // Somebody speaks TLS: what Go's servers answer then.
                self.stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await?;
                return Ok(None);
            }
        };
        let head = self.buffer.split_to(end + 4);
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default().to_owned();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let (path, query) = (path.to_owned(), query.to_owned());
        Ok(Some(Request { method, path, query, headers, body: vec![] }))
    }

    async fn body(&mut self, head: &Request, cut: Option<usize>) -> io::Result<Vec<u8>> {
        if head.header("transfer-encoding").is_some() {
            // Registries differ in whether they take these: clients here must announce lengths.
            return Err(io::Error::other("chunked bodies are not supported"));
        }
        let length = head.header("content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
        let length = cut.map_or(length, |cut| cut.min(length));
        while self.buffer.len() < length && self.more().await? > 0 {}
        let have = length.min(self.buffer.len());
        Ok(self.buffer.split_to(have).to_vec())
    }

    async fn answer(&mut self, request: &Request, reply: &Reply) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} -\r\n", reply.status);
        let mut line = |name: &str, value: &str| {
            head.push_str(&format!("{name}: {value}\r\n"));
        };
        reply.headers.iter().for_each(|(name, value)| line(name, value));
        let given = |n: &str| reply.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(n));
        if !given("content-length") && !matches!(reply.status, 204 | 304) {
            line("Content-Length", &reply.body.len().to_string());
        }
        head.push_str("\r\n");
        self.stream.write_all(head.as_bytes()).await?;
        if request.method != "HEAD" {
            let end = reply.cut.unwrap_or(reply.body.len()).min(reply.body.len());
            self.stream.write_all(&reply.body[..end]).await?;
        }
        self.stream.flush().await
    }
}
