//! What an image needs to know of the world to be lowered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::Platform;

/// What an image needs to know of the world to be lowered.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// What images start from that only say which Python they want.
    pub default_base: DefaultBase,
    /// The texts of [`crate::FlyteImage::wanted`], of files that are there: scripts, whose headers
    /// count, and what says what a project depends on.
    pub texts: BTreeMap<PathBuf, String>,
    /// The folder that has the files of [`crate::FlyteImage::written`].
    pub written: PathBuf,
    /// Where images go that have no registry of their own. What has been named by Flyte without one
    /// gets it in its name, and knows itself by that name.
    pub registry: Option<String>,
    /// A static `uv`, where [`crate::FlyteImage::wants_uv`]: it is copied into the image.
    pub uv: Option<PathBuf>,
    /// The platforms whose programs run here; `None` where that is not known. Of Flyte's default
    /// of two, only these are built.
    pub runnable: Option<Vec<Platform>>,
}

/// What images start from that only say which Python they want.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultBase {
    /// This Debian suite: assembled from the archive with its own Python; or, for another Python
    /// than that, the official Python image on it.
    Suite(String),
    /// An image in a registry; `{python}` in it stands for the version.
    Image(String),
}

impl Default for DefaultBase {
    /// Debian bookworm, as in Flyte.
    fn default() -> Self {
        DefaultBase::Suite("bookworm".to_owned())
    }
}
