//! A tree in parts ships what the tree ships, and an edit changes one part.

use std::collections::BTreeMap;
use std::fs;
use tierce_oci::Digest;
use tierce_tree::{Node, ScanOptions, Tree, scan};

fn tree(files: usize, edited: Option<usize>) -> Tree {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..files {
        let package = dir.path().join(format!("pkg{}", i % 7));
        fs::create_dir_all(&package).unwrap();
        let mark = if edited == Some(i) { "edited" } else { "" };
        fs::write(package.join(format!("m{i}.py")), format!("{mark}{i:>4000}")).unwrap();
    }
    fs::create_dir_all(dir.path().join("empty/inside")).unwrap();
    scan(dir.path(), &ScanOptions::default(), None).unwrap()
}

#[test]
fn small_trees_are_one_part() {
    let tree = tree(20, None);
    assert_eq!(tree.parts(), [tree]);
}

#[test]
fn the_parts_are_the_whole() {
    let whole = tree(500, None);
    let parts = whole.parts();
    assert_eq!(parts.len(), 8);
    let mut all = BTreeMap::new();
    for entry in parts.iter().flat_map(|part| part.entries()) {
        let before = all.insert(entry.path.clone(), entry.node.clone());
        // Only directories are in more than one part.
        assert!(before.is_none() || before == Some(Node::Directory), "{}", entry.path);
    }
    let wanted: BTreeMap<_, _> =
        whole.entries().iter().map(|e| (e.path.clone(), e.node.clone())).collect();
    assert_eq!(all, wanted);
}

#[test]
fn an_edit_changes_one_part() {
    let digests = |tree: Tree| tree.parts().iter().map(Tree::digest).collect::<Vec<Digest>>();
    let (before, after) = (digests(tree(500, None)), digests(tree(500, Some(123))));
    assert_eq!(before.len(), after.len());
    assert_eq!(before.iter().zip(&after).filter(|(a, b)| a != b).count(), 1);
}
