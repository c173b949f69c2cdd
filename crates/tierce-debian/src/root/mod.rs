//! The root file system: packages unpacked as dpkg unpacks them, before anything is configured.

mod apt;
mod database;
mod links;
mod tree;

use crate::deb::UnpackedDeb;
use crate::package::{Architecture, PackageName};
use std::io::Write;
use tierce_layer::{LayerInfo, LayerPath, LayerWriter, PathError, WriteError};
use tierce_oci::{Diagnostic, ErrorKind};
use tree::Tree;

pub use apt::AptSource;

/// Grows whenever the same packages and options would give another layer.
pub(crate) const ROOT_VERSION: u32 = 1;

/// How the root file system is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootOptions {
    /// The architecture of the packages.
    pub architecture: Architecture,
    /// Where the image's own apt gets packages from.
    pub apt_sources: Vec<AptSource>,
    /// What becomes of documentation.
    pub documentation: Documentation,
}

/// What becomes of the files below `/usr/share/doc`, `man`, `info`, `locale` and their like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Documentation {
    /// It is there, as in `debian:bookworm`.
    #[default]
    Keep,
    /// It is left out, copyright files excepted, and dpkg is told to leave it out of what is
    /// installed later, as in `debian:bookworm-slim`.
    Omit,
}

/// Why packages do not make a root file system.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The same package is there twice.
    #[error("package {0} is there twice")]
    Twice(PackageName),
    /// Two packages have the same file, and neither may replace the other's.
    #[error("packages {first} and {second} both have the file {path}")]
    FileConflict {
        /// The file.
        path: LayerPath,
        /// A package.
        first: PackageName,
        /// Another.
        second: PackageName,
    },
    /// A path leads through too many symbolic links.
    #[error("path {0} leads through too many symbolic links")]
    LinkLoop(LayerPath),
    /// A path leads through something that is not a directory.
    #[error("path {0} is below something that is not a directory")]
    NotADirectory(LayerPath),
    /// A hard link's target is not among the package's files.
    #[error("hard link {link} of package {package} has no target")]
    DanglingHardLink {
        /// The link.
        link: LayerPath,
        /// The package.
        package: PackageName,
    },
    /// A name in a package cannot be a path.
    #[error("package {package} has an unacceptable name for a file")]
    Path {
        /// The package.
        package: PackageName,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
    /// The layer cannot be written.
    #[error("cannot write the root file system")]
    Write(#[from] WriteError),
}

impl Diagnostic for RootError {
    fn code(&self) -> &'static str {
        match self {
            RootError::Twice(_) => "debian/duplicate-package",
            RootError::FileConflict { .. } => "debian/file-conflict",
            RootError::Write(_) => "debian/root-write",
            _ => "debian/bad-deb",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            RootError::Twice(_) => ErrorKind::Bug,
            RootError::FileConflict { .. } => ErrorKind::User,
            RootError::Write(_) => ErrorKind::Environment,
            _ => ErrorKind::Upstream,
        }
    }
}

/// Writes the layer that holds all packages unpacked: their files, and dpkg's records that say
/// so (`Status: install ok unpacked`), so that `dpkg --configure` can take over
/// ([`crate::configure_plan`]). Configuration files are in place, with their MD5 recorded, so
/// that dpkg has nothing left to install and never asks.
///
/// `/bin`, `/sbin`, `/lib` and their like are links into `/usr`, whatever way the packages were
/// built. The layer depends on the set of packages and the options alone.
pub fn write_root_layer<W: Write>(
    debs: &[UnpackedDeb],
    options: &RootOptions,
    mut writer: LayerWriter<W>,
) -> Result<(W, LayerInfo), RootError> {
    let debs = in_fixed_order(debs)?;
    let mut tree = Tree::merge(&debs, options)?;
    database::add(&mut tree, &debs)?;
    apt::add(&mut tree, options)?;
    tree.complete();
    tree.write(&mut writer)?;
    Ok(writer.finish()?)
}

/// By name, but base-files first: where packages disagree on a directory's mode or owner, the
/// package whose task is the directory tree decides.
fn in_fixed_order(debs: &[UnpackedDeb]) -> Result<Vec<&UnpackedDeb>, RootError> {
    let mut debs: Vec<&UnpackedDeb> = debs.iter().collect();
    debs.sort_by_key(|deb| (deb.name().as_str() != "base-files", deb.name()));
    match debs.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
        Some(pair) => Err(RootError::Twice(pair[0].name().clone())),
        None => Ok(debs),
    }
}
