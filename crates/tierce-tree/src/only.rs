//! Single files of a directory.

use crate::error::ScanError;
use crate::tree::TreeEntry;
use std::collections::BTreeSet;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};
use tierce_layer::LayerPath;

/// The only files of a directory that are wanted.
pub(crate) struct Only {
    files: BTreeSet<LayerPath>,
    directories: BTreeSet<LayerPath>,
}

impl Only {
    /// `files` are relative to `root`.
    pub(crate) fn new(root: &Path, files: &[impl AsRef<Path>]) -> Result<Self, ScanError> {
        let mut only = Only { files: BTreeSet::new(), directories: BTreeSet::new() };
        for file in files {
            let file = file.as_ref();
            let below = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
            let path = match file.components().all(below) {
                true => LayerPath::new(file.as_os_str().as_bytes()).ok(),
                false => None,
            };
            let path = path.filter(|path| !path.is_root()).ok_or_else(|| ScanError::Outside {
                path: file.to_owned(),
                root: root.to_owned(),
            })?;
            only.directories.extend(path.ancestors());
            only.files.insert(path);
        }
        Ok(only)
    }

    /// Whether the path is one of the files, or leads to one.
    pub(crate) fn concerns(&self, path: &LayerPath) -> bool {
        self.files.contains(path) || self.directories.contains(path)
    }

    /// Whether the path is one of the files.
    pub(crate) fn is_wanted(&self, path: &LayerPath) -> bool {
        self.files.contains(path)
    }

    /// Whether each file was found or left out, as opposed to not being there.
    pub(crate) fn check(&self, root: &Path, found: &[TreeEntry]) -> Result<(), ScanError> {
        let found: BTreeSet<&LayerPath> = found.iter().map(|entry| &entry.path).collect();
        self.files.iter().filter(|file| !found.contains(file)).try_for_each(|file| {
            for above in file.ancestors() {
                let path = root.join(above.as_path());
                let metadata = metadata(&path)?;
                if metadata.is_symlink() {
                    return Err(ScanError::BehindLink { path });
                }
                if !metadata.is_dir() {
                    return Err(ScanError::NotADirectory { path });
                }
            }
            let path = root.join(file.as_path());
            match metadata(&path)?.is_dir() {
                true => Err(ScanError::NotAFile { path }),
                false => Ok(()),
            }
        })
    }
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, ScanError> {
    std::fs::symlink_metadata(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ScanError::NotFound { path: path.to_owned() },
        _ => ScanError::Unreadable { path: path.to_owned(), source },
    })
}
