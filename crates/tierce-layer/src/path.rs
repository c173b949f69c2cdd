//! Paths inside a layer.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path inside a layer: relative, normalised, free of `..` and NUL. Empty only for
/// [`LayerPath::ROOT`]. Paths are bytes, since file names on Linux need not be UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerPath(Vec<u8>);

/// Why some bytes are not a path inside a layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There are no bytes at all.
    #[error("path is empty")]
    Empty,
    /// A component is `..`.
    #[error("path {0:?} has a `..` component")]
    Parent(String),
    /// There is a NUL byte.
    #[error("path {0:?} has a NUL byte")]
    Nul(String),
}

impl LayerPath {
    /// The root directory of the image.
    pub const ROOT: LayerPath = LayerPath(Vec::new());

    /// Normalises a path as it is found in an archive or written by a user: leading `/` and
    /// `./`, doubled and trailing slashes and `.` components are dropped.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let path = path.as_ref();
        let shown = || String::from_utf8_lossy(path).into_owned();
        if path.is_empty() {
            return Err(PathError::Empty);
        }
        if path.contains(&0) {
            return Err(PathError::Nul(shown()));
        }
        let mut out = Vec::with_capacity(path.len());
        for component in path.split(|&b| b == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(PathError::Parent(shown())),
                name => {
                    if !out.is_empty() {
                        out.push(b'/');
                    }
                    out.extend_from_slice(name);
                }
            }
        }
        Ok(LayerPath(out))
    }

    /// This path extended by a relative one. Joining an absolute path does not replace this one.
    pub fn join(&self, path: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let tail = LayerPath::new(path)?;
        if self.is_root() {
            return Ok(tail);
        }
        let mut out = self.clone();
        if !tail.is_root() {
            out.0.push(b'/');
            out.0.extend_from_slice(&tail.0);
        }
        Ok(out)
    }

    /// The path of `name` in this directory: one component, checked, with one allocation.
    pub fn child(&self, name: &[u8]) -> Result<Self, PathError> {
        if name == b"." || name.contains(&b'/') {
            return self.join(name);
        }
        let shown = || String::from_utf8_lossy(name).into_owned();
        match name {
            b"" => return Err(PathError::Empty),
            b".." => return Err(PathError::Parent(shown())),
            _ if name.contains(&0) => return Err(PathError::Nul(shown())),
            _ => {}
        }
        let mut out = Vec::with_capacity(self.0.len() + 1 + name.len());
        out.extend_from_slice(&self.0);
        if !out.is_empty() {
            out.push(b'/');
        }
        out.extend_from_slice(name);
        Ok(LayerPath(out))
    }

    /// The directory that holds this path; `None` for the root.
    pub fn parent(&self) -> Option<LayerPath> {
        if self.is_root() {
            return None;
        }
        let end = self.0.iter().rposition(|&b| b == b'/').unwrap_or(0);
        Some(LayerPath(self.0[..end].to_vec()))
    }

    /// All directories above this path, the nearest last, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = LayerPath> + '_ {
        let slashes = self.0.iter().enumerate().filter(|(_, b)| **b == b'/');
        slashes.map(|(at, _)| LayerPath(self.0[..at].to_vec()))
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.components().next_back()
    }

    /// The components, first to last; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|c| !c.is_empty())
    }

    /// Whether this path is `base` or lies below it, by whole components.
    pub fn starts_with(&self, base: &LayerPath) -> bool {
        base.is_root()
            || self
                .0
                .strip_prefix(base.0.as_slice())
                .is_some_and(|r| r.first().is_none_or(|b| *b == b'/'))
    }

    /// Whether this is the root directory.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes: components joined by `/`, no slash at either end.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as a relative [`Path`]; empty for the root.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }
}

impl AsRef<[u8]> for LayerPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::str::FromStr for LayerPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        LayerPath::new(text)
    }
}

impl TryFrom<&str> for LayerPath {
    type Error = PathError;

    fn try_from(text: &str) -> Result<Self, PathError> {
        LayerPath::new(text)
    }
}

impl TryFrom<&Path> for LayerPath {
    type Error = PathError;

    fn try_from(path: &Path) -> Result<Self, PathError> {
        LayerPath::new(path.as_os_str().as_bytes())
    }
}

/// For people: `/` for the root, bytes that are not UTF-8 replaced.
impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_root() {
            true => f.write_str("/"),
            false => f.write_str(&String::from_utf8_lossy(&self.0)),
        }
    }
}
