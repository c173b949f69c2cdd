//! The files of several packages in one tree.

use super::links::Links;
use super::{Documentation, RootError, RootOptions};
use crate::deb::{DebEntry, UnpackedDeb};
use crate::package::Architecture;
use crate::spool::{Content, Spool};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;
use tierce_layer::{Entry, EntryKind, LayerPath, LayerWriter};

pub(super) struct Tree {
    nodes: BTreeMap<LayerPath, Node>,
    /// Left out, but perhaps the target of hard links that are not.
    omitted: BTreeMap<LayerPath, Node>,
    links: Links,
    /// Per package, its files that another one's replaced, by the package's own names for them.
    lost: Vec<BTreeSet<LayerPath>>,
}

#[derive(Clone)]
struct Node {
    entry: Entry,
    body: Body,
    owner: Option<Owner>,
}

/// The package that brought a node, and its name for it.
#[derive(Clone)]
struct Owner {
    package: usize,
    path: LayerPath,
}

#[derive(Clone)]
enum Body {
    Bytes(Vec<u8>),
    Spooled(Arc<Spool>, Content),
}

impl Tree {
    /// Merges packages. Symbolic links come first, since they decide where all else goes.
    pub(super) fn merge(debs: &[&UnpackedDeb], options: &RootOptions) -> Result<Self, RootError> {
        let mut tree = Tree {
            nodes: BTreeMap::new(),
            omitted: BTreeMap::new(),
            links: Links::default(),
            lost: vec![BTreeSet::new(); debs.len()],
        };
        for name in merged_directories(debs, &options.architecture) {
            tree.add_alias(name);
        }
        let all = debs
            .iter()
            .enumerate()
            .flat_map(|(n, deb)| deb.entries.iter().map(move |entry| (n, entry)));
        let (mut symlinks, others): (Vec<_>, Vec<_>) =
            all.partition(|(_, e)| matches!(e.entry.kind, EntryKind::Symlink { .. }));
        // Those nearer the root decide where those below them are.
        symlinks.sort_by_key(|(_, e)| e.entry.path.components().count());
        for (package, entry) in symlinks.into_iter().chain(others) {
            tree.add(debs, package, entry, options.documentation)?;
        }
        tree.unify_hard_links(debs)?;
        Ok(tree)
    }

    fn add_alias(&mut self, name: &'static str) {
        let place = LayerPath::new(name).expect("one of the names below");
        let target = format!("usr/{name}");
        let directory = LayerPath::new(&target).expect("one of the names below");
        self.nodes.insert(directory.clone(), Node::own(Entry::directory(directory), Vec::new()));
        self.links.insert(place.clone(), target.clone().into_bytes());
        self.nodes.insert(place.clone(), Node::own(Entry::symlink(place, target), Vec::new()));
    }

    fn add(
        &mut self,
        debs: &[&UnpackedDeb],
        package: usize,
        DebEntry { entry, content }: &DebEntry,
        documentation: Documentation,
    ) -> Result<(), RootError> {
        let original = &entry.path;
        if original.is_root() {
            return Ok(());
        }
        let mut entry = entry.clone();
        entry.path = match entry.is_directory() {
            true => self.links.follow(original)?,
            false => self.links.place(original)?,
        };
        if let EntryKind::HardLink { target } = &mut entry.kind {
            *target = self.links.place(target)?;
        }
        let place = entry.path.clone();
        let owner = Some(Owner { package, path: original.clone() });
        let spool = debs[package].spool.clone();
        let node = Node { entry, body: Body::Spooled(spool, *content), owner };
        if documentation == Documentation::Omit && super::apt::is_omitted(&place, &node.entry) {
            self.omitted.insert(place, node);
            return Ok(());
        }
        if !self.yields_to(debs, &node)? {
            if let EntryKind::Symlink { target } = &node.entry.kind {
                self.links.insert(place.clone(), target.clone());
            }
            self.nodes.insert(place, node);
        }
        Ok(())
    }

    /// Whether what is in the place already stays there.
    fn yields_to(&mut self, debs: &[&UnpackedDeb], node: &Node) -> Result<bool, RootError> {
        let Some(present) = self.nodes.get(&node.entry.path) else { return Ok(false) };
        let both_directories = present.entry.is_directory() && node.entry.is_directory();
        let (Some(old), Some(new)) = (&present.owner, &node.owner) else {
            // One of the links or directories of the merged /usr: base-files may bring the same,
            // and says what a directory's mode is.
            return Ok(!both_directories);
        };
        if both_directories {
            return Ok(true);
        }
        let (first, second) = (debs[old.package], debs[new.package]);
        let stays = match (second.replaces(first), first.replaces(second)) {
            (true, _) => false,
            (false, true) => true,
            (false, false) => {
                return Err(RootError::FileConflict {
                    path: node.entry.path.clone(),
                    first: first.name().clone(),
                    second: second.name().clone(),
                });
            }
        };
        let loser = if stays { new } else { old }.clone();
        self.lost[loser.package].insert(loser.path);
        Ok(stays)
    }

    /// Whether a package lost a file of its to another one's.
    pub(super) fn has_lost(&self, package: usize, path: &LayerPath) -> bool {
        self.lost[package].contains(path)
    }

    /// Whether there is anything at a path.
    pub(super) fn has(&self, path: &str) -> bool {
        let path = LayerPath::new(path)
            .and_then(|p| self.links.place(&p).map_err(|_| tierce_layer::PathError::Empty));
        path.is_ok_and(|p| self.nodes.contains_key(&p))
    }

    /// Adds a file of tierce's own; what a package brought stays.
    pub(super) fn add_file(&mut self, entry: Entry, content: Vec<u8>) -> Result<(), RootError> {
        let mut entry = entry;
        entry.path = self.links.place(&entry.path)?;
        entry.kind = EntryKind::File { size: content.len() as u64 };
        self.nodes.entry(entry.path.clone()).or_insert(Node::own(entry, content));
        Ok(())
    }

    /// Adds a directory of tierce's own; what a package brought stays.
    pub(super) fn add_directory(&mut self, path: &str, mode: u32) -> Result<(), RootError> {
        let path = LayerPath::new(path).expect("a constant path");
        let place = self.links.follow(&path)?;
        let entry = Entry::directory(place.clone()).with_mode(mode);
        self.nodes.entry(place).or_insert(Node::own(entry, Vec::new()));
        Ok(())
    }

    /// Of several names of a file, the first in order becomes the file and the others links to
    /// it: an archive must not name what comes later.
    fn unify_hard_links(&mut self, debs: &[&UnpackedDeb]) -> Result<(), RootError> {
        let mut names: BTreeMap<LayerPath, Vec<LayerPath>> = BTreeMap::new();
        for (place, node) in &self.nodes {
            if matches!(node.entry.kind, EntryKind::HardLink { .. }) {
                names.entry(self.file_of(debs, node)?).or_default().push(place.clone());
            }
        }
        for (file, mut links) in names {
            let node = self.nodes.get(&file).or_else(|| self.omitted.get(&file));
            let node = node.expect("found above").clone();
            if self.nodes.contains_key(&file) {
                links.push(file);
            }
            links.sort();
            for (n, place) in links.iter().enumerate() {
                let mut node = node.clone();
                node.entry.path = place.clone();
                if n > 0 {
                    node.entry.kind = EntryKind::HardLink { target: links[0].clone() };
                    node.body = Body::Bytes(Vec::new());
                }
                self.nodes.insert(place.clone(), node);
            }
        }
        Ok(())
    }

    /// The path of the file that a hard link stands for.
    fn file_of(&self, debs: &[&UnpackedDeb], link: &Node) -> Result<LayerPath, RootError> {
        let mut node = link;
        // As many steps as there could be links; a circle has no file in it.
        for _ in 0..self.nodes.len() {
            let EntryKind::HardLink { target } = &node.entry.kind else { break };
            match self.nodes.get(target).or_else(|| self.omitted.get(target)) {
                Some(next) => node = next,
                None => break,
            }
        }
        if node.entry.is_file() {
            return Ok(node.entry.path.clone());
        }
        let package = link.owner.as_ref().map(|owner| debs[owner.package].name().clone());
        let package = package.expect("tierce itself adds no hard links");
        Err(RootError::DanglingHardLink { link: link.entry.path.clone(), package })
    }

    /// Adds the directories that every system has, and those that hold something.
    pub(super) fn complete(&mut self) {
        for (name, mode) in
            [("dev", 0o755), ("proc", 0o755), ("run", 0o755), ("sys", 0o755), ("tmp", 0o1777)]
        {
            let path = LayerPath::new(name).expect("a constant path");
            let entry = Entry::directory(path.clone()).with_mode(mode);
            self.nodes.entry(path).or_insert(Node::own(entry, Vec::new()));
        }
        let parents: BTreeSet<LayerPath> =
            self.nodes.keys().flat_map(|place| place.ancestors().collect::<Vec<_>>()).collect();
        for parent in parents {
            let entry = Entry::directory(parent.clone());
            self.nodes.entry(parent).or_insert(Node::own(entry, Vec::new()));
        }
    }

    /// Writes everything, sorted: a directory before what is in it.
    pub(super) fn write<W: Write>(&self, writer: &mut LayerWriter<W>) -> Result<(), RootError> {
        for (place, node) in &self.nodes {
            let parent = place.parent().filter(|p| !p.is_root());
            let holder = parent.and_then(|p| self.nodes.get(&p));
            if holder.is_some_and(|h| !h.entry.is_directory()) {
                return Err(RootError::NotADirectory(place.clone()));
            }
            match &node.body {
                Body::Bytes(bytes) => writer.append(&node.entry, bytes.as_slice())?,
                Body::Spooled(_, _) if !node.entry.is_file() => {
                    writer.append(&node.entry, io::empty())?;
                }
                Body::Spooled(spool, content) => {
                    writer.append(&node.entry, spool.get(*content))?;
                }
            }
        }
        Ok(())
    }
}

impl Node {
    fn own(entry: Entry, content: Vec<u8>) -> Self {
        Node { entry, body: Body::Bytes(content), owner: None }
    }
}

/// The directories below the root that are links into `/usr`.
///
/// From trixie on base-files brings the links. Before, debootstrap and mmdebstrap made them, for
/// the same directories on every architecture as here, so that libraries of foreign
/// architectures that come later are merged too.
fn merged_directories(debs: &[&UnpackedDeb], architecture: &Architecture) -> Vec<&'static str> {
    let brought = debs.iter().flat_map(|deb| deb.entries()).any(|entry| {
        entry.path.as_bytes() == b"bin" && matches!(entry.kind, EntryKind::Symlink { .. })
    });
    if brought {
        return Vec::new();
    }
    let mut names = vec!["bin", "sbin", "lib"];
    names.extend_from_slice(match architecture.as_str() {
        "amd64" => &["lib32", "lib64", "libx32"],
        "i386" => &["lib64", "libx32"],
        "loong64" => &["lib32", "lib64"],
        "mips64el" => &["lib32", "lib64", "libo32"],
        "ppc64el" => &["lib64"],
        "s390x" => &["lib32"],
        _ => &[],
    });
    names
}
