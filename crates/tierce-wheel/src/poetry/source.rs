//! Where a locked package comes from.

use super::error::PoetryError;
use super::lockfile::{Entry, LockedFile};
use crate::location::{Location, without_credentials};
use crate::lock::{ArchiveFile, Source, VcsSource, WheelFile};
use crate::name::{PackageName, WheelFilename};
use crate::target::{Tags, Target};
use pep440_rs::Version;
use std::str::FromStr;
use tierce_oci::Digest;
use url::Url;

/// Suffixes of source distributions, the ones that build tools like best first.
const SDIST: [&str; 5] = [".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz"];

/// Where a package of a lock comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The lock says it all.
    Settled(Source),
    /// A file that an index lists.
    Listed(Listed),
}

/// A file in an index: the lock has its name and hash, and not its URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The index; none is PyPI.
    pub index: Option<Url>,
    /// What Poetry calls it.
    pub index_name: String,
    pub filename: Filename,
    pub digest: Digest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filename {
    Wheel(WheelFilename),
    Sdist(String),
}

impl Filename {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Filename::Wheel(name) => name.as_str(),
            Filename::Sdist(name) => name,
        }
    }
}

/// Where `entry` comes from for a target.
pub(super) fn origin(entry: &Entry, target: &Target, tags: &Tags) -> Result<Origin, PoetryError> {
    let place =
        || PoetryError::Place { package: entry.name.clone(), place: shown(&entry.origin.url) };
    let url = &entry.origin.url;
    let subdirectory = entry.origin.subdirectory.clone();
    Ok(match entry.origin.kind.as_deref() {
        None => Origin::Listed(listed(entry, None, target, tags)?),
        Some("legacy") => {
            let index = Url::parse(url).map_err(|_| place())?;
            Origin::Listed(listed(entry, Some(index), target, tags)?)
        }
        Some("directory") if !url.is_empty() => {
            Origin::Settled(Source::Directory { path: url.into(), subdirectory })
        }
        Some("git") => Origin::Settled(Source::Vcs(VcsSource {
            kind: "git".to_owned(),
            location: repository(url).ok_or_else(place)?,
            requested_revision: entry.origin.reference.clone(),
            commit: entry
                .origin
                .resolved_reference
                .clone()
                .filter(|commit| is_commit(commit))
                .ok_or_else(place)?,
            subdirectory,
        })),
        Some("url") => {
            let location = Location::from_lock(Some(url.clone()), None).map_err(|_| place())?;
            Origin::Settled(archive(entry, location, subdirectory)?)
        }
        Some("file") if !url.is_empty() => {
            Origin::Settled(archive(entry, Location::Path(url.into()), subdirectory)?)
        }
        Some(_) => return Err(place()),
    })
}

fn shown(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| without_credentials(&url).to_string())
}

/// A commit's full hash. Nothing else may reach a command line.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A repository, which git also knows as `user@host:path`, or by its path on this machine.
fn repository(text: &str) -> Option<Location> {
    if text.is_empty() || text.starts_with('-') {
        return None;
    }
    // Poetry 2 writes the host that a file has not.
    let own = text.strip_prefix("file://None/").map(|path| format!("file:///{path}"));
    let text = own.as_deref().unwrap_or(text);
    if text.contains("://") {
        return Location::from_lock(Some(text.to_owned()), None).ok();
    }
    match text.split_once(':') {
        // `ext::command` would be a program to git.
        Some((_, path)) if path.starts_with(':') => None,
        Some((host, path)) if !host.contains('/') => {
            let url = format!("ssh://{host}/{}", path.trim_start_matches('/'));
            Url::parse(&url).ok().map(Location::Url)
        }
        _ => Some(Location::Path(text.into())),
    }
}

/// A file that was asked for by its place.
fn archive(
    entry: &Entry,
    location: Location,
    subdirectory: Option<String>,
) -> Result<Source, PoetryError> {
    let filename = location.filename();
    let is_it = |file: &&LockedFile| file.file == filename;
    let alone = || entry.files.first().filter(|_| entry.files.len() == 1);
    let locked = entry.files.iter().find(is_it).or_else(alone);
    let digest = digest(&entry.name, &filename, locked)?;
    let size = None;
    if !filename.ends_with(".whl") {
        let file = ArchiveFile { filename, location, digest, size };
        return Ok(Source::Sdist { file, direct: true, subdirectory });
    }
    let filename = WheelFilename::from_str(&filename)
        .map_err(|source| PoetryError::Wheel { package: entry.name.clone(), source })?;
    Ok(Source::Wheel { file: WheelFile { filename, location, digest, size }, direct: true })
}

fn digest(
    package: &PackageName,
    filename: &str,
    file: Option<&LockedFile>,
) -> Result<Digest, PoetryError> {
    let hex = file.and_then(|file| file.hash.strip_prefix("sha256:"));
    hex.and_then(|hex| Digest::from_hex(&hex.to_ascii_lowercase()).ok())
        .ok_or_else(|| PoetryError::Hash { package: package.clone(), file: filename.to_owned() })
}

/// The file that fits the target best.
fn listed(
    entry: &Entry,
    index: Option<Url>,
    target: &Target,
    tags: &Tags,
) -> Result<Listed, PoetryError> {
    let index_name = entry.origin.reference.clone().unwrap_or_default();
    let of_version = |file: &LockedFile| {
        let filename = WheelFilename::from_str(&file.file).ok()?;
        let own = filename.name() == &entry.name && filename.version() == &entry.version;
        own.then(|| (filename, file.clone()))
    };
    let wheels: Vec<(WheelFilename, LockedFile)> =
        entry.files.iter().filter_map(of_version).collect();
    if let Some((filename, file)) = tags.best(&wheels, |(filename, _)| filename) {
        let digest = digest(&entry.name, &file.file, Some(file))?;
        let filename = Filename::Wheel(filename.clone());
        return Ok(Listed { index, index_name, filename, digest });
    }
    let rank = |file: &LockedFile| {
        let (rank, suffix) = SDIST.iter().enumerate().find(|(_, s)| file.file.ends_with(**s))?;
        is_sdist_of(file.file.strip_suffix(suffix)?, &entry.name, &entry.version).then_some(rank)
    };
    let ranked = entry.files.iter().filter_map(|file| Some((rank(file)?, file)));
    if let Some((_, file)) = ranked.min_by_key(|(rank, file)| (*rank, file.file.clone())) {
        let digest = digest(&entry.name, &file.file, Some(file))?;
        let filename = Filename::Sdist(file.file.clone());
        return Ok(Listed { index, index_name, filename, digest });
    }
    if entry.files.is_empty() {
        let (package, file) = (entry.name.clone(), "any file".to_owned());
        return Err(PoetryError::Hash { package, file });
    }
    let names: Vec<&str> = entry.files.iter().map(|file| file.file.as_str()).collect();
    Err(PoetryError::NoFile {
        package: entry.name.clone(),
        version: entry.version.clone(),
        target: target.to_string(),
        files: names.join(", "),
    })
}

/// Whether a file name without its suffix is `name-version`: both may have dashes.
fn is_sdist_of(stem: &str, name: &PackageName, version: &Version) -> bool {
    stem.match_indices('-').any(|(at, _)| {
        let own = PackageName::new(&stem[..at]).is_ok_and(|own| own == *name);
        own && crate::name::parse_version(&stem[at + 1..]).is_some_and(|own| own == *version)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_written_in_many_ways() {
        for (text, expected) in [
            ("https://x/a.git", Some("https://x/a.git")),
            ("git@github.com:o/r.git", Some("ssh://git@github.com/o/r.git")),
            ("ssh://git@host/r", Some("ssh://git@host/r")),
            ("../r", Some("../r")),
            ("file:///r.git", Some("file:///r.git")),
            ("file://None/r.git", Some("file:///r.git")),
            ("--upload-pack=x", None),
            ("ext::sh -c x", None),
            ("", None),
        ] {
            let read = repository(text).map(|location| location.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn source_distributions_are_told_by_name_and_version() {
        for (stem, name, version, expected) in [
            ("PyYAML-6.0", "pyyaml", "6.0", true),
            ("ruamel.yaml-0.17.21", "ruamel-yaml", "0.17.21", true),
            ("a-b-1.0", "a-b", "1.0", true),
            ("a-1.0", "a", "1.0.0", true),
            ("a-1.0-2", "a", "1.0", false),
            ("b-1.0", "a", "1.0", false),
        ] {
            let name = PackageName::new(name).unwrap();
            assert_eq!(is_sdist_of(stem, &name, &version.parse().unwrap()), expected, "{stem}");
        }
    }
}
