//! What a spec needs to know of the world to become an image.

use crate::Field;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tierce_oci::Platform;

/// What a spec needs to know of the world to become an image.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The host's platform: images for a `localhost:` registry are for an arm host's own.
    pub host: Platform,
    /// Those of [`Wanted::copy`] that are folders.
    pub folders: BTreeSet<PathBuf>,
    /// The texts of [`Wanted::requirements`]; those that are not here are taken not to ask for
    /// flytekit.
    pub requirements: BTreeMap<PathBuf, String>,
    /// The files of the loaded modules below each of [`Wanted::source_roots`], relative to it;
    /// `None` where nothing is loaded because no Python runs, and all sources have to be copied
    /// instead.
    pub loaded_modules: Option<BTreeMap<PathBuf, Vec<PathBuf>>>,
    /// The base of specs that name none.
    pub default_base: DefaultBase,
    /// The requirement that is added to specs that don't ask for flytekit themselves; `None` to
    /// add none.
    pub flytekit: Option<String>,
    /// Whether to build whatever is there (flytekit reads it from
    /// `FLYTE_FORCE_PUSH_IMAGE_SPEC`).
    pub force: bool,
    /// What the builder can do.
    pub builder: BuilderRules,
}

/// The base of specs that name none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultBase {
    /// This Debian suite: assembled from the archive with its own Python; or, where a spec asks
    /// for another Python, the official Python image on it.
    Suite(String),
    /// An image in a registry; `{python}` in it stands for the version that a spec asks for, and
    /// for `3.12` where it asks for none.
    Image(String),
}

impl Default for DefaultBase {
    /// Debian bookworm, as in flytekit.
    fn default() -> Self {
        DefaultBase::Suite("bookworm".to_owned())
    }
}

/// What a builder can do with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuilderRules {
    /// What the builder is called in messages.
    pub name: String,
    /// The fields that it ignores; each that says something is worth a warning.
    pub unsupported: BTreeSet<Field>,
    /// Whether it installs CUDA by version.
    pub cuda: bool,
}

impl Default for BuilderRules {
    /// What tierce's own builders can do.
    fn default() -> Self {
        BuilderRules {
            name: "native".to_owned(),
            unsupported: BTreeSet::from([Field::RegistryConfig, Field::BuilderConfig]),
            cuda: false,
        }
    }
}

impl Default for Surroundings {
    /// An amd64 host, no sources looked at, no Python running, and flytekit added.
    fn default() -> Self {
        Surroundings {
            host: Platform::linux("amd64"),
            folders: BTreeSet::new(),
            requirements: BTreeMap::new(),
            loaded_modules: None,
            default_base: DefaultBase::default(),
            flytekit: Some("flytekit".to_owned()),
            force: false,
            builder: BuilderRules::default(),
        }
    }
}

/// What has to be looked at on the host before a spec is lowered. Paths are as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// Requirements files, whose texts are wanted.
    pub requirements: BTreeSet<&'a Path>,
    /// Sources, of which is wanted whether they are folders.
    pub copy: BTreeSet<&'a Path>,
    /// Folders of which is wanted which of their modules are loaded.
    pub source_roots: BTreeSet<&'a Path>,
}
