//! Reads what an image takes from the host, and pins the image to it.

mod error;
mod outside;
mod pixi;
mod place;
mod project;
mod read;
mod rules;
mod verify;

use crate::lock::Locking;
use place::Place;
use read::Reader;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::{Digest, Platform};
use tierce_spec::{Image, Inputs, ResolvedImage};
use tierce_tree::Tree;

pub use error::GatherError;
pub use project::{GatheredFile, GatheredLocal, GatheredProject, LocalTarget};
pub use verify::{Change, VerifyError};

/// A source of the host, read and digested.
#[derive(Clone, Debug)]
pub struct Source {
    /// The folder, or the file itself, on the host.
    pub root: PathBuf,
    /// What of it ships.
    pub tree: Arc<Tree>,
}

/// A wheel of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalWheel {
    /// Where it is; its file name says what it is (binary distribution format, "File name
    /// convention"), and was not looked at.
    pub path: PathBuf,
    /// The digest of its bytes.
    pub digest: Digest,
}

/// An image pinned to its inputs, and the inputs.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// The image with every digest.
    pub resolved: ResolvedImage,
    /// The sources, by step.
    pub sources: BTreeMap<usize, Source>,
    /// The requirements files, by step, as absolute paths.
    pub requirements: BTreeMap<usize, PathBuf>,
    /// What the requirements files install of the host, by step.
    pub locals: BTreeMap<usize, Vec<GatheredLocal>>,
    /// The wheels in the folders of wheels, by step, sorted by name.
    pub wheels: BTreeMap<usize, Vec<LocalWheel>>,
    /// The projects, by step.
    pub projects: BTreeMap<usize, GatheredProject>,
    /// The files and folders that say which conda packages there are, by step.
    pub conda: BTreeMap<usize, GatheredProject>,
    /// What was read for the base; `None` where it reads nothing of the host.
    pub base: Option<GatheredBase>,
    /// The directory that relative paths are relative to.
    pub root: PathBuf,
    /// The files that were read by themselves, with the digests of their bytes: requirements
    /// files with those that they include, Dockerfiles.
    pub files: BTreeMap<PathBuf, Digest>,
    /// What a lock pins, or what one is made from.
    pub locking: Locking,
}

/// A base that is made of something of the host.
#[derive(Clone, Debug)]
pub enum GatheredBase {
    /// Another image, with its own inputs.
    Image(Box<Gathered>),
    /// A Dockerfile.
    Dockerfile(GatheredDockerfile),
}

/// A Dockerfile and its context.
#[derive(Clone, Debug)]
pub struct GatheredDockerfile {
    /// Where it is.
    pub file: PathBuf,
    /// What it says.
    pub content: Vec<u8>,
    /// What its ignore file leaves in of its context.
    pub context: Source,
    /// The ignore file, where there is one.
    pub ignore_file: Option<PathBuf>,
}

/// Remembers digests of files between builds, so that unchanged files are not read again.
#[derive(Clone, Debug, Default)]
pub struct GatherCache {
    directory: Option<PathBuf>,
}

impl GatherCache {
    /// Remembers in files in `directory`.
    pub fn in_directory(directory: PathBuf) -> Self {
        GatherCache { directory: Some(directory) }
    }

    /// Remembers nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Where the files of `root` are remembered, or those of them that `part` names.
    fn file(&self, root: &Path, part: &str) -> Option<PathBuf> {
        // No path has a NUL in it.
        let key = [root.as_os_str().as_encoded_bytes(), b"\0", part.as_bytes()];
        let key = if part.is_empty() { key[0].to_vec() } else { key.concat() };
        let name = Digest::of(key).short();
        Some(self.directory.as_ref()?.join(format!("{name}.stat")))
    }
}

/// Reads the inputs of `image` below `root`, and those of the images below it: each below its own
/// [`Image::root`], where it has one.
///
/// Ignore rules hold as in a docker build whose context is `root`: first those of `root`'s own
/// `.dockerignore`, or of the file that [`Image::with_dockerignore`] names instead, for every
/// source folder below `root`; then those of the source folder's own `.dockerignore`; then the
/// step's. The last pattern that matches decides. Files that a step names themselves are not
/// asked about.
pub fn gather(
    image: &Image,
    root: &Path,
    cache: &GatherCache,
) -> Result<Gathered, Arc<GatherError>> {
    gather_at(image, Place::new(root).of(image), cache)
}

/// The same where it is known what the image's paths start from.
fn gather_at(
    image: &Image,
    place: Place,
    cache: &GatherCache,
) -> Result<Gathered, Arc<GatherError>> {
    let mut inputs = Inputs::new(Platform::host());
    let mut reader = Reader::new(image, &place, cache)?;
    for input in image.inputs() {
        let digest = reader.read(&input)?;
        inputs.insert(input.slot(), digest);
    }
    let resolved = image.resolve(&inputs).map_err(GatherError::from)?;
    Ok(reader.finish(resolved))
}
