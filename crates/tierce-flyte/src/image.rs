//! The image, in Flyte's words.

use crate::Layer;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tierce_oci::Platform;
use tierce_spec::{PythonVersion, Secret};

/// An image in Flyte's words: a value that never changes.
///
/// Made by a `from_*` constructor; each `with_*` method returns a new image, or says why it can't.
/// Its JSON form has Flyte's names, so that an image of Flyte's SDK can be handed over as it is.
///
/// ```
/// use tierce_flyte::{DebianOptions, FlyteImage, Host, InstallOptions};
///
/// let host = Host::new("3.12".parse()?);
/// let image = FlyteImage::from_debian_base(DebianOptions::new().with_name("report"), &host)
///     .with_apt_packages(["git"], [])?
///     .with_pip_packages(["pandas"], InstallOptions::default())?;
/// assert_eq!(image.layers.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// What it is built for; empty for the machine that builds it.
    #[serde(default, with = "platforms")]
    pub platform: Vec<Platform>,
    /// The Python of the image.
    pub python_version: PythonVersion,
    /// Whether the user said that it is this Python: a script may ask for another one else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub python_is_given: bool,
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

impl FlyteImage {
    /// What the image gets besides its layers: those that Flyte named, and that are more than
    /// their base, get what Flyte's builder gives them.
    pub fn prelude(&self) -> Prelude {
        let own = self.dockerfile.is_none() && !self.is_unmodified();
        match &self.uri {
            Some(_) if own => Prelude::Flyte,
            Some(_) | None => Prelude::None,
        }
    }

    /// Whether there is nothing to build: the image is its base.
    pub fn is_unmodified(&self) -> bool {
        !self.is_cloned && (self.base_image.is_some() || self.ref_name.is_some())
    }
}

/// Platforms as Flyte writes them: `linux/amd64`.
mod platforms {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use tierce_oci::Platform;

    pub fn serialize<S: Serializer>(all: &[Platform], s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(all.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<Platform>, D::Error> {
        let texts = Vec::<String>::deserialize(d)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}
