//! Locks, scratch directories and sessions: exclusive among the living, free after the dead.

mod support;

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use support::{child_command, names, parents_store, start};
use tierce_store::{Effect, Keep, LockMode, PruneError, PrunePolicy, Store};

const EVERYTHING: PrunePolicy = PrunePolicy { keep: Keep::Nothing, effect: Effect::Remove };

#[test]
fn exclusive_excludes_and_shared_shares() {
    let (_dir, store) = support::store();
    use LockMode::{Exclusive, Shared};
    for (first, second, both) in [
        (Exclusive, Exclusive, false),
        (Exclusive, Shared, false),
        (Shared, Exclusive, false),
        (Shared, Shared, true),
    ] {
        let held = store.lock("name", first).unwrap();
        assert_eq!(store.try_lock("name", second).unwrap().is_some(), both);
        assert!(is_free(&store, "another", second));
        drop(held);
        assert!(is_free(&store, "name", second));
    }
    // Any name will do, and none leaves the directory.
    let _held = store.lock("../../etc/passwd", Exclusive).unwrap();
    assert!(store.try_lock("../../etc/passwd", Shared).unwrap().is_none());
}

/// Whether nobody holds a lock in a way that excludes this: at once, or in a moment. A process that
/// another test of this program starts has all descriptors, locks with them, until it is executed.
fn is_free(store: &Store, name: &str, mode: LockMode) -> bool {
    (0..200).any(|_| {
        let is_free = store.try_lock(name, mode).unwrap().is_some();
        if !is_free {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        is_free
    })
}

#[test]
fn threads_take_turns_even_while_lock_files_are_removed() {
    let (_dir, store) = support::store();
    let inside = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let _lock = store.lock("turn", LockMode::Exclusive).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..50 {
                store.prune(&EVERYTHING, &|p| fs::remove_dir_all(p)).unwrap();
            }
        });
    });
}

#[test]
fn a_killed_process_holds_nothing() {
    let (_dir, store) = support::store();
    let mut child = start(child_command("child_holds_everything", store.root()));
    assert!(store.try_lock("held", LockMode::Shared).unwrap().is_none());
    assert!(store.dead_scratch_dirs().is_empty());
    assert!(store.sweep(&|p| fs::remove_dir_all(p)).removed.is_empty());
    let busy = store.prune(&EVERYTHING, &|p| fs::remove_dir_all(p));
    assert!(matches!(busy, Err(PruneError::Busy { .. })));
    child.kill().unwrap();
    child.wait().unwrap();
    let _lock = store.lock("held", LockMode::Exclusive).unwrap();
    let dead = store.dead_scratch_dirs();
    assert_eq!(dead.len(), 1);
    assert_eq!(fs::read(dead[0].join("file")).unwrap(), b"half");
    let report = store.prune(&EVERYTHING, &|p| fs::remove_dir_all(p)).unwrap();
    assert_eq!(report.removed["temporary"].count, 1);
    assert!(names(&store.root().join("tmp")).is_empty());
}

#[test]
#[ignore = "a part of a_killed_process_holds_nothing"]
fn child_holds_everything() {
    let Some(store) = parents_store() else { return };
    let _lock = store.lock("held", LockMode::Exclusive).unwrap();
    let _session = store.session().unwrap();
    let scratch = store.scratch_dir("step").unwrap();
    fs::write(scratch.path().join("file"), "half").unwrap();
    support::ready();
}

#[test]
fn scratch_directories_go_with_their_guards() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = support::store();
    let scratch = store.scratch_dir("step").unwrap();
    let mode = fs::metadata(scratch.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
    let path = scratch.path().to_owned();
    fs::create_dir_all(path.join("a/b")).unwrap();
    drop(scratch);
    assert!(!path.exists());

    // One that needs a particular way of removing.
    let scratch = store.scratch_dir("step").unwrap();
    let path = scratch.path().to_owned();
    let error = scratch.remove_with(|_| Err(std::io::ErrorKind::PermissionDenied.into()));
    assert!(error.is_err() && path.exists());
    // What stays is nobody's.
    assert_eq!(store.dead_scratch_dirs(), std::slice::from_ref(&path));
    let swept = store.sweep(&|_| Err(std::io::ErrorKind::PermissionDenied.into()));
    assert_eq!((swept.removed.len(), swept.failed.len()), (0, 1));
    assert_eq!(store.sweep(&|p| fs::remove_dir_all(p)).removed, [path]);
}

#[test]
fn threads_make_scratch_directories_while_another_sweeps() {
    let (_dir, store) = support::store();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let scratch = store.scratch_dir("s").unwrap();
                    fs::write(scratch.path().join("f"), "x").unwrap();
                    let staged = store.stage().unwrap();
                    assert!(staged.path().exists());
                    assert!(scratch.path().join("f").exists());
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..500 {
                store.sweep(&|p| fs::remove_dir_all(p));
            }
        });
    });
    assert!(names(&store.root().join("tmp")).is_empty());
}
