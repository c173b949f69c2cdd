use super::*;
use crate::standalone::BuildLibc;
use std::collections::BTreeMap;
use std::io::{self, Cursor};
use tierce_layer::Compression;
use tierce_oci::{Diagnostic, Digest};

const SYSCONFIG: &str = "# system configuration generated and used by the sysconfig module\nbuild_time_vars = {'prefix': '/install'}\n";

fn build(filename: &str) -> StandaloneBuild {
    StandaloneBuild {
        version: "3.11.2".parse().unwrap(),
        machine: "x86_64".to_owned(),
        libc: BuildLibc::Gnu,
        url: format!("https://example.org/{filename}").parse().unwrap(),
        digest: Digest::of(b""),
    }
}

fn path(path: &str) -> LayerPath {
    LayerPath::new(path).unwrap()
}

fn file(at: &str, content: &str) -> (Entry, String) {
    (Entry::file(path(at), content.len() as u64), content.to_owned())
}

fn entry(entry: Entry) -> (Entry, String) {
    (entry, String::new())
}

/// What every installation has, below `root`.
fn python(root: &str) -> Vec<(Entry, String)> {
    let (program, content) = file(&format!("{root}/bin/python3.11"), "program");
    vec![
        (program.with_mode(0o6775).with_owner(1000, 1000).with_mtime(1), content),
        file(&format!("{root}/lib/python3.11/os.py"), "import this"),
        file(&format!("{root}/lib/python3.11/_sysconfigdata__linux.py"), SYSCONFIG),
    ]
}

fn archive(entries: &[(Entry, String)], compression: Compression) -> Vec<u8> {
    let mut writer = LayerWriter::new(vec![], compression);
    for (entry, content) in entries {
        writer.append(entry, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap().0
}

fn layer(archive: &[u8], build: &StandaloneBuild) -> Result<Vec<u8>, StandaloneError> {
    let mut writer = LayerWriter::new(vec![], Compression::Gzip);
    write_standalone_layer(archive, build, &mut writer)?;
    Ok(writer.finish().unwrap().0)
}

fn made(entries: &[(Entry, String)]) -> Result<Vec<u8>, StandaloneError> {
    layer(&archive(entries, Compression::Gzip), &build("p-install_only.tar.gz"))
}

/// What a layer holds: by path, the entry and its content.
fn contents(layer: &[u8]) -> BTreeMap<String, (Entry, String)> {
    let mut reader = LayerReader::new(Cursor::new(layer)).unwrap();
    let mut all = BTreeMap::new();
    while let Some((entry, mut content)) = reader.next_entry().unwrap() {
        let mut text = String::new();
        io::Read::read_to_string(&mut content, &mut text).unwrap();
        let name = String::from_utf8(entry.path.as_bytes().to_vec()).unwrap();
        assert!(all.insert(name, (entry, text)).is_none());
    }
    all
}

#[test]
fn an_installation_becomes_a_layer() {
    let mut entries = python("python");
    entries.push(entry(Entry::symlink(path("python/bin/python3"), "python3.11")));
    entries.push(entry(Entry::hard_link(path("python/bin/copy"), path("python/bin/python3.11"))));
    entries.push(entry(Entry::directory(path("python/lib/python3.11"))));
    entries.push(file("python/lib/pkgconfig/python3.pc", "prefix=/install\n"));
    entries.push(file("python/lib/python3.11/__pycache__/os.cpython-311.pyc", "dated"));
    let layer = made(&entries).unwrap();
    let all = contents(&layer);
    let names: Vec<&str> = all.keys().map(String::as_str).collect();
    let expected = [
        "opt",
        "opt/python",
        "opt/python/bin",
        "opt/python/bin/copy",
        "opt/python/bin/python",
        "opt/python/bin/python3",
        "opt/python/bin/python3.11",
        "opt/python/lib",
        "opt/python/lib/pkgconfig",
        "opt/python/lib/pkgconfig/python3.pc",
        "opt/python/lib/python3.11",
        "opt/python/lib/python3.11/EXTERNALLY-MANAGED",
        "opt/python/lib/python3.11/_sysconfigdata__linux.py",
        "opt/python/lib/python3.11/os.py",
    ];
    assert_eq!(names, expected);
    let (program, content) = &all["opt/python/bin/python3.11"];
    assert_eq!((program.mode, program.uid, program.mtime), (0o755, 0, tierce_layer::EPOCH));
    assert_eq!(content, "program");
    assert!(
        all["opt/python/lib/python3.11/_sysconfigdata__linux.py"].1.contains("\"/opt/python\"")
    );
    assert!(all["opt/python/lib/pkgconfig/python3.pc"].1.contains("${pcfiledir}"));
    let target = path("opt/python/bin/python3.11");
    assert_eq!(all["opt/python/bin/copy"].0.kind, EntryKind::HardLink { target });
    assert_eq!(layer, made(&entries).unwrap());
}

#[test]
fn full_archives_come_to_the_same_layer() {
    let mut full = python("python/install");
    full.insert(0, file("python/PYTHON.json", "{}"));
    full.push(file("python/build/lib/libpython3.11.a", "objects"));
    full.push(file("python/installer", "of something"));
    let full = layer(&archive(&full, Compression::Zstd), &build("p-pgo.tar.zst")).unwrap();
    assert_eq!(full, made(&python("python")).unwrap());
}

#[test]
fn hostile_archives_are_refused() {
    let link = |at: &str, target: &str| entry(Entry::symlink(path(at), target));
    let hard = |at: &str, target: &str| entry(Entry::hard_link(path(at), path(target)));
    let fifo = entry(Entry::new(path("python/pipe"), EntryKind::Fifo, 0o644));
    for (problem, hostile) in [
        (ArchiveProblem::Outside, vec![file("etc/passwd", "root::0:0")]),
        (ArchiveProblem::Outside, vec![file("pythonic/x", "")]),
        (ArchiveProblem::Twice, vec![file("python/bin/python3.11", "another")]),
        (ArchiveProblem::Twice, vec![link("python/lib/python3.11", "x")]),
        (ArchiveProblem::BelowFile, vec![file("python/bin/python3.11/x", "")]),
        (ArchiveProblem::BelowFile, vec![link("python/x", "lib"), file("python/x/y", "")]),
        (ArchiveProblem::Escape, vec![link("python/x", "/etc/passwd")]),
        (ArchiveProblem::Escape, vec![link("python/lib/x", "../../etc")]),
        (ArchiveProblem::Dangling, vec![hard("python/x", "etc/passwd")]),
        (ArchiveProblem::Dangling, vec![hard("python/x", "python/none")]),
        (ArchiveProblem::Special, vec![fifo]),
    ] {
        let mut entries = python("python");
        entries.extend(hostile);
        match made(&entries) {
            Err(error @ StandaloneError::Hostile { problem: found, .. }) => {
                assert_eq!(found, problem, "{error}");
                assert_eq!(error.code(), "python/bad-build");
            }
            other => panic!("{problem}: {:?}", other.map(|layer| layer.len())),
        }
    }
}

#[test]
fn what_is_no_python_is_refused() {
    for missing in 0..3 {
        let mut entries = python("python");
        let (gone, _) = entries.remove(missing);
        let error = made(&entries).unwrap_err();
        let StandaloneError::NotPython { missing, .. } = &error else { panic!("{error}") };
        let gone = String::from_utf8_lossy(gone.path.as_bytes()).into_owned();
        assert!(missing.contains(&gone[7..20]), "{error} without {gone}");
    }
    let mut entries = python("python");
    entries[2] = file("python/lib/python3.11/_sysconfigdata__linux.py", "import os\n");
    let error = made(&entries).unwrap_err();
    assert!(matches!(error, StandaloneError::Sysconfig { .. }), "{error}");
    let whole = archive(&python("python"), Compression::Gzip);
    for bad in [&whole[..whole.len() / 2], b"<html>not found</html>".as_slice(), b""] {
        let error = layer(bad, &build("p-install_only.tar.gz")).unwrap_err();
        assert!(
            matches!(error, StandaloneError::Read { .. } | StandaloneError::Layer(_)),
            "{error}"
        );
    }
}
