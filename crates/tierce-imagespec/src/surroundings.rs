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
    /// The files of the loaded modules, relative to the source root; `None` where nothing is
    /// loaded because no Python runs, and all sources have to be copied instead.
    pub loaded_modules: Option<Vec<PathBuf>>,
    /// The base of specs that name none (flytekit reads it from `FLYTE_INTERNAL_IMAGE`); `None`
    /// for Debian bookworm with Python.
    pub default_base: Option<String>,
    /// The requirement that is added to specs that don't ask for flytekit themselves; `None` to
    /// add none.
    pub flytekit: Option<String>,
    /// Whether to build whatever is there (flytekit reads it from
    /// `FLYTE_FORCE_PUSH_IMAGE_SPEC`).
    pub force: bool,
    /// What the builder can do.
    pub builder: BuilderRules,
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
            default_base: None,
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
}
