//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use tierce_layer::{Deflated, Entry, LayerPath, LayerReader, ReadError};

pub fn path(path: &str) -> LayerPath {
    LayerPath::new(path).unwrap()
}

/// A raw deflate stream, as a zip entry of method 8 holds it.
pub fn deflate(content: &[u8], level: u32) -> Vec<u8> {
    let level = flate2::Compression::new(level);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// What a zip's directory would say of `stream`, which inflates to `content`.
pub fn deflated<'a>(stream: &'a [u8], content: &[u8]) -> Deflated<&'a [u8]> {
    let compressed_size = stream.len() as u64;
    Deflated { stream, compressed_size, crc32: crc32fast::hash(content) }
}

/// Bytes that are neither constant nor random, the same in every run.
pub fn text(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut out = Vec::with_capacity(length + 16);
    while out.len() < length {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        out.extend_from_slice(format!("word{} ", state >> 54).as_bytes());
    }
    out.truncate(length);
    out
}

/// All entries with their content.
pub fn read_all(layer: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>, ReadError> {
    let mut reader = LayerReader::new(layer)?;
    let mut out = Vec::new();
    while let Some((entry, mut content)) = reader.next_entry()? {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        out.push((entry, bytes));
    }
    reader.finish()?;
    Ok(out)
}

/// Runs a program with `input` on its standard input, and gives its standard output.
pub fn pipe(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let bytes = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    // A program that stops early, as tar does at the end of an archive, closes the pipe.
    let _ = feeder.join().unwrap();
    assert!(output.status.success(), "{program} {args:?} failed");
    output.stdout
}
