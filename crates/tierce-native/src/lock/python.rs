//! Python packages, between what a resolver says and what a lock has.

use super::LockedError;
use super::base::missing;
use crate::context::Context;
use crate::error::NativeError;
use std::str::FromStr;
use tierce_fetch::FetchError;
use tierce_lock::{LockedFile, LockedPackage, LockedPython, LockedSource, Place};
use tierce_oci::Platform;
use tierce_wheel::{
    ArchiveFile, FetchWheelError, Location, Lock, PackageName, Source, Target, VcsSource, Version,
    WheelFile, WheelFilename,
};
use url::Url;

impl Context {
    /// The packages that a lock says; `None` where they are to be resolved.
    pub fn locked_python(
        &self,
        platform: &Platform,
        target: &Target,
    ) -> Result<Option<Lock>, LockedError> {
        let Some(ledger) = self.locking.locked() else { return Ok(None) };
        let python = ledger.python(platform);
        let python = python.ok_or_else(|| missing("Python packages", platform))?;
        to_lock(&python, target).map(Some)
    }

    /// The versions of an earlier lock that are kept where they fit, as a `pylock.toml`.
    pub fn python_preferences(&self, platform: &Platform, target: &Target) -> Option<String> {
        let mut python = self.locking.record()?.python_preferences(platform)?;
        // What is not from an index is taken from where it is asked for.
        python.packages.retain(|package| {
            matches!(
                package.source,
                LockedSource::Wheel { direct: false, .. }
                    | LockedSource::Sdist { direct: false, .. }
            )
        });
        let lock = to_lock(&python, target).ok()?;
        (!lock.packages().is_empty()).then(|| String::from_utf8_lossy(lock.bytes()).into_owned())
    }

    /// What it means that a file can't be had: where it is locked, there is no other.
    pub fn unfetched(&self, error: FetchWheelError) -> NativeError {
        match (self.locking.locked(), error) {
            (Some(_), FetchWheelError::Download { filename, source }) => {
                let tried = url_of(&source).into_iter().collect();
                LockedError::of_fetch(filename, tried, source).into()
            }
            (_, error) => error.into(),
        }
    }

    /// Records what was resolved.
    pub fn record_python(&self, platform: &Platform, lock: &Lock) {
        if let Some(ledger) = self.locking.record() {
            ledger.record_python(platform, of_lock(lock));
        }
    }
}

/// What could not be fetched.
pub fn url_of(error: &FetchError) -> Option<String> {
    match error {
        FetchError::Scheme { url, .. }
        | FetchError::Status { url, .. }
        | FetchError::Transport { url, .. }
        | FetchError::TooLarge { url, .. }
        | FetchError::SizeMismatch { url, .. }
        | FetchError::DigestMismatch { url, .. }
        | FetchError::Read { url, .. } => Some(url.clone()),
        FetchError::Write { .. } => None,
    }
}

/// What a lock says of a resolution.
pub fn of_lock(lock: &Lock) -> LockedPython {
    let packages = lock.packages().iter().map(|package| LockedPackage {
        name: package.name.to_string(),
        version: package.version.as_ref().map(ToString::to_string),
        requested: package.requested,
        source: source(&package.source),
    });
    LockedPython { packages: packages.collect() }
}

fn source(of: &Source) -> LockedSource {
    match of {
        Source::Wheel { file, direct } => LockedSource::Wheel {
            file: LockedFile {
                filename: file.filename.to_string(),
                place: place(&file.location),
                size: file.size,
                sha256: file.digest,
            },
            direct: *direct,
        },
        Source::Sdist { file, direct, subdirectory } => LockedSource::Sdist {
            file: LockedFile {
                filename: file.filename.clone(),
                place: place(&file.location),
                size: file.size,
                sha256: file.digest,
            },
            direct: *direct,
            subdirectory: subdirectory.clone(),
        },
        Source::Vcs(vcs) => LockedSource::Vcs {
            kind: vcs.kind.clone(),
            place: place(&vcs.location),
            requested_revision: vcs.requested_revision.clone(),
            commit: vcs.commit.clone(),
            subdirectory: vcs.subdirectory.clone(),
        },
        Source::Directory { path, subdirectory } => LockedSource::Directory {
            path: path.display().to_string(),
            subdirectory: subdirectory.clone(),
        },
    }
}

/// Where it is, without credentials: those are of whoever builds.
pub fn place(location: &Location) -> Place {
    match location {
        Location::Url(_) => Place::Url(location.without_credentials()),
        Location::Path(path) => Place::Path(path.display().to_string()),
    }
}

/// A resolution, as a lock has it.
pub fn to_lock(python: &LockedPython, target: &Target) -> Result<Lock, LockedError> {
    let packages: Result<Vec<_>, LockedError> =
        python.packages.iter().map(|package| to_package(package, target)).collect();
    Ok(Lock::of(target, packages?))
}

fn to_package(
    package: &LockedPackage,
    target: &Target,
) -> Result<tierce_wheel::LockedPackage, LockedError> {
    let impossible = |why: String| {
        let version = package.version.as_deref().unwrap_or_default();
        LockedError::Impossible { what: format!("{} {version}", package.name), why }
    };
    let version = package.version.as_deref().map(Version::from_str).transpose();
    let file = |file: &LockedFile| -> Result<ArchiveFile, LockedError> {
        Ok(ArchiveFile {
            filename: file.filename.clone(),
            location: location(&file.place).map_err(impossible)?,
            digest: file.sha256,
            size: file.size,
        })
    };
    let source = match &package.source {
        LockedSource::Wheel { file: wheel, direct } => {
            let ArchiveFile { filename, location, digest, size } = file(wheel)?;
            let filename = WheelFilename::from_str(&filename);
            let filename = filename.map_err(|e| impossible(e.to_string()))?;
            if target.tags().rank(&filename).is_none() {
                return Err(impossible(format!("its wheel {filename} is not for {target}")));
            }
            let file = WheelFile { filename, location, digest, size };
            Source::Wheel { file, direct: *direct }
        }
        LockedSource::Sdist { file: sdist, direct, subdirectory } => Source::Sdist {
            file: file(sdist)?,
            direct: *direct,
            subdirectory: subdirectory.clone(),
        },
        LockedSource::Vcs { kind, place, requested_revision, commit, subdirectory } => {
            Source::Vcs(VcsSource {
                kind: kind.clone(),
                location: location(place).map_err(impossible)?,
                requested_revision: requested_revision.clone(),
                commit: commit.clone(),
                subdirectory: subdirectory.clone(),
            })
        }
        LockedSource::Directory { path, subdirectory } => {
            Source::Directory { path: path.into(), subdirectory: subdirectory.clone() }
        }
    };
    Ok(tierce_wheel::LockedPackage {
        name: PackageName::new(&package.name).map_err(|e| impossible(e.to_string()))?,
        version: version.map_err(|e| impossible(e.to_string()))?,
        source,
        requested: package.requested,
    })
}

fn location(place: &Place) -> Result<Location, String> {
    match place {
        Place::Url(url) => Url::parse(url).map(Location::Url).map_err(|e| e.to_string()),
        Place::Path(path) => Ok(Location::Path(path.into())),
    }
}
