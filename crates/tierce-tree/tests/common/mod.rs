//! What the tests of this crate share.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tierce_layer::LayerPath;
use tierce_tree::{IgnoreRules, Node, ScanOptions, Tree};

pub fn path(path: &str) -> LayerPath {
    LayerPath::new(path).unwrap()
}

/// Writes a file, and the directories above it.
pub fn put(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub fn chmod(root: &Path, name: &str, mode: u32) {
    fs::set_permissions(root.join(name), fs::Permissions::from_mode(mode)).unwrap();
}

pub fn options(ignore: &str) -> ScanOptions {
    ScanOptions { ignore: IgnoreRules::parse(ignore).unwrap(), ..ScanOptions::default() }
}

pub fn scan(root: &Path) -> Tree {
    tierce_tree::scan(root, &ScanOptions::default(), None).unwrap()
}

pub fn scan_with(root: &Path, ignore: &str) -> Tree {
    tierce_tree::scan(root, &options(ignore), None).unwrap()
}

/// One word for each entry: `dir/`, `file`, `file*` if executable, `link@`.
pub fn listing(tree: &Tree) -> String {
    let word = |entry: &tierce_tree::TreeEntry| match &entry.node {
        Node::Directory => format!("{}/", entry.path),
        Node::File { executable: true, .. } => format!("{}*", entry.path),
        Node::File { .. } => entry.path.to_string(),
        Node::Symlink { .. } => format!("{}@", entry.path),
    };
    tree.entries().iter().map(word).collect::<Vec<_>>().join(" ")
}
