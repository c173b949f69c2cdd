//! Blobs: kept whole or not at all, verified by whoever reads them.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use support::{child_command, has, names, parents_store, start};
use tierce_oci::{Diagnostic, Digest};
use tierce_store::{Store, StoreError};

#[test]
fn bytes_come_back_by_their_digest() {
    let (_dir, store) = support::store();
    for bytes in [&b""[..], b"x", &[7; 300_000]] {
        let digest = store.put(bytes).unwrap();
        assert_eq!(digest, Digest::of(bytes));
        assert_eq!(store.has(&digest), Some(bytes.len() as u64));
        assert_eq!(store.read(&digest).unwrap(), bytes);
        assert_eq!(store.verify(&digest).unwrap(), Some(bytes.len() as u64));
        let mode = fs::metadata(store.blob_path(&digest)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o444);
        store.remove(&digest).unwrap();
        store.remove(&digest).unwrap();
        assert_eq!(store.has(&digest), None);
        assert!(matches!(store.read(&digest), Err(StoreError::Missing { .. })));
    }
}

#[test]
fn what_is_too_large_for_memory_is_refused() {
    let (_dir, store) = support::store();
    let digest = store.put([1; 100]).unwrap();
    assert_eq!(store.read_up_to(&digest, 100).unwrap().len(), 100);
    let error = store.read_up_to(&digest, 99).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { size: 100, limit: 99, .. }));
}

/// Writes over a blob as a failing disk would.
fn damage(store: &Store, digest: &Digest, bytes: &[u8]) {
    let path = store.blob_path(digest);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
}

#[test]
fn damage_is_found_and_removed_and_no_wrong_tail_is_handed_out() {
    let good: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    let mut flipped = good.clone();
    flipped[199_999] ^= 1;
    let longer = [&good[..], b"x"].concat();
    for bad in [&flipped[..], &good[..150_000], &longer, b""] {
        let (_dir, store) = support::store();
        let digest = store.put(&good).unwrap();

        damage(&store, &digest, bad);
        let error = store.read(&digest).unwrap_err();
        assert_eq!(error.code(), "store/corrupt");
        assert_eq!(store.has(&digest), None);

        store.put(&good).unwrap();
        damage(&store, &digest, bad);
        assert_eq!(store.verify(&digest).unwrap(), None);
        assert_eq!(store.has(&digest), None);

        store.put(&good).unwrap();
        damage(&store, &digest, bad);
        let mut reader = store.open_blob(&digest).unwrap();
        let (mut seen, mut buffer) = (0, [0; 4096]);
        let error = loop {
            match reader.read(&mut buffer) {
                Ok(0) => panic!("a damaged blob came to a good end"),
                Ok(read) => seen += read,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(seen < bad.len().max(1));
        assert_eq!(store.has(&digest), None);
    }
}

#[test]
fn what_is_dropped_leaves_nothing() {
    let (dir, store) = support::store();
    let mut staged = store.stage().unwrap();
    staged.write_all(b"half").unwrap();
    assert_eq!(names(&dir.path().join("store/tmp")).len(), 1);
    drop(staged);
    assert!(names(&dir.path().join("store/tmp")).is_empty());
    assert_eq!(store.info().blobs.count, 0);
}

#[test]
fn commit_verified_and_import_refuse_other_bytes() {
    let (dir, store) = support::store();
    let digest = Digest::of(b"expected");
    let mut staged = store.stage().unwrap();
    staged.write_all(b"other").unwrap();
    let error = staged.commit_verified(&digest).unwrap_err();
    assert_eq!(error.code(), "store/mismatch");
    let error = store.import(&mut &b"other"[..], &digest, Path::new("x")).unwrap_err();
    assert_eq!(error.to_string(), format!("x is not {digest}, but {}", Digest::of(b"other")));
    assert_eq!(store.has(&digest), None);
    assert!(names(&dir.path().join("store/tmp")).is_empty());
    store.import(&mut &b"expected"[..], &digest, Path::new("x")).unwrap();
    assert_eq!(store.read(&digest).unwrap(), b"expected");
}

#[test]
fn files_are_adopted_from_anywhere() {
    let (dir, store) = support::store();
    let elsewhere = Path::new("/dev/shm");
    let mut places = vec![dir.path().to_owned()];
    if elsewhere.is_dir() {
        places.push(elsewhere.to_owned());
    }
    for (i, place) in places.iter().enumerate() {
        let text = format!("adopted {i}");
        let digest = Digest::of(&text);
        let mut file = tempfile::NamedTempFile::new_in(place).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let path = file.into_temp_path().keep().unwrap();
        store.adopt(&path, &digest).unwrap();
        assert!(!path.exists());
        assert_eq!(store.read(&digest).unwrap(), text.as_bytes());
    }
}

#[test]
fn threads_make_the_same_blob_at_once() {
    let (dir, store) = support::store();
    let bytes = vec![3; 100_000];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let mut staged = store.stage().unwrap();
                    staged.write_all(&bytes).unwrap();
                    staged.commit(&Digest::of(&bytes)).unwrap();
                    assert_eq!(store.read(&Digest::of(&bytes)).unwrap(), bytes);
                }
            });
        }
    });
    assert!(names(&dir.path().join("store/tmp")).is_empty());
    assert_eq!(store.info().blobs.count, 1);
}

#[test]
fn processes_make_the_same_blobs_at_once() {
    let (dir, store) = support::store();
    let spawn = || child_command("child_puts_blobs", store.root()).spawn().unwrap();
    let children: Vec<_> = (0..4).map(|_| spawn()).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(store.info().blobs.count, 50);
    assert!(names(&dir.path().join("store/tmp")).is_empty());
}

#[test]
#[ignore = "a part of processes_make_the_same_blobs_at_once"]
fn child_puts_blobs() {
    let Some(store) = parents_store() else { return };
    for i in 0..50u8 {
        let bytes = vec![i; 10_000];
        let digest = store.put(&bytes).unwrap();
        assert_eq!(store.read(&digest).unwrap(), bytes);
    }
}

#[test]
fn what_a_killed_process_was_writing_is_collected() {
    let (dir, store) = support::store();
    let mut child = start(child_command("child_stages", store.root()));
    assert_eq!(names(&dir.path().join("store/tmp")).len(), 1);
    // It is alive: opening leaves its file alone.
    let store = Store::open(store.root()).unwrap();
    assert_eq!(names(&dir.path().join("store/tmp")).len(), 1);
    child.kill().unwrap();
    child.wait().unwrap();
    Store::open(store.root()).unwrap();
    assert!(names(&dir.path().join("store/tmp")).is_empty());
}

#[test]
#[ignore = "a part of what_a_killed_process_was_writing_is_collected"]
fn child_stages() {
    let Some(store) = parents_store() else { return };
    let mut staged = store.stage().unwrap();
    staged.write_all(b"half").unwrap();
    support::ready();
}

#[test]
fn a_read_only_store_serves_but_says_why_it_takes_nothing() {
    use std::os::unix::process::CommandExt;
    let (dir, store) = support::store();
    let digest = store.put(b"read only").unwrap();
    if rustix::process::geteuid().is_root() {
        // Root may write anywhere, nobody may not.
        run_as_nobody(dir.path(), store.root(), |command| {
            command.uid(65534).gid(65534);
        });
    } else {
        run_as_nobody(dir.path(), store.root(), |_| {});
    }
    assert_eq!(store.read(&digest).unwrap(), b"read only");
}

fn run_as_nobody(
    outer: &Path,
    root: &Path,
    become_nobody: impl FnOnce(&mut std::process::Command),
) {
    let chmod = |mode: &str| {
        support::run("chmod", &["-R", mode, root.to_str().unwrap()]);
    };
    fs::set_permissions(outer, fs::Permissions::from_mode(0o755)).unwrap();
    chmod("a-w,a+rX");
    let mut command = child_command("child_writes_to_a_read_only_store", root);
    become_nobody(&mut command);
    match command.output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            chmod("u+rwX");
            assert!(output.status.success(), "{text}");
        }
        Err(error) => {
            chmod("u+rwX");
            eprintln!("skipped: another user can't run this test program: {error}");
        }
    }
}

#[test]
#[ignore = "a part of a_read_only_store_serves_but_says_why_it_takes_nothing"]
fn child_writes_to_a_read_only_store() {
    let Some(store) = parents_store() else { return };
    let digest = Digest::of(b"read only");
    assert_eq!(store.read(&digest).unwrap(), b"read only");
    let error = store.stage().unwrap_err();
    assert_eq!(error.code(), "store/denied");
    assert!(error.hint().is_some());
    assert_eq!(store.put(b"read only").unwrap(), digest);
}

#[test]
fn a_full_disk_is_called_that() {
    if !has("unshare") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let child = child_command("child_fills_the_disk", dir.path());
    let script = "mount -t tmpfs -o size=256k tmpfs \"$STORE\" || exit 77; exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(child.get_program()).args(child.get_args()).env("STORE", dir.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => {}
        Some(77) => eprintln!("skipped: no tmpfs can be mounted here: {text}"),
        _ if text.contains("unshare failed") => eprintln!("skipped: {text}"),
        _ => panic!("{text}{}", String::from_utf8_lossy(&output.stdout)),
    }
}

#[test]
#[ignore = "a part of a_full_disk_is_called_that"]
fn child_fills_the_disk() {
    let Some(store) = parents_store() else { return };
    let error = store.put(vec![1; 1 << 20]).unwrap_err();
    assert_eq!(error.code(), "store/disk-full");
    assert!(error.hint().is_some_and(|h| h.contains("prune")));
    assert!(names(&store.root().join("tmp")).is_empty());
    store.put(b"small").unwrap();
}
