//! A `buildkitd` to be had where only Docker is installed.

use crate::require::or_skip;
use crate::{Dockerd, skip};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A Unix socket that speaks the control API of the BuildKit inside a [`Dockerd`], as `buildkitd`
/// speaks it on its own socket: each connection is carried over the daemon's `POST /grpc`.
///
/// Docker's BuildKit of that age exports to Docker's own store alone (exporter `moby`).
pub struct BuildkitBridge {
    directory: TempDir,
}

impl BuildkitBridge {
    /// A socket on `dockerd`; `None` (and a printed reason) where it has no BuildKit.
    pub fn start(dockerd: &Dockerd) -> Option<Self> {
        let socket = dockerd.socket();
        if let Err(error) = upgrade(&socket) {
            skip("buildkit", format!("dockerd has no BuildKit: {error}"));
            return None;
        }
        let directory = or_skip("buildkit", TempDir::with_prefix("buildkit"))?;
        let listener = UnixListener::bind(directory.path().join("buildkitd.sock"));
        let listener = or_skip("buildkit", listener)?;
        // Ends with the process: a listener can't be woken, and holds nothing that matters.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(daemon) = upgrade(&socket) else { continue };
                carry(&client, &daemon);
                carry(&daemon, &client);
            }
        });
        Some(BuildkitBridge { directory })
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("buildkitd.sock")
    }

    /// The socket as an address.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }
}

/// Copies one direction on a thread of its own.
fn carry(from: &UnixStream, to: &UnixStream) {
    let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else { return };
    std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn upgrade(socket: &Path) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket)?;
    stream.write_all(
        b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    )?;
    let mut head = vec![];
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend_from_slice(&byte);
    }
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(stream),
        false => Err(io::Error::other(String::from_utf8_lossy(&head).into_owned())),
    }
}
