//! The zip reader against hostile files (CVE-2025-54368 and its kin) and honest ones.

mod common;

use common::{ZipEntry, chain, zip, zip_with};
use proptest::prelude::*;
use std::io::{Read, Write};
use tierce_wheel::zip::{Archive, ZipError};

fn open(bytes: &[u8]) -> Result<Archive, ZipError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    Archive::open(file, 1 << 30)
}

fn read_all(archive: &Archive) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for entry in archive.entries() {
        let mut content = Vec::new();
        archive.reader(entry).read_to_end(&mut content)?;
        all.push((entry.name().to_owned(), content));
    }
    Ok(all)
}

fn good() -> Vec<ZipEntry> {
    vec![
        ZipEntry::deflated("a/b.py", &b"print(1)\n".repeat(1000)),
        ZipEntry::stored("c.txt", b"hello"),
        ZipEntry::stored("d/", b"").with(|e| e.mode = 0o040_755),
        ZipEntry::deflated("ü.py", b""),
    ]
}

#[test]
fn honest_files_are_read() {
    let archive = open(&zip(&good())).unwrap();
    let all = read_all(&archive).unwrap();
    assert_eq!(all.len(), 4);
    assert_eq!(all[0].1, b"print(1)\n".repeat(1000));
    assert_eq!(all[1], ("c.txt".to_owned(), b"hello".to_vec()));
    assert!(archive.entries()[2].is_directory());
    assert_eq!(archive.total_size(), 9005);
    open(&zip_with(&good(), b"", b"a comment")).unwrap();
    open(&zip(&[])).unwrap();
}

#[test]
fn data_descriptors_are_checked() {
    let with_descriptor = |signature: bool, crc_flip: u32| {
        ZipEntry::deflated("a", b"content").with(|e| {
            e.flags |= 8;
            e.local_size = 0;
            e.local_crc32 = 0;
            if signature {
                e.descriptor.extend(0x0807_4b50u32.to_le_bytes());
            }
            e.descriptor.extend((e.crc32 ^ crc_flip).to_le_bytes());
            e.descriptor.extend((e.data.len() as u32).to_le_bytes());
            e.descriptor.extend(e.size.to_le_bytes());
        })
    };
    for signature in [true, false] {
        let bytes = zip(&[with_descriptor(signature, 0), ZipEntry::stored("b", b"x")]);
        assert_eq!(read_all(&open(&bytes).unwrap()).unwrap().len(), 2);
        let bytes = zip(&[with_descriptor(signature, 1), ZipEntry::stored("b", b"x")]);
        assert!(matches!(open(&bytes), Err(ZipError::Disagreement { .. })));
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let one = |change: fn(&mut ZipEntry)| {
        let mut entries = good();
        change(&mut entries[1]);
        zip(&entries)
    };
    let valid = zip(&good());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("empty", vec![], "no zip directory"),
        ("truncated", valid[..valid.len() - 1].to_vec(), "no zip directory"),
        ("trailing byte", [&valid[..], b"\0"].concat(), "no zip directory"),
        ("leading byte", [b"#", &valid[..]].concat(), "does not end where"),
        ("two zips", [&valid[..], &valid[..]].concat(), "does not end where"),
        ("gap before directory", zip_with(&good(), b"xx", b""), "belong to no entry"),
        ("gap between", one(|e| e.gap = b"hidden".to_vec()), "belong to no entry"),
        ("duplicate", zip(&[good(), good()].concat()), "occurs twice"),
        (
            "directory and file",
            one(|e| {
                e.name = b"d".to_vec();
                e.local_name = b"d".to_vec()
            }),
            "occurs twice",
        ),
        (
            "file as directory",
            one(|e| {
                e.name = b"a".to_vec();
                e.local_name = b"a".to_vec()
            }),
            "also a directory's",
        ),
        ("other local name", one(|e| e.local_name = b"e.txt".to_vec()), "disagree about its name"),
        ("other local size", one(|e| e.local_size = 4), "disagree about its size"),
        ("other local crc", one(|e| e.local_crc32 ^= 1), "disagree about its CRC"),
        ("encrypted", one(|e| e.flags |= 1), "encrypted"),
        ("bzip2", one(|e| e.method = 12), "compression method 12"),
        (
            "stored sizes differ",
            one(|e| {
                e.size = 4;
                e.local_size = 4
            }),
            "two sizes differ",
        ),
        (
            "bomb",
            one(|e| {
                e.method = 8;
                e.size = u32::MAX - 1;
                e.local_size = u32::MAX - 1
            }),
            "more than its data",
        ),
        (
            "unicode path",
            one(|e| e.extra = b"\x75\x70\x09\x00\x01\0\0\0\0evil".to_vec()),
            "second, different name",
        ),
        (
            "bad extra",
            one(|e| e.extra = b"\x75\x70\xff\x00\x01".to_vec()),
            "extra fields are malformed",
        ),
        ("zip64 without field", one(|e| e.size = u32::MAX), "zip64"),
        ("directory with content", zip(&[ZipEntry::stored("x/", b"1")]), "directory with content"),
        (
            "latin-1 name",
            one(|e| {
                e.name = b"c\xfctxt".to_vec();
                e.local_name = e.name.clone()
            }),
            "not UTF-8",
        ),
        ("unmarked utf-8", zip(&[ZipEntry::stored("ü", b"").with(|e| e.flags = 0)]), "not marked"),
        ("two end records", zip_with(&good(), b"", &zip(&[])), "more than one zip directory"),
    ];
    for (what, bytes, expected) in cases {
        let error = open(&bytes).expect_err(what);
        let text = chain(&error);
        assert!(text.contains(expected), "{what}: {text}");
    }
    for name in
        ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/.", "a\\b", "a\nb", "", "a/\u{0}"]
    {
        let error = open(&zip(&[ZipEntry::stored(name, b"")])).expect_err(name);
        assert!(matches!(error, ZipError::Name { .. }), "{name:?}: {error}");
    }
}

#[test]
fn content_must_be_what_is_declared() {
    let entry = || ZipEntry::deflated("a", b"some content");
    for (what, entry) in [
        (
            "crc",
            entry().with(|e| {
                e.crc32 ^= 1;
                e.local_crc32 ^= 1
            }),
        ),
        (
            "shorter",
            entry().with(|e| {
                e.size += 1;
                e.local_size += 1
            }),
        ),
        (
            "longer",
            entry().with(|e| {
                e.size -= 1;
                e.local_size -= 1
            }),
        ),
        ("rest", entry().with(|e| e.data.push(0))),
        ("not deflate", entry().with(|e| e.data.fill(0xff))),
    ] {
        let archive = open(&zip(&[entry])).unwrap();
        assert!(read_all(&archive).is_err(), "{what}");
    }
}

#[test]
fn the_limit_holds() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&zip(&good())).unwrap();
    assert!(matches!(
        Archive::open(file, 9004),
        Err(ZipError::TooLarge { size: 9005, limit: 9004 })
    ));
}

proptest! {
    /// Whatever byte is changed: no panic, and what can be read has its declared CRC.
    #[test]
    fn no_change_makes_it_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = zip(&good());
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(archive) = open(&bytes) {
            let _ = read_all(&archive);
        }
    }

    #[test]
    fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(open(&bytes).is_err());
    }
}

/// Python's own zip writer, with and without a seekable output and beyond the 32-bit marks.
#[test]
fn what_python_writes_is_read() {
    let script = r#"
import io, sys, zipfile
class Stream(io.RawIOBase):
    def __init__(self): self.data = b""
    def writable(self): return True
    def write(self, b): self.data += bytes(b); return len(b)
kind = sys.argv[1]
out = Stream() if kind == "stream" else io.BytesIO()
with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
    for name in ("a.py", "pkg/b.py", "pkg/ü.py"):
        with z.open(name, "w", force_zip64=(kind == "zip64")) as f:
            f.write(b"x = 1\n" * 500)
    if kind == "many":
        for i in range(66000): z.writestr(str(i), b"")
sys.stdout.buffer.write(out.data if kind == "stream" else out.getvalue())
"#;
    for kind in ["plain", "stream", "zip64", "many"] {
        let Ok(output) = std::process::Command::new("python3").args(["-c", script, kind]).output()
        else {
            eprintln!("skipped: there is no python3");
            return;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let archive = open(&output.stdout).unwrap_or_else(|e| panic!("{kind}: {}", chain(&e)));
        let all = read_all(&archive).unwrap();
        assert_eq!(all[2], ("pkg/ü.py".to_owned(), b"x = 1\n".repeat(500)), "{kind}");
        if kind == "many" {
            assert_eq!(all.len(), 66003);
        }
    }
}
