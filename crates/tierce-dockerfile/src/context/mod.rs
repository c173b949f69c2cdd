//! Build contexts: exactly the files that a build may see, each by its digest until it is written.

mod archive;
mod directory;
mod error;
mod layout;
mod reader;
mod size;
mod zip;

pub use archive::Archive;
pub use error::ContextError;
pub(crate) use layout::OWN_DOCKERFILE;
pub use layout::{ContextLayout, DockerLayout};
pub use size::{LargeContext, WARNING_SIZE};

use reader::Content;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_layer::{EPOCH, LayerPath};
use tierce_oci::Digest;
use tierce_tree::{Node, Tree};

/// The files of a build: what was put in, and nothing else, whatever lies beside it on the host.
///
/// Paths are relative, have no `..`, and are there once. Files are read when the context is
/// written, and are then what they were when they were put in, or an error.
#[derive(Clone, Debug, Default)]
pub struct BuildContext {
    entries: BTreeMap<LayerPath, ContextEntry>,
    /// Whether somebody said what of the sources is left out.
    has_ignore_file: bool,
}

/// Something in a context.
#[derive(Clone, PartialEq, Eq)]
pub struct ContextEntry {
    /// What it is, and where its content comes from.
    pub source: ContextSource,
    /// Its permission bits: 0755 or 0644, as in images.
    pub mode: u32,
    /// Its modification time in seconds since 1970.
    pub mtime: i64,
}

/// Where an entry's content comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum ContextSource {
    /// A file of the host.
    File {
        /// Where it is.
        path: PathBuf,
        /// Its length.
        size: u64,
        /// The digest of its content.
        digest: Digest,
    },
    /// These bytes.
    Bytes(Arc<[u8]>),
    /// A symbolic link that points there.
    Symlink(Vec<u8>),
    /// A directory.
    Directory,
}

impl fmt::Debug for ContextEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ContextEntry { source, mode, mtime: _ } = self;
        write!(f, "{mode:o} {source:?}")
    }
}

impl fmt::Debug for ContextSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContextSource::File { path, size, .. } => write!(f, "File({path:?}, {size})"),
            // Contents are nobody's business.
            ContextSource::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            ContextSource::Symlink(target) => {
                write!(f, "Symlink({:?})", String::from_utf8_lossy(target))
            }
            ContextSource::Directory => f.write_str("Directory"),
        }
    }
}

impl ContextEntry {
    fn new(source: ContextSource, mode: u32) -> Self {
        ContextEntry { source, mode, mtime: EPOCH }
    }

    /// The length of its content.
    pub fn size(&self) -> u64 {
        match &self.source {
            ContextSource::File { size, .. } => *size,
            ContextSource::Bytes(bytes) => bytes.len() as u64,
            ContextSource::Symlink(_) | ContextSource::Directory => 0,
        }
    }

    fn is_directory(&self) -> bool {
        self.source == ContextSource::Directory
    }
}

impl BuildContext {
    /// An empty context.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the host's file (or what a link leads to) at `at`. It is read now, for its digest.
    pub fn add_file(&mut self, at: &str, file: &Path) -> Result<(), ContextError> {
        let tree = tierce_tree::scan_file(file)
            .map_err(|source| ContextError::Scan { path: file.to_owned(), source })?;
        self.add_tree(at, file, &tree)
    }

    /// The same for a file whose content is known to have this digest.
    pub fn add_known_file(
        &mut self,
        at: &str,
        file: &Path,
        digest: Digest,
    ) -> Result<(), ContextError> {
        let changed = || ContextError::Changed { path: file.to_owned() };
        let size = std::fs::metadata(file).map_err(|_| changed())?.len();
        let source = ContextSource::File { path: file.to_owned(), size, digest };
        self.insert(path(at)?, ContextEntry::new(source, 0o644))
    }

    /// Puts a file with this content at `at`.
    pub fn add_content(
        &mut self,
        at: &str,
        content: impl Into<Vec<u8>>,
    ) -> Result<(), ContextError> {
        let content = ContextSource::Bytes(content.into().into());
        self.insert(path(at)?, ContextEntry::new(content, 0o644))
    }

    /// Puts a program with this content at `at`.
    pub fn add_program(
        &mut self,
        at: &str,
        content: impl Into<Vec<u8>>,
    ) -> Result<(), ContextError> {
        let content = ContextSource::Bytes(content.into().into());
        self.insert(path(at)?, ContextEntry::new(content, 0o755))
    }

    /// Puts a directory at `at`; those above files are there anyway.
    pub fn add_directory(&mut self, at: &str) -> Result<(), ContextError> {
        self.insert(path(at)?, ContextEntry::new(ContextSource::Directory, 0o755))
    }

    /// Puts a symbolic link at `at`.
    pub fn add_symlink(
        &mut self,
        at: &str,
        target: impl Into<Vec<u8>>,
    ) -> Result<(), ContextError> {
        self.insert(path(at)?, ContextEntry::new(ContextSource::Symlink(target.into()), 0o777))
    }

    /// Puts the contents of `tree`, which was scanned from `root`, below `at`; the tree of a
    /// single file, at `at`.
    pub fn add_tree(&mut self, at: &str, root: &Path, tree: &Tree) -> Result<(), ContextError> {
        let at = match at {
            "" | "." => LayerPath::ROOT,
            at => path(at)?,
        };
        let is_file = tree.entries().iter().any(|entry| entry.path.is_root());
        if !is_file && !at.is_root() {
            self.insert(at.clone(), ContextEntry::new(ContextSource::Directory, 0o755))?;
        }
        for entry in tree.entries() {
            let to = match entry.path.is_root() {
                true => at.clone(),
                false => at.join(&entry.path).map_err(ContextError::from)?,
            };
            let from = match entry.path.is_root() {
                true => root.to_owned(),
                false => root.join(entry.path.as_path()),
            };
            let entry = match &entry.node {
                Node::Directory => ContextEntry::new(ContextSource::Directory, 0o755),
                Node::Symlink { target } => {
                    ContextEntry::new(ContextSource::Symlink(target.clone()), 0o777)
                }
                Node::File { size, executable, digest } => {
                    let source = ContextSource::File { path: from, size: *size, digest: *digest };
                    ContextEntry::new(source, if *executable { 0o755 } else { 0o644 })
                }
            };
            self.insert(to, entry)?;
        }
        Ok(())
    }

    /// Says whether somebody decided what of the sources is left out: a context without such a
    /// decision that is large is worth a warning.
    pub fn set_ignore_file(&mut self, has_one: bool) {
        self.has_ignore_file = has_one;
    }

    /// Gives every file a time that follows from its content. Builders that copy a directory only
    /// as far as it has changed go by size and time: they would take an edit that keeps the size
    /// for none.
    pub(crate) fn date_by_content(&mut self) {
        for entry in self.entries.values_mut() {
            entry.date_by_content();
        }
    }

    /// The same for one file.
    pub(crate) fn date_file_by_content(&mut self, at: &str) {
        if let Ok(at) = LayerPath::new(at)
            && let Some(entry) = self.entries.get_mut(&at)
        {
            entry.date_by_content();
        }
    }

    /// Changes the mode of what is there.
    pub(crate) fn set_mode(&mut self, at: &LayerPath, mode: u32) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.mode = mode;
        }
    }

    /// What is in it, sorted, with every directory.
    pub fn entries(&self) -> impl Iterator<Item = (&LayerPath, &ContextEntry)> {
        self.entries.iter()
    }

    /// What is at `at`.
    pub fn get(&self, at: &str) -> Option<&ContextEntry> {
        self.entries.get(&LayerPath::new(at).ok()?)
    }

    /// The lengths of all files together.
    pub fn size(&self) -> u64 {
        self.entries.values().map(ContextEntry::size).sum()
    }

    /// A digest of all that is in it: of paths, modes, links and contents.
    pub fn digest(&self) -> Digest {
        let mut all = tierce_oci::Hasher::new();
        let mut field = |bytes: &[u8]| {
            all.update(&(bytes.len() as u64).to_be_bytes());
            all.update(bytes);
        };
        for (path, entry) in &self.entries {
            field(path.as_bytes());
            field(&entry.mode.to_be_bytes());
            match &entry.source {
                ContextSource::File { digest, .. } => field(digest.as_bytes()),
                ContextSource::Bytes(bytes) => field(Digest::of(bytes).as_bytes()),
                ContextSource::Symlink(target) => {
                    field(b"link");
                    field(target);
                }
                ContextSource::Directory => field(b"directory"),
            }
        }
        all.finish()
    }

    fn insert(&mut self, path: LayerPath, entry: ContextEntry) -> Result<(), ContextError> {
        if path.is_root() {
            return Err(ContextError::Path { path: path.to_string() });
        }
        for ancestor in path.ancestors() {
            match self.entries.get(&ancestor) {
                Some(above) if above.is_directory() => {}
                Some(_) => {
                    return Err(ContextError::NotADirectory {
                        path: path.to_string(),
                        above: ancestor.to_string(),
                    });
                }
                None => {
                    let directory = ContextEntry::new(ContextSource::Directory, 0o755);
                    self.entries.insert(ancestor, directory);
                }
            }
        }
        match self.entries.get(&path) {
            // Somebody put something into it before.
            Some(there) if there.is_directory() && entry.is_directory() => Ok(()),
            Some(_) => Err(ContextError::Duplicate { path: path.to_string() }),
            None => {
                self.entries.insert(path, entry);
                Ok(())
            }
        }
    }
}

impl ContextEntry {
    fn date_by_content(&mut self) {
        let digest = match &self.source {
            ContextSource::File { digest, .. } => *digest,
            ContextSource::Bytes(bytes) => Digest::of(bytes),
            ContextSource::Symlink(_) | ContextSource::Directory => return,
        };
        let [a, b, c, d, ..] = *digest.as_bytes();
        // 34 years from 1980 on.
        self.mtime = EPOCH + i64::from(u32::from_be_bytes([a, b, c, d]) >> 2);
    }

    /// Its content, to be read once.
    fn content(&self) -> Result<Content<'_>, ContextError> {
        Content::of(&self.source)
    }
}

fn path(at: &str) -> Result<LayerPath, ContextError> {
    // An absolute path would be taken for a relative one.
    if at.starts_with('/') {
        return Err(ContextError::Path { path: at.to_owned() });
    }
    Ok(LayerPath::new(at)?)
}
