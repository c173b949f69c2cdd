//! Files with locks, as builds are given them.

use std::io::ErrorKind::{InvalidData, IsADirectory, NotFound};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_engine::LockUse;
use tierce_lock::{LockFile, LockFileError};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::Image;

/// Why there is no lock to be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum LockReadError {
    /// It is not there.
    #[error("there is no {}", .0.display())]
    NoFile(PathBuf),
    /// It can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no lock.
    #[error("{} is not a lock that can be used", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Why.
        source: LockFileError,
    },
    /// Several of its images may be meant.
    #[error("{} has several images that may be meant: {}", path.display(), names.join(", "))]
    Several {
        /// The file.
        path: PathBuf,
        /// The images.
        names: Vec<String>,
    },
}

impl Diagnostic for LockReadError {
    fn code(&self) -> &'static str {
        match self {
            LockReadError::NoFile(_) => "lock/no-file",
            LockReadError::Read { .. } => "lock/unreadable",
            LockReadError::Bad { source, .. } => source.code(),
            LockReadError::Several { .. } => "lock/several-images",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            LockReadError::Read { source, .. } => match source.kind() {
                IsADirectory | InvalidData => ErrorKind::User,
                _ => ErrorKind::Environment,
            },
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            LockReadError::NoFile(_) => Some("Run `tierce lock` to make it.".to_owned()),
            LockReadError::Read { path, source } => match source.kind() {
                IsADirectory => {
                    Some(format!("Name the file: {}.", path.join("tierce.lock").display()))
                }
                InvalidData => Some(
                    "It is no text, and so no lock: name another file, or take this one as it was \
                     committed (`git checkout`)."
                        .to_owned(),
                ),
                _ => None,
            },
            LockReadError::Bad { source, .. } => source.hint(),
            LockReadError::Several { names, .. } => {
                let first = names.first().map_or("app", String::as_str);
                Some(format!("Say which: locked_image={first:?}."))
            }
        }
    }
}

/// The lock in a file; `None` where there is no file.
pub fn read_lock(path: &Path) -> Result<Option<LockFile>, LockReadError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == NotFound => return Ok(None),
        Err(source) => return Err(LockReadError::Read { path: path.to_owned(), source }),
    };
    let lock = LockFile::parse(&text);
    lock.map(Some).map_err(|source| LockReadError::Bad { path: path.to_owned(), source })
}

/// The part of the lock in a file that is meant for `image`: the one that is named, by its whole
/// name (`app.py:train`) or as its file calls it (`train`). Without a name, the only one there is,
/// or the one of several that is called as the image itself.
pub fn lock_for(path: &Path, named: Option<&str>, image: &Image) -> Result<LockUse, LockReadError> {
    let file = read_lock(path)?.ok_or_else(|| LockReadError::NoFile(path.to_owned()))?;
    let image = chosen(&file, named, image.name()).map_err(|names| {
        let path = path.to_owned();
        LockReadError::Several { path, names }
    })?;
    Ok(LockUse { file: Arc::new(file), image })
}

/// The name of the image in the lock, or those that it may be.
fn chosen(file: &LockFile, named: Option<&str>, own: Option<&str>) -> Result<String, Vec<String>> {
    let roots = || file.roots().map(|image| image.name.clone());
    let called = |name: &str| -> Vec<String> {
        let is_it = |of: &String| of.rsplit_once(':').is_some_and(|(_, label)| label == name);
        roots().filter(is_it).collect()
    };
    let mut found = match (named, own) {
        (Some(name), _) => match (file.image(name), called(name)) {
            // That there is none of this name is for the engine to say.
            (Some(_), _) => vec![name.to_owned()],
            (None, found) if found.is_empty() => vec![name.to_owned()],
            (None, found) => found,
        },
        (None, own) => match (roots().collect::<Vec<_>>(), own.map(called)) {
            (all, Some(found)) if all.len() > 1 && found.len() == 1 => found,
            (all, _) if all.is_empty() => vec![own.unwrap_or("image").to_owned()],
            (all, _) => all,
        },
    };
    match found.len() {
        1 => Ok(found.remove(0)),
        _ => Err(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_lock::LockedImage;

    #[test]
    fn the_image_that_is_meant_is_found() {
        let file = |names: &[&str]| {
            let mut file = LockFile::default();
            for name in names {
                file.put(LockedImage { name: (*name).to_owned(), ..LockedImage::default() });
            }
            file
        };
        let one: &[&str] = &["image", "image/base"];
        let several: &[&str] = &["a.py:serve", "a.py:train", "a.py:train/base", "b.py:train"];
        // (what the lock has, what is named, what the image is called, what is meant)
        type Case<'a> = (&'a [&'a str], Option<&'a str>, Option<&'a str>, Result<&'a str, usize>);
        let table: &[Case<'_>] = &[
            (one, None, None, Ok("image")),
            (one, None, Some("app"), Ok("image")),
            (one, Some("image/base"), None, Ok("image/base")),
            (one, Some("other"), None, Ok("other")),
            (several, Some("serve"), None, Ok("a.py:serve")),
            (several, Some("b.py:train"), None, Ok("b.py:train")),
            (several, Some("train"), None, Err(2)),
            (several, None, Some("serve"), Ok("a.py:serve")),
            (several, None, Some("train"), Err(3)),
            (several, None, None, Err(3)),
            (&[], None, Some("app"), Ok("app")),
        ];
        for (names, named, own, expected) in table {
            let found = chosen(&file(names), *named, *own);
            let found = found.as_deref().map_err(|names| names.len());
            assert_eq!(found, *expected, "{names:?} {named:?} {own:?}");
        }
    }
}
