//! What of a directory ships.

mod common;

use common::{chmod, listing, options, path, put, scan, scan_with};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use tierce_layer::LayerPath;
use tierce_oci::{Diagnostic, Digest};
use tierce_tree::{DefaultExcludes, Node, ScanError, ScanOptions, Skipped, SkippedKind};

fn sample(root: &Path) {
    put(root, "app/main.py", "print(1)\n");
    put(root, "app/run.sh", "#!/bin/sh\n");
    chmod(root, "app/run.sh", 0o755);
    put(root, "app-data/x", "");
    fs::create_dir(root.join("empty")).unwrap();
    symlink("app/main.py", root.join("link")).unwrap();
}

#[test]
fn entries_are_sorted_and_normalised() {
    let root = tempfile::tempdir().unwrap();
    sample(root.path());
    let tree = scan(root.path());
    assert_eq!(listing(&tree), "app/ app-data/ app-data/x app/main.py app/run.sh* empty/ link@");
    let main = &tree.entries()[3].node;
    let digest = Digest::of("print(1)\n");
    assert_eq!(*main, Node::File { size: 9, executable: false, digest });
    assert_eq!(tree.entries()[6].node, Node::Symlink { target: b"app/main.py".to_vec() });
    assert_eq!((tree.files(), tree.size()), (3, 19));
}

/// Append-only: a changed line here changes every image's key.
#[test]
fn golden_digests() {
    let root = tempfile::tempdir().unwrap();
    let mut seen = vec![scan(root.path()).digest().to_string()];
    sample(root.path());
    seen.push(scan(root.path()).digest().to_string());
    seen.push(tierce_tree::scan_file(&root.path().join("link")).unwrap().digest().to_string());
    assert_eq!(seen, GOLDEN);
}

const GOLDEN: [&str; 3] = [
    "sha256:d8712c9d4ec0e5c3a43145c09847f7bba1de9d4a5cfead3611d7b62ccac50316",
    "sha256:49c79bb53bd767d032e32b3f2f39abb18ac3d99cfc5caecdfe1f60a916dae7cb",
    "sha256:7f83ca72ddbc79d96add0ea8be14bcbfe78198beb8e1eac0e4b607d89d41c46b",
];

#[test]
fn only_the_owners_executable_bit_counts() {
    let digests: Vec<_> = [(0o644, 0o755), (0o600, 0o700), (0o664, 0o775), (0o444, 0o511)]
        .into_iter()
        .map(|(plain, executable)| {
            let root = tempfile::tempdir().unwrap();
            sample(root.path());
            chmod(root.path(), "app/main.py", plain);
            chmod(root.path(), "app/run.sh", executable);
            chmod(root.path(), "empty", executable);
            scan(root.path()).digest()
        })
        .collect();
    assert!(digests.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn every_difference_shows_in_the_digest() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 9] = [
        ("content", |root| put(root, "app/main.py", "print(2)\n")),
        ("executable", |root| chmod(root, "app/main.py", 0o744)),
        ("renamed", |root| fs::rename(root.join("app/main.py"), root.join("app/nain.py")).unwrap()),
        ("moved", |root| fs::rename(root.join("app/main.py"), root.join("appmain.py")).unwrap()),
        ("an empty file more", |root| put(root, "new", "")),
        ("an empty directory more", |root| fs::create_dir(root.join("new")).unwrap()),
        ("an empty directory less", |root| fs::remove_dir(root.join("empty")).unwrap()),
        ("link target", |root| {
            fs::remove_file(root.join("link")).unwrap();
            symlink("app/main.pz", root.join("link")).unwrap();
        }),
        ("link to file", |root| {
            fs::remove_file(root.join("link")).unwrap();
            put(root, "link", "app/main.py");
        }),
    ];
    let mut seen = std::collections::BTreeMap::new();
    for (what, change) in [("nothing", (|_| {}) as Change)].into_iter().chain(changes) {
        let root = tempfile::tempdir().unwrap();
        sample(root.path());
        change(root.path());
        let digest = scan(root.path()).digest();
        assert_eq!(seen.insert(digest, what), None, "{what}");
    }
}

#[test]
fn ignored_files_are_not_there() {
    let root = tempfile::tempdir().unwrap();
    for name in ["a/x.log", "a/x.py", "a/b/y.log", "a/b/keep.log", "c/d/e/f.txt", "c/d/g.txt"] {
        put(root.path(), name, name);
    }
    for (ignore, expected) in [
        ("**/*.log", "a/ a/b/ a/x.py c/ c/d/ c/d/e/ c/d/e/f.txt c/d/g.txt"),
        (
            "**/*.log\n!**/keep.log",
            "a/ a/b/ a/b/keep.log a/x.py c/ c/d/ c/d/e/ c/d/e/f.txt c/d/g.txt",
        ),
        ("a\nc/d/*", "c/ c/d/"),
        // What an exception brings back needs the directories above it, and no others.
        ("*\n!a/b/keep.log", "a/ a/b/ a/b/keep.log"),
        ("**\n!**/f.txt", "c/ c/d/ c/d/e/ c/d/e/f.txt"),
        ("*\n!c", "c/ c/d/ c/d/e/ c/d/e/f.txt c/d/g.txt"),
        ("*\n!c/d/e", "c/ c/d/ c/d/e/ c/d/e/f.txt"),
        ("a\nc\n!c/*/*.txt", "c/ c/d/ c/d/g.txt"),
        ("*\n!nothing/**", ""),
    ] {
        assert_eq!(listing(&scan_with(root.path(), ignore)), expected, "{ignore:?}");
    }
}

/// The walk leaves out whole directories; that must never differ from asking for each path.
#[test]
fn walking_agrees_with_the_rules() {
    let root = tempfile::tempdir().unwrap();
    let names = ["a", "b", "ab"];
    for x in names {
        for y in names {
            for z in names {
                put(root.path(), &format!("{x}/{y}/{z}.x"), "");
            }
        }
    }
    let pieces = [
        "*", "**", "a", "b", "a*", "**/a", "a/b", "a/*", "*/b", "a/**", "**/b.x", "ab/b/a.x", "?b",
    ];
    let mut runner = proptest::test_runner::TestRunner::default();
    let lines = prop::collection::vec((any::<bool>(), prop::sample::select(pieces.to_vec())), 1..5);
    runner
        .run(&lines, |lines| {
            let text: Vec<_> = lines
                .iter()
                .map(|(not, p)| format!("{}{p}", if *not { "!" } else { "" }))
                .collect();
            let options = options(&text.join("\n"));
            let tree = tierce_tree::scan(root.path(), &options, None).unwrap();
            let shipped: Vec<_> = tree.entries().iter().map(|e| e.path.clone()).collect();
            let everything = scan(root.path());
            let expected: Vec<_> = everything
                .entries()
                .iter()
                .filter(|e| e.node != Node::Directory && !options.ignore.is_ignored(&e.path))
                .map(|e| e.path.clone())
                .collect();
            let files: Vec<_> = tree
                .entries()
                .iter()
                .filter(|e| e.node != Node::Directory)
                .map(|e| e.path.clone())
                .collect();
            prop_assert_eq!(&files, &expected);
            let kept: std::collections::BTreeSet<_> = shipped.iter().cloned().collect();
            for path in &shipped {
                prop_assert!(path.ancestors().all(|above| kept.contains(&above)), "{}", path);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn default_excludes() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        ".git/HEAD",
        ".git/config",
        "sub/.git",
        ".venv/x",
        "pkg/__pycache__/m.pyc",
        "pkg/m.py",
        "m.pyc",
        ".mypy_cache/x",
        ".DS_Store",
        ".tierce/x",
        "venv/pyvenv.cfg",
        "sub/venv/data",
        "node_modules/x.js",
        ".gitignore",
        "pkg/.ipynb_checkpoints/n",
    ] {
        put(root.path(), name, "");
    }
    let kept =
        ".gitignore node_modules/ node_modules/x.js pkg/ pkg/m.py sub/ sub/venv/ sub/venv/data";
    assert_eq!(listing(&scan(root.path())), kept);
    for (ignore, more) in [
        ("!.git", ".git/ .git/HEAD .git/config"),
        ("!.git/HEAD", ".git/ .git/HEAD"),
        ("!**/.git", ".git/ .git/HEAD .git/config sub/.git"),
        ("!**/*.pyc", "m.pyc"),
        ("!m.pyc", "m.pyc"),
        ("!venv", "venv/ venv/pyvenv.cfg"),
        ("!pkg/__pycache__\n!**/*.pyc", "m.pyc pkg/__pycache__/ pkg/__pycache__/m.pyc"),
        ("!*", ""),
        ("!pkg", ""),
        ("*\n!*", ""),
        ("!.git\n.git/config", ".git/ .git/HEAD"),
    ] {
        let mut expected: Vec<_> = kept.split(' ').chain(more.split_whitespace()).collect();
        expected.sort_by_key(|word| word.trim_end_matches('/').to_owned());
        assert_eq!(listing(&scan_with(root.path(), ignore)), expected.join(" "), "{ignore:?}");
    }
    let all = ScanOptions { defaults: DefaultExcludes::Off, ..ScanOptions::default() };
    assert_eq!(tierce_tree::scan(root.path(), &all, None).unwrap().files(), 15);
}

#[test]
fn the_lock_of_an_image_is_no_part_of_it() {
    let root = tempfile::tempdir().unwrap();
    for name in ["app.py", "tierce.lock", "sub/tierce.lock"] {
        put(root.path(), name, "x");
    }
    assert_eq!(listing(&scan(root.path())), "app.py sub/");
    assert_eq!(listing(&scan_with(root.path(), "!tierce.lock")), "app.py sub/ tierce.lock");
}

#[test]
fn links_are_kept_and_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path(), "secret", "s");
    let root = tempfile::tempdir().unwrap();
    symlink(".", root.path().join("self")).unwrap();
    symlink("loop", root.path().join("loop")).unwrap();
    symlink("../..", root.path().join("up")).unwrap();
    symlink(outside.path(), root.path().join("outside")).unwrap();
    assert_eq!(listing(&scan(root.path())), "loop@ outside@ self@ up@");
    // The root itself may be a link, and is what it points to.
    let link = outside.path().join("root");
    symlink(root.path(), &link).unwrap();
    assert_eq!(scan(&link), scan(root.path()));
}

#[test]
fn names_are_bytes() {
    let root = tempfile::tempdir().unwrap();
    for name in [&b"\xff\xfe"[..], b"new\nline", b" ", b"\\", "é".as_bytes()] {
        fs::write(root.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let tree = scan(root.path());
    let names: Vec<_> = tree.entries().iter().map(|e| e.path.as_bytes()).collect();
    assert_eq!(names, [&b" "[..], b"\\", b"new\nline", "é".as_bytes(), b"\xff\xfe"]);
}

#[test]
fn what_images_cannot_hold_is_skipped_and_reported() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "d/file", "");
    let _socket = UnixListener::bind(root.path().join("d/socket")).unwrap();
    assert!(Command::new("mkfifo").arg(root.path().join("fifo")).status().unwrap().success());
    let tree = scan(root.path());
    assert_eq!(listing(&tree), "d/ d/file");
    let expected = [
        Skipped { path: path("d/socket"), kind: SkippedKind::Socket },
        Skipped { path: path("fifo"), kind: SkippedKind::Fifo },
    ];
    assert_eq!(tree.skipped(), expected);
    assert!(scan_with(root.path(), "fifo\n**/socket").skipped().is_empty());
}

#[test]
fn errors_name_what_they_are_about() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a/.wh.b", "");
    put(root.path(), "a/.wh.a", "");
    let error = tierce_tree::scan(root.path(), &ScanOptions::default(), None).unwrap_err();
    assert_eq!(
        (error.code(), error.path()),
        ("source/reserved-name", &root.path().join("a/.wh.a"))
    );
    assert_eq!(listing(&scan_with(root.path(), "**/.wh.*")), "a/");
    let missing = tierce_tree::scan(&root.path().join("no"), &ScanOptions::default(), None);
    assert!(matches!(missing, Err(ScanError::NotFound { .. })));
    let file = root.path().join("a/.wh.a");
    let file_error = tierce_tree::scan(&file, &ScanOptions::default(), None).unwrap_err();
    assert!(matches!(file_error, ScanError::NotADirectory { .. }));
    assert!(matches!(tierce_tree::scan_file(root.path()), Err(ScanError::NotAFile { .. })));
    assert!(matches!(
        tierce_tree::scan_file(&root.path().join("no")),
        Err(ScanError::NotFound { .. })
    ));
}

#[test]
fn unreadable_files_are_named() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "d/private", "x");
    put(root.path(), "z/private", "x");
    chmod(root.path(), "d/private", 0);
    chmod(root.path(), "z/private", 0);
    if fs::read(root.path().join("d/private")).is_ok() {
        eprintln!("skipped: root reads everything");
        return;
    }
    let error = tierce_tree::scan(root.path(), &ScanOptions::default(), None).unwrap_err();
    assert!(matches!(&error, ScanError::Unreadable { .. }));
    assert_eq!(*error.path(), root.path().join("d/private"));
}

#[test]
fn deep_trees_need_few_descriptors() {
    let root = tempfile::tempdir().unwrap();
    let deep = root.path().join("d/".repeat(1100));
    fs::create_dir_all(&deep).unwrap();
    let wide = root.path().join("w");
    for i in 0..1100 {
        fs::create_dir_all(wide.join(i.to_string()).join("x")).unwrap();
    }
    fs::write(deep.join("f"), "").unwrap();
    assert_eq!(scan(root.path()).entries().len(), 1100 + 1 + 1 + 2200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_order_of_creation_does_not_matter(
        names in prop::collection::btree_set("[a-c]{1,2}(/[a-c]{1,2}){0,3}\\.f", 1..20),
        seed in any::<u64>(),
    ) {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        let mut shuffled: Vec<_> = names.iter().collect();
        shuffled.sort_by_key(|name| Digest::of(format!("{seed}{name}")));
        for name in &names {
            put(first.path(), name, name);
        }
        for name in shuffled {
            put(second.path(), name, name);
        }
        let (first, second) = (scan(first.path()), scan(second.path()));
        prop_assert!(first.entries().is_sorted_by_key(|e| e.path.as_bytes().to_vec()));
        prop_assert_eq!(&first, &second);
        prop_assert_eq!(first.digest(), second.digest());
        let paths: Vec<LayerPath> = first.entries().iter().map(|e| e.path.clone()).collect();
        prop_assert!(names.iter().all(|name| paths.contains(&path(name))));
    }
}
