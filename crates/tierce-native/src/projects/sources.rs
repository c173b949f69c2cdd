//! Folders of the host as what packages are built from: as a layer below the build, so that it
//! sees exactly what was digested, and may write into it as it likes.

use super::error::ProjectError;
use super::{flat, locks};
use crate::assembled::COMPRESSION;
use crate::context::Context;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::layer::{Layer, LayerOutcome};
use crate::make::LAYER;
use crate::pip::PipRequest;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_engine::Source;
use tierce_layer::LayerPath;
use tierce_oci::{BlobLocation, Digest};
use tierce_store::ScratchDir;
use tierce_tree::Node;
use tierce_wheel::{Lock, LockedPackage, PackageName, Source as PackageSource, StoredWheel};

/// Where a folder is while a package is built from it.
pub const FOLDER: &str = "/var/tmp/tierce-build/source";

/// A folder that a package is built from.
#[derive(Clone, Debug)]
pub struct Folder {
    /// What of the host.
    pub source: Source,
    /// The package's own folder in it.
    pub subdirectory: Option<String>,
    /// The version that is locked, for backends that take it from a repository.
    version: Option<String>,
    /// Keeps a checkout where it is.
    _checkout: Option<Arc<ScratchDir>>,
}

impl Folder {
    /// What was checked out of a repository, which stays as long as this.
    pub fn checked_out(
        source: Source,
        subdirectory: Option<String>,
        version: Option<String>,
        checkout: ScratchDir,
    ) -> Self {
        Folder { source, subdirectory, version, _checkout: Some(Arc::new(checkout)) }
    }

    /// All that the build depends on.
    pub fn key(&self) -> String {
        let digest = self.source.tree.digest();
        format!("{digest}#{}", self.subdirectory.as_deref().unwrap_or_default())
    }

    /// The package as it is built from the folder.
    pub fn package(&self, package: &LockedPackage) -> LockedPackage {
        let subdirectory = self.subdirectory.clone();
        let source = PackageSource::Directory { path: FOLDER.into(), subdirectory };
        LockedPackage { source, ..package.clone() }
    }

    /// Variables for backends that take the version from a version control system, which is not
    /// in the folder: the locked version, else one that is the same for the same content.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let own = self.subdirectory.as_deref().unwrap_or_default();
        let file = Path::new(own).join("pyproject.toml");
        let known =
            self.source.tree.entries().iter().any(|entry| {
                matches!(entry.node, Node::File { .. }) && entry.path.as_path() == file
            });
        let text = known.then(|| std::fs::read_to_string(self.source.root.join(file)).ok());
        let digest = self.source.tree.digest().hex();
        // Of the content, so that a wheel is never taken for that of other content.
        let version = self.version.clone().unwrap_or_else(|| format!("0.0.0+g{}", &digest[..12]));
        let text = text.flatten().unwrap_or_default();
        tierce_spec::locked::scm_variables(&text, &version)
    }
}

/// All folders that packages of an environment are built from, by what they are known by.
fn folders<'a>(request: &PipRequest<'a>) -> BTreeMap<PathBuf, &'a Source> {
    let mut all = flat::folders(request.gathered);
    all.extend(locks::folders(request.gathered));
    all.extend(crate::conda::folders(request.gathered));
    all
}

impl Context {
    /// The folder that a package is built from; `None` for those that are built from elsewhere.
    pub async fn folder_of(
        &self,
        package: &LockedPackage,
        request: &PipRequest<'_>,
    ) -> Result<Option<Folder>, NativeError> {
        match &package.source {
            PackageSource::Directory { path, subdirectory } => {
                let found = folders(request).get(path).copied().cloned();
                let source = found.ok_or_else(|| ProjectError::NoSource {
                    package: package.name.to_string(),
                    path: path.clone(),
                })?;
                let subdirectory = subdirectory.clone();
                Ok(Some(Folder { source, subdirectory, version: None, _checkout: None }))
            }
            _ => Ok(None),
        }
    }

    /// A folder as a layer.
    pub async fn folder_layer(&self, folder: &Folder) -> Result<Option<Layer>, NativeError> {
        let key = KeyEncoder::new("build-source")
            .digest("tree", &folder.source.tree.digest())
            .text("destination", FOLDER)
            .text("compression", COMPRESSION.media_type().as_str())
            .finish();
        let known = self.store.record::<LayerOutcome>(LAYER, &key.0);
        let is_there = |outcome: &LayerOutcome| match outcome {
            LayerOutcome::Layer(record) => {
                self.store.has(&record.descriptor.digest) == Some(record.descriptor.size)
            }
            LayerOutcome::Empty => true,
        };
        let outcome = match known.filter(is_there) {
            Some(outcome) => outcome,
            None => {
                let destination = LayerPath::new(FOLDER).map_err(tierce_wheel::LayerError::from)?;
                let outcome = self.source(&folder.source, &destination).await?;
                self.store.put_record(LAYER, &key.0, &outcome)?;
                outcome
            }
        };
        Ok(match outcome {
            LayerOutcome::Empty => None,
            LayerOutcome::Layer(record) => {
                let path = self.store.blob_path(&record.descriptor.digest);
                Some(Layer {
                    record: *record,
                    location: BlobLocation::File(path),
                    created_by: String::new(),
                    cached: true,
                })
            }
        })
    }
}

/// The lock with the versions of what was built, where it has none.
pub fn with_versions(lock: &Lock, wheels: &[StoredWheel]) -> Lock {
    let packages = lock.packages().iter().cloned().map(|mut package| {
        if package.version.is_none()
            && let Some(wheel) = wheels.iter().find(|wheel| wheel.package == package.name)
        {
            package.version = Some(wheel.filename.version().clone());
        }
        package
    });
    Lock::of(lock.target(), packages.collect())
}

/// What the names of packages that are to be built say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// What must come out.
    Locked,
    /// Nothing: what a place has in it is known when it is built.
    Guessed,
}

impl Names {
    /// Fails where something else was built than what is locked.
    pub fn check(self, package: &LockedPackage, built: &PackageName) -> Result<(), ProjectError> {
        match self == Names::Guessed || package.name == *built {
            true => Ok(()),
            false => {
                let (package, built) = (package.name.clone(), built.clone());
                Err(ProjectError::OtherPackage { package, built })
            }
        }
    }
}

/// What is built of a place is the same whoever asks for it. One place may have many packages:
/// each in its own folder.
pub fn source_key(package: &LockedPackage, folder: Option<&Folder>) -> String {
    let digest = |digest: &Digest| digest.to_string();
    let within = |place: String, subdirectory: &Option<String>| match subdirectory {
        Some(subdirectory) => format!("{place}#{subdirectory}"),
        None => place,
    };
    match (&package.source, folder) {
        (_, Some(folder)) => folder.key(),
        (PackageSource::Sdist { file, subdirectory, .. }, None) => {
            within(digest(&file.digest), subdirectory)
        }
        (PackageSource::Vcs(vcs), None) => {
            let version = package.version.as_ref().map(ToString::to_string).unwrap_or_default();
            let place = format!("{} {} {version}", vcs.location, vcs.commit);
            within(place, &vcs.subdirectory)
        }
        (PackageSource::Wheel { file, .. }, None) => digest(&file.digest),
        (PackageSource::Directory { path, subdirectory }, None) => {
            within(path.display().to_string(), subdirectory)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_wheel::{Location, VcsSource};

    fn package(repository: &str, subdirectory: Option<&str>) -> LockedPackage {
        LockedPackage {
            name: PackageName::new("a").unwrap(),
            version: None,
            source: PackageSource::Vcs(VcsSource {
                kind: "git".to_owned(),
                location: Location::Url(repository.parse().unwrap()),
                requested_revision: None,
                commit: "0".repeat(40),
                subdirectory: subdirectory.map(str::to_owned),
            }),
            requested: true,
        }
    }

    #[test]
    fn packages_of_one_commit_are_told_apart() {
        let keys = [
            package("https://x/r.git", None),
            package("https://x/r.git", Some("a")),
            package("https://x/r.git", Some("b")),
            package("https://x/other.git", Some("b")),
        ];
        let keys: std::collections::BTreeSet<String> =
            keys.iter().map(|package| source_key(package, None)).collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
    }

    #[test]
    fn something_else_is_no_success() {
        let (asked, built) = (package("https://x/r.git", None), PackageName::new("b").unwrap());
        assert!(Names::Locked.check(&asked, &built).is_err());
        assert!(Names::Guessed.check(&asked, &built).is_ok());
        assert!(Names::Locked.check(&asked, &asked.name).is_ok());
    }
}
