//! A package index that asks who is there.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tierce::Digest;

/// An index with every project there is, each with one wheel: of the project's name, at version
/// 1.0. Names that start with `moved` have their file behind a redirect to another server, names
/// that start with `there` link to it; names that start with `built` have a source distribution
/// alone, whose build backend writes a file with what it is told to.
pub struct Index {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

/// What a server knows.
#[derive(Clone, Default)]
struct Served {
    /// Whom it answers: `user:password`.
    known: Option<String>,
    /// Another server.
    elsewhere: Option<String>,
    /// A directory with an archive of Debian packages.
    apt: Option<PathBuf>,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its path.
    pub path: String,
    /// The user and password that came with it.
    pub user: Option<String>,
}

impl Index {
    /// An index for those who know `password` of `user`; `elsewhere` has the files that are not
    /// here.
    pub fn start(user: &str, password: &str, elsewhere: Option<&Index>) -> Self {
        let elsewhere = elsewhere.map(|index| index.address.clone());
        Self::serve(Served { known: Some(format!("{user}:{password}")), elsewhere, apt: None })
    }

    /// The same, with the archive of Debian packages in a directory at `/apt`.
    pub fn with_archive(user: &str, password: &str, archive: &Path) -> Self {
        let (known, apt) = (Some(format!("{user}:{password}")), Some(archive.to_owned()));
        Self::serve(Served { known, elsewhere: None, apt })
    }

    /// A server for everybody.
    pub fn open() -> Self {
        Self::serve(Served::default())
    }

    fn serve(served: Served) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let heard = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (served, heard) = (served.clone(), heard.clone());
                std::thread::spawn(move || answer(&stream, &served, &heard));
            }
        });
        Index { address, requests }
    }

    /// `host:port`
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The simple index's address.
    pub fn url(&self) -> String {
        format!("http://{}/simple", self.address)
    }

    /// The same with user and password.
    pub fn url_for(&self, user: &str, password: &str) -> String {
        let encode = |text: &str| -> String {
            text.bytes()
                .map(|b| match b.is_ascii_alphanumeric() {
                    true => char::from(b).to_string(),
                    false => format!("%{b:02X}"),
                })
                .collect()
        };
        format!("http://{}:{}@{}/simple", encode(user), encode(password), self.address)
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn answer(mut stream: &TcpStream, served: &Served, heard: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let Some((path, user)) = request(&mut reader) else { return };
        let request = Request { path: path.clone(), user: user.clone() };
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        let (status, header, body) = if served.known.is_some() && user != served.known {
            ("401 Unauthorized", "WWW-Authenticate: Basic realm=\"test\"".to_owned(), vec![])
        } else {
            page(&path, served)
        };
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{header}\r\n\r\n", body.len());
        // Clients may go away at any time.
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        if sent.is_err() {
            return;
        }
    }
}

fn request(reader: &mut BufReader<&TcpStream>) -> Option<(String, Option<String>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut user = None;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = header.split_once(": ") else { return Some((path, user)) };
        if name.eq_ignore_ascii_case("authorization") {
            let encoded = value.trim().strip_prefix("Basic ")?;
            user = Some(String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?);
        }
    }
}

fn page(path: &str, served: &Served) -> (&'static str, String, Vec<u8>) {
    let html = "Content-Type: text/html".to_owned();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let there = served.elsewhere.as_ref().map(|address| format!("http://{address}"));
    let archived = |name: &str| std::fs::read(served.apt.as_ref()?.join(name)).ok();
    match parts.as_slice() {
        ["apt", .., name] => match archived(name) {
            Some(body) => ("200 OK", "Content-Type: text/plain".to_owned(), body),
            None => ("404 Not Found", html, vec![]),
        },
        ["simple", project] => {
            let name = file_name(project);
            let hash = Digest::of(file(&name));
            let server = there.filter(|_| project.starts_with("there")).unwrap_or_default();
            let link =
                format!("<a href=\"{server}/files/{name}#sha256={}\">{name}</a>", hash.hex());
            ("200 OK", html, link.into_bytes())
        }
        ["files", name] if name.starts_with("moved") && there.is_some() => {
            let to = format!("Location: {}/files/{name}", there.unwrap_or_default());
            ("302 Found", to, vec![])
        }
        ["files", name] => ("200 OK", "Content-Type: application/zip".to_owned(), file(name)),
        _ => ("404 Not Found", html, vec![]),
    }
}

fn file_name(project: &str) -> String {
    let name = project.replace('-', "_");
    match project.starts_with("built") {
        true => format!("{name}-1.0.zip"),
        false => format!("{name}-1.0-py3-none-any.whl"),
    }
}

/// The content of a file, which its name decides.
fn file(name: &str) -> Vec<u8> {
    let project = name.split('-').next().unwrap_or_default();
    match name.ends_with(".zip") {
        true => sdist(project),
        false => wheel(project),
    }
}

fn wheel(project: &str) -> Vec<u8> {
    let info = format!("{project}-1.0.dist-info");
    let files = vec![
        (format!("{project}/__init__.py"), format!("NAME = {project:?}\n")),
        (
            format!("{info}/METADATA"),
            format!("Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"),
        ),
        (
            format!("{info}/WHEEL"),
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned(),
        ),
    ];
    let row = |(name, content): &(String, String)| {
        let hash = URL_SAFE_NO_PAD.encode(Digest::of(content.as_bytes()).as_bytes());
        format!("{name},sha256={hash},{}\n", content.len())
    };
    let rows: String = files.iter().map(row).collect();
    let record = (format!("{info}/RECORD"), format!("{rows}{info}/RECORD,,\n"));
    zip(files.into_iter().chain([record]))
}

/// A build backend in the archive itself, so that building needs nothing else. It does not say
/// what it requires before it is run.
const BACKEND: &str = r#"
import base64, hashlib, os, zipfile

NAME = "@NAME@"
INFO = NAME + "-1.0.dist-info"
METADATA = "Metadata-Version: 2.1\nName: " + NAME + "\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def secret():
    with open("/run/secrets/build") as file:
        return os.environ["BUILD_TOKEN"], file.read()


def prepare_metadata_for_build_wheel(directory, config_settings=None):
    secret()
    os.makedirs(os.path.join(directory, INFO))
    with open(os.path.join(directory, INFO, "METADATA"), "w") as file:
        file.write(METADATA)
    return INFO


def build_wheel(directory, config_settings=None, metadata_directory=None):
    token, file = secret()
    print("the backend saw", token, file, flush=True)
    cache = os.environ.get("UV_CACHE_DIR", "/run/tierce/build/cache")
    try:
        with open(os.path.join(cache, "left-by-the-backend"), "w") as left:
            left.write(token)
    except OSError:
        pass
    files = {NAME + "/__init__.py": "", INFO + "/METADATA": METADATA, INFO + "/WHEEL": WHEEL}
    if "leaks" in NAME:
        files[NAME + "/settings.py"] = "TOKEN = " + repr(token) + "\n"
    rows = ""
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
        rows += "%s,sha256=%s,%d\n" % (path, digest.decode().rstrip("="), len(content))
    files[INFO + "/RECORD"] = rows + INFO + "/RECORD,,\n"
    name = NAME + "-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as wheel:
        for path, content in files.items():
            wheel.writestr(zipfile.ZipInfo(path, (1980, 1, 1, 0, 0, 0)), content)
    return name
"#;

fn sdist(project: &str) -> Vec<u8> {
    let root = format!("{project}-1.0");
    let pyproject = "[build-system]\nrequires = []\nbuild-backend = 'backend'\n\
                     backend-path = ['.']\n";
    zip([
        (format!("{root}/pyproject.toml"), pyproject.to_owned()),
        (format!("{root}/backend.py"), BACKEND.replace("@NAME@", project)),
        (
            format!("{root}/PKG-INFO"),
            format!("Metadata-Version: 1.0\nName: {project}\nVersion: 1.0\n"),
        ),
    ])
}

/// A zip file that stores its files as they are.
fn zip(files: impl IntoIterator<Item = (String, String)>) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (vec![], vec![], 0_u16);
    for (name, content) in files {
        let size = u32::try_from(content.len()).expect("a small file");
        let mut common = vec![];
        for field in [20_u16, 0, 0, 0, 33] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32(content.as_bytes()), size, size] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).expect("a short name").to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        let offset = u32::try_from(out.len()).expect("a small archive");
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(content.as_bytes());
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        count += 1;
    }
    let start = u32::try_from(out.len()).expect("a small archive");
    let size = u32::try_from(directory.len()).expect("a small archive");
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(!0, step)
}
