//! Records: there when they are whole, absent otherwise.

mod support;

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use tierce_oci::Digest;
use tierce_store::{RecordKind, Store};

const LAYER: RecordKind = RecordKind::new("layer");
const WHEEL: RecordKind = RecordKind::new("wheel");

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn records_come_back_by_kind_and_key() {
    let (_dir, store) = support::store();
    let (a, b) = (Digest::of("a"), Digest::of("b"));
    store.put_record(LAYER, &a, &("x".to_owned(), 1.5)).unwrap();
    assert_eq!(store.record(LAYER, &a), Some(("x".to_owned(), 1.5)));
    assert_eq!(store.record::<(String, f64)>(WHEEL, &a), None);
    assert_eq!(store.record::<(String, f64)>(LAYER, &b), None);
    // Of another form: none.
    assert_eq!(store.record::<u32>(LAYER, &a), None);
    store.put_record(LAYER, &a, &7).unwrap();
    assert_eq!(store.record(LAYER, &a), Some(7));
    store.remove_record(LAYER, &a).unwrap();
    assert_eq!(store.record::<u32>(LAYER, &a), None);
}

#[test]
fn a_record_under_another_key_is_none() {
    let (_dir, store) = support::store();
    let (a, b) = (Digest::of("a"), Digest::of("b"));
    store.put_record(LAYER, &a, &1).unwrap();
    store.put_record(LAYER, &b, &2).unwrap();
    let paths = files(&store.root().join("records"));
    fs::copy(&paths[0], &paths[1]).unwrap();
    let found = [store.record::<u32>(LAYER, &a), store.record::<u32>(LAYER, &b)];
    assert_eq!(found.iter().flatten().count(), 1);
}

/// A store with one record, and the record's file.
fn one_record() -> (tempfile::TempDir, Store, PathBuf, Vec<u8>) {
    let (dir, store) = support::store();
    store.put_record(LAYER, &Digest::of("key"), &vec!["value"; 3]).unwrap();
    let path = files(&store.root().join("records")).remove(0);
    let bytes = fs::read(&path).unwrap();
    (dir, store, path, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn torn_and_changed_records_are_none(at in 0usize..200, flip in 0u8..8) {
        let (_dir, store, path, mut bytes) = one_record();
        let at = at % bytes.len();
        fs::write(&path, &bytes[..at]).unwrap();
        prop_assert_eq!(store.record::<Vec<String>>(LAYER, &Digest::of("key")), None);
        bytes[at] ^= 1 << flip;
        fs::write(&path, &bytes).unwrap();
        prop_assert_eq!(store.record::<Vec<String>>(LAYER, &Digest::of("key")), None);
    }

    #[test]
    fn any_text_survives(texts in proptest::collection::vec(".*", 0..4)) {
        let (_dir, store) = support::store();
        store.put_record(LAYER, &Digest::of("k"), &texts).unwrap();
        prop_assert_eq!(store.record(LAYER, &Digest::of("k")), Some(texts));
    }
}

#[test]
fn threads_replace_a_record_while_others_read_it() {
    let (_dir, store) = support::store();
    let key = Digest::of("key");
    store.put_record(LAYER, &key, &0).unwrap();
    std::thread::scope(|scope| {
        for i in 0..4 {
            let store = &store;
            scope.spawn(move || {
                for _ in 0..50 {
                    store.put_record(LAYER, &key, &i).unwrap();
                    assert!(store.record::<u32>(LAYER, &key).is_some_and(|v| v < 4));
                }
            });
        }
    });
}
