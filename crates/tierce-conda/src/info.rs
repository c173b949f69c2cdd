//! What a package says of itself: the files in its `info/` (conda's "Package specification").

use crate::error::PackageProblem;
use crate::lock::{Noarch, is_relative};
use rattler_conda_types::package::{
    EntryPoint, FileMode, HasPrefix, NoLink, PackageFile, PathType, PathsEntry, PathsJson,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use tierce_layer::EntryKind;
use tierce_oci::Digest;

/// The files that are looked at.
pub(crate) const FILES: [&str; 6] =
    ["index.json", "paths.json", "link.json", "files", "has_prefix", "no_link"];

/// What a package says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PackageInfo {
    /// Whether and how it is independent of the platform.
    pub noarch: Option<Noarch>,
    /// What it installs, sorted by path; the paths are relative to the prefix, before modules of
    /// noarch Python packages get their place.
    pub paths: Vec<PackagePath>,
    /// The programs that an installer makes for it.
    pub entry_points: Vec<EntryPointScript>,
    /// Its `index.json`.
    pub index: Map<String, Value>,
}

/// Something that a package installs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackagePath {
    /// Where in the package it is.
    pub path: String,
    /// What it is.
    pub kind: PathKind,
    /// The prefix in it that is to be replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<Placeholder>,
    /// Whether installers must copy it; to a layer it is all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_link: bool,
    /// Its digest in the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Its size in the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// What something that a package installs is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathKind {
    /// A file: a `hardlink`, as paths.json calls it.
    File,
    /// A symbolic link.
    Symlink,
    /// A directory that would be empty otherwise.
    Directory,
}

/// The prefix that a package was built for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placeholder {
    /// The prefix.
    pub prefix: String,
    /// How it is replaced.
    pub mode: PrefixMode,
}

/// How a prefix is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrefixMode {
    /// As text; the file gets another size.
    Text,
    /// In strings that end with NUL, which keep their size.
    Binary,
}

/// A program that an installer makes for a noarch Python package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPointScript {
    /// Its file name.
    pub name: String,
    /// The module to import.
    pub module: String,
    /// The callable in it, dotted.
    pub function: String,
}

pub(crate) fn kind_of(kind: &EntryKind) -> PathKind {
    match kind {
        EntryKind::Directory => PathKind::Directory,
        EntryKind::Symlink { .. } => PathKind::Symlink,
        _ => PathKind::File,
    }
}

fn malformed(file: &'static str, problem: impl ToString) -> PackageProblem {
    PackageProblem::Metadata { file, problem: problem.to_string() }
}

#[derive(Deserialize)]
struct Link {
    #[serde(default)]
    noarch: Option<NoarchLink>,
}

#[derive(Deserialize)]
struct NoarchLink {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    entry_points: Vec<String>,
}

/// Reads the metadata files, given by their names below `info/`. `contents` are the kinds of what
/// the archive has, for packages that don't tell them.
pub(crate) fn read(
    mut files: BTreeMap<String, Vec<u8>>,
    contents: &BTreeMap<String, PathKind>,
) -> Result<PackageInfo, PackageProblem> {
    const INDEX: &str = "info/index.json";
    let index = files.remove("index.json").ok_or(PackageProblem::NoMetadata(INDEX))?;
    let index: Map<String, Value> =
        serde_json::from_slice(&index).map_err(|error| malformed(INDEX, error))?;
    let noarch = match index.get("noarch") {
        Some(Value::String(kind)) if kind == "python" => Some(Noarch::Python),
        Some(Value::String(_) | Value::Bool(true)) => Some(Noarch::Generic),
        _ => None,
    };
    let entry_points = match files.remove("link.json") {
        Some(link) if noarch == Some(Noarch::Python) => entry_points(&link)?,
        _ => Vec::new(),
    };
    let entries = match files.remove("paths.json") {
        Some(paths) => {
            let paths: PathsJson = serde_json::from_slice(&paths)
                .map_err(|error| malformed("info/paths.json", error))?;
            paths.paths
        }
        None => deprecated(&files, contents)?,
    };
    let mut paths = entries.into_iter().map(path_of).collect::<Result<Vec<_>, _>>()?;
    paths.sort_by(|a, b| a.path.cmp(&b.path));
    if let Some(pair) = paths.windows(2).find(|pair| pair[0].path == pair[1].path) {
        return Err(PackageProblem::path(&pair[0].path, "it is listed twice"));
    }
    Ok(PackageInfo { noarch, paths, entry_points, index })
}

fn entry_points(link: &[u8]) -> Result<Vec<EntryPointScript>, PackageProblem> {
    const LINK: &str = "info/link.json";
    let link: Link = serde_json::from_slice(link).map_err(|error| malformed(LINK, error))?;
    let Some(noarch) = link.noarch.filter(|noarch| noarch.kind == "python") else {
        return Ok(Vec::new());
    };
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for text in noarch.entry_points {
        // Its own checks: a plain file name, and dotted identifiers, since they become code.
        let point = EntryPoint::from_str(&text).map_err(|error| malformed(LINK, error))?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && c != '/';
        if !point.command.chars().all(plain) {
            return Err(malformed(LINK, format!("{:?} is no name of a program", point.command)));
        }
        if seen.insert(point.command.clone()) {
            out.push(EntryPointScript {
                name: point.command,
                module: point.module,
                function: point.function,
            });
        }
    }
    out.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(out)
}

/// Packages from before paths.json: three lists instead of one.
fn deprecated(
    files: &BTreeMap<String, Vec<u8>>,
    contents: &BTreeMap<String, PathKind>,
) -> Result<Vec<PathsEntry>, PackageProblem> {
    let text = |name: &str, file: &'static str| match files.get(name) {
        None => Ok(None),
        Some(bytes) => std::str::from_utf8(bytes).map(Some).map_err(|e| malformed(file, e)),
    };
    let list = text("files", "info/files")?.ok_or(PackageProblem::NoMetadata("info/paths.json"))?;
    let list = rattler_conda_types::package::Files::from_str(list)
        .map_err(|error| malformed("info/files", error))?;
    let has_prefix = text("has_prefix", "info/has_prefix")?
        .map(HasPrefix::from_str)
        .transpose()
        .map_err(|error| malformed("info/has_prefix", error))?;
    let no_link = text("no_link", "info/no_link")?
        .map(NoLink::from_str)
        .transpose()
        .map_err(|error| malformed("info/no_link", error))?;
    let paths = PathsJson::from_deprecated(list, has_prefix, no_link, None, |path| {
        let path = path.to_string_lossy();
        match contents.get(path.as_ref()) {
            Some(PathKind::File) => Ok(PathType::HardLink),
            Some(PathKind::Symlink) => Ok(PathType::SoftLink),
            Some(PathKind::Directory) => Ok(PathType::Directory),
            None => Err(PackageProblem::path(&path, "it is listed and not there")),
        }
    })?;
    Ok(paths.paths)
}

fn path_of(entry: PathsEntry) -> Result<PackagePath, PackageProblem> {
    let path = entry
        .relative_path
        .to_str()
        .ok_or_else(|| malformed("info/paths.json", "a path is not UTF-8"))?
        .to_owned();
    if !is_relative(&path) {
        return Err(PackageProblem::path(&path, "its path leads out of the environment"));
    }
    if path.chars().any(char::is_control) {
        return Err(PackageProblem::path(&path, "its path has a control character"));
    }
    // conda's own directory: a package that writes there speaks for others.
    if path.split('/').next() == Some("conda-meta") && path.ends_with(".json") {
        return Err(PackageProblem::path(&path, "its path is one of an installer's records"));
    }
    Ok(PackagePath {
        path,
        kind: match entry.path_type {
            PathType::HardLink => PathKind::File,
            PathType::SoftLink => PathKind::Symlink,
            PathType::Directory => PathKind::Directory,
        },
        placeholder: entry.prefix_placeholder.filter(|p| !p.placeholder.is_empty()).map(|p| {
            Placeholder {
                prefix: p.placeholder,
                mode: match p.file_mode {
                    FileMode::Text => PrefixMode::Text,
                    FileMode::Binary => PrefixMode::Binary,
                },
            }
        }),
        no_link: entry.no_link,
        sha256: entry.sha256.map(|hash| Digest::from_bytes(hash.into())),
        size: entry.size_in_bytes,
    })
}
