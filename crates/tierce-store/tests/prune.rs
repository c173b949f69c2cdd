//! Unpacked layers, caches, and the collection of all that.

mod support;

use std::fs::{self, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};
use support::names;
use tierce_oci::{Descriptor, DiffId, Digest, MediaType};
use tierce_store::{Effect, Keep, PrunePolicy, PruneReport, Published, RecordKind, Store};

const LAYER: RecordKind = RecordKind::new("layer");
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn prune(store: &Store, keep: Keep, effect: Effect) -> PruneReport {
    let policy = PrunePolicy { keep, effect };
    let report = store.prune(&policy, &|path| fs::remove_dir_all(path)).unwrap();
    assert!(report.failed.is_empty(), "{:?}", report.failed);
    report
}

/// Makes something look as if it had last been used so long ago.
fn age(path: &Path, age: Duration) {
    let time = FileTimes::new().set_modified(SystemTime::now() - age);
    fs::File::open(path).unwrap().set_times(time).unwrap();
}

fn unpack(store: &Store, text: &str) -> DiffId {
    let diff_id = DiffId(Digest::of(text));
    let scratch = store.scratch_dir("unpack").unwrap();
    let layer = scratch.path().join("layer");
    fs::create_dir(&layer).unwrap();
    fs::write(layer.join("file"), text).unwrap();
    assert_eq!(store.publish_rootfs(&layer, &diff_id, "root").unwrap(), Published::New);
    diff_id
}

#[test]
fn a_layer_is_published_once_with_its_own_mode() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, store) = support::store();
    let diff_id = DiffId(Digest::of("layer"));
    for (text, published) in [("first", Published::New), ("second", Published::Surplus)] {
        let scratch = store.scratch_dir("unpack").unwrap();
        let layer = scratch.path().join("layer");
        fs::create_dir(&layer).unwrap();
        fs::write(layer.join("file"), text).unwrap();
        fs::set_permissions(&layer, fs::Permissions::from_mode(0o555)).unwrap();
        assert_eq!(store.publish_rootfs(&layer, &diff_id, "single").unwrap(), published);
        assert_eq!(layer.exists(), published == Published::Surplus);
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
        if layer.exists() {
            fs::set_permissions(&layer, fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    let home = store.rootfs_dir(&diff_id, "single");
    assert_eq!(fs::read_to_string(home.join("file")).unwrap(), "first");
    assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o7777, 0o555);
    assert!(!store.rootfs_dir(&diff_id, "root").exists());
    assert!(names(&store.root().join("tmp")).is_empty());
}

#[test]
fn threads_publish_the_same_layer_at_once() {
    let (_dir, store) = support::store();
    let diff_id = DiffId(Digest::of("layer"));
    let new = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let scratch = store.scratch_dir("unpack").unwrap();
                let layer = scratch.path().join("layer");
                fs::create_dir(&layer).unwrap();
                fs::write(layer.join("file"), "x").unwrap();
                if store.publish_rootfs(&layer, &diff_id, "v").unwrap() == Published::New {
                    new.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(new.into_inner(), 1);
    assert!(store.rootfs_dir(&diff_id, "v").join("file").exists());
    assert!(names(&store.root().join("tmp")).is_empty());
}

#[test]
fn caches_and_index_files_have_places_by_name() {
    let (_dir, store) = support::store();
    let cache = store.cache_dir("root-/var/cache/apt").unwrap();
    assert!(cache.starts_with(store.root().join("caches")) && cache.is_dir());
    assert_eq!(store.cache_dir("root-/var/cache/apt").unwrap(), cache);
    let index = store.index_path("../x");
    assert_eq!(index.parent(), Some(store.root().join("index").as_path()));
}

#[test]
fn the_unused_goes_and_takes_its_records_with_it() {
    let (_dir, store) = support::store();
    let (old, new) = (store.put(b"old").unwrap(), store.put(b"new").unwrap());
    for digest in [old, new] {
        let descriptor = Descriptor::new(MediaType::OciLayer, digest, 3);
        store.put_record(LAYER, &Digest::of(digest.hex()), &descriptor).unwrap();
    }
    let layer = unpack(&store, "layer");
    let kept = unpack(&store, "kept");
    age(&store.blob_path(&old), 40 * DAY);
    age(store.rootfs_dir(&layer, "root").parent().unwrap(), 40 * DAY);
    age(&store.cache_dir("apt").unwrap(), 40 * DAY);

    let keep = Keep::Recent { max_age: Some(30 * DAY), max_size: None };
    let before = store.info();
    let planned = prune(&store, keep, Effect::DryRun);
    assert_eq!(store.info(), before);
    let done = prune(&store, keep, Effect::Remove);
    assert_eq!(planned.removed, done.removed);
    let counts: Vec<_> = done.removed.iter().map(|(k, u)| (*k, u.count)).collect();
    assert_eq!(counts, [("blobs", 1), ("caches", 1), ("records", 1), ("rootfs", 1)]);
    assert_eq!((store.has(&old), store.has(&new)), (None, Some(3)));
    let record = |digest: Digest| store.record::<Descriptor>(LAYER, &Digest::of(digest.hex()));
    assert!(record(old).is_none() && record(new).is_some());
    assert!(store.rootfs_dir(&kept, "root").exists());
    assert_eq!(store.info().total().bytes, done.kept.bytes);
    // All is used lately now: nothing goes.
    assert_eq!(prune(&store, keep, Effect::Remove).total().count, 0);
}

#[test]
fn use_keeps_things_young() {
    let (_dir, store) = support::store();
    let digest = store.put(b"blob").unwrap();
    store.put_record(LAYER, &digest, &1).unwrap();
    let layer = unpack(&store, "layer");
    let keep = Keep::Recent { max_age: Some(DAY), max_size: None };
    let uses: [(&str, &dyn Fn()); 3] = [
        ("has", &|| assert!(store.has(&digest).is_some())),
        ("read", &|| assert!(store.read(&digest).is_ok())),
        ("open", &|| assert!(store.open_blob(&digest).is_ok())),
    ];
    for (name, using) in uses {
        age(&store.blob_path(&digest), 2 * DAY);
        assert_eq!(prune(&store, keep, Effect::DryRun).removed["blobs"].count, 1, "{name}");
        using();
        assert_eq!(prune(&store, keep, Effect::DryRun).total().count, 0, "{name}");
    }
    age(store.rootfs_dir(&layer, "root").parent().unwrap(), 2 * DAY);
    store.rootfs_dir(&layer, "root");
    assert_eq!(prune(&store, keep, Effect::DryRun).total().count, 0);
}

#[test]
fn a_size_keeps_the_most_recently_used() {
    let (_dir, store) = support::store();
    let digests: Vec<Digest> = (0..10u8).map(|i| store.put(vec![i; 100_000]).unwrap()).collect();
    for (i, digest) in digests.iter().enumerate() {
        age(&store.blob_path(digest), DAY * (10 - i as u32));
    }
    let each = store.info().blobs.bytes / 10;
    let keep = Keep::Recent { max_age: None, max_size: Some(3 * each + each / 2) };
    let report = prune(&store, keep, Effect::Remove);
    assert_eq!((report.removed["blobs"].count, report.kept.count), (7, 3));
    let left: Vec<bool> = digests.iter().map(|d| store.blob_path(d).exists()).collect();
    assert_eq!(left, [vec![false; 7], vec![true; 3]].concat());
}

#[test]
fn nothing_stays_when_nothing_is_kept() {
    let (_dir, store) = support::store();
    store.put(b"blob").unwrap();
    store.put_record(LAYER, &Digest::of("k"), &1).unwrap();
    unpack(&store, "layer");
    fs::write(store.cache_dir("apt").unwrap().join("x.deb"), "deb").unwrap();
    fs::write(store.index_path("tree"), "index").unwrap();
    drop(store.lock("l", tierce_store::LockMode::Exclusive).unwrap());
    let alive = store.scratch_dir("alive").unwrap();
    prune(&store, Keep::Nothing, Effect::Remove);
    assert!(alive.path().exists());
    drop(alive);
    assert_eq!(store.info().total().count, 0);
    assert_eq!(names(&store.root().join("locks")), ["~session"]);
    store.put(b"blob").unwrap();
}

#[test]
fn what_cannot_be_removed_is_reported_and_out_of_the_way() {
    let (_dir, store) = support::store();
    let layer = unpack(&store, "layer");
    let policy = PrunePolicy { keep: Keep::Nothing, effect: Effect::Remove };
    let refuse = |_: &Path| Err(std::io::ErrorKind::PermissionDenied.into());
    let report = store.prune(&policy, &refuse).unwrap();
    assert_eq!((report.failed.len(), report.total().count), (1, 0));
    assert!(!store.rootfs_dir(&layer, "root").exists());
    assert_eq!(store.dead_scratch_dirs().len(), 1);
    assert_eq!(store.sweep(&|p| fs::remove_dir_all(p)).removed.len(), 1);
}
