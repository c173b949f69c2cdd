//! Zip files and wheels made by hand, good and bad.
#![allow(dead_code)]

use flate2::Compression;
use flate2::write::DeflateEncoder;
use std::io::Write;
use std::path::{Path, PathBuf};
use tierce_oci::Digest;
use tierce_wheel::{RecordHash, Wheel, WheelError};

/// One entry as it will be written, every field open to lies.
#[derive(Clone)]
pub struct ZipEntry {
    pub name: Vec<u8>,
    pub local_name: Vec<u8>,
    pub data: Vec<u8>,
    pub method: u16,
    pub flags: u16,
    pub crc32: u32,
    pub size: u32,
    pub local_size: u32,
    pub local_crc32: u32,
    pub mode: u32,
    pub extra: Vec<u8>,
    pub descriptor: Vec<u8>,
    pub gap: Vec<u8>,
}

impl ZipEntry {
    pub fn stored(name: &str, content: &[u8]) -> Self {
        let crc32 = crc32fast::hash(content);
        ZipEntry {
            name: name.into(),
            local_name: name.into(),
            data: content.to_vec(),
            method: 0,
            flags: if name.is_ascii() { 0 } else { 1 << 11 },
            crc32,
            size: content.len() as u32,
            local_size: content.len() as u32,
            local_crc32: crc32,
            mode: 0o100_644,
            extra: Vec::new(),
            descriptor: Vec::new(),
            gap: Vec::new(),
        }
    }

    pub fn deflated(name: &str, content: &[u8]) -> Self {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        let data = encoder.finish().unwrap();
        ZipEntry { method: 8, data, ..ZipEntry::stored(name, content) }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// The zip file of some entries, with a comment of this length.
pub fn zip(entries: &[ZipEntry]) -> Vec<u8> {
    zip_with(entries, &[], &[])
}

pub fn zip_with(entries: &[ZipEntry], before_directory: &[u8], comment: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for e in entries {
        let offset = out.len() as u32;
        let put16 = |out: &mut Vec<u8>, v: u16| out.extend(v.to_le_bytes());
        let put32 = |out: &mut Vec<u8>, v: u32| out.extend(v.to_le_bytes());
        put32(&mut out, 0x0403_4b50);
        put16(&mut out, 20);
        put16(&mut out, e.flags);
        put16(&mut out, e.method);
        put32(&mut out, 0x0021_0000);
        put32(&mut out, e.local_crc32);
        put32(&mut out, if e.flags & 8 != 0 { 0 } else { e.data.len() as u32 });
        put32(&mut out, e.local_size);
        put16(&mut out, e.local_name.len() as u16);
        put16(&mut out, 0);
        out.extend(&e.local_name);
        out.extend(&e.data);
        out.extend(&e.descriptor);
        out.extend(&e.gap);
        put32(&mut directory, 0x0201_4b50);
        put16(&mut directory, 0x031e);
        put16(&mut directory, 20);
        put16(&mut directory, e.flags);
        put16(&mut directory, e.method);
        put32(&mut directory, 0x0021_0000);
        put32(&mut directory, e.crc32);
        put32(&mut directory, e.data.len() as u32);
        put32(&mut directory, e.size);
        put16(&mut directory, e.name.len() as u16);
        put16(&mut directory, e.extra.len() as u16);
        put16(&mut directory, 0);
        put16(&mut directory, 0);
        put16(&mut directory, 0);
        put32(&mut directory, e.mode << 16);
        put32(&mut directory, offset);
        directory.extend(&e.name);
        directory.extend(&e.extra);
    }
    out.extend(before_directory);
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(0x0605_4b50u32.to_le_bytes());
    out.extend([0; 4]);
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((entries.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment);
    out
}

/// A wheel with a right RECORD, to be made wrong.
pub struct WheelBuilder {
    pub filename: String,
    pub entries: Vec<ZipEntry>,
    pub record: Vec<String>,
}

impl WheelBuilder {
    pub fn new(name: &str, version: &str) -> Self {
        let mut builder = WheelBuilder {
            filename: format!("{name}-{version}-py3-none-any.whl"),
            entries: Vec::new(),
            record: Vec::new(),
        };
        let dist = builder.dist_info();
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        builder.add(&format!("{dist}/METADATA"), metadata.as_bytes());
        builder.add(
            &format!("{dist}/WHEEL"),
            b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        );
        builder
    }

    pub fn dist_info(&self) -> String {
        let parts: Vec<&str> = self.filename.split('-').collect();
        format!("{}-{}.dist-info", parts[0], parts[1])
    }

    pub fn add(&mut self, name: &str, content: &[u8]) -> &mut Self {
        self.add_mode(name, content, 0o100_644)
    }

    pub fn add_mode(&mut self, name: &str, content: &[u8], mode: u32) -> &mut Self {
        self.record.push(format!("{name},{},{}", RecordHash::sha256(content), content.len()));
        self.entries.push(ZipEntry::deflated(name, content).with(|e| e.mode = mode));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let record = format!("{}/RECORD", self.dist_info());
        let text = format!("{}\n{record},,\n", self.record.join("\n"));
        let mut entries = self.entries.clone();
        entries.push(ZipEntry::deflated(&record, text.as_bytes()));
        zip(&entries)
    }

    pub fn write(&self, directory: &Path) -> PathBuf {
        let path = directory.join(&self.filename);
        std::fs::write(&path, self.bytes()).unwrap();
        path
    }

    pub fn open(&self, directory: &Path) -> Result<Wheel, WheelError> {
        let path = self.write(directory);
        let digest = Digest::of(self.bytes());
        Wheel::open(&path, &self.filename.parse().unwrap(), digest, 1 << 30)
    }
}

/// An error and its causes, one string.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
