//! Scans a directory several times with a stat index, and says how long each scan took.
//!
//! `cargo run --release -p tierce-tree --example scan -- DIRECTORY INDEX-FILE`

use std::path::PathBuf;
use std::time::Instant;
use tierce_tree::{ScanOptions, StatIndex};

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(root), Some(index_file)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: scan DIRECTORY INDEX-FILE");
        std::process::exit(2);
    };
    for _ in 0..5 {
        let start = Instant::now();
        let mut index = StatIndex::load(&index_file);
        let (known, loaded) = (index.len(), start.elapsed());
        let tree = match tierce_tree::scan(&root, &ScanOptions::default(), Some(&mut index)) {
            Ok(tree) => tree,
            Err(error) => panic!("{error}"),
        };
        let scanned = start.elapsed() - loaded;
        let digest = tree.digest();
        let digested = start.elapsed() - loaded - scanned;
        if let Err(error) = index.save(&index_file) {
            panic!("{error}");
        }
        eprintln!(
            "{} entries, {known} known: load {loaded:?}, scan {scanned:?}, digest {digested:?}, \
             all {:?}: {digest}",
            tree.entries().len(),
            start.elapsed(),
        );
    }
}
