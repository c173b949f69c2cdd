//! Trees to layers: exactly what was scanned ships.

mod common;

use common::{chmod, options, path, put, scan};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::path::Path;
use tierce_layer::{Compression, EPOCH, EntryKind, LayerInfo, LayerPath, LayerReader, LayerWriter};
use tierce_oci::Diagnostic;
use tierce_tree::{Difference, ShipError, Tree};

fn sample(root: &Path) {
    put(root, "main.py", "print(1)\n");
    put(root, "bin/run", "#!/bin/sh\n");
    chmod(root, "bin/run", 0o700);
    fs::create_dir(root.join("empty")).unwrap();
    symlink("../main.py", root.join("bin/link")).unwrap();
}

fn ship(tree: &Tree, root: &Path, dst: &str) -> Result<(Vec<u8>, LayerInfo), ShipError> {
    let mut writer = LayerWriter::new(Vec::new(), Compression::Gzip);
    tree.write_layer(root, &path(dst), (1000, 1001), &mut writer)?;
    Ok(writer.finish().unwrap())
}

/// One line for each entry.
fn lines(layer: &[u8]) -> Vec<String> {
    let mut reader = LayerReader::new(layer).unwrap();
    let mut out = Vec::new();
    while let Some((entry, mut content)) = reader.next_entry().unwrap() {
        let mut text = String::new();
        content.read_to_string(&mut text).unwrap();
        assert_eq!(entry.mtime, EPOCH);
        let kind = match entry.kind {
            EntryKind::File { .. } => format!("file {text:?}"),
            EntryKind::Directory => "dir".to_owned(),
            EntryKind::Symlink { target } => format!("link {:?}", String::from_utf8_lossy(&target)),
            other => format!("{other:?}"),
        };
        out.push(format!("{} {:o} {}:{} {kind}", entry.path, entry.mode, entry.uid, entry.gid));
    }
    out
}

#[test]
fn a_tree_ships_below_its_destination() {
    let root = tempfile::tempdir().unwrap();
    sample(root.path());
    let tree = scan(root.path());
    let (layer, _) = ship(&tree, root.path(), "/srv/app/").unwrap();
    assert_eq!(
        lines(&layer),
        [
            "srv/app/bin/link 777 1000:1001 link \"../main.py\"",
            "srv/app/bin/run 755 1000:1001 file \"#!/bin/sh\\n\"",
            "srv/app/empty 755 1000:1001 dir",
            "srv/app/main.py 644 1000:1001 file \"print(1)\\n\"",
        ]
    );
    let (layer, _) = ship(&tree, root.path(), "/").unwrap();
    assert_eq!(lines(&layer)[2], "empty 755 1000:1001 dir");
}

#[test]
fn directories_of_the_base_stay_as_they_are() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "f", "");
    let tree = scan(root.path());
    for dst in ["tmp", "tmp/x", "home/me", "bin"] {
        let (layer, _) = ship(&tree, root.path(), dst).unwrap();
        assert_eq!(lines(&layer), [format!("{dst}/f 644 1000:1001 file \"\"")]);
    }
}

#[test]
fn an_empty_tree_ships_its_directory() {
    let root = tempfile::tempdir().unwrap();
    let tree = scan(root.path());
    for (dst, expected) in [("data", "data 755 1000:1001 dir"), ("tmp", "tmp 1777 0:0 dir")] {
        assert_eq!(lines(&ship(&tree, root.path(), dst).unwrap().0), [expected]);
    }
}

#[test]
fn a_single_file_ships_as_its_destination() {
    let root = tempfile::tempdir().unwrap();
    sample(root.path());
    symlink("bin/run", root.path().join("direct")).unwrap();
    for name in ["bin/run", "direct"] {
        let file = root.path().join(name);
        let tree = tierce_tree::scan_file(&file).unwrap();
        let (layer, _) = ship(&tree, &file, "usr/bin/tool").unwrap();
        assert_eq!(lines(&layer), ["usr/bin/tool 755 1000:1001 file \"#!/bin/sh\\n\""]);
        assert!(matches!(ship(&tree, &file, "/"), Err(ShipError::FileAtRoot)));
    }
}

#[test]
fn a_layer_is_a_function_of_the_tree() {
    let layers: Vec<_> = [(0o600, 0o700), (0o664, 0o775)]
        .into_iter()
        .map(|(file, directory)| {
            let root = tempfile::tempdir().unwrap();
            sample(root.path());
            chmod(root.path(), "main.py", file);
            chmod(root.path(), "bin", directory);
            put(root.path(), "ignored/x", "");
            let tree = tierce_tree::scan(root.path(), &options("ignored"), None).unwrap();
            ship(&tree, root.path(), "app").unwrap().1
        })
        .collect();
    assert_eq!(layers[0], layers[1]);
}

#[test]
fn what_changed_since_the_scan_is_named() {
    type Change = fn(&Path);
    let rows: [(&str, Difference, Change); 10] = [
        ("main.py", Difference::Content, |r| put(r, "main.py", "print(2)\n")),
        ("main.py", Difference::Content, |r| put(r, "main.py", "print(12)\n")),
        ("main.py", Difference::Content, |r| put(r, "main.py", "")),
        ("main.py", Difference::Executable, |r| chmod(r, "main.py", 0o755)),
        ("main.py", Difference::Gone, |r| fs::remove_file(r.join("main.py")).unwrap()),
        ("main.py", Difference::Kind, |r| {
            fs::rename(r.join("main.py"), r.join("other")).unwrap();
            symlink("other", r.join("main.py")).unwrap();
        }),
        ("empty", Difference::Kind, |r| {
            fs::remove_dir(r.join("empty")).unwrap();
            symlink("bin", r.join("empty")).unwrap();
        }),
        ("empty", Difference::Gone, |r| fs::remove_dir(r.join("empty")).unwrap()),
        ("bin/link", Difference::Target, |r| {
            fs::remove_file(r.join("bin/link")).unwrap();
            symlink("../main.pz", r.join("bin/link")).unwrap();
        }),
        ("bin/link", Difference::Kind, |r| {
            fs::remove_file(r.join("bin/link")).unwrap();
            put(r, "bin/link", "../main.py");
        }),
    ];
    for (name, expected, change) in rows {
        let root = tempfile::tempdir().unwrap();
        sample(root.path());
        let tree = scan(root.path());
        change(root.path());
        let error = ship(&tree, root.path(), "app").unwrap_err();
        assert_eq!(error.code(), "source/changed");
        assert_eq!(
            error.to_string(),
            format!("source changed: {}", root.path().join(name).display())
        );
        let ShipError::SourceChanged { difference, .. } = error else { panic!("{error}") };
        assert_eq!(difference, expected, "{name}");
    }
    // What was not there is not shipped, and does no harm.
    let root = tempfile::tempdir().unwrap();
    sample(root.path());
    let tree = scan(root.path());
    let (_, before) = ship(&tree, root.path(), "app").unwrap();
    put(root.path(), "new", "");
    assert_eq!(ship(&tree, root.path(), "app").unwrap().1, before);
}

#[test]
fn an_empty_tree_is_its_destination() {
    let root = tempfile::tempdir().unwrap();
    let tree = scan(root.path());
    assert!(tree.is_empty());
    assert_eq!(lines(&ship(&tree, root.path(), "app").unwrap().0), ["app 755 1000:1001 dir"]);
    assert!(lines(&ship(&tree, root.path(), "/").unwrap().0).is_empty());
    assert_eq!(LayerPath::ROOT.to_string(), "/");
}
