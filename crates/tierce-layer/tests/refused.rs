//! What can't be written, and archives that are refused: each row says why.

mod common;

use common::{deflate, deflated, path, read_all, text};
use std::io;
use tierce_layer::{
    Compression, Deflated, Entry, EntryKind, FormatError, LayerPath, LayerWriter, PathError,
    ReadError, Whiteout, WhiteoutError, WriteError,
};
use tierce_oci::Diagnostic;

/// A header block made by hand: fields as they are, the checksum right.
struct Raw([u8; 512]);

impl Raw {
    fn new(name: &str, flag: u8, size: u64) -> Raw {
        let mut raw = Raw([0; 512]);
        raw.put(0, name.as_bytes());
        raw.put(100, b"0000644\0").put(108, b"0000000\0").put(116, b"0000000\0");
        raw.put(124, format!("{size:011o}\0").as_bytes()).put(136, b"00000000000\0");
        raw.put(156, &[flag]).put(257, b"ustar\x0000");
        raw
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> &mut Raw {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    fn link(mut self, target: &str) -> Raw {
        self.put(157, target.as_bytes());
        self
    }

    fn with(mut self, at: usize, bytes: &[u8]) -> Raw {
        self.put(at, bytes);
        self
    }

    fn block(mut self) -> Vec<u8> {
        self.put(148, b"        ");
        let sum: u32 = self.0.iter().map(|&b| u32::from(b)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0.to_vec()
    }
}

/// A header with its content, padded.
fn with_body(header: Raw, body: &[u8]) -> Vec<u8> {
    let mut out = header.block();
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn pax(flag: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let body: String = records
        .iter()
        .map(|(key, value)| {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..).find(|n| rest + n.to_string().len() == *n).unwrap();
            format!("{length} {key}={value}\n")
        })
        .collect();
    with_body(Raw::new("pax", flag, body.len() as u64), body.as_bytes())
}

fn gnu_long(flag: u8, name: &str) -> Vec<u8> {
    let body = format!("{name}\0");
    with_body(Raw::new("././@LongLink", flag, body.len() as u64), body.as_bytes())
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

fn file(name: &str, body: &[u8]) -> Vec<u8> {
    with_body(Raw::new(name, b'0', body.len() as u64), body)
}

fn format_error(parts: &[Vec<u8>]) -> FormatError {
    match read_all(&parts.concat()) {
        Err(ReadError::Format { source, .. }) => source,
        Err(other) => panic!("another error: {other:?}"),
        Ok(entries) => panic!("accepted: {entries:?}"),
    }
}

#[test]
fn ambiguous_and_broken_archives_are_refused() {
    use FormatError::*;
    let hidden = file("hidden", b"");
    let sized = |pax_size: &str, header_size: u64| {
        [
            pax(b'x', &[("size", pax_size)]),
            Raw::new("a", b'0', header_size).block(),
            hidden.clone(),
            end(),
        ]
    };
    let mut bad_sum = file("a", b"");
    bad_sum[0] = b'b';
    let rows: Vec<(&str, Vec<Vec<u8>>, FormatError)> = vec![
        // CVE-2025-62518: one reader sees an entry where the other sees content.
        ("pax size hides a header", sized("512", 0).to_vec(), Ambiguous("size")),
        ("ustar size hides a header", sized("0", 512).to_vec(), Ambiguous("size")),
        (
            "size of a hard link",
            vec![pax(b'x', &[("size", "512")]), Raw::new("a", b'1', 0).link("b").block(), end()],
            Ambiguous("size"),
        ),
        (
            "size of a directory",
            vec![Raw::new("a", b'5', 512).block(), hidden.clone(), end()],
            UnexpectedContent("a".into()),
        ),
        (
            "size of an old directory",
            vec![Raw::new("a/", b'0', 512).block(), hidden.clone(), end()],
            UnexpectedContent("a/".into()),
        ),
        (
            "size of a symlink",
            vec![Raw::new("a", b'2', 512).link("b").block(), hidden.clone(), end()],
            UnexpectedContent("a".into()),
        ),
        (
            "negative base-256 size",
            vec![Raw::new("a", b'0', 0).with(124, &[0xff; 12]).block(), end()],
            Number("size"),
        ),
        (
            "base-256 size above i64",
            vec![
                Raw::new("a", b'0', 0)
                    .with(124, &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0])
                    .block(),
                end(),
            ],
            Number("size"),
        ),
        (
            "size with a letter",
            vec![Raw::new("a", b'0', 0).with(124, b"0000000000x\0").block(), end()],
            Number("size"),
        ),
        (
            "size with a sign",
            vec![Raw::new("a", b'0', 0).with(124, b"-0000000001\0").block(), end()],
            Number("size"),
        ),
        (
            "two numbers in a field",
            vec![Raw::new("a", b'0', 0).with(124, b"0001 000001\0").block(), end()],
            Number("size"),
        ),
        (
            "pax size with a sign",
            vec![pax(b'x', &[("size", "+5")]), file("a", b""), end()],
            PaxValue("size".into()),
        ),
        (
            "pax size above u64",
            vec![pax(b'x', &[("size", "99999999999999999999")]), file("a", b""), end()],
            PaxValue("size".into()),
        ),
        (
            "pax size above i64",
            vec![pax(b'x', &[("size", "18446744073709551615")]), file("a", b""), end()],
            Number("size"),
        ),
        (
            "uid above u32",
            vec![pax(b'x', &[("uid", "4294967296")]), file("a", b""), end()],
            Number("uid"),
        ),
        (
            "two pax headers",
            vec![pax(b'x', &[("path", "a")]), pax(b'x', &[("path", "b")]), file("c", b""), end()],
            Ambiguous("extended header"),
        ),
        (
            "a global header inside",
            vec![pax(b'x', &[("path", "a")]), pax(b'g', &[("mtime", "1")]), file("c", b""), end()],
            Ambiguous("extended header"),
        ),
        (
            "two values for a key",
            vec![pax(b'x', &[("path", "a"), ("path", "b")]), file("c", b""), end()],
            PaxValue("path".into()),
        ),
        (
            "two long names",
            vec![gnu_long(b'L', "a"), gnu_long(b'L', "b"), file("c", b""), end()],
            Ambiguous("path"),
        ),
        (
            "GNU against pax name",
            vec![gnu_long(b'L', "a"), pax(b'x', &[("path", "b")]), file("c", b""), end()],
            Ambiguous("path"),
        ),
        (
            "a global path",
            vec![pax(b'g', &[("path", "a")]), file("c", b""), end()],
            PaxValue("path".into()),
        ),
        (
            "a global size",
            vec![pax(b'g', &[("size", "0")]), file("c", b""), end()],
            PaxValue("size".into()),
        ),
        ("a pax header at the end", vec![pax(b'x', &[("path", "a")]), end()], Truncated),
        (
            "a record without newline",
            vec![with_body(Raw::new("p", b'x', 8), b"8 a=bcd!"), file("a", b""), end()],
            PaxRecord,
        ),
        (
            "a record that is too long",
            vec![with_body(Raw::new("p", b'x', 8), b"9 a=bcd\n"), file("a", b""), end()],
            PaxRecord,
        ),
        (
            "a record of length 0",
            vec![with_body(Raw::new("p", b'x', 8), b"0 a=bcd\n"), file("a", b""), end()],
            PaxRecord,
        ),
        (
            "a record without key",
            vec![with_body(Raw::new("p", b'x', 6), b"6 =bc\n"), file("a", b""), end()],
            PaxRecord,
        ),
        (
            "a record without value",
            vec![with_body(Raw::new("p", b'x', 6), b"6 abc\n"), file("a", b""), end()],
            PaxRecord,
        ),
        (
            "a huge pax header",
            vec![Raw::new("p", b'x', (1 << 20) + 1).block(), end()],
            ExtensionTooLarge((1 << 20) + 1),
        ),
        (
            "a huge long name",
            vec![Raw::new("p", b'L', 1 << 40 >> 8).block(), end()],
            ExtensionTooLarge(1 << 32),
        ),
        (
            "an empty long name",
            vec![gnu_long(b'L', ""), file("a", b""), end()],
            Path(PathError::Empty),
        ),
        (
            "a sparse file",
            vec![Raw::new("a", b'S', 0).with(257, b"ustar  \0").block(), end()],
            Sparse("a".into()),
        ),
        (
            "a pax sparse file",
            vec![pax(b'x', &[("GNU.sparse.major", "1")]), file("a", b""), end()],
            Sparse("a".into()),
        ),
        ("a wrong checksum", vec![bad_sum, end()], Checksum),
        ("no name", vec![file("", b""), end()], Path(PathError::Empty)),
        (
            "a name that climbs",
            vec![file("a/../../b", b""), end()],
            Path(PathError::Parent("a/../../b".into())),
        ),
        (
            "a hard link that climbs",
            vec![Raw::new("a", b'1', 0).link("../b").block(), end()],
            HardLink { path: "a".into(), source: PathError::Parent("../b".into()) },
        ),
        (
            "a hard link to the root",
            vec![Raw::new("a", b'1', 0).link("/").block(), end()],
            HardLink { path: "a".into(), source: PathError::Empty },
        ),
        ("a symlink to nothing", vec![Raw::new("a", b'2', 0).block(), end()], Symlink("a".into())),
        // CVE-2021-29136: the root replaced by a link.
        (
            "the root is a link",
            vec![Raw::new("./", b'2', 0).link("/etc").block(), end()],
            RootNotDirectory,
        ),
        ("the root is a file", vec![Raw::new(".", b'0', 0).block(), end()], RootNotDirectory),
        (
            "a multi-volume part",
            vec![Raw::new("a", b'M', 0).block(), end()],
            Type { path: "a".into(), flag: 'M' },
        ),
        (
            "an unknown type",
            vec![Raw::new("a", b'Q', 0).block(), end()],
            Type { path: "a".into(), flag: 'Q' },
        ),
        ("nothing at all", vec![], Truncated),
        ("no end", vec![file("a", b"x")], Truncated),
        ("half a header", vec![file("a", b""), vec![b'x'; 100]], Truncated),
        ("half a body", vec![Raw::new("a", b'0', 5000).block(), vec![1; 512]], Truncated),
        (
            "an entry after the end",
            vec![file("a", b""), end(), file("b", b""), end()],
            TrailingData,
        ),
        (
            "an entry after a lone zero block",
            vec![file("a", b""), vec![0; 512], file("b", b""), end()],
            TrailingData,
        ),
        ("garbage after the end", vec![file("a", b""), end(), vec![1; 3]], TrailingData),
    ];
    for (what, parts, expected) in rows {
        // Reading content meets truncation inside a body as an I/O error that says the same.
        if what == "half a body" {
            assert!(matches!(read_all(&parts.concat()), Err(ReadError::Input(_))), "{what}");
            continue;
        }
        assert_eq!(format_error(&parts), expected, "{what}");
    }
}

#[test]
fn odd_archives_that_all_readers_agree_on_are_read() {
    let names = |parts: &[Vec<u8>]| -> Vec<String> {
        let entries = read_all(&parts.concat()).unwrap();
        entries.iter().map(|(entry, _)| format!("{} {}", entry.path, entry.size())).collect()
    };
    let long = "n".repeat(300);
    assert_eq!(names(&[gnu_long(b'L', &long), file("cut", b"x"), end()]), [format!("{long} 1")]);
    assert_eq!(
        names(&[pax(b'x', &[("path", "é"), ("size", "1")]), file("a", b"x"), end()]),
        ["é 1"]
    );
    // An empty value takes a record back.
    assert_eq!(names(&[pax(b'x', &[("path", "")]), file("a", b"x"), end()]), ["a 1"]);
    // GNU tar and Go: hard links have no content, whatever they declare.
    let repeated = Raw::new("b", b'1', 99).link("a").block();
    assert_eq!(names(&[file("a", b"x"), repeated, file("c", b""), end()]), ["a 1", "b 0", "c 0"]);
    // POSIX: what is relative and absolute means the same inside an image.
    assert_eq!(names(&[file("/a//b/./c", b""), file("./d", b""), end()]), ["a/b/c 0", "d 0"]);
    // One block of zeros, an end that is padded to a record, an archive with nothing in it.
    assert_eq!(names(&[file("a", b""), vec![0; 512]]), ["a 0"]);
    assert_eq!(names(&[file("a", b""), vec![0; 20 * 512]]), ["a 0"]);
    assert!(names(&[end()]).is_empty());
    // Numbers in base 256, blank ones, and a signed checksum.
    let large = Raw::new("a", b'0', 0).with(124, &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(names(&[with_body(large, b"x"), end()]), ["a 1"]);
    assert_eq!(
        names(&[with_body(Raw::new("a", b'0', 0).with(108, &[0; 16]), b""), end()]),
        ["a 0"]
    );
    let global = read_all(
        &[pax(b'g', &[("mtime", "-1.5"), ("comment", "x")]), file("a", b""), end()].concat(),
    );
    assert_eq!(global.unwrap()[0].0.mtime, -2);
}

#[test]
fn damaged_compression_is_refused() {
    let layer = |compression| {
        let mut layer = LayerWriter::new(Vec::new(), compression);
        layer.append(&Entry::file(path("a"), 200_000), text(200_000, 1).as_slice()).unwrap();
        layer.finish().unwrap().0
    };
    for compression in [Compression::Gzip, Compression::Zstd] {
        let whole = layer(compression);
        for cut in [1, 9, whole.len() / 2] {
            let result = read_all(&whole[..whole.len() - cut]);
            assert!(result.is_err(), "{compression:?} cut by {cut}");
        }
        let trailing = [whole.as_slice(), b"garbage"].concat();
        assert!(read_all(&trailing).is_err(), "{compression:?} with garbage");
        // A second stream after the end of the archive.
        let twice = [whole.as_slice(), &layer(compression)].concat();
        assert!(matches!(
            read_all(&twice),
            Err(ReadError::Format { source: FormatError::TrailingData, .. })
        ));
    }
    let xz = [&[0xfd][..], b"7zXZ\0rest"].concat();
    assert!(matches!(read_all(&xz), Err(ReadError::Compression("xz"))));
    assert!(matches!(read_all(b"BZh91AY"), Err(ReadError::Compression("bzip2"))));
    assert!(matches!(read_all(b""), Err(ReadError::Format { source: FormatError::Truncated, .. })));
}

#[test]
fn a_failed_reader_stays_failed() {
    let archive = [file("a", b""), vec![b'x'; 512]].concat();
    let mut reader = tierce_layer::LayerReader::new(archive.as_slice()).unwrap();
    assert!(reader.next_entry().unwrap().is_some());
    assert!(reader.next_entry().is_err());
    assert!(matches!(reader.next_entry(), Err(ReadError::FailedBefore)));
    assert!(reader.finish().is_err());
}

fn refused(entry: &Entry, content: &[u8]) -> WriteError {
    let mut layer = LayerWriter::new(Vec::new(), Compression::Gzip);
    let error = layer.append(entry, content).unwrap_err();
    assert!(matches!(layer.finish(), Err(WriteError::Incomplete)), "{error}");
    error
}

#[test]
fn entries_that_no_layer_can_hold() {
    use WriteError::*;
    assert!(matches!(refused(&Entry::file(path("a"), 3), b"ab"), SizeMismatch { declared: 3, .. }));
    assert!(matches!(refused(&Entry::file(path("a"), 1), b"ab"), SizeMismatch { declared: 1, .. }));
    assert!(matches!(refused(&Entry::directory(path("a")), b"a"), SizeMismatch { .. }));
    for name in [".wh.a", "a/.wh.b", ".wh.d/b", ".wh..wh..opq"] {
        let error = refused(&Entry::file(path(name), 0), b"");
        assert!(matches!(&error, ReservedName { path } if path.to_string() == name));
        assert_eq!(error.code(), "layer/reserved-name");
    }
    assert!(matches!(refused(&Entry::file(LayerPath::ROOT, 0), b""), RootNotDirectory));
    assert!(matches!(refused(&Entry::symlink(path("a"), ""), b""), LinkTarget { .. }));
    assert!(matches!(refused(&Entry::symlink(path("a"), "a\0b"), b""), LinkTarget { .. }));
    assert!(matches!(
        refused(&Entry::hard_link(path("a"), LayerPath::ROOT), b""),
        LinkTarget { .. }
    ));
    assert!(matches!(refused(&Entry::file(path("a"), u64::MAX), b""), TooLarge { .. }));
    assert!(matches!(
        refused(&Entry::file(path("a"), 0).with_mode(0o100644), b""),
        TooLarge { .. }
    ));
    let device = EntryKind::CharDevice { major: u32::MAX, minor: 0 };
    assert!(matches!(refused(&Entry::new(path("a"), device, 0o600), b""), TooLarge { .. }));
    for name in ["", "user.a=b", "user.\0"] {
        let mut entry = Entry::file(path("a"), 0);
        entry.xattrs.insert(name.into(), vec![]);
        assert!(matches!(refused(&entry, b""), XattrName { .. }), "{name:?}");
    }
    let mut entry = Entry::file(path("a"), 0);
    entry.xattrs.insert("user.huge".into(), vec![0; 1 << 20]);
    assert!(matches!(refused(&entry, b""), TooLarge { .. }));
}

#[test]
fn an_input_that_fails_is_named() {
    struct Broken;
    impl io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let mut layer = LayerWriter::new(Vec::new(), Compression::Zstd);
    let error = layer.append(&Entry::file(path("a/b"), 1), Broken).unwrap_err();
    assert_eq!(error.to_string(), "cannot read the content of a/b");
}

#[test]
fn deflate_streams_that_lie_are_refused() {
    use WriteError::*;
    let content = text(300_000, 5);
    let stream = deflate(&content, 6);
    let size = content.len() as u64;
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let splice = |size: u64, deflated: Deflated<&[u8]>| {
            let mut layer = LayerWriter::new(Vec::new(), compression);
            let error =
                layer.append_deflated(&Entry::file(path("x.so"), size), deflated).unwrap_err();
            assert!(layer.finish().is_err());
            assert!(error.to_string().contains("x.so"), "{error}");
            error
        };
        let good = || deflated(&stream, &content);
        assert!(matches!(splice(size - 1, good()), SizeMismatch { .. }));
        assert!(matches!(splice(size + 1, good()), SizeMismatch { .. }));
        assert!(matches!(splice(0, good()), SizeMismatch { .. }));
        assert!(matches!(
            splice(size, Deflated { crc32: 1, ..good() }),
            CrcMismatch { declared: 1, .. }
        ));
        let shorter = Deflated { compressed_size: stream.len() as u64 - 1, ..good() };
        assert!(matches!(splice(size, shorter), DeflatedSizeMismatch { .. }));
        let none = Deflated { compressed_size: 0, ..good() };
        assert!(matches!(splice(size, none), DeflatedSizeMismatch { .. }));
        let longer = [stream.as_slice(), b"tail"].concat();
        assert!(matches!(splice(size, deflated(&longer, &content)), DeflatedSizeMismatch { .. }));
        let far = [stream.as_slice(), &[0; 200_000]].concat();
        assert!(matches!(splice(size, deflated(&far, &content)), DeflatedSizeMismatch { .. }));
        assert!(matches!(
            splice(size, Deflated { stream: &stream[..100], ..good() }),
            DeflatedSizeMismatch { .. }
        ));
        let mut damaged = stream.clone();
        damaged[10..40].fill(0xff);
        assert!(matches!(
            splice(size, deflated(&damaged, &content)),
            BadDeflate { .. }
                | CrcMismatch { .. }
                | SizeMismatch { .. }
                | DeflatedSizeMismatch { .. }
        ));
        assert!(matches!(splice(4, deflated(&[7, 0xff, 0xff, 0xff], b"x")), BadDeflate { .. }));
    }
    let mut layer = LayerWriter::new(Vec::new(), Compression::Gzip);
    let error = layer.append_deflated(&Entry::directory(path("d")), deflated(&stream, &content));
    assert!(matches!(error, Err(NotAFile { .. })));
}

#[test]
fn whiteouts() {
    let of = |p: &str| Ok(Some(Whiteout::Of(path(p))));
    let rows: Vec<(&str, Result<Option<Whiteout>, WhiteoutError>)> = vec![
        ("a/b", Ok(None)),
        ("a/wh.b", Ok(None)),
        ("a/.wh", Ok(None)),
        (".wh.a", of("a")),
        ("a/.wh.b", of("a/b")),
        ("a/.wh.....", of("a/....")),
        (".wh..x", of(".x")),
        ("a/.wh..wh..opq", Ok(Some(Whiteout::Opaque(path("a"))))),
        (".wh..wh..opq", Ok(Some(Whiteout::Opaque(LayerPath::ROOT)))),
        ("a/.wh.", Err(WhiteoutError::NoName(path("a/.wh.")))),
        ("a/.wh..", Err(WhiteoutError::NoName(path("a/.wh..")))),
        ("a/.wh...", Err(WhiteoutError::NoName(path("a/.wh...")))),
        ("a/.wh..wh.plnk", Err(WhiteoutError::Reserved(path("a/.wh..wh.plnk")))),
        (".wh.a/b", Err(WhiteoutError::Reserved(path(".wh.a/b")))),
        (".wh.a/.wh.b", Err(WhiteoutError::Reserved(path(".wh.a/.wh.b")))),
    ];
    for (name, expected) in rows {
        let seen = path(name).whiteout();
        assert_eq!(seen, expected, "{name}");
        if let Ok(Some(whiteout)) = seen {
            assert_eq!(whiteout.marker().unwrap(), path(name));
        }
    }
    assert_eq!(Whiteout::Of(LayerPath::ROOT).marker(), Err(WhiteoutError::Root));
    for name in [".wh.a", ".wh.", "d/.wh.a", "a/.wh..wh..opq", ".wh.d/a"] {
        assert!(Whiteout::Of(path(name)).marker().is_err(), "{name}");
    }
}

#[test]
fn paths() {
    for (raw, expected) in [
        ("a", "a"),
        ("/a", "a"),
        ("./a", "a"),
        ("a/", "a"),
        ("//a//b//", "a/b"),
        ("a/./b", "a/b"),
        ("/", "/"),
        (".", "/"),
        ("./", "/"),
        ("...", "..."),
        ("..a/b..", "..a/b.."),
        (" ", " "),
    ] {
        assert_eq!(path(raw).to_string(), expected);
    }
    assert_eq!(LayerPath::new(""), Err(PathError::Empty));
    for raw in ["..", "../a", "a/..", "/a/../b"] {
        assert_eq!(LayerPath::new(raw), Err(PathError::Parent(raw.into())));
    }
    assert_eq!(LayerPath::new("a\0"), Err(PathError::Nul("a\0".into())));
    let deep = path("a/b/c");
    assert_eq!(deep.parent(), Some(path("a/b")));
    assert_eq!(path("a").parent(), Some(LayerPath::ROOT));
    assert_eq!(LayerPath::ROOT.parent(), None);
    assert_eq!(deep.file_name(), Some(&b"c"[..]));
    assert_eq!(deep.ancestors().collect::<Vec<_>>(), [path("a"), path("a/b")]);
    assert!(
        deep.starts_with(&path("a/b"))
            && deep.starts_with(&deep)
            && deep.starts_with(&LayerPath::ROOT)
    );
    assert!(!path("a/bc").starts_with(&path("a/b")));
    assert_eq!(path("a").join("/b/../c").unwrap_err(), PathError::Parent("/b/../c".into()));
    assert_eq!(path("a").join("/b").unwrap(), path("a/b"));
    assert_eq!(LayerPath::ROOT.join("b").unwrap(), path("b"));
    for name in ["b", "b/c", ".", "..", "", "a\0b", " b", "b/../c"] {
        let joined = path("a").join(name);
        match path("a").child(name.as_bytes()) {
            Ok(child) => assert_eq!(Ok(child), joined),
            Err(_) => assert!(joined.is_err(), "{name:?}"),
        }
    }
}
