//! Archives and hashes as package tools expect them, the same bytes for the same content.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder};
use sha2::{Digest, Sha256};
use std::io::Write;

/// The SHA-256 in hexadecimal digits.
pub(crate) fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 as RECORD spells it.
pub(crate) fn record_sha256(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(bytes))
}

/// A project's name as PEP 503 normalises it.
pub(crate) fn normalize(name: &str) -> String {
    let mut normal = String::new();
    for c in name.chars() {
        match c {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            _ => normal.push(c.to_ascii_lowercase()),
        }
    }
    normal
}

/// A zip file, its files deflated, from 1980.
pub(crate) fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut out, mut directory) = (vec![], vec![]);
    for (name, content) in files {
        let mut deflate = DeflateEncoder::new(vec![], Compression::default());
        deflate.write_all(content).expect("memory");
        let data = deflate.finish().expect("memory");
        let size = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a small file");
        let mut common = vec![];
        for field in [20_u16, 1 << 11, 8, 0, 33] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32fast::hash(content), size(&data), size(content)] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(name.len()).expect("a short name").to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        let offset = size(&out);
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(&data);
        directory.extend(b"PK\x01\x02\x14\x03");
        directory.extend(&common);
        directory.extend([0; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let count = u16::try_from(files.len()).expect("few files").to_le_bytes();
    let start = u32::try_from(out.len()).expect("a small archive");
    let length = u32::try_from(directory.len()).expect("a small archive");
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count);
    out.extend(count);
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}

/// A gzipped tar file (POSIX ustar).
pub(crate) fn tar_gz(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(vec![], Compression::default());
    for (name, content) in files {
        gzip.write_all(&tar_header(name, content.len())).expect("memory");
        gzip.write_all(content).expect("memory");
        let padding = content.len().next_multiple_of(512) - content.len();
        gzip.write_all(&vec![0; padding]).expect("memory");
    }
    gzip.write_all(&[0; 1024]).expect("memory");
    gzip.finish().expect("memory")
}

fn tar_header(name: &str, size: usize) -> [u8; 512] {
    assert!(name.len() <= 100, "{name} is too long for a plain tar header");
    let mut header = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"02264557600\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}
