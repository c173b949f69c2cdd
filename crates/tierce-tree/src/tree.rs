//! What of a directory ships.

use rayon::slice::ParallelSliceMut;
use tierce_layer::LayerPath;
use tierce_oci::{Digest, Hasher};

/// A directory's content, normalised and digested: what ships, and nothing else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: Vec<TreeEntry>,
    skipped: Vec<Skipped>,
}

/// One file, directory or symbolic link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Where it is, from the root of the tree. A tree of a single file holds just that file,
    /// at [`LayerPath::ROOT`].
    pub path: LayerPath,
    /// What it is.
    pub node: Node,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A regular file.
    File {
        /// Its length.
        size: u64,
        /// Whether its owner may execute it.
        executable: bool,
        /// The digest of its content.
        digest: Digest,
    },
    /// A directory; empty ones are entries too.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What it points to, as it stands.
        target: Vec<u8>,
    },
}

/// Something that can't be in an image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Where it is.
    pub path: LayerPath,
    /// What it is.
    pub kind: SkippedKind,
}

/// What can't be in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SkippedKind {
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device.
    Device,
}

/// Begins every encoding; another encoding gets another one.
const DIGEST_VERSION: &[u8] = b"tierce-tree-v1\0";

impl Tree {
    pub(crate) fn new(mut entries: Vec<TreeEntry>, mut skipped: Vec<Skipped>) -> Self {
        tierce_parallel::install(|| entries.par_sort_unstable_by(|a, b| a.path.cmp(&b.path)));
        skipped.sort_unstable();
        Tree { entries, skipped }
    }

    /// The entries, sorted by the bytes of their paths, so that directories come before what
    /// they hold.
    pub fn entries(&self) -> &[TreeEntry] {
        &self.entries
    }

    /// What was met and can't be shipped, sorted: worth a warning.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Whether there is nothing to ship.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many regular files there are.
    pub fn files(&self) -> usize {
        self.entries.iter().filter(|e| matches!(e.node, Node::File { .. })).count()
    }

    /// The lengths of all files together.
    pub fn size(&self) -> u64 {
        let size = |entry: &TreeEntry| match entry.node {
            Node::File { size, .. } => size,
            Node::Directory | Node::Symlink { .. } => 0,
        };
        self.entries.iter().map(size).sum()
    }

    /// A digest over all that ships: equal for equal trees only. Every variable part is preceded
    /// by its length, numbers are 64 bits, big-endian.
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(DIGEST_VERSION);
        number(&mut hasher, self.entries.len() as u64);
        for TreeEntry { path, node } in &self.entries {
            bytes(&mut hasher, path.as_bytes());
            match node {
                Node::File { size, executable, digest } => {
                    hasher.update(if *executable { b"x" } else { b"f" });
                    number(&mut hasher, *size);
                    hasher.update(digest.as_bytes());
                }
                Node::Directory => hasher.update(b"d"),
                Node::Symlink { target } => {
                    hasher.update(b"l");
                    bytes(&mut hasher, target);
                }
            }
        }
        hasher.finish()
    }
}

fn number(hasher: &mut Hasher, number: u64) {
    hasher.update(&number.to_be_bytes());
}

fn bytes(hasher: &mut Hasher, bytes: &[u8]) {
    number(hasher, bytes.len() as u64);
    hasher.update(bytes);
}
