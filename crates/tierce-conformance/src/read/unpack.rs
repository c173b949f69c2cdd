//! Unpacks a tar file into a directory, flat: names inside never become names outside.

use super::ReadError;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tierce_layer::{EntryKind, LayerPath, LayerReader};

/// The files of an archive.
pub(super) struct Unpacked {
    files: HashMap<LayerPath, PathBuf>,
    links: HashMap<LayerPath, LayerPath>,
    _directory: TempDir,
}

impl Unpacked {
    pub(super) fn read(archive: &Path, scratch: &Path) -> Result<Self, ReadError> {
        let io = |source| ReadError::File { path: archive.to_owned(), source };
        let tar = |source| ReadError::Layer { layer: archive.display().to_string(), source };
        let directory = tempfile::tempdir_in(scratch).map_err(io)?;
        let file = BufReader::new(File::open(archive).map_err(io)?);
        let mut reader = LayerReader::new(file).map_err(tar)?;
        let (mut files, mut links) = (HashMap::new(), HashMap::new());
        while let Some((entry, mut content)) = reader.next_entry().map_err(tar)? {
            match entry.kind {
                EntryKind::File { .. } => {
                    let path = directory.path().join(files.len().to_string());
                    let mut out = File::create(&path).map_err(io)?;
                    std::io::copy(&mut content, &mut out).map_err(io)?;
                    files.insert(entry.path, path);
                }
                EntryKind::HardLink { target } => drop(links.insert(entry.path, target)),
                EntryKind::Symlink { target } => {
                    let directory = entry.path.parent().unwrap_or_default();
                    if let Some(target) = resolve(&directory, &target) {
                        links.insert(entry.path, target);
                    }
                }
                _ => {}
            }
        }
        Ok(Unpacked { files, links, _directory: directory })
    }

    /// Where a file of the archive is.
    pub(super) fn path(&self, name: &str) -> Result<&Path, ReadError> {
        let missing = || ReadError::Missing(name.to_owned());
        let mut path = LayerPath::new(name).map_err(|_| missing())?;
        // Links to links are no deeper than this in any archive.
        for _ in 0..4 {
            if let Some(file) = self.files.get(&path) {
                return Ok(file);
            }
            path = self.links.get(&path).ok_or_else(missing)?.clone();
        }
        Err(missing())
    }
}

/// A link's target as a path of the archive.
fn resolve(directory: &LayerPath, target: &[u8]) -> Option<LayerPath> {
    let mut parts: Vec<&[u8]> = directory.components().collect();
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    LayerPath::new(parts.join(&b'/')).ok()
}
