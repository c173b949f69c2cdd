//! What a first build needs at least: each wheel's content inflated, the SHA-256 of its
//! compressed and of its inflated bytes (a layer's digest and its diff id), and its bytes sent.
//!
//! No layer is written, no metadata read, nothing is checked or stored. Both parts use all cores:
//! first the computing, then the sending, since a blob's digest ends its upload.

use anyhow::{Context, Result, bail, ensure};
use flate2::bufread::DeflateDecoder;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tierce_oci::{Digest, Hasher};

/// How many uploads run at once: as many as tierce's.
const UPLOADS: usize = 4;

/// A wheel of the store.
pub struct Wheel {
    path: PathBuf,
    /// Of its file.
    pub size: u64,
    entries: Vec<Entry>,
}

struct Entry {
    /// Of the local header.
    offset: u64,
    compressed: u64,
    deflated: bool,
}

/// What was measured.
pub struct Floor {
    /// Inflating and hashing.
    pub compute: Duration,
    /// Sending.
    pub upload: Duration,
}

impl Floor {
    /// Both.
    pub fn total(&self) -> Duration {
        self.compute + self.upload
    }
}

/// The wheels among `blobs`, largest first: but for uv's own, and that of `without`.
pub fn wheels(blobs: &Path, without: &str) -> Result<Vec<Wheel>> {
    let mut wheels = vec![];
    let mut directories = vec![blobs.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                directories.push(path);
            } else if let Some((name, wheel)) = open(&path)?
                && name != "uv"
                && name != without
            {
                wheels.push(wheel);
            }
        }
    }
    ensure!(!wheels.is_empty(), "there are no wheels in {}", blobs.display());
    wheels.sort_by_key(|wheel| std::cmp::Reverse(wheel.size));
    Ok(wheels)
}

fn u16_at(bytes: &[u8], at: usize) -> Result<u64> {
    let field = bytes.get(at..at + 2).context("the zip is cut short")?;
    Ok(field.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u64> {
    Ok(u16_at(bytes, at)? | u16_at(bytes, at + 2)? << 16)
}

/// The package's name and the wheel, if the file is one. Reads no more of the format than the
/// wheels of the job need (PKWARE's APPNOTE.TXT, 4.3.12 and 4.3.16).
fn open(path: &Path) -> Result<Option<(String, Wheel)>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let tail_size = size.min(65_557);
    file.seek(SeekFrom::Start(size - tail_size))?;
    let mut tail = vec![];
    file.read_to_end(&mut tail)?;
    let mut magic = [0; 4];
    if size < 22 || file.read_exact_at(&mut magic, 0).is_err() || magic != *b"PK\x03\x04" {
        return Ok(None);
    }
    let Some(end) = tail.windows(4).rposition(|window| window == b"PK\x05\x06") else {
        return Ok(None);
    };
    let mut directory = vec![0; u32_at(&tail, end + 12)? as usize];
    file.read_exact_at(&mut directory, u32_at(&tail, end + 16)?)?;
    let (mut at, mut name, mut entries) = (0, None, vec![]);
    while directory.get(at..at + 4) == Some(b"PK\x01\x02") {
        let field = |offset| u32_at(&directory, at + offset);
        let length = u16_at(&directory, at + 28)? as usize;
        let own = directory.get(at + 46..at + 46 + length).context("the zip is cut short")?;
        if let Some(stem) = own.strip_suffix(b".dist-info/METADATA") {
            let stem = String::from_utf8_lossy(stem);
            name = stem.split('-').next().map(str::to_owned);
        }
        entries.push(Entry {
            offset: field(42)?,
            compressed: field(20)?,
            deflated: u16_at(&directory, at + 10)? == 8,
        });
        let (extra, comment) = (u16_at(&directory, at + 30)?, u16_at(&directory, at + 32)?);
        at += 46 + length + extra as usize + comment as usize;
    }
    Ok(name.map(|name| (name, Wheel { path: path.to_owned(), size, entries })))
}

impl Wheel {
    /// Does what has to be done; gives the digest of the file and the inflated size.
    fn compute(&self) -> Result<(Digest, u64)> {
        let mut file = File::open(&self.path)?;
        let mut buffer = vec![0; 1 << 18];
        let (_, digest) = hash(&mut file, Hasher::new(), &mut buffer)?;
        let mut inflated = Hasher::new();
        let mut size = 0;
        for entry in &self.entries {
            let mut header = [0; 30];
            file.read_exact_at(&mut header, entry.offset)?;
            let skipped = 30 + u16_at(&header, 26)? + u16_at(&header, 28)?;
            file.seek(SeekFrom::Start(entry.offset + skipped))?;
            let raw = BufReader::with_capacity(1 << 16, (&file).take(entry.compressed));
            let content: &mut dyn Read =
                if entry.deflated { &mut DeflateDecoder::new(raw) } else { &mut { raw } };
            loop {
                let read = content.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                inflated.update(&buffer[..read]);
                size += read as u64;
            }
        }
        inflated.finish();
        Ok((digest, size))
    }
}

fn hash(from: &mut impl Read, mut hasher: Hasher, buffer: &mut [u8]) -> Result<(u64, Digest)> {
    let mut size = 0;
    loop {
        let read = from.read(buffer)?;
        if read == 0 {
            return Ok((size, hasher.finish()));
        }
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
}

/// Measures it against an empty registry.
pub fn measure(wheels: &[Wheel], registry: SocketAddr) -> Result<Floor> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let digests = parallel(cores, wheels, |wheel| wheel.compute().map(|(digest, _)| digest))?;
    let compute = started.elapsed();
    ensure!(
        digests.iter().collect::<BTreeSet<_>>().len() == wheels.len(),
        "a wheel is there twice"
    );
    let blobs: Vec<(&Wheel, Digest)> = wheels.iter().zip(digests).collect();
    let started = Instant::now();
    parallel(UPLOADS, &blobs, |(wheel, digest)| send(wheel, digest, registry))?;
    Ok(Floor { compute, upload: started.elapsed() })
}

/// How much all wheels are unpacked.
pub fn unpacked(wheels: &[Wheel]) -> Result<u64> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(parallel(cores, wheels, |wheel| wheel.compute().map(|(_, size)| size))?.iter().sum())
}

/// Runs `work` for each item on some threads; gives the results in the order of the items.
fn parallel<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<(usize, Result<R>)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, item)) = {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    items.get(at).map(|item| (at, item))
                } {
                    let result = work(item);
                    results.lock().unwrap_or_else(|e| e.into_inner()).push((at, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|e| e.into_inner());
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Sends a blob as the distribution specification's "POST then PUT".
fn send(wheel: &Wheel, digest: &Digest, registry: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(registry)?;
    stream.set_nodelay(true)?;
    write!(
        stream,
        "POST /v2/bench/floor/blobs/uploads/ HTTP/1.1\r\nHost: {registry}\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut answers = BufReader::new(stream.try_clone()?);
    let answer = Answer::read(&mut answers)?;
    let location = answer.location.filter(|_| answer.status == 202);
    let location = location.with_context(|| format!("the upload got {}", answer.status))?;
    let path = location
        .split_once("://")
        .map_or(location.as_str(), |(_, rest)| rest.find('/').map_or("/", |at| &rest[at..]));
    let separator = if path.contains('?') { '&' } else { '?' };
    write!(
        stream,
        "PUT {path}{separator}digest={digest} HTTP/1.1\r\nHost: {registry}\r\nContent-Length: {}\r\nContent-Type: application/octet-stream\r\n\r\n",
        wheel.size
    )?;
    let sent = std::io::copy(&mut File::open(&wheel.path)?, &mut stream)?;
    ensure!(sent == wheel.size, "a wheel has changed");
    match Answer::read(&mut answers)?.status {
        201 => Ok(()),
        status => bail!("the upload got {status}"),
    }
}

struct Answer {
    status: u16,
    location: Option<String>,
}

impl Answer {
    /// Reads the head of an answer that has no body.
    fn read(from: &mut impl BufRead) -> Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut answer = Answer { status: status.context("no HTTP answer")?, location: None };
        loop {
            line.clear();
            from.read_line(&mut line)?;
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("location") => {
                    answer.location = Some(value.to_owned());
                }
                Some(_) => {}
                None => return Ok(answer),
            }
        }
    }
}
