//! The image, in Flyte's words.

use crate::Layer;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tierce_oci::Platform;
use tierce_spec::{PythonVersion, Secret};

/// An image in Flyte's words: a value that never changes.
///
/// Its JSON form has Flyte's names, so that an image of Flyte's SDK can be handed over as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub struct FlyteImage {
    /// The reference of the base; `None` for Debian with a Python, a Dockerfile or a named image.
    #[serde(default)]
    pub base_image: Option<String>,
    /// The Dockerfile that makes the image; its directory is its context.
    #[serde(default)]
    pub dockerfile: Option<PathBuf>,
    /// The name of an image that the configuration knows.
    #[serde(default)]
    pub ref_name: Option<String>,
    /// Where the image is pushed.
    #[serde(default)]
    pub registry: Option<String>,
    /// The credentials of that.
    #[serde(default)]
    pub registry_secret: Option<Secret>,
    /// The image's name.
    #[serde(default)]
    pub name: Option<String>,
    /// What it is built for.
    #[serde(default)]
    pub platform: Vec<Platform>,
    /// The Python of the image.
    pub python_version: PythonVersion,
    /// Whether layers can be added.
    #[serde(default)]
    pub extendable: bool,
    /// Whether it was changed since it was constructed: one that was not is its base.
    #[serde(default)]
    pub is_cloned: bool,
    /// The layers.
    #[serde(default)]
    pub layers: Vec<Layer>,
    /// The name that Flyte's SDK gave it, with its tag; `None` for an image of tierce's users.
    #[serde(default)]
    pub uri: Option<String>,
}

/// What an image gets besides its layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prelude {
    /// Nothing.
    None,
    /// What Flyte's builder puts around them, so that Flyte's tasks run in it.
    Flyte,
}
