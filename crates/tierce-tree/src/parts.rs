//! Large trees in parts, so that one changed file changes one part.

use crate::tree::{Node, Tree, TreeEntry};
use std::collections::BTreeSet;
use tierce_layer::LayerPath;
use tierce_oci::Digest;

/// What a part should hold at most, in bytes of files.
const PART_SIZE: u64 = 256 * 1024;

/// How many parts there are at most: each becomes a layer, and images can't have many.
const MAX_PARTS: u64 = 16;

impl Tree {
    /// The tree as several trees that together ship the same, each with the directories above
    /// what it holds. A tree of up to 256 KiB is one part; from there on there are 2, 4, 8 or 16.
    ///
    /// Which part a file is in depends on its path alone, and how many there are on the tree's
    /// size, in powers of two: an edit changes one part, and only growth past a power of two
    /// moves files between parts.
    pub fn parts(&self) -> Vec<Tree> {
        let wanted = self.size().div_ceil(PART_SIZE).next_power_of_two();
        let count = wanted.clamp(1, MAX_PARTS);
        if count == 1 {
            return vec![self.clone()];
        }
        let held: BTreeSet<LayerPath> =
            self.entries().iter().filter_map(|entry| entry.path.parent()).collect();
        // Directories with content come along with it; empty ones are content themselves.
        let is_content = |e: &&TreeEntry| e.node != Node::Directory || !held.contains(&e.path);
        let mut parts = vec![Part::default(); count as usize];
        for entry in self.entries().iter().filter(is_content) {
            let part = &mut parts[part_of(&entry.path, count)];
            part.above.extend(entry.path.ancestors());
            part.content.push(entry.clone());
        }
        parts.into_iter().filter(|part| !part.content.is_empty()).map(Part::tree).collect()
    }
}

#[derive(Clone, Default)]
struct Part {
    content: Vec<TreeEntry>,
    above: BTreeSet<LayerPath>,
}

impl Part {
    fn tree(mut self) -> Tree {
        let directory = |path| TreeEntry { path, node: Node::Directory };
        self.content.extend(self.above.into_iter().map(directory));
        Tree::new(self.content, vec![])
    }
}

fn part_of(path: &LayerPath, count: u64) -> usize {
    let digest = Digest::of(path.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *digest.as_bytes();
    (u64::from_be_bytes([a, b, c, d, e, f, g, h]) % count) as usize
}
