//! Differential tests against GNU tar: what it writes we read in the same way, and it reads what
//! we write.

mod common;

use common::{path, read_all, text};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use tierce_layer::{Compression, Entry, EntryKind, FormatError, LayerPath, LayerWriter, ReadError};

/// Makes files of all shapes; names longer than 100 bytes only where the format takes them.
fn corpus(root: &Path, long_names: bool) {
    let file = |name: &str, content: &[u8], mode: u32| {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    file("empty", b"", 0o600);
    file("one block", &text(512, 1), 0o644);
    file("more", &text(70_001, 2), 0o4755);
    file("deep/er/file.txt", b"x", 0o444);
    file("ünïcode/ñame", b"u", 0o640);
    fs::create_dir(root.join("empty dir")).unwrap();
    symlink("more", root.join("link")).unwrap();
    symlink("../../nowhere", root.join("deep/dangling")).unwrap();
    fs::hard_link(root.join("more"), root.join("zhard")).unwrap();
    if long_names {
        let (d, f) = ("d".repeat(90), "f".repeat(99));
        file(&format!("{d}/{f}"), b"split", 0o644);
        file(&format!("{d}/{d}/{d}/{f}{f}"), b"long", 0o644);
        symlink("t".repeat(300), root.join("long link")).unwrap();
        fs::hard_link(root.join(format!("{d}/{d}/{d}/{f}{f}")), root.join("zlong hard")).unwrap();
    }
}

/// What of an entry a file system shows.
#[derive(Debug, PartialEq)]
struct Seen {
    kind: String,
    mode: u32,
    owner: (u32, u32),
    mtime: i64,
    content: Vec<u8>,
}

fn on_disk(root: &Path) -> BTreeMap<LayerPath, Seen> {
    let mut out = BTreeMap::new();
    let mut pending = vec![root.to_path_buf()];
    while let Some(at) = pending.pop() {
        let meta = fs::symlink_metadata(&at).unwrap();
        let kind = if meta.is_dir() {
            pending.extend(fs::read_dir(&at).unwrap().map(|e| e.unwrap().path()));
            "directory".to_owned()
        } else if meta.is_symlink() {
            format!("link to {}", fs::read_link(&at).unwrap().display())
        } else {
            "file".to_owned()
        };
        let content = if kind == "file" { fs::read(&at).unwrap() } else { vec![] };
        let (mode, owner) = (meta.mode() & 0o7777, (meta.uid(), meta.gid()));
        let relative = at.strip_prefix(root).unwrap();
        let path = LayerPath::try_from(relative).unwrap_or(LayerPath::ROOT);
        out.insert(path, Seen { kind, mode, owner, mtime: meta.mtime(), content });
    }
    out
}

fn in_layer(layer: &[u8]) -> BTreeMap<LayerPath, Seen> {
    let mut out: BTreeMap<LayerPath, Seen> = BTreeMap::new();
    for (entry, mut content) in read_all(layer).unwrap() {
        let kind = match &entry.kind {
            EntryKind::File { .. } => "file".to_owned(),
            EntryKind::Directory => "directory".to_owned(),
            EntryKind::Symlink { target } => format!("link to {}", String::from_utf8_lossy(target)),
            EntryKind::HardLink { target } => {
                content = out[target].content.clone();
                "file".to_owned()
            }
            other => format!("{other:?}"),
        };
        let (mode, owner, mtime) = (entry.mode, (entry.uid, entry.gid), entry.mtime);
        out.insert(entry.path, Seen { kind, mode, owner, mtime, content });
    }
    out
}

fn tar(directory: &Path, args: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").arg("-C").arg(directory).args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn what_gnu_tar_writes_is_read() {
    for (format, long_names) in [
        ("gnu", true),
        ("oldgnu", true),
        ("pax", true),
        ("posix", true),
        ("ustar", false),
        ("v7", false),
    ] {
        let root = tempfile::tempdir().unwrap();
        corpus(root.path(), long_names);
        let expected = on_disk(root.path());
        for compression in ["", "--gzip", "--zstd"] {
            if compression == "--zstd" && Command::new("zstd").arg("--version").output().is_err() {
                eprintln!("skipped: no zstd program");
                continue;
            }
            let mut args = vec!["-c", "--sort=name", "--format", format];
            args.extend(Some(compression).filter(|flag| !flag.is_empty()));
            args.push(".");
            let seen = in_layer(&tar(root.path(), &args));
            assert_eq!(seen, expected, "{format} {compression}");
        }
    }
}

#[test]
fn absolute_and_odd_archives_of_gnu_tar() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a"), "x").unwrap();
    // Times before 1970, beyond 2242, and owners beyond octal fields.
    for (format, owner, mtime) in [
        ("gnu", 4_000_000_000u32, -5i64),
        ("pax", 4_000_000_000, 9_000_000_000),
        ("pax", 5, -5),
        ("gnu", 2_097_152, 9_000_000_000),
    ] {
        let owner_flag = format!("--owner=:{owner}");
        let mtime_flag = format!("--mtime=@{mtime}");
        let layer = tar(root.path(), &["-c", "--format", format, &owner_flag, &mtime_flag, "a"]);
        let entries = read_all(&layer).unwrap();
        assert_eq!((entries[0].0.uid, entries[0].0.mtime), (owner, mtime), "{format}");
    }
    // A label and incremental dumps have types of their own, which layers never have.
    let label = tar(root.path(), &["-c", "--format=gnu", "-V", "label", "a"]);
    assert!(matches!(
        read_all(&label),
        Err(ReadError::Format { source: FormatError::Type { flag: 'V', .. }, .. })
    ));
}

#[test]
fn sparse_files_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let file = fs::File::create(root.path().join("holes")).unwrap();
    file.set_len(1 << 20).unwrap();
    for format in ["--format=gnu", "--format=pax"] {
        for version in ["0.0", "0.1", "1.0"] {
            let flag = format!("--sparse-version={version}");
            let layer = tar(root.path(), &["-c", "-S", format, &flag, "holes"]);
            let error = read_all(&layer).unwrap_err();
            let ReadError::Format { source: FormatError::Sparse(name), .. } = error else {
                panic!("{format} {version}: {error:?}");
            };
            assert!(name.contains("holes"), "{name}");
        }
    }
}

#[test]
fn extended_attributes() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a");
    fs::write(&file, "x").unwrap();
    let set = format!(
        "import os; os.setxattr({:?}, 'user.note', b'\\x00=\\n\\xff')",
        file.display().to_string()
    );
    let done = Command::new("python3").args(["-c", &set]).status();
    if !done.is_ok_and(|status| status.success()) {
        eprintln!("skipped: the file system has no extended attributes");
        return;
    }
    let layer = tar(root.path(), &["-c", "--xattrs", "--format=pax", "a"]);
    let entries = read_all(&layer).unwrap();
    assert_eq!(entries[0].0.xattrs["user.note"], b"\0=\n\xff");
    // And back: GNU tar sets what we write.
    let out = tempfile::tempdir().unwrap();
    let mut writer = LayerWriter::new(Vec::new(), Compression::None);
    writer.append(&entries[0].0, entries[0].1.as_slice()).unwrap();
    let archive = out.path().join("layer.tar");
    fs::write(&archive, writer.finish().unwrap().0).unwrap();
    tar(out.path(), &["-x", "--xattrs", "-f", archive.to_str().unwrap()]);
    let get = format!(
        "import os,sys; sys.stdout.buffer.write(os.getxattr({:?}, 'user.note'))",
        out.path().join("a").display().to_string()
    );
    let output = Command::new("python3").args(["-c", &get]).output().unwrap();
    assert_eq!(output.stdout, b"\0=\n\xff");
}

#[test]
fn gnu_tar_extracts_what_is_written() {
    let source = tempfile::tempdir().unwrap();
    corpus(source.path(), true);
    let original = tar(source.path(), &["-c", "--sort=name", "--format=pax", "."]);
    let mut expected = in_layer(&original);
    // The archive is written into the directory, whose time therefore changes.
    expected.remove(&LayerPath::ROOT);
    for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
        let mut writer = LayerWriter::new(Vec::new(), compression);
        for (entry, content) in read_all(&original).unwrap() {
            writer.append(&entry, content.as_slice()).unwrap();
        }
        let (layer, _) = writer.finish().unwrap();
        let out = tempfile::tempdir().unwrap();
        let archive = tempfile::NamedTempFile::new().unwrap();
        fs::write(archive.path(), &layer).unwrap();
        tar(out.path(), &["-x", "-p", "-f", archive.path().to_str().unwrap()]);
        let mut seen = on_disk(out.path());
        seen.remove(&LayerPath::ROOT);
        assert_eq!(seen, expected, "{compression:?}");
    }
}

#[test]
fn non_utf8_names_are_extracted_as_they_are() {
    use std::os::unix::ffi::OsStrExt;
    let long = [&b"l\xff"[..], &[b'x'; 150], b"/", &[0xfe; 200]].concat();
    let mut writer = LayerWriter::new(Vec::new(), Compression::None);
    for name in [&b"short\xff\xfe"[..], &long] {
        let entry = Entry::file(LayerPath::new(name).unwrap(), 1);
        writer.append(&entry, &b"x"[..]).unwrap();
    }
    writer.append(&Entry::directory(path("d")), io::empty()).unwrap();
    let out = tempfile::tempdir().unwrap();
    let archive = out.path().join("layer.tar");
    fs::write(&archive, writer.finish().unwrap().0).unwrap();
    tar(out.path(), &["-x", "-f", archive.to_str().unwrap()]);
    for name in [&b"short\xff\xfe"[..], &long] {
        let path = out.path().join(std::ffi::OsStr::from_bytes(name));
        assert_eq!(fs::read(path).unwrap(), b"x");
    }
}
