//! A strict, read-only view of a zip file: only what every reader understands alike.
//!
//! Wheels are zip files that strangers made, and a file that two programs read differently hides
//! things from one of them (CVE-2025-54368). So here: one end record, at the very end; local
//! headers equal to the directory; entries that cover the file from its first byte to the
//! directory without gap or overlap; no duplicates, no unsafe names, no encryption.

mod directory;
mod error;
mod fields;
mod local;
mod names;

pub use error::ZipError;
pub(crate) use names::check_path;

use flate2::bufread::DeflateDecoder;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// How an entry's data is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As it is (0).
    Stored,
    /// A raw deflate stream, RFC 1951 (8).
    Deflated,
}

impl Method {
    fn number(self) -> u16 {
        match self {
            Method::Stored => 0,
            Method::Deflated => 8,
        }
    }
}

/// One entry of a zip file.
#[derive(Clone, Debug)]
pub struct Entry {
    name: String,
    method: Method,
    flags: u16,
    crc32: u32,
    compressed_size: u64,
    size: u64,
    mode: u32,
    header_offset: u64,
    data_offset: u64,
}

impl Entry {
    /// The path, relative and safe; a directory's ends in `/`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is a directory.
    pub fn is_directory(&self) -> bool {
        self.name.ends_with('/')
    }

    /// How the data is stored.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The CRC-32 of the unpacked data, as declared.
    pub fn crc32(&self) -> u32 {
        self.crc32
    }

    /// The size in the zip file.
    pub fn compressed_size(&self) -> u64 {
        self.compressed_size
    }

    /// The unpacked size, as declared.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether an installer makes the file executable: as pip has it, a regular file with any
    /// execute bit in the upper half of its external attributes.
    pub fn is_executable(&self) -> bool {
        const S_IFMT: u32 = 0o170_000;
        const S_IFREG: u32 = 0o100_000;
        self.mode & S_IFMT == S_IFREG && self.mode & 0o111 != 0
    }
}

/// A checked zip file.
#[derive(Clone, Debug)]
pub struct Archive {
    file: Arc<File>,
    entries: Vec<Entry>,
    total_size: u64,
}

impl Archive {
    /// Reads and checks the directory and all local headers of `file`, whose entries may unpack
    /// to at most `limit` bytes in all. No data is unpacked.
    pub fn open(file: File, limit: u64) -> Result<Self, ZipError> {
        let length = file.metadata()?.len();
        let location = directory::locate(&file, length)?;
        let mut entries = directory::read(&file, &location)?;
        check_names(&entries)?;
        let total_size = entries.iter().fold(0u64, |sum, e| sum.saturating_add(e.size));
        if total_size > limit {
            return Err(ZipError::TooLarge { size: total_size, limit });
        }
        local::check(&file, &mut entries, location.offset)?;
        Ok(Archive { file: Arc::new(file), entries, total_size })
    }

    /// The entries in the directory's order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of this name.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|e| e.name == name)
    }

    /// What all entries unpack to.
    pub fn total_size(&self) -> u64 {
        self.total_size
    }

    /// The entry's data as the file has it: a raw deflate stream for deflated entries.
    pub fn raw(&self, entry: &Entry) -> RawData {
        RawData {
            file: Arc::clone(&self.file),
            offset: entry.data_offset,
            left: entry.compressed_size,
        }
    }

    /// The entry's unpacked data; the read that reaches its end fails if size or CRC are not
    /// what was declared.
    pub fn reader(&self, entry: &Entry) -> impl Read + use<> {
        let raw = BufReader::with_capacity(64 << 10, self.raw(entry));
        let data = match entry.method {
            Method::Stored => Data::Stored(raw),
            Method::Deflated => Data::Deflated(DeflateDecoder::new(raw)),
        };
        Checked { data, hasher: crc32fast::Hasher::new(), left: entry.size, crc32: entry.crc32 }
    }

    /// All of the entry's unpacked data, at most `limit` bytes.
    pub fn read(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, ZipError> {
        if entry.size > limit {
            return Err(ZipError::TooLarge { size: entry.size, limit });
        }
        let mut bytes = Vec::with_capacity(entry.size as usize);
        self.reader(entry).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// No name twice, and no file that is also another's directory.
fn check_names(entries: &[Entry]) -> Result<(), ZipError> {
    let mut seen = HashSet::new();
    let mut files = BTreeMap::new();
    for entry in entries {
        let error = |problem| ZipError::Name { name: entry.name.clone(), problem };
        if !seen.insert(entry.name.trim_end_matches('/')) {
            return Err(error("the name occurs twice"));
        }
        if !entry.is_directory() {
            files.insert(entry.name.as_str(), ());
        }
    }
    for entry in entries {
        let path = entry.name.trim_end_matches('/');
        let parents = path.match_indices('/').map(|(at, _)| &path[..at]);
        for parent in parents {
            if files.contains_key(parent) {
                let problem = "a file's name is also a directory's";
                return Err(ZipError::Name { name: parent.to_owned(), problem });
            }
        }
    }
    Ok(())
}

/// The bytes of one entry in the file, by positioned reads: readers don't disturb each other.
#[derive(Debug)]
pub struct RawData {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for RawData {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..wanted], self.offset)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

enum Data {
    Stored(BufReader<RawData>),
    Deflated(DeflateDecoder<BufReader<RawData>>),
}

impl Data {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Data::Stored(data) => data.read(buffer),
            Data::Deflated(data) => data.read(buffer),
        }
    }

    /// Whether the compressed data was used up: bytes after a deflate stream's end are nobody's.
    fn is_used_up(&self) -> bool {
        let raw = match self {
            Data::Stored(raw) => raw,
            Data::Deflated(data) => data.get_ref(),
        };
        raw.get_ref().left == 0 && raw.buffer().is_empty()
    }
}

struct Checked {
    data: Data,
    hasher: crc32fast::Hasher,
    left: u64,
    crc32: u32,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.data.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        let bad = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
        match self.left.checked_sub(read as u64) {
            None => return bad("zip entry unpacks to more than its declared size"),
            Some(left) => self.left = left,
        }
        if read == 0 {
            if self.left != 0 {
                return bad("zip entry unpacks to less than its declared size");
            }
            if self.hasher.clone().finalize() != self.crc32 {
                return bad("zip entry's data does not have its declared CRC");
            }
            if !self.data.is_used_up() {
                return bad("zip entry has bytes after the end of its compressed data");
            }
        }
        Ok(read)
    }
}
