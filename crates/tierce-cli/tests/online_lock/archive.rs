//! A small Debian archive, signed by a key of its own, on a loopback port.

use crate::support::{run, tool};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const KEY: &str = "archive@example.org";

/// An archive: `debian/` is what it has, `archive/` what its snapshots have.
pub struct Archive {
    directory: TempDir,
    gpg: TempDir,
    address: String,
}

impl Archive {
    /// An empty archive; `None`, with a printed reason, where tools are missing.
    pub fn start() -> Option<Self> {
        for name in ["gpg", "gpgconf", "dpkg-deb", "apt-ftparchive", "curl"] {
            tool(name)?;
        }
        let directory = tempfile::tempdir().expect("a scratch directory");
        // Sockets of gpg's agent need short paths.
        let gpg = tempfile::Builder::new().prefix("gpg").tempdir_in("/tmp").expect("a directory");
        fs::set_permissions(gpg.path(), fs::Permissions::from_mode(0o700)).expect("a mode");
        fs::create_dir_all(directory.path().join("debian/pool/main")).expect("directories");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let root = directory.path().to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let root = root.clone();
                std::thread::spawn(move || serve(stream, &root));
            }
        });
        let archive = Archive { directory, gpg, address };
        archive.gpg(&["--quick-generate-key", KEY, "ed25519", "sign", "never"]);
        archive.gpg(&["--output", &text(&archive.keyring()), "--export", KEY]);
        Some(archive)
    }

    fn gpg(&self, args: &[&str]) {
        let home = text(self.gpg.path());
        let options = ["--batch", "--quiet", "--no-tty", "--passphrase", "", "--pinentry-mode"];
        let options = options.into_iter().chain(["loopback", "--yes", "--homedir", &home]);
        run("gpg", options.chain(args.iter().copied()));
    }

    /// The key that signs it.
    pub fn keyring(&self) -> PathBuf {
        self.directory.path().join("key.gpg")
    }

    /// Where the archive is, or its snapshots.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn pool(&self) -> PathBuf {
        self.directory.path().join("debian/pool/main")
    }

    /// Puts a package file into it.
    pub fn add(&self, deb: &Path) {
        fs::copy(deb, self.pool().join(deb.file_name().expect("a name"))).expect("a copy");
    }

    /// Makes a package with a program that says its version, and puts it into the archive.
    pub fn make(&self, name: &str, version: &str, fields: &str) {
        let tree = tempfile::tempdir().expect("a scratch directory");
        let write = |path: &str, content: &str, mode: u32| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            fs::write(&path, content).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).expect("a mode");
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: all\n{fields}\
             Maintainer: T <t@example.org>\nDescription: a test\n"
        );
        write("DEBIAN/control", &control, 0o644);
        write(&format!("usr/bin/{name}"), &format!("#!/bin/sh\necho {version}\n"), 0o755);
        let file = format!("{name}_{version}_all.deb").replace(':', "%3a");
        let deb = text(&self.pool().join(file));
        run("dpkg-deb", ["--root-owner-group", "--build", &text(tree.path()), &deb]);
    }

    /// Removes the files of a package; they stay in the snapshots.
    pub fn retire(&self, name: &str) {
        for date in self.dates() {
            let pool = self.directory.path().join("archive/debian").join(date).join("pool/main");
            fs::create_dir_all(&pool).expect("directories");
            for entry in fs::read_dir(self.pool()).expect("a pool").flatten() {
                if entry.file_name().to_string_lossy().starts_with(&format!("{name}_")) {
                    fs::rename(entry.path(), pool.join(entry.file_name())).expect("a move");
                }
            }
        }
    }

    /// The dates of its release file, as snapshots are named.
    fn dates(&self) -> Vec<String> {
        let release = fs::read_to_string(self.suite().join("Release")).expect("a release");
        let date = release.lines().find_map(|l| l.strip_prefix("Date: ")).expect("a date");
        let date = run("date", ["-u", "-d", date, "+%Y%m%dT%H%M%SZ"]).expect("coreutils");
        vec![date.trim().to_owned()]
    }

    fn suite(&self) -> PathBuf {
        self.directory.path().join("debian/dists/sid")
    }

    /// Writes and signs the indices of all that is in the pool.
    pub fn publish(&self) {
        let index = self.suite().join("main/binary-amd64");
        fs::create_dir_all(&index).expect("directories");
        let root = self.directory.path().join("debian");
        let output = |args: &[&str], directory: &Path| {
            let mut command = Command::new("apt-ftparchive");
            let output = command.args(args).current_dir(directory).output().expect("it starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        let cache = text(&self.directory.path().join("packages.db"));
        let packages = output(&["--db", &cache, "packages", "pool/main"], &root);
        fs::write(index.join("Packages"), packages).expect("a file");
        run("xz", ["--keep", "--force", &text(&index.join("Packages"))]);
        let of = |name: &str, value: &str| format!("APT::FTPArchive::Release::{name}={value}");
        let _ = fs::remove_file(self.suite().join("Release"));
        let _ = fs::remove_file(self.suite().join("InRelease"));
        let options = [
            of("Suite", "sid"),
            of("Codename", "sid"),
            of("Components", "main"),
            of("Architectures", "amd64"),
        ];
        let mut args: Vec<&str> = options.iter().flat_map(|o| ["-o", o]).collect();
        args.extend(["release", "."]);
        let release = output(&args, &self.suite());
        fs::write(self.suite().join("Release"), release).expect("a file");
        let (signed, plain) = (self.suite().join("InRelease"), self.suite().join("Release"));
        self.gpg(&["--output", &text(&signed), "--clearsign", &text(&plain)]);
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        let mut command = Command::new("gpgconf");
        let _ = command.arg("--homedir").arg(self.gpg.path()).args(["--kill", "all"]).output();
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Answers requests for files below `root`, one a connection.
fn serve(mut stream: TcpStream, root: &Path) {
    let Ok(clone) = stream.try_clone() else { return };
    let mut lines = BufReader::new(clone).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
    // apt and browsers do not agree on what of a name is escaped.
    let plain = path.replace("%2b", "+").replace("%2B", "+").replace("%7e", "~");
    let plain = plain.replace("%7E", "~").replace("%253a", "%3a");
    let answer = match fs::read(root.join(&plain)) {
        Ok(body) if !plain.contains("..") => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n", body.len());
            [format!("{head}Connection: close\r\n\r\n").into_bytes(), body].concat()
        }
        _ => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
    };
    let _ = stream.write_all(&answer);
}
