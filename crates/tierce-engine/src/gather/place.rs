//! Where an image's paths start from.

use std::path::{Path, PathBuf};
use tierce_spec::{Image, Input};

/// The folder that an image's paths are relative to.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The folder itself.
    pub root: PathBuf,
    /// The way to it from the folder of the image that is built in the end: what messages show
    /// before a path of an image below it.
    way: PathBuf,
}

impl Place {
    /// That of the image that is built in the end.
    pub(super) fn new(root: &Path) -> Self {
        Place { root: root.to_owned(), way: PathBuf::new() }
    }

    /// That of `image`, which may say that its own is another one.
    pub(super) fn of(&self, image: &Image) -> Self {
        match image.root() {
            Some(folder) => Place { root: self.root.join(folder), way: self.way.join(folder) },
            None => self.clone(),
        }
    }

    /// A path of the image, as this process reaches it.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path)
    }

    /// A path of the image, as people know it.
    pub(super) fn shown(&self, path: &Path) -> PathBuf {
        self.way.join(path)
    }

    /// An input of the image, for messages.
    pub(super) fn describe(&self, input: &Input<'_>) -> String {
        match input.path() {
            Some(path) => format!("{} {}", input.kind(), self.shown(path).display()),
            None => input.to_string(),
        }
    }
}
