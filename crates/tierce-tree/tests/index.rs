//! The stat index: files that did not change are not read, those that may have are.

mod common;

use common::put;
use std::fs;
use std::path::{Path, PathBuf};
use tierce_oci::Digest;
use tierce_tree::{Node, ScanOptions, StatIndex, Tree};

/// A tree whose files are older than the index's patience: this crate's own sources.
fn old_tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn scan(root: &Path, index: &mut StatIndex) -> Tree {
    tierce_tree::scan(root, &ScanOptions::default(), Some(index)).unwrap()
}

#[test]
fn unchanged_files_are_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("made/on/demand/index");
    let mut index = StatIndex::load(&file);
    assert!(index.is_empty());
    let tree = scan(&old_tree(), &mut index);
    if index.len() != tree.files() {
        eprintln!("skipped: the sources were written this moment");
        return;
    }
    index.save(&file).unwrap();
    // Another digest in the index shows that it is used: the file's last bytes are a digest and
    // the checksum.
    let mut bytes = fs::read(&file).unwrap();
    let end = bytes.len() - 4;
    bytes[end - 1] ^= 1;
    let checksum = crc32fast::hash(&bytes[..end]);
    bytes[end..].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&file, &bytes).unwrap();
    let mut index = StatIndex::load(&file);
    let doctored = scan(&old_tree(), &mut index);
    assert_ne!(doctored.digest(), tree.digest());
    assert_eq!(doctored.entries().len(), tree.entries().len());
    // Nothing to write: the file stays as it is.
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    index.save(&file).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn files_of_this_moment_are_not_trusted() {
    let root = tempfile::tempdir().unwrap();
    let mut index = StatIndex::new();
    for turn in 0..50 {
        // Same size, and very often the same tick of the file system's clock.
        let content = format!("{turn:03}");
        put(root.path(), "file", &content);
        let tree = scan(root.path(), &mut index);
        let Node::File { digest, .. } = tree.entries()[0].node else { panic!() };
        assert_eq!(digest, Digest::of(&content), "turn {turn}");
        assert!(index.is_empty());
    }
}

#[test]
fn what_is_gone_is_forgotten() {
    let mut index = StatIndex::new();
    let tree = scan(&old_tree(), &mut index);
    if index.len() != tree.files() {
        eprintln!("skipped: the sources were written this moment");
        return;
    }
    scan(&old_tree().join("ignore"), &mut index);
    assert!(index.len() < tree.files());
    let empty = tempfile::tempdir().unwrap();
    scan(empty.path(), &mut index);
    assert!(index.is_empty());
}

#[test]
fn single_files_are_indexed_too() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("index");
    let source = old_tree().join("lib.rs");
    let plain = tierce_tree::scan_file(&source).unwrap();
    for turn in 0..2 {
        let mut index = StatIndex::load(&file);
        if turn == 1 && index.is_empty() {
            eprintln!("skipped: the sources were written this moment");
            return;
        }
        assert_eq!(tierce_tree::scan_file_indexed(&source, Some(&mut index)).unwrap(), plain);
        index.save(&file).unwrap();
    }
}

#[test]
fn a_damaged_index_counts_as_empty() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("index");
    let mut index = StatIndex::new();
    let tree = scan(&old_tree(), &mut index);
    index.save(&file).unwrap();
    let good = fs::read(&file).unwrap();
    let mut damaged: Vec<Vec<u8>> =
        (0..good.len()).step_by(37).map(|n| good[..n].to_vec()).collect();
    damaged.extend((0..good.len()).step_by(11).map(|at| {
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        bytes
    }));
    // Right checksums over wrong content: lengths and counts beyond the end.
    damaged.extend((0..200).map(|at| {
        let mut bytes = good.clone();
        let end = bytes.len() - 4;
        bytes[at % end] = 0xff;
        let checksum = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }));
    for (turn, bytes) in damaged.into_iter().enumerate() {
        fs::write(&file, &bytes).unwrap();
        let mut index = StatIndex::load(&file);
        if turn % 40 == 0 && index.is_empty() {
            assert_eq!(scan(&old_tree(), &mut index), tree);
        }
    }
    assert!(StatIndex::load(Path::new("/nonexistent/index")).is_empty());
    assert!(StatIndex::load(directory.path()).is_empty());
}

#[test]
fn an_index_that_cannot_be_written_says_where() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), "file", "");
    let error = StatIndex::new().save(&directory.path().join("file/index")).unwrap_err();
    assert!(error.to_string().ends_with("file/index"), "{error}");
}
