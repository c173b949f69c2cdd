//! Opening stores: new, old, foreign, damaged, and several at once.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use support::names;
use tierce_oci::{Diagnostic, Digest};
use tierce_store::{FORMAT, OpenError, RecordKind, Store};

#[test]
fn a_new_store_is_private_and_tagged() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("deep/store");
    let store = Store::open(&root).unwrap();
    let mode = |p: &str| fs::metadata(root.join(p)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("blobs/sha256"), 0o700);
    let tag = fs::read_to_string(root.join("CACHEDIR.TAG")).unwrap();
    assert!(tag.starts_with("Signature: 8a477f597d28d172789f06886806bc55\n"));
    assert_eq!(fs::read_to_string(root.join("VERSION")).unwrap(), format!("{FORMAT}\n"));
    let digest = store.put(b"kept").unwrap();
    assert_eq!(Store::open(&root).unwrap().read(&digest).unwrap(), b"kept");
}

#[test]
fn other_directories_are_refused_and_left_alone() {
    type Prepare = fn(&std::path::Path);
    let cases: [(&str, Prepare, &str); 4] = [
        ("a home", |d| fs::write(d.join("thesis.tex"), "x").unwrap(), "store/not-a-store"),
        ("no number", |d| fs::write(d.join("VERSION"), "v2\n").unwrap(), "store/not-a-store"),
        ("no text", |d| fs::write(d.join("VERSION"), [0xff]).unwrap(), "store/not-a-store"),
        ("newer", |d| fs::write(d.join("VERSION"), "999\n").unwrap(), "store/newer-format"),
    ];
    for (name, prepare, code) in cases {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let before = names(dir.path());
        let error = Store::open(dir.path()).unwrap_err();
        assert_eq!(error.code(), code, "{name}");
        assert!(error.hint().is_some_and(|h| h.contains("TIERCE_STORE")), "{name}");
        assert_eq!(names(dir.path()), before, "{name}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(matches!(Store::open(file.path()), Err(OpenError::File(_))));
}

#[test]
fn an_interrupted_or_incomplete_store_is_completed() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tmp")).unwrap();
    fs::write(dir.path().join(".VERSION.abc"), "").unwrap();
    Store::open(dir.path()).unwrap();
    for name in ["tmp", "locks", "records", "blobs"] {
        fs::remove_dir_all(dir.path().join(name)).unwrap();
    }
    let store = Store::open(dir.path()).unwrap();
    // Somebody cleans up while the store is open.
    for name in ["tmp", "locks", "records", "blobs"] {
        fs::remove_dir_all(dir.path().join(name)).unwrap();
    }
    let digest = store.put(b"again").unwrap();
    assert_eq!(store.read(&digest).unwrap(), b"again");
    let _lock = store.lock("a", tierce_store::LockMode::Exclusive).unwrap();
    drop(store.scratch_dir("s").unwrap());
}

#[test]
fn what_an_older_format_held_is_set_aside_but_not_the_blobs() {
    const KIND: RecordKind = RecordKind::new("layer");
    let (dir, store) = support::store();
    let digest = store.put(b"blob").unwrap();
    store.put_record(KIND, &digest, &1).unwrap();
    store.cache_dir("apt").unwrap();
    drop(store);
    fs::write(dir.path().join("store/VERSION"), "0\n").unwrap();
    let store = Store::open(&dir.path().join("store")).unwrap();
    assert_eq!(store.record::<u32>(KIND, &digest), None);
    assert_eq!(store.read(&digest).unwrap(), b"blob");
    assert!(names(&dir.path().join("store/caches")).is_empty());
    let swept = store.sweep(&|p| fs::remove_dir_all(p));
    assert_eq!((swept.removed.len(), swept.failed.len()), (1, 0));
    assert!(names(&dir.path().join("store/tmp")).is_empty());
}

#[test]
fn many_open_a_new_store_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    std::thread::scope(|scope| {
        for i in 0..16 {
            let root = &root;
            scope.spawn(move || {
                let store = Store::open(root).unwrap();
                assert_eq!(
                    store.put(format!("{}", i % 4)).unwrap(),
                    Digest::of(format!("{}", i % 4))
                );
            });
        }
    });
    assert_eq!(Store::open(&root).unwrap().info().blobs.count, 4);
}
