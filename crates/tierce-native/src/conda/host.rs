//! Python packages of the host in pixi projects: they are built to wheels, as those of other
//! projects are.

use super::error::CondaError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_conda::{ForeignLock, PypiFile, PypiPlace};
use tierce_engine::{Gathered, GatheredProject, Source};
use tierce_spec::locked::plain;
use tierce_spec::{CondaSource, PixiEnvironment, ProjectInstall, Step};
use tierce_wheel::PackageName;
use toml::{Table, Value};

/// A path of a manifest or lock, as the image's paths have it: what a package of the host is known
/// by.
fn placed(pixi: &PixiEnvironment, path: &str) -> PathBuf {
    let folder = pixi.manifest.parent().unwrap_or(Path::new(""));
    plain(&folder.join(path).to_string_lossy())
}

/// The folders of the host that packages are built from, by what they are known by.
pub fn folders(gathered: &Gathered) -> BTreeMap<PathBuf, &Source> {
    let mut all = BTreeMap::new();
    for (index, step) in gathered.resolved.image().steps().iter().enumerate() {
        let Step::Conda(conda) = step else { continue };
        let (CondaSource::Pixi(pixi), Some(read)) = (&conda.source, gathered.conda.get(&index))
        else {
            continue;
        };
        let place = |path: &PathBuf| placed(pixi, &path.to_string_lossy());
        all.extend(read.local.iter().map(|(path, source)| (place(path), source)));
    }
    all
}

/// Where a package of the host is, as the image's paths have it.
fn place(pixi: &PixiEnvironment, read: &GatheredProject, path: &str) -> PypiPlace {
    let known = placed(pixi, path).to_string_lossy().into_owned();
    match read.archives.get(&plain(path)) {
        Some(archive) => PypiPlace::Archive { path: known, sha256: archive.digest },
        None => PypiPlace::Folder(known),
    }
}

/// What a lock has of the host, as the image's paths have it; nothing, where the code comes into
/// the image by other steps.
pub fn of_lock(lock: &mut ForeignLock, pixi: &PixiEnvironment, read: &GatheredProject) {
    if pixi.install == ProjectInstall::DependenciesOnly {
        lock.pypi.retain(|package| !matches!(package.place, PypiPlace::Folder(_)));
    }
    for package in &mut lock.pypi {
        if let PypiPlace::Folder(path) = &package.place {
            package.place = place(pixi, read, path);
        }
    }
}

/// Packages in folders of the host that no lock says anything about.
#[derive(Debug, Default)]
pub struct Unlocked {
    /// The packages.
    packages: Vec<PypiFile>,
    /// What they require.
    requirements: Vec<String>,
}

impl Unlocked {
    /// Adds a package that is called `name`, with extras, in the folder `path`.
    pub fn add(
        &mut self,
        name: &str,
        path: &str,
        pixi: &PixiEnvironment,
        read: &GatheredProject,
    ) -> Result<(), CondaError> {
        let manifest = plain(&Path::new(path).join("pyproject.toml").to_string_lossy());
        let text = read.texts.get(&manifest).map(|file| String::from_utf8_lossy(&file.content));
        let table = text.and_then(|text| text.parse::<Table>().ok());
        let (bare, extras) = split(name);
        let requires = table.as_ref().and_then(|table| requirements(table, &extras));
        let unknown = || CondaError::Folder { name: bare.to_owned(), path: path.to_owned() };
        self.requirements.extend(requires.ok_or_else(unknown)?);
        self.packages.push(PypiFile {
            name: bare.to_owned(),
            version: None,
            place: place(pixi, read, path),
            requires: vec![],
            requirements: vec![],
        });
        Ok(())
    }

    /// The packages as a lock has them, and what they require beside each other.
    pub fn finish(self) -> (ForeignLock, Vec<String>) {
        let names: Vec<PackageName> = self
            .packages
            .iter()
            .filter_map(|package| PackageName::new(&package.name).ok())
            .collect();
        let is_one = |requirement: &String| {
            PackageName::new(split(requirement).0).is_ok_and(|name| names.contains(&name))
        };
        let requirements = self.requirements.into_iter().filter(|one| !is_one(one)).collect();
        (ForeignLock { pypi: self.packages, ..ForeignLock::default() }, requirements)
    }
}

/// The name that a requirement begins with, and its extras.
fn split(requirement: &str) -> (&str, Vec<&str>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let end = requirement.find(|c| !is_word(c)).unwrap_or(requirement.len());
    let (name, rest) = requirement.split_at(end);
    let extras = rest.trim_start().strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let extras = extras.map(|(extras, _)| extras.split(',').map(str::trim).collect());
    (name, extras.unwrap_or_default())
}

/// What a project's metadata says that it requires (the `[project]` table of the `pyproject.toml`
/// specification); `None` where that is only known once it is built.
fn requirements(manifest: &Table, extras: &[&str]) -> Option<Vec<String>> {
    let project = manifest.get("project")?.as_table()?;
    let strings = |value: Option<&Value>| -> Vec<String> {
        let items = value.and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let dynamic = strings(project.get("dynamic"));
    let is_dynamic = |key: &str| dynamic.iter().any(|field| field == key);
    if is_dynamic("dependencies") || (!extras.is_empty() && is_dynamic("optional-dependencies")) {
        return None;
    }
    let mut all = strings(project.get("dependencies"));
    let optional = project.get("optional-dependencies").and_then(Value::as_table);
    for (name, list) in optional.into_iter().flatten() {
        let normal = |name: &str| PackageName::new(name).ok();
        if extras.iter().any(|extra| *extra == name || normal(extra) == normal(name)) {
            all.extend(strings(Some(list)));
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_without_a_build_is_known() {
        let of = |text: &str, extras: &[&str]| requirements(&text.parse().unwrap(), extras);
        let text = "[project]\nname = 'x'\ndependencies = ['a>1']\n\
                    [project.optional-dependencies]\nMore_Of = ['b']\nother = ['c']\n";
        assert_eq!(of(text, &[]).unwrap(), ["a>1"]);
        assert_eq!(of(text, &["more-of"]).unwrap(), ["a>1", "b"]);
        assert_eq!(of("[project]\nname = 'x'\ndynamic = ['version']\n", &[]).unwrap(), [""; 0]);
        assert_eq!(of("[project]\nname = 'x'\ndynamic = ['dependencies']\n", &[]), None);
        assert_eq!(of("[tool.poetry]\nname = 'x'\n", &[]), None);
        assert_eq!(split("a.b-c [x, y] >=1"), ("a.b-c", vec!["x", "y"]));
    }
}
