//! `pylock.toml` (PEP 751) as far as one target is concerned: reading and canonical writing.

use crate::location::{Location, LocationError};
use crate::lock::{ArchiveFile, LockedPackage, Source, WheelFile};
use crate::name::{FilenameError, NameError, PackageName, WheelFilename};
use crate::pylock_selection::{Chosen, Offered, PylockSelection};
use crate::target::{Tags, Target};
use pep440_rs::Version;
use pep508_rs::{MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Component, Path};
use std::str::FromStr;
use tierce_oci::Digest;

/// Why a `pylock.toml` can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PylockError {
    /// It is not UTF-8.
    #[error("the lock file is not UTF-8")]
    NotUtf8,
    /// It is not TOML of the right shape.
    #[error("the lock file is not a valid pylock.toml")]
    Toml(#[from] Box<toml::de::Error>),
    /// The format's major version is unknown.
    #[error("the lock file has version {0}, only 1.x is known")]
    Version(String),
    /// A package's name is none.
    #[error("the lock file names a package badly")]
    Name(#[from] NameError),
    /// A package's version is none.
    #[error("{package} has the malformed version {version:?}")]
    PackageVersion {
        /// The package.
        package: PackageName,
        /// The version.
        version: String,
    },
    /// A marker can't be evaluated.
    #[error("{package} has the marker {marker:?}, which can't be evaluated")]
    Marker {
        /// The package.
        package: PackageName,
        /// The marker.
        marker: String,
    },
    /// An extra that is asked for is none of the lock's.
    #[error("the lock file has no extra {name:?}; there are {known}")]
    UnknownExtra {
        /// The extra.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A group that is asked for is none of the lock's.
    #[error("the lock file has no dependency group {name:?}; there are {known}")]
    UnknownGroup {
        /// The group.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A package is there twice.
    #[error("{0} is locked twice for one target")]
    Twice(PackageName),
    /// A wheel's name is none.
    #[error("{package} has a badly named wheel")]
    Wheel {
        /// The package.
        package: PackageName,
        /// Why.
        #[source]
        source: FilenameError,
    },
    /// A file's place is none.
    #[error("{package} has a file without a usable place")]
    Location {
        /// The package.
        package: PackageName,
        /// Why.
        #[source]
        source: LocationError,
    },
    /// A repository's commit is not told.
    #[error("{package} has {commit:?} where the full hash of a commit is due")]
    Commit {
        /// The package.
        package: PackageName,
        /// What is there.
        commit: String,
    },
    /// A project's directory is outside of its repository.
    #[error("{package} is in the subdirectory {path:?}, which is outside of its repository")]
    Subdirectory {
        /// The package.
        package: PackageName,
        /// The directory.
        path: String,
    },
    /// A file has no SHA-256.
    #[error("{package}: {file} has no valid sha256 hash")]
    Hash {
        /// The package.
        package: PackageName,
        /// The file.
        file: String,
    },
    /// A package has wheels, but none for the target, and no source.
    #[error(
        "{package} {version} has no wheel for {target} and no source distribution; there are {wheels}"
    )]
    NoFile {
        /// The package.
        package: PackageName,
        /// Its version.
        version: String,
        /// The target, made readable.
        target: String,
        /// The wheels that there are.
        wheels: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    lock_version: String,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    dependency_groups: Vec<String>,
    #[serde(default)]
    default_groups: Vec<String>,
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    #[serde(default)]
    wheels: Vec<Remote>,
    sdist: Option<Remote>,
    archive: Option<Remote>,
    vcs: Option<Vcs>,
    directory: Option<Directory>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize)]
struct Remote {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Vcs {
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
    path: Option<String>,
    requested_revision: Option<String>,
    commit_id: String,
    subdirectory: Option<String>,
}

#[derive(Deserialize)]
struct Directory {
    // Not whether it is editable: an image has no such place, so a wheel is built of it.
    path: String,
    subdirectory: Option<String>,
}

#[derive(Default, Deserialize)]
struct Tool {
    #[serde(default)]
    tierce: TierceTool,
}

#[derive(Default, Deserialize)]
struct TierceTool {
    #[serde(default)]
    requested: bool,
}

/// The packages of a lock for one target, sorted by name, with the best file of each.
pub(crate) fn read(
    bytes: &[u8],
    target: &Target,
    selection: &PylockSelection,
) -> Result<Vec<LockedPackage>, PylockError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PylockError::NotUtf8)?;
    let file: File = toml::from_str(text).map_err(|e| PylockError::Toml(Box::new(e)))?;
    if file.lock_version.split('.').next() != Some("1") {
        return Err(PylockError::Version(file.lock_version));
    }
    let chosen = selection.of(Offered {
        extras: &file.extras,
        groups: &file.dependency_groups,
        default_groups: &file.default_groups,
    })?;
    let tags = target.tags();
    let environment = marker_environment(target);
    let mut packages = BTreeMap::new();
    for package in file.packages {
        let name = PackageName::new(&package.name)?;
        if let Some(marker) = &package.marker
            && !applies(&name, marker, &chosen, environment.as_ref())?
        {
            continue;
        }
        let package = resolve(name, package, target, &tags)?;
        if let Some(twice) = packages.insert(package.name.clone(), package) {
            return Err(PylockError::Twice(twice.name));
        }
    }
    Ok(packages.into_values().collect())
}

fn applies(
    package: &PackageName,
    marker: &str,
    chosen: &Chosen,
    environment: Option<&MarkerEnvironment>,
) -> Result<bool, PylockError> {
    let bad = || PylockError::Marker { package: package.clone(), marker: marker.to_owned() };
    let tree = MarkerTree::from_str(&chosen.answered(marker)).map_err(|_| bad())?;
    Ok(tree.evaluate(environment.ok_or_else(bad)?, &[]))
}

/// What markers are evaluated in (dependency specifiers, "Environment markers").
pub(crate) fn marker_environment(target: &Target) -> Option<MarkerEnvironment> {
    let python = target.python();
    let full = format!("{}.{}", python.short(), python.micro().unwrap_or(0));
    MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
        implementation_name: "cpython",
        implementation_version: &full,
        os_name: "posix",
        platform_machine: target.machine(),
        platform_python_implementation: "CPython",
        platform_release: "",
        platform_system: "Linux",
        platform_version: "",
        python_full_version: &full,
        python_version: &python.short(),
        sys_platform: "linux",
    })
    .ok()
}

impl Target {
    /// Whether a marker (dependency specifiers, "Environment markers") holds on the target. What is
    /// none does: whoever reads the requirement says so.
    pub fn has_marker(&self, marker: &str) -> bool {
        // The parser panics over some text that is far from any marker.
        let parsed = std::panic::catch_unwind(|| MarkerTree::from_str(marker).ok());
        match (parsed.ok().flatten(), marker_environment(self)) {
            (Some(marker), Some(environment)) => marker.evaluate(&environment, &[]),
            _ => true,
        }
    }
}

fn resolve(
    name: PackageName,
    package: Package,
    target: &Target,
    tags: &Tags,
) -> Result<LockedPackage, PylockError> {
    let version = package
        .version
        .map(|version| {
            Version::from_str(&version)
                .map_err(|_| PylockError::PackageVersion { package: name.clone(), version })
        })
        .transpose()?;
    let source = if let Some(vcs) = package.vcs {
        check_commit(&name, &vcs)?;
        let location = location(&name, vcs.url, vcs.path)?;
        Source::Vcs(crate::lock::VcsSource {
            kind: vcs.kind,
            location,
            requested_revision: vcs.requested_revision,
            commit: vcs.commit_id,
            subdirectory: vcs.subdirectory,
        })
    } else if let Some(directory) = package.directory {
        let Directory { path, subdirectory } = directory;
        Source::Directory { path: path.into(), subdirectory }
    } else if let Some(archive) = package.archive {
        archive_source(&name, archive)?
    } else {
        index_source(&name, version.as_ref(), package.wheels, package.sdist, target, tags)?
    };
    Ok(LockedPackage { name, version, source, requested: package.tool.tierce.requested })
}

/// What is locked does not move, and is a part of its repository. Neither may be an option of a
/// program's.
fn check_commit(package: &PackageName, vcs: &Vcs) -> Result<(), PylockError> {
    let commit = &vcs.commit_id;
    let is_full = match vcs.kind.as_str() {
        "svn" => !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_digit()),
        _ => matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit()),
    };
    if !is_full {
        return Err(PylockError::Commit { package: package.clone(), commit: commit.clone() });
    }
    let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    match &vcs.subdirectory {
        Some(path) if !Path::new(path).components().all(is_below) => {
            Err(PylockError::Subdirectory { package: package.clone(), path: path.clone() })
        }
        _ => Ok(()),
    }
}

fn location(
    package: &PackageName,
    url: Option<String>,
    path: Option<String>,
) -> Result<Location, PylockError> {
    Location::from_lock(url, path)
        .map_err(|source| PylockError::Location { package: package.clone(), source })
}

fn archive_source(package: &PackageName, archive: Remote) -> Result<Source, PylockError> {
    let subdirectory = archive.subdirectory.clone();
    let file = archive_file(package, archive)?;
    if !file.filename.ends_with(".whl") {
        return Ok(Source::Sdist { file, direct: true, subdirectory });
    }
    let wheel = wheel_file(package, file)?;
    Ok(Source::Wheel { file: wheel, direct: true })
}

fn index_source(
    package: &PackageName,
    version: Option<&Version>,
    wheels: Vec<Remote>,
    sdist: Option<Remote>,
    target: &Target,
    tags: &Tags,
) -> Result<Source, PylockError> {
    let wheels: Vec<WheelFile> = wheels
        .into_iter()
        .map(|remote| archive_file(package, remote).and_then(|file| wheel_file(package, file)))
        .collect::<Result<_, _>>()?;
    let names: Vec<&str> = wheels.iter().map(|w| w.filename.as_str()).collect();
    let names = names.join(", ");
    if let Some(best) = tags.best(&wheels, |wheel| &wheel.filename) {
        return Ok(Source::Wheel { file: best.clone(), direct: false });
    }
    match sdist {
        Some(sdist) => {
            let file = archive_file(package, sdist)?;
            Ok(Source::Sdist { file, direct: false, subdirectory: None })
        }
        None => Err(PylockError::NoFile {
            package: package.clone(),
            version: version.map(Version::to_string).unwrap_or_default(),
            target: target.to_string(),
            wheels: if names.is_empty() { "none".to_owned() } else { names },
        }),
    }
}

fn archive_file(package: &PackageName, remote: Remote) -> Result<ArchiveFile, PylockError> {
    let location = location(package, remote.url, remote.path)?;
    let filename = remote.name.unwrap_or_else(|| location.filename());
    let digest = remote
        .hashes
        .get("sha256")
        .and_then(|hex| Digest::from_hex(&hex.to_ascii_lowercase()).ok())
        .ok_or_else(|| PylockError::Hash { package: package.clone(), file: filename.clone() })?;
    Ok(ArchiveFile { filename, location, digest, size: remote.size })
}

fn wheel_file(package: &PackageName, file: ArchiveFile) -> Result<WheelFile, PylockError> {
    let filename = WheelFilename::from_str(&file.filename)
        .map_err(|source| PylockError::Wheel { package: package.clone(), source })?;
    Ok(WheelFile { filename, location: file.location, digest: file.digest, size: file.size })
}

/// Writes packages as a `pylock.toml` that holds what will be installed and nothing else: one
/// file for each package, no dates, no sizes (not every index tells them), no credentials.
pub(crate) fn write(target: &Target, packages: &[LockedPackage]) -> String {
    let mut text = format!(
        "lock-version = \"1.0\"\ncreated-by = \"tierce\"\nrequires-python = \"=={}.*\"\n",
        target.python().short()
    );
    if packages.is_empty() {
        text.push_str("packages = []\n");
    }
    for package in packages {
        text.push_str("\n[[packages]]\n");
        text.push_str(&format!("name = {}\n", quote(package.name.as_str())));
        if let Some(version) = &package.version {
            text.push_str(&format!("version = {}\n", quote(&version.to_string())));
        }
        text.push_str(&write_source(&package.source));
        text.push('\n');
        if package.requested {
            text.push_str("\n[packages.tool.tierce]\nrequested = true\n");
        }
    }
    text.push_str(&format!(
        "\n[tool.tierce]\npython = {}\nplatform = {}\nlibc = {}\n",
        quote(&target.python().to_string()),
        quote(&target.platform().to_string()),
        quote(&target.libc().to_string()),
    ));
    text
}

fn write_source(source: &Source) -> String {
    let mut fields = Vec::new();
    let optional = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{key} = {}", quote(value)))
    };
    let file = |filename: &str, location: &Location, digest: &Digest| {
        vec![
            format!("name = {}", quote(filename)),
            place(location),
            format!("hashes = {{ sha256 = {} }}", quote(&digest.hex())),
        ]
    };
    match source {
        Source::Wheel { file: wheel, direct } => {
            let fields = file(wheel.filename.as_str(), &wheel.location, &wheel.digest).join(", ");
            match direct {
                true => format!("archive = {{ {fields} }}"),
                false => format!("wheels = [{{ {fields} }}]"),
            }
        }
        Source::Sdist { file: sdist, direct, subdirectory } => {
            fields.extend(file(&sdist.filename, &sdist.location, &sdist.digest));
            fields.extend(optional("subdirectory", subdirectory));
            let key = if *direct { "archive" } else { "sdist" };
            format!("{key} = {{ {} }}", fields.join(", "))
        }
        Source::Vcs(vcs) => {
            fields.push(format!("type = {}", quote(&vcs.kind)));
            fields.push(place(&vcs.location));
            fields.extend(optional("requested-revision", &vcs.requested_revision));
            fields.push(format!("commit-id = {}", quote(&vcs.commit)));
            fields.extend(optional("subdirectory", &vcs.subdirectory));
            format!("vcs = {{ {} }}", fields.join(", "))
        }
        Source::Directory { path, subdirectory } => {
            fields.push(format!("path = {}", quote(&path.to_string_lossy())));
            fields.extend(optional("subdirectory", subdirectory));
            format!("directory = {{ {} }}", fields.join(", "))
        }
    }
}

fn place(location: &Location) -> String {
    match location {
        Location::Url(_) => format!("url = {}", quote(&location.without_credentials())),
        Location::Path(path) => format!("path = {}", quote(&path.to_string_lossy())),
    }
}

fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push_str(&format!("\\U{:08X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What a `pylock.toml` says of interpreters (`requires-python`), where the target's is not
/// allowed.
pub fn required_python(pylock: &[u8], target: &Target) -> Option<String> {
    let table: toml::Table = std::str::from_utf8(pylock).ok()?.parse().ok()?;
    let requires = table.get("requires-python")?.as_str()?;
    (!crate::uv_project::allows(requires, target)).then(|| requires.to_owned())
}
