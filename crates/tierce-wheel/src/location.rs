//! Where a locked file is.

use std::fmt;
use std::path::{Path, PathBuf};
use url::Url;

/// Where a locked file is. Its `Debug` and `Display` forms leave credentials out.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// On a server (`https`, `http`), or a `file` URL.
    Url(Url),
    /// On this machine, relative to the directory that the lock was made in, or absolute.
    Path(PathBuf),
}

/// Why there is no place to get a file from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Neither `url` nor `path` is given.
    #[error("neither url nor path is given")]
    Neither,
    /// The URL is malformed.
    #[error("its url is malformed")]
    Url(#[from] url::ParseError),
    /// The URL's scheme is not one that files are fetched by.
    #[error("its url has the scheme {0:?}")]
    Scheme(String),
}

impl Location {
    pub(crate) fn from_lock(
        url: Option<String>,
        path: Option<String>,
    ) -> Result<Self, LocationError> {
        match (url, path) {
            // A path is nearer than a URL (PEP 751: installers may choose).
            (_, Some(path)) => Ok(Location::Path(path.into())),
            (Some(url), None) => {
                let url = Url::parse(&url)?;
                match url.scheme() {
                    "https" | "http" | "file" | "ssh" | "git" => Ok(Location::Url(url)),
                    other => Err(LocationError::Scheme(other.to_owned())),
                }
            }
            (None, None) => Err(LocationError::Neither),
        }
    }

    /// Whether it is on this machine.
    pub fn is_local(&self) -> bool {
        match self {
            Location::Path(_) => true,
            Location::Url(url) => url.scheme() == "file",
        }
    }

    /// The last segment of the path, percent-decoded.
    pub fn filename(&self) -> String {
        match self {
            Location::Url(url) => percent_decode(url.path().rsplit('/').next().unwrap_or_default()),
            Location::Path(path) => {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
        }
    }

    /// The URL or path as it may be shown and stored.
    pub fn without_credentials(&self) -> String {
        match self {
            Location::Url(url) => without_credentials(url).to_string(),
            Location::Path(path) => path.display().to_string(),
        }
    }

    /// The path on this machine, for files that are not to be fetched, with relative paths below
    /// `root`.
    pub fn local(&self, root: &Path) -> Option<PathBuf> {
        match self {
            Location::Path(path) => Some(root.join(path)),
            Location::Url(url) if url.scheme() == "file" => url.to_file_path().ok(),
            Location::Url(_) => None,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_credentials())
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.without_credentials())
    }
}

/// A URL without user and password. The user of `ssh` is part of where it is, and no secret
/// (PEP 610).
pub(crate) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Both fail only for URLs that can't have credentials.
    let _ = url.set_password(None);
    if url.scheme() != "ssh" {
        let _ = url.set_username("");
    }
    url
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(escaped.unwrap_or(bytes[at]));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn credentials_are_never_shown() {
        let location = Location::Url(url("https://u:secret@pypi.example/files/a.whl"));
        assert!(!format!("{location} {location:?}").contains("secret"));
        let location = Location::Url(url("ssh://git:secret@example.org/a"));
        assert_eq!(location.to_string(), "ssh://git@example.org/a");
    }

    #[test]
    fn filenames_are_decoded() {
        let at = |text| Location::Url(url(text)).filename();
        assert_eq!(
            at("https://x/torch-2.8%2Bcu128-py3-none-any.whl#sha256=1"),
            "torch-2.8+cu128-py3-none-any.whl"
        );
        assert_eq!(at("https://x/a%zz"), "a%zz");
    }
}
