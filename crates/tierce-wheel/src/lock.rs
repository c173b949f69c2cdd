//! What will be installed: one file for each package, for one target.

use crate::location::Location;
use crate::name::{PackageName, WheelFilename};
use crate::pylock::{self, PylockError};
use crate::pylock_selection::PylockSelection;
use crate::target::Target;
use pep440_rs::Version;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tierce_oci::{Diagnostic, Digest, ErrorKind};

/// A wheel to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelFile {
    /// Its name.
    pub filename: WheelFilename,
    /// Where it is.
    pub location: Location,
    /// What it must be.
    pub digest: Digest,
    /// Its size, where the index told.
    pub size: Option<u64>,
}

/// A source archive to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// Its name.
    pub filename: String,
    /// Where it is.
    pub location: Location,
    /// What it must be.
    pub digest: Digest,
    /// Its size, where the index told.
    pub size: Option<u64>,
}

/// A commit in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VcsSource {
    /// `git`, `hg`, `bzr` or `svn`.
    pub kind: String,
    /// The repository.
    pub location: Location,
    /// The branch or tag that was asked for.
    pub requested_revision: Option<String>,
    /// The commit.
    pub commit: String,
    /// The project's directory in the repository.
    pub subdirectory: Option<String>,
}

/// Where a package comes from. All but wheels have to be built first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A wheel.
    Wheel {
        /// The file.
        file: WheelFile,
        /// Whether the requirement was for this very file, not for a version from an index.
        direct: bool,
    },
    /// A source distribution.
    Sdist {
        /// The file.
        file: ArchiveFile,
        /// Whether the requirement was for this very file.
        direct: bool,
        /// The project's directory in the archive.
        subdirectory: Option<String>,
    },
    /// A repository.
    Vcs(VcsSource),
    /// A directory on this machine, relative to the one that the lock was made in.
    Directory {
        /// The directory.
        path: PathBuf,
        /// The project's directory in it.
        subdirectory: Option<String>,
    },
}

impl Source {
    /// Whether the requirement was for this very place and not for a version from an index.
    pub fn is_direct(&self) -> bool {
        match self {
            Source::Wheel { direct, .. } | Source::Sdist { direct, .. } => *direct,
            Source::Vcs(_) | Source::Directory { .. } => true,
        }
    }

    /// `direct_url.json` (PEP 610), where the requirement was for a URL. Local files and
    /// directories get none: their paths mean nothing inside an image.
    pub fn direct_url(&self) -> Option<String> {
        let archive = |location: &Location, digest: &Digest, subdirectory: &Option<String>| {
            let url = remote(location)?;
            let hash = format!("sha256={}", digest.hex());
            let info = json!({ "hash": hash, "hashes": { "sha256": digest.hex() } });
            Some(with_subdirectory(json!({ "archive_info": info, "url": url }), subdirectory))
        };
        match self {
            Source::Wheel { file, direct: true } => archive(&file.location, &file.digest, &None),
            Source::Sdist { file, direct: true, subdirectory } => {
                archive(&file.location, &file.digest, subdirectory)
            }
            Source::Vcs(vcs) => {
                let mut info = json!({ "commit_id": vcs.commit });
                if let Some(revision) = &vcs.requested_revision {
                    info["requested_revision"] = json!(revision);
                }
                info["vcs"] = json!(vcs.kind);
                let url = remote(&vcs.location)?;
                Some(with_subdirectory(json!({ "url": url, "vcs_info": info }), &vcs.subdirectory))
            }
            Source::Wheel { .. } | Source::Sdist { .. } | Source::Directory { .. } => None,
        }
    }
}

fn remote(location: &Location) -> Option<String> {
    match location {
        Location::Url(url) if url.scheme() != "file" => Some(location.without_credentials()),
        _ => None,
    }
}

fn with_subdirectory(mut value: serde_json::Value, subdirectory: &Option<String>) -> String {
    if let Some(subdirectory) = subdirectory {
        value["subdirectory"] = json!(subdirectory);
    }
    value.to_string()
}

/// A package of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version; directories may have none before they are built.
    pub version: Option<Version>,
    /// Where it comes from.
    pub source: Source,
    /// Whether it was asked for by itself and not only by another package (PEP 376, `REQUESTED`).
    pub requested: bool,
}

/// What will be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    target: Target,
    packages: Vec<LockedPackage>,
    bytes: Vec<u8>,
}

impl Lock {
    /// Reads a `pylock.toml` (PEP 751) for one target, whoever wrote it: packages whose markers
    /// don't hold there are left out, and the best fitting wheel of each is chosen.
    pub fn parse(pylock: &[u8], target: &Target) -> Result<Self, PylockError> {
        Lock::parse_selected(pylock, target, &PylockSelection::default())
    }

    /// The same with some of the lock's extras and dependency groups.
    pub fn parse_selected(
        pylock: &[u8],
        target: &Target,
        selection: &PylockSelection,
    ) -> Result<Self, PylockError> {
        Ok(Lock::new(target, pylock::read(pylock, target, selection)?))
    }

    /// A lock of these packages, each with the file that is installed. Sorted by name.
    pub fn of(target: &Target, mut packages: Vec<LockedPackage>) -> Self {
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Lock::new(target, packages)
    }

    pub(crate) fn new(target: &Target, packages: Vec<LockedPackage>) -> Self {
        let bytes = pylock::write(target, &packages).into_bytes();
        Lock { target: target.clone(), packages, bytes }
    }

    /// The same with these packages marked as requested.
    pub(crate) fn with_requested(self, names: &BTreeSet<PackageName>) -> Self {
        let Lock { target, mut packages, .. } = self;
        for package in &mut packages {
            package.requested |= names.contains(&package.name);
        }
        Lock::new(&target, packages)
    }

    /// The same without the packages that are there already.
    pub fn without(&self, is_there: &dyn Fn(&LockedPackage) -> bool) -> Self {
        let packages = self.packages.iter().filter(|package| !is_there(package));
        Lock::new(&self.target, packages.cloned().collect())
    }

    /// The same with wheels of this machine known by their file names alone: what is installed does
    /// not depend on where they lie. Whoever fetches them has to have them by their digests.
    pub fn without_local_paths(self) -> Self {
        let Lock { target, mut packages, .. } = self;
        for package in &mut packages {
            if let Source::Wheel { file, .. } = &mut package.source
                && file.location.is_local()
            {
                file.location = Location::Path(file.filename.as_str().into());
            }
        }
        Lock::new(&target, packages)
    }

    /// What the packages were chosen for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The packages by name.
    pub fn packages(&self) -> &[LockedPackage] {
        &self.packages
    }

    /// The lock as a canonical `pylock.toml`: what will be installed and nothing else, so that
    /// the same choice gives the same bytes. [`Lock::parse`] reads it back.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The packages that have to be built before they can be installed.
    pub fn to_build(&self) -> impl Iterator<Item = &LockedPackage> {
        self.packages.iter().filter(|p| !matches!(p.source, Source::Wheel { .. }))
    }

    /// The wheels to be fetched.
    pub fn wheels(&self) -> impl Iterator<Item = (&LockedPackage, &WheelFile)> {
        self.packages.iter().filter_map(|package| match &package.source {
            Source::Wheel { file, .. } => Some((package, file)),
            _ => None,
        })
    }
}

impl Diagnostic for PylockError {
    fn code(&self) -> &'static str {
        match self {
            PylockError::NoFile { .. } => "python/no-wheel",
            PylockError::UnknownExtra { .. } => "python/unknown-extra",
            PylockError::UnknownGroup { .. } => "python/unknown-group",
            _ => "python/bad-lock",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(
            match self {
                PylockError::NoFile { .. } => {
                    "Choose a version with a wheel for this platform and interpreter, or another \
                 interpreter."
                }
                PylockError::UnknownExtra { .. } | PylockError::UnknownGroup { .. } => {
                    "Name one that there is, or lock with it: `extras` and `dependency-groups` of \
                     the lock file list what it was made for."
                }
                _ => {
                    "Write the lock file anew, with `uv export --format pylock.toml` for instance."
                }
            }
            .to_owned(),
        )
    }
}
