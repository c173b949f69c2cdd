//! Writing zip files (PKWARE's APPNOTE.TXT 6.3, and Info-ZIP's use of the external attributes).
//!
//! Sizes are written after the content, so that nothing has to be read twice or held in memory;
//! zip64 fields, only where they are needed.

use super::{ContextEntry, ContextError, ContextSource};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::{self, Write};
use tierce_layer::LayerPath;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const DATA_DESCRIPTOR: u32 = 0x0807_4b50;
const DIRECTORY_ENTRY: u32 = 0x0201_4b50;
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;

/// Sizes follow the content, names are UTF-8.
const FLAGS: u16 = 1 << 3 | 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
/// 4.5, for zip64, and 2.0 for everything else; made on Unix.
const ZIP64_VERSION: u16 = 45;
const VERSION: u16 = 20;
const UNIX: u16 = 3 << 8;
/// 1980-01-01 00:00:00: the first time that the format has, and the one that all entries get.
const DATE: u16 = 1 << 5 | 1;
/// Fields of 32 bits that hold this say that a zip64 field holds the number.
const BIG: u32 = u32::MAX;
/// A file of this size or more gets zip64 sizes: deflated, it may be a little larger than it is.
const BIG_FILE: u64 = 0xf000_0000;

/// Writes a zip file from front to back.
pub(super) struct ZipWriter<W: Write> {
    out: Counted<W>,
    directory: Vec<u8>,
    entries: u64,
}

/// Counts, sums and passes on what is written.
struct Counted<W> {
    inner: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// What the directory says of an entry.
struct Facts<'a> {
    name: &'a [u8],
    method: u16,
    crc: u32,
    compressed: u64,
    size: u64,
    attributes: u32,
    offset: u64,
    big: bool,
}

impl<W: Write> ZipWriter<W> {
    pub fn new(out: W) -> Self {
        ZipWriter { out: Counted { inner: out, written: 0 }, directory: vec![], entries: 0 }
    }

    /// Adds an entry.
    pub fn append(&mut self, path: &LayerPath, entry: &ContextEntry) -> Result<(), ContextError> {
        let unfit = || ContextError::ZipName { path: path.to_string() };
        let mut name = std::str::from_utf8(path.as_bytes()).map_err(|_| unfit())?.to_owned();
        // The type is in the upper half of the external attributes, and S_IFDIR in the lower.
        let (kind, dos) = match &entry.source {
            ContextSource::File { .. } | ContextSource::Bytes(_) => (0o100_000, 0),
            ContextSource::Symlink(_) => (0o120_000, 0),
            ContextSource::Directory => (0o040_000, 0x10),
        };
        if dos != 0 {
            name.push('/');
        }
        if name.len() > usize::from(u16::MAX) {
            return Err(unfit());
        }
        let deflated = entry.size() > 0;
        let facts = Facts {
            name: name.as_bytes(),
            method: if deflated { DEFLATED } else { STORED },
            crc: 0,
            compressed: 0,
            size: 0,
            attributes: (kind | entry.mode) << 16 | dos,
            offset: self.out.written,
            big: entry.size() >= BIG_FILE,
        };
        self.local_header(&facts).map_err(ContextError::Write)?;
        let start = self.out.written;
        let mut body = Body { crc: crc32fast::Hasher::new(), size: 0 };
        match &entry.source {
            ContextSource::Symlink(target) => {
                body.count(target);
                self.out.write_all(target).map_err(ContextError::Write)?;
            }
            _ if deflated => {
                let encoder = DeflateEncoder::new(&mut self.out, Compression::new(6));
                let mut tee = Tee { body: &mut body, out: encoder };
                entry.content()?.copy(&mut tee)?;
                tee.out.finish().map_err(ContextError::Write)?;
            }
            _ => entry.content()?.copy(&mut io::sink())?,
        }
        let compressed = self.out.written - start;
        let facts = Facts { crc: body.crc.finalize(), compressed, size: body.size, ..facts };
        self.descriptor(&facts).map_err(ContextError::Write)?;
        self.list(&facts);
        Ok(())
    }

    fn local_header(&mut self, facts: &Facts<'_>) -> io::Result<()> {
        let mut header = Vec::with_capacity(64 + facts.name.len());
        let version = if facts.big { ZIP64_VERSION } else { VERSION };
        put32(&mut header, LOCAL_HEADER);
        for field in [version, FLAGS, facts.method, 0, DATE] {
            put16(&mut header, field);
        }
        // The checksum and both sizes come later.
        let size = if facts.big { BIG } else { 0 };
        for field in [0, size, size] {
            put32(&mut header, field);
        }
        put16(&mut header, facts.name.len() as u16);
        put16(&mut header, if facts.big { 20 } else { 0 });
        header.extend_from_slice(facts.name);
        if facts.big {
            put16(&mut header, 1);
            put16(&mut header, 16);
            put64(&mut header, 0);
            put64(&mut header, 0);
        }
        self.out.write_all(&header)
    }

    fn descriptor(&mut self, facts: &Facts<'_>) -> io::Result<()> {
        let mut descriptor = Vec::with_capacity(24);
        put32(&mut descriptor, DATA_DESCRIPTOR);
        put32(&mut descriptor, facts.crc);
        for size in [facts.compressed, facts.size] {
            match facts.big {
                true => put64(&mut descriptor, size),
                false => put32(&mut descriptor, size as u32),
            }
        }
        self.out.write_all(&descriptor)
    }

    /// Adds an entry to the directory.
    fn list(&mut self, facts: &Facts<'_>) {
        // All of them as soon as one of them needs it: readers know no other way of being big.
        let big = facts.big || facts.offset >= u64::from(BIG);
        let version = if big { ZIP64_VERSION } else { VERSION };
        let narrow = |number: u64| if big { BIG } else { number as u32 };
        let out = &mut self.directory;
        put32(out, DIRECTORY_ENTRY);
        for field in [UNIX | version, version, FLAGS, facts.method, 0, DATE] {
            put16(out, field);
        }
        for field in [facts.crc, narrow(facts.compressed), narrow(facts.size)] {
            put32(out, field);
        }
        put16(out, facts.name.len() as u16);
        put16(out, if big { 28 } else { 0 });
        // No comment, the first disk, no internal attributes.
        for _ in 0..3 {
            put16(out, 0);
        }
        put32(out, facts.attributes);
        put32(out, narrow(facts.offset));
        out.extend_from_slice(facts.name);
        if big {
            put16(out, 1);
            put16(out, 24);
            for number in [facts.size, facts.compressed, facts.offset] {
                put64(out, number);
            }
        }
        self.entries += 1;
    }

    /// Ends the file.
    pub fn finish(mut self) -> Result<W, ContextError> {
        let offset = self.out.written;
        let size = self.directory.len() as u64;
        let mut end = std::mem::take(&mut self.directory);
        let big = self.entries >= u64::from(u16::MAX)
            || offset >= u64::from(BIG)
            || size >= u64::from(BIG);
        if big {
            put32(&mut end, ZIP64_END);
            put64(&mut end, 44);
            put16(&mut end, UNIX | ZIP64_VERSION);
            put16(&mut end, ZIP64_VERSION);
            put32(&mut end, 0);
            put32(&mut end, 0);
            for number in [self.entries, self.entries, size, offset] {
                put64(&mut end, number);
            }
            put32(&mut end, ZIP64_LOCATOR);
            put32(&mut end, 0);
            put64(&mut end, offset + size);
            put32(&mut end, 1);
        }
        let entries = if big { u16::MAX } else { self.entries as u16 };
        put32(&mut end, END);
        for field in [0, 0, entries, entries] {
            put16(&mut end, field);
        }
        put32(&mut end, if big { BIG } else { size as u32 });
        put32(&mut end, if big { BIG } else { offset as u32 });
        put16(&mut end, 0);
        self.out.write_all(&end).map_err(ContextError::Write)?;
        self.out.flush().map_err(ContextError::Write)?;
        Ok(self.out.inner)
    }
}

/// The checksum and the size of what goes by.
struct Body {
    crc: crc32fast::Hasher,
    size: u64,
}

impl Body {
    fn count(&mut self, bytes: &[u8]) {
        self.crc.update(bytes);
        self.size += bytes.len() as u64;
    }
}

struct Tee<'a, W> {
    body: &'a mut Body,
    out: W,
}

impl<W: Write> Write for Tee<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.body.count(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn put16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}
