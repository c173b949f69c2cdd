//! What is written is read back, by our reader and by other programs.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use tierce_layer::{Compression, Deflated, Entry, LayerPath, LayerReader, LayerWriter, Whiteout};
use tierce_oci::Digest;

fn path(path: &str) -> LayerPath {
    LayerPath::new(path).unwrap()
}

fn deflated(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A layer with one entry of each kind, spliced and appended.
fn sample(compression: Compression) -> (Vec<u8>, tierce_layer::LayerInfo) {
    let mut layer = LayerWriter::new(Vec::new(), compression);
    layer.append(&Entry::directory(path("opt")), io::empty()).unwrap();
    let hello = b"print('hello')\n".repeat(50);
    layer.append(&Entry::file(path("opt/a.py"), hello.len() as u64), hello.as_slice()).unwrap();
    let stream = deflated(&hello);
    let spliced = Deflated {
        compressed_size: stream.len() as u64,
        crc32: crc32fast::hash(&hello),
        stream: stream.as_slice(),
    };
    layer.append_deflated(&Entry::file(path("opt/b.py"), hello.len() as u64), spliced).unwrap();
    layer.append(&Entry::symlink(path("opt/link"), "../a b"), io::empty()).unwrap();
    layer.append(&Entry::hard_link(path("opt/hard"), path("opt/a.py")), io::empty()).unwrap();
    layer.whiteout(&Whiteout::Of(path("etc/passwd"))).unwrap();
    layer.whiteout(&Whiteout::Opaque(path("var"))).unwrap();
    layer.finish().unwrap()
}

fn names_by_tar(layer: &[u8], program: &str, args: &[&str]) -> Vec<String> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = layer.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_compression_reads_back() {
    let mut diff_ids = Vec::new();
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let (bytes, info) = sample(compression);
        assert_eq!(info.descriptor.digest, Digest::of(&bytes));
        assert_eq!(info.descriptor.size, bytes.len() as u64);
        assert_eq!(info.descriptor.media_type, compression.media_type());
        let mut reader = LayerReader::new(bytes.as_slice()).unwrap();
        let mut seen = Vec::new();
        while let Some((entry, mut content)) = reader.next_entry().unwrap() {
            if entry.path == path("opt/b.py") {
                let mut text = String::new();
                content.read_to_string(&mut text).unwrap();
                assert_eq!(text, "print('hello')\n".repeat(50));
            }
            seen.push(entry.path.to_string());
        }
        assert_eq!(
            seen,
            [
                "opt",
                "opt/a.py",
                "opt/b.py",
                "opt/link",
                "opt/hard",
                "etc/.wh.passwd",
                "var/.wh..wh..opq"
            ]
        );
        assert_eq!(reader.position(), info.uncompressed_size);
        assert_eq!(reader.finish().unwrap(), info.diff_id);
        diff_ids.push(info.diff_id);
    }
    assert!(diff_ids.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn gnu_tar_and_gzip_read_it() {
    let (bytes, _) = sample(Compression::Gzip);
    let names = names_by_tar(&bytes, "tar", &["-tzf", "-"]);
    assert_eq!(names[0], "opt/");
    assert_eq!(names.len(), 7);
    names_by_tar(&bytes, "gzip", &["-t"]);
    let (bytes, _) = sample(Compression::None);
    assert_eq!(names_by_tar(&bytes, "tar", &["-tf", "-"]), names);
}
