//! What to do with an image, besides what the image itself says.

use crate::checker::UnknownPolicy;
use crate::export::Export;
use crate::lock::LockUse;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::{Platform, Reference};

/// What to do with an image, besides what the image itself says.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The directory that the image's source paths are relative to.
    pub root: PathBuf,
    /// The registry of images that name none.
    pub default_registry: Option<String>,
    /// Platforms instead of the image's own; empty to keep those.
    pub platforms: Vec<Platform>,
    /// What the names of [`tierce_spec::Image::from_ref`] stand for.
    pub names: BTreeMap<String, Reference>,
    /// Who brings the code of images that have a code bundle.
    pub code: CodeSource,
    /// Push to the image's registry; images that are its base are pushed too, where they have or
    /// inherit one.
    pub push: bool,
    /// Where else the result goes.
    pub exports: Vec<Export>,
    /// Build even if the image is there, and look everything up anew.
    pub force: bool,
    /// Check and show, but build nothing.
    pub dry_run: bool,
    /// What to do when nobody can tell whether the image is there.
    pub unknown: UnknownPolicy,
    /// Whether an image that was seen a while ago is taken for present.
    pub check_cache: CheckCache,
    /// The builder to use, whatever the image and the configuration say.
    pub builder: Option<String>,
    /// What a lock pins: nothing else is used then, and a specification that says another thing
    /// is an error.
    pub lock: Option<LockUse>,
}

/// Who brings the code that runs in an image ([`tierce_spec::Image::with_code_bundle`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CodeSource {
    /// Whoever runs the image: code bundles are left out of it.
    #[default]
    Runner,
    /// The image: code bundles are copied into it.
    Image {
        /// The folder with the code, relative to [`BuildOptions::root`].
        root: PathBuf,
        /// The files of the modules that the program has imported, below `root`; `None` where no
        /// program has imported any, and bundles of loaded modules are whole.
        loaded: Option<Vec<PathBuf>>,
    },
}

/// Whether an image that was seen a while ago is taken for present.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckCache {
    /// For as long as its record lives.
    #[default]
    Use,
    /// Never: it is looked for again.
    Bypass,
    /// Nobody is asked: it is built whether it is there or not, from what is cached. For tags that
    /// their users move from one image to the next.
    Rebuild,
}

/// Where this program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Execution {
    /// Where images are built.
    #[default]
    Local,
    /// In a container that somebody started to execute something: nothing is built there.
    Inside {
        /// The image of the container, where that is known: the result of builds whose sources
        /// are not there to be read.
        image: Option<String>,
    },
}
