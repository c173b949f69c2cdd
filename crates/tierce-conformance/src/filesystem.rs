//! What layers make, one on top of the other.

use std::collections::BTreeMap;
use std::io::Read;
use tierce_layer::{EntryKind, LayerPath, LayerReader, ReadError, Whiteout};
use tierce_oci::{Digest, Hasher};
use tierce_secret::Secrets;

/// Larger files are known by their digest only.
const KEEP: usize = 64 << 10;

/// The file system of an image.
#[derive(Clone, Debug, Default)]
pub struct FileSystem {
    nodes: BTreeMap<LayerPath, Node>,
}

/// Something in a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

/// What something in a file system is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// Its content's digest.
        digest: Digest,
        /// Its length.
        size: u64,
        /// Its content, where it is small.
        content: Option<Vec<u8>>,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points.
        target: Vec<u8>,
    },
    /// A device, a pipe.
    Other,
}

impl FileSystem {
    /// What is at a path without a leading slash. Links are not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(&LayerPath::new(path).ok()?)
    }

    /// The content of a small file.
    pub fn content(&self, path: &str) -> Option<&[u8]> {
        match &self.get(path)?.kind {
            NodeKind::File { content, .. } => content.as_deref(),
            _ => None,
        }
    }

    /// All paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.nodes.keys().map(ToString::to_string)
    }

    /// Puts a layer on top; gives the paths of files in which a secret was found.
    pub(crate) fn apply(
        &mut self,
        layer: impl Read,
        secrets: &Secrets,
    ) -> Result<Vec<String>, ReadError> {
        let mut reader = LayerReader::new(layer)?;
        let mut added: Vec<(LayerPath, Node)> = vec![];
        let mut leaks = vec![];
        while let Some((entry, mut content)) = reader.next_entry()? {
            if let Ok(Some(whiteout)) = entry.path.whiteout() {
                self.remove(&whiteout);
                continue;
            }
            let kind = match &entry.kind {
                EntryKind::File { .. } => {
                    let (kind, leaked) = file(&mut content, secrets).map_err(ReadError::Input)?;
                    if leaked {
                        leaks.push(entry.path.to_string());
                    }
                    kind
                }
                EntryKind::Directory => NodeKind::Directory,
                EntryKind::Symlink { target } => NodeKind::Symlink { target: target.clone() },
                EntryKind::HardLink { target } => {
                    let own = added.iter().rev().find(|(path, _)| path == target);
                    let node = own.map(|(_, node)| node).or_else(|| self.nodes.get(target));
                    node.map_or(NodeKind::Other, |node| node.kind.clone())
                }
                _ => NodeKind::Other,
            };
            let node = Node { kind, mode: entry.mode & 0o7777, uid: entry.uid, gid: entry.gid };
            added.push((entry.path, node));
        }
        // Whiteouts are about what is below: they come first, wherever they stand in the layer.
        for (path, node) in added {
            self.add(path, node);
        }
        Ok(leaks)
    }

    fn add(&mut self, path: LayerPath, node: Node) {
        if node.kind != NodeKind::Directory {
            self.clear(&path);
        }
        self.nodes.insert(path, node);
    }

    fn remove(&mut self, whiteout: &Whiteout) {
        self.clear(whiteout.path());
        if let Whiteout::Of(path) = whiteout {
            self.nodes.remove(path);
        }
    }

    /// Removes everything below a path.
    fn clear(&mut self, path: &LayerPath) {
        self.nodes.retain(|other, _| other == path || !other.starts_with(path));
    }
}

fn file(content: &mut impl Read, secrets: &Secrets) -> std::io::Result<(NodeKind, bool)> {
    let mut hasher = Hasher::new();
    let mut scanner = secrets.scanner();
    let (mut kept, mut size, mut leaked) = (vec![], 0, false);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = content.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        let piece = &buffer[..n];
        hasher.update(piece);
        leaked |= scanner.feed(piece).is_some();
        size += n as u64;
        if kept.len() <= KEEP {
            kept.extend_from_slice(piece);
        }
    }
    let content = (size <= KEEP as u64).then_some(kept);
    Ok((NodeKind::File { digest: hasher.finish(), size, content }, leaked))
}
