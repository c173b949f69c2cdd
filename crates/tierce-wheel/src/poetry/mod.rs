//! Poetry's projects: `pyproject.toml` with `poetry.lock` (formats 1.0 to 2.1, as Poetry 1.x and
//! 2.x write them), read as `poetry install` reads them. Poetry itself is not needed.
//!
//! [`read`] is pure. What it returns has, for files from package indexes, names and hashes and no
//! places, as the lock has none: [`PoetryLock::locate`] asks the indexes.

mod constraint;
mod content_hash;
mod dependency;
mod error;
mod local;
mod locate;
mod lockfile;
mod manifest;
mod select;
mod source;
mod walk;

pub use error::{LocateError, PoetryError};
pub use local::{LocalKind, LocalSource, local_sources};
pub use locate::LocateSettings;

use crate::credentials::IndexCredentials;
use crate::lock::{LockedPackage, Source};
use crate::name::PackageName;
use crate::target::Target;
use dependency::Environment;
use lockfile::LockFile;
use manifest::Manifest;
use pep440_rs::Version;
use source::Origin;
use std::path::PathBuf;
use std::str::FromStr;
use url::Url;

/// Which optional parts of a project are installed, as `poetry install` has it: by default, all
/// groups that are not optional, and no extras.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoetrySelection {
    /// Which groups to begin with.
    pub groups: PoetryGroups,
    /// Further groups: `--with`, or `--only` where that is what to begin with.
    pub with_groups: Vec<String>,
    /// Groups that are left out, whatever else says: `--without`.
    pub without_groups: Vec<String>,
    /// Which extras to begin with.
    pub extras: PoetryExtras,
    /// Further extras: `--extras`.
    pub with_extras: Vec<String>,
    /// Extras that are left out, whatever else says.
    pub without_extras: Vec<String>,
}

/// Which groups to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoetryGroups {
    /// All that are not optional; the project's dependencies are in the group `main`.
    #[default]
    Defaults,
    /// The project's dependencies (`--only main`).
    None,
    /// All, optional ones too (`--all-groups`).
    All,
    /// None but those that are named (`--only`).
    Only,
}

/// Which extras to begin with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoetryExtras {
    /// None.
    #[default]
    None,
    /// All (`--all-extras`).
    All,
}

/// What a Poetry project needs on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoetryLock {
    target: Target,
    packages: Vec<PoetryPackage>,
    project: Result<(PackageName, Option<Version>), &'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PoetryPackage {
    name: PackageName,
    version: Version,
    origin: Origin,
    requested: bool,
}

impl PoetryPackage {
    /// The version, unless it is for a build to say.
    fn installed_version(&self) -> Option<Version> {
        let built = matches!(self.origin, Origin::Settled(Source::Directory { .. }));
        (!built).then(|| self.version.clone())
    }
}

/// Reads a project's `pyproject.toml` and `poetry.lock` for one target.
///
/// A lock whose `content-hash` is not that of the `pyproject.toml` is an error, as in `poetry
/// install`. Paths in the result are relative to the directory of both.
pub fn read(
    pyproject: &str,
    lock: &str,
    target: &Target,
    selection: &PoetrySelection,
) -> Result<PoetryLock, PoetryError> {
    let table = toml::Table::from_str(pyproject)
        .map_err(|error| PoetryError::Pyproject(Box::new(error)))?;
    let lock = LockFile::read(lock)?;
    let is_own = |by| content_hash::content_hash(&table, by) == lock.content_hash;
    if !lock.hashed_by.iter().copied().any(is_own) {
        // What is wrong with a project is said first: its lock can't be made anew before.
        Manifest::read(&table)?;
        return Err(PoetryError::Stale);
    }
    choose(&table, &lock, target, selection)
}

/// [`read`] without comparing the `content-hash`: for fuzzing, which never gets that right.
#[doc(hidden)]
pub fn read_unchecked(
    pyproject: &str,
    lock: &str,
    target: &Target,
    selection: &PoetrySelection,
) -> Result<PoetryLock, PoetryError> {
    let table = toml::Table::from_str(pyproject)
        .map_err(|error| PoetryError::Pyproject(Box::new(error)))?;
    choose(&table, &LockFile::read(lock)?, target, selection)
}

fn choose(
    pyproject: &toml::Table,
    lock: &LockFile,
    target: &Target,
    selection: &PoetrySelection,
) -> Result<PoetryLock, PoetryError> {
    let manifest = Manifest::read(pyproject)?;
    for allowed in [Some(&lock.python), manifest.python.as_ref()].into_iter().flatten() {
        check_python(allowed, target)?;
    }
    let environment = environment(target)?;
    let chosen = select::select(lock, &manifest, &environment, selection)?;
    let tags = target.tags();
    let package = |entry: &lockfile::Entry| {
        Ok(PoetryPackage {
            name: entry.name.clone(),
            version: entry.version.clone(),
            origin: source::origin(entry, target, &tags)?,
            requested: chosen.requested.contains(&entry.name),
        })
    };
    let packages = chosen.entries.iter().map(|entry| package(entry)).collect::<Result<_, _>>()?;
    Ok(PoetryLock { target: target.clone(), packages, project: manifest.package })
}

fn check_python(allowed: &str, target: &Target) -> Result<(), PoetryError> {
    let constraint = dependency::constraint(allowed).map_err(|_| PoetryError::Manifest {
        what: "the python version".to_owned(),
        text: allowed.to_owned(),
    })?;
    match constraint.includes(target.python()) {
        true => Ok(()),
        false => Err(PoetryError::Python {
            allowed: allowed.to_owned(),
            python: target.python().to_string(),
        }),
    }
}

fn environment(target: &Target) -> Result<Environment, PoetryError> {
    let markers = crate::pylock::marker_environment(target).ok_or_else(|| PoetryError::Python {
        allowed: "any".to_owned(),
        python: target.python().to_string(),
    })?;
    Ok(Environment { target: target.clone(), markers })
}

impl PoetryLock {
    /// What the packages were chosen for.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The packages, and the versions that the lock has of them, by name.
    pub fn packages(&self) -> impl Iterator<Item = (&PackageName, &Version)> {
        self.packages.iter().map(|package| (&package.name, &package.version))
    }

    /// The directories that have to be built to wheels, relative to the lock's own.
    pub fn directories(&self) -> impl Iterator<Item = (&PackageName, &PathBuf)> {
        self.packages.iter().filter_map(|package| match &package.origin {
            Origin::Settled(Source::Directory { path, .. }) => Some((&package.name, path)),
            _ => None,
        })
    }

    /// The indexes that packages come from and that the lock names, each once with the name that
    /// Poetry knows it by.
    pub fn indexes(&self) -> Vec<(&str, &Url)> {
        let mut all: Vec<(&str, &Url)> = vec![];
        for package in &self.packages {
            if let Origin::Listed(listed) = &package.origin
                && let Some(index) = &listed.index
                && !all.contains(&(listed.index_name.as_str(), index))
            {
                all.push((&listed.index_name, index));
            }
        }
        all
    }

    /// `credentials`, with those of the lock's indexes from Poetry's variables
    /// (`POETRY_HTTP_BASIC_NAME_USERNAME`, `POETRY_HTTP_BASIC_NAME_PASSWORD`).
    pub fn credentials(
        &self,
        credentials: IndexCredentials,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> IndexCredentials {
        self.indexes()
            .into_iter()
            .fold(credentials, |all, (name, url)| all.with_poetry_name(name, url, variable))
    }

    /// The project itself, to be built from the lock's directory; an error where it is none that
    /// can be installed (`package-mode = false`).
    pub fn project(&self) -> Result<LockedPackage, PoetryError> {
        let (name, _) = self.project.as_ref().map_err(|why| PoetryError::NotAPackage(why))?;
        Ok(LockedPackage {
            name: name.clone(),
            version: None,
            source: Source::Directory { path: PathBuf::from("."), subdirectory: None },
            requested: true,
        })
    }

    /// The same with the project itself, as `poetry install` does without `--no-root`.
    pub fn with_project(mut self) -> Result<Self, PoetryError> {
        let LockedPackage { name, source, requested, .. } = self.project()?;
        let version = self.project.as_ref().ok().and_then(|(_, version)| version.clone());
        let version = version.unwrap_or_else(|| Version::new([0]));
        let origin = Origin::Settled(source);
        self.packages.retain(|package| package.name != name);
        let at = self.packages.partition_point(|package| package.name < name);
        self.packages.insert(at, PoetryPackage { name, version, origin, requested });
        Ok(self)
    }
}
