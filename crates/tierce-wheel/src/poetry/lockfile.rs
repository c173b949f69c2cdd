//! `poetry.lock`, as its versions 1.0 to 2.1 have it.

use super::constraint::Constraint;
use super::content_hash::HashedBy;
use super::dependency::{BadDependency, Dependency, DependencySpec, Place, constraint, marker};
use super::error::PoetryError;
use crate::name::PackageName;
use pep440_rs::Version;
use pep508_rs::MarkerTree;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// A lock.
pub(super) struct LockFile {
    pub entries: Vec<Entry>,
    pub content_hash: String,
    pub hashed_by: Vec<HashedBy>,
    /// The interpreters that it was made for.
    pub python: String,
    pub extras: BTreeSet<PackageName>,
    /// Whether its packages say for which groups and markers they are (2.1).
    pub has_groups: bool,
}

/// A package of a lock.
pub(super) struct Entry {
    pub name: PackageName,
    pub version: Version,
    pub python: Constraint,
    pub files: Vec<LockedFile>,
    pub origin: Origin,
    pub dependencies: Vec<Dependency>,
    /// What each of its extras is for.
    pub extras: BTreeMap<PackageName, BTreeSet<PackageName>>,
    /// The groups that it is for, and when (2.1).
    pub groups: BTreeMap<PackageName, MarkerTree>,
}

/// A file of a package.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LockedFile {
    pub file: String,
    pub hash: String,
}

/// Where a package is from, as the lock has it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Origin {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    #[serde(default)]
    pub url: String,
    pub reference: Option<String>,
    pub resolved_reference: Option<String>,
    pub subdirectory: Option<String>,
}

impl Origin {
    pub(super) fn place(&self) -> Place {
        match self.kind.as_deref() {
            Some("git") => Place::Git,
            Some("directory" | "file") => Place::Path,
            Some("url") => Place::Url,
            _ => Place::Index,
        }
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Package>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Metadata {
    lock_version: Option<String>,
    content_hash: Option<String>,
    #[serde(default = "anything")]
    python_versions: String,
    #[serde(default)]
    files: BTreeMap<String, Vec<LockedFile>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Package {
    name: String,
    version: String,
    #[serde(default = "anything")]
    python_versions: String,
    files: Option<Vec<LockedFile>>,
    groups: Option<Vec<String>>,
    markers: Option<Markers>,
    #[serde(default)]
    dependencies: BTreeMap<String, DependencySpec>,
    #[serde(default)]
    extras: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    source: Origin,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Markers {
    One(String),
    ByGroup(BTreeMap<String, String>),
}

fn anything() -> String {
    "*".to_owned()
}

impl LockFile {
    pub(super) fn read(text: &str) -> Result<Self, PoetryError> {
        let file: File =
            toml::from_str(text).map_err(|error| PoetryError::Lock(Box::new(error)))?;
        let Metadata { lock_version, content_hash, python_versions, files } = file.metadata;
        let (major, minor) = lock_version
            .as_deref()
            .and_then(format_version)
            .filter(|(major, _)| matches!(major, 1 | 2))
            .ok_or_else(|| PoetryError::LockVersion(lock_version.clone().unwrap_or_default()))?;
        let has_groups = (major, minor) >= (2, 1);
        if (major, minor) > (2, 1) {
            tracing::warn!("poetry.lock has lock-version {major}.{minor}, and is read as 2.1");
        }
        let entry = |package| entry(package, &files, has_groups);
        Ok(LockFile {
            entries: file.package.into_iter().map(entry).collect::<Result<_, _>>()?,
            content_hash: content_hash.ok_or(PoetryError::NoContentHash)?,
            hashed_by: hashed_by(text, has_groups),
            python: python_versions,
            extras: file
                .extras
                .keys()
                .map(|extra| name(extra, "[extras]"))
                .collect::<Result<_, _>>()?,
            has_groups,
        })
    }
}

fn format_version(text: &str) -> Option<(u32, u32)> {
    let (major, rest) = text.split_once('.').unwrap_or((text, "0"));
    Some((major.parse().ok()?, rest.split('.').next()?.parse().ok()?))
}

/// Whose content hashes are good: those of the Poetry that the first line names, and of every
/// version that reads the lock today.
fn hashed_by(text: &str, has_groups: bool) -> Vec<HashedBy> {
    let comment = text.lines().next().filter(|line| line.starts_with('#')).unwrap_or_default();
    let maker = comment.split_once("Poetry ").and_then(|(_, rest)| rest.split(' ').next());
    let maker = maker.and_then(|version| Version::from_str(version).ok());
    let mut all = vec![HashedBy::Two];
    if maker.is_some_and(|version| version < Version::new([2, 3])) {
        all.push(HashedBy::EarlyTwo);
    }
    if !has_groups {
        all.push(HashedBy::One);
    }
    all
}

fn entry(
    package: Package,
    files: &BTreeMap<String, Vec<LockedFile>>,
    has_groups: bool,
) -> Result<Entry, PoetryError> {
    let shown = package.name.clone();
    let bad = |text: &str| PoetryError::Entry { package: shown.clone(), text: text.to_owned() };
    let unread = |BadDependency(text): BadDependency| bad(&text);
    let mut dependencies = vec![];
    for (name, spec) in &package.dependencies {
        dependencies.extend(spec.read(name).map_err(unread)?);
    }
    let mut extras = BTreeMap::new();
    for (extra, requirements) in &package.extras {
        let of_extra: Result<BTreeSet<PackageName>, _> =
            requirements.iter().map(|text| Dependency::parse(text).map(|one| one.name)).collect();
        extras.insert(name(extra, &shown)?, of_extra.map_err(unread)?);
    }
    // Before 1.2, the files of all packages were in one table; those of every version of a
    // package together.
    let of_metadata = || files.get(&package.name).cloned().unwrap_or_default();
    Ok(Entry {
        name: name(&package.name, "a package")?,
        version: package.version.parse().map_err(|_| bad(&package.version))?,
        python: constraint(&package.python_versions).map_err(unread)?,
        files: package.files.clone().unwrap_or_else(of_metadata),
        origin: package.source.clone(),
        dependencies,
        extras,
        groups: match has_groups {
            true => groups(&package)?,
            false => BTreeMap::new(),
        },
    })
}

fn groups(package: &Package) -> Result<BTreeMap<PackageName, MarkerTree>, PoetryError> {
    let bad =
        |text: &str| PoetryError::Entry { package: package.name.clone(), text: text.to_owned() };
    let groups = package.groups.as_ref().ok_or_else(|| bad("no groups"))?;
    let of_group = |group: &String| {
        let text = match &package.markers {
            None => "*",
            Some(Markers::One(text)) => text,
            Some(Markers::ByGroup(all)) => all.get(group).map_or("*", String::as_str),
        };
        let marker = marker(text).map_err(|BadDependency(text)| bad(&text))?;
        Ok((name(group, &package.name)?, marker))
    };
    groups.iter().map(of_group).collect()
}

fn name(text: &str, package: &str) -> Result<PackageName, PoetryError> {
    PackageName::new(text)
        .map_err(|_| PoetryError::Entry { package: package.to_owned(), text: text.to_owned() })
}
