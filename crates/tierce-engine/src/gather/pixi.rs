//! Packages in folders of the host that pixi projects install.

use super::error::GatherError;
use super::project::{GatheredProject, MANIFEST};
use super::read::Reader;
use serde::Deserialize;
use serde_saphyr::budget::Budget;
use serde_saphyr::options::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use tierce_spec::locked::plain;
use tierce_spec::{CondaSource, Input, PixiEnvironment, ProjectInstall, SourceOptions};
use toml::{Table, Value};

/// The folder in which pixi has its environments.
const ENVIRONMENTS: &str = ".pixi";

impl Reader<'_> {
    /// Adds the folders and archives of the host that are installed, and their manifests where no
    /// lock says what they require.
    pub(super) fn pixi_locals(
        &self,
        source: &CondaSource,
        read: &mut GatheredProject,
        input: &Input<'_>,
    ) -> Result<(), GatherError> {
        let CondaSource::Pixi(pixi) = source else { return Ok(()) };
        if pixi.install == ProjectInstall::DependenciesOnly {
            return Ok(());
        }
        let content = read.lock.as_ref().map(|lock| lock.content.as_slice());
        let folder = pixi.manifest.parent().unwrap_or(Path::new(""));
        let options = SourceOptions::new().with_ignore([ENVIRONMENTS]);
        for path in named(pixi, &read.manifest.content, content) {
            let at = folder.join(&path);
            let named_by = |error| match error {
                GatherError::Missing { path: at, .. } => {
                    let (path, manifest) = (path.display(), pixi.manifest.display());
                    let what = format!("{path}, which {manifest} installs from,");
                    GatherError::MissingLocal { what, path: at }
                }
                other => other,
            };
            if is_archive(&path) {
                let archive = self.archive(&at, input).map_err(named_by)?;
                read.archives.insert(path, archive);
                continue;
            }
            if read.lock.is_none() && self.at(&at.join(MANIFEST)).exists() {
                let text = self.whole(&at.join(MANIFEST), input)?;
                read.texts.insert(plain(&path.join(MANIFEST).to_string_lossy()), text);
            }
            let source = self.project_folder(&at, input, &options).map_err(named_by)?;
            read.local.insert(path, source);
        }
        Ok(())
    }
}

fn is_archive(path: &Path) -> bool {
    let name = path.to_string_lossy();
    [".whl", ".tar.gz", ".zip"].iter().any(|end| name.ends_with(end))
}

/// What of the host the environment has, relative to the manifest's folder. What is malformed is
/// reported by who reads it for its packages.
fn named(pixi: &PixiEnvironment, manifest: &[u8], lock: Option<&[u8]>) -> BTreeSet<PathBuf> {
    let text = |bytes: &[u8]| std::str::from_utf8(bytes).unwrap_or_default().to_owned();
    let name = pixi.manifest.file_name().unwrap_or_default();
    let declared = of_manifest(&text(manifest), name == MANIFEST, &pixi.environment);
    let declared: BTreeSet<PathBuf> = declared.iter().map(|path| plain(path)).collect();
    let Some(lock) = lock else { return declared };
    // A lock is read by nobody: it must not be the one that names a folder of the host.
    let is_below = |path: &PathBuf| {
        path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    };
    let found = of_lock(&text(lock), &pixi.environment);
    let found = found.iter().map(|path| plain(path));
    found.filter(|path| is_below(path) || declared.contains(path)).collect()
}

#[derive(Deserialize)]
struct Lock {
    environments: BTreeMap<String, Environment>,
}

#[derive(Deserialize)]
struct Environment {
    #[serde(default)]
    packages: BTreeMap<String, Vec<Package>>,
}

#[derive(Deserialize)]
struct Package {
    pypi: Option<String>,
}

/// `pixi.lock`: the packages of the environment on all platforms that are at no URL.
fn of_lock(lock: &str, environment: &str) -> Vec<String> {
    let mut options = Options::default();
    let mut budget = Budget::default();
    budget.max_events = 16_000_000;
    budget.max_nodes = 8_000_000;
    budget.max_reader_input_bytes = Some(lock.len());
    budget.max_total_scalar_bytes = lock.len();
    options.budget = Some(budget);
    let Ok(mut lock) = serde_saphyr::from_str_with_options::<Lock>(lock, options) else {
        return vec![];
    };
    let packages = lock.environments.remove(environment).map(|found| found.packages);
    let packages = packages.into_iter().flat_map(BTreeMap::into_values).flatten();
    let places = packages.filter_map(|package| package.pypi);
    places.filter(|place| !place.contains("://")).collect()
}

/// A manifest: `path` of what its features that are in the environment have in
/// `pypi-dependencies`, for any platform.
fn of_manifest(manifest: &str, is_pyproject: bool, environment: &str) -> Vec<String> {
    let Ok(manifest) = manifest.parse::<Table>() else { return vec![] };
    let table = |table: &Table, key: &str| table.get(key).and_then(Value::as_table).cloned();
    let root = match is_pyproject {
        true => table(&manifest, "tool").and_then(|tool| table(&tool, "pixi")),
        false => Some(manifest),
    };
    let Some(root) = root else { return vec![] };
    let declared = table(&root, "environments").and_then(|all| all.get(environment).cloned());
    let list = match &declared {
        Some(Value::Table(of)) => of.get("features").cloned(),
        other => other.clone(),
    };
    let names: Vec<String> = list
        .and_then(|list| list.as_array().cloned())
        .unwrap_or_default()
        .iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let without_default =
        declared.and_then(|of| of.get("no-default-feature")?.as_bool()).unwrap_or_default();
    let all = table(&root, "feature").unwrap_or_default();
    let mut features: Vec<Table> = names.iter().filter_map(|name| table(&all, name)).collect();
    if !without_default {
        features.push(root);
    }
    let mut found = vec![];
    for feature in &features {
        let targets = table(feature, "target").unwrap_or_default();
        let targets = targets.values().filter_map(Value::as_table);
        for dependencies in targets.chain([feature]).filter_map(|t| table(t, "pypi-dependencies")) {
            let paths = dependencies.values().filter_map(|spec| spec.get("path")?.as_str());
            found.extend(paths.map(str::to_owned));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_name_folders_of_their_environment() {
        let lock = "version: 6\nenvironments:\n  default:\n    channels:\n    - url: https://c/\n    packages:\n      \
                    linux-64:\n      - conda: https://c/a-1-0.conda\n      - pypi: https://x/y.whl\n      - pypi: ./\n      \
                    osx-64:\n      - pypi: ../lib\n  other:\n    channels: []\n    packages:\n      linux-64:\n      \
                    - pypi: ./other\npackages:\n- pypi: ./\n  name: mine\n  editable: true\n";
        let pixi = PixiEnvironment::new("pixi.toml");
        let found = |manifest: &[u8]| -> Vec<PathBuf> {
            named(&pixi, manifest, Some(lock.as_bytes())).into_iter().collect()
        };
        assert_eq!(found(b""), [PathBuf::from(".")]);
        let manifest = b"[pypi-dependencies]\nlib = { path = '../lib/' }\n";
        assert_eq!(found(manifest), [PathBuf::from("."), PathBuf::from("../lib")]);
        assert!(named(&pixi, b"", Some(b"[")).is_empty());
    }

    #[test]
    fn manifests_name_folders_of_their_environment() {
        let text = "[pypi-dependencies]\nmine = { path = '.', editable = true }\nsix = '*'\n\
                    [target.linux-64.pypi-dependencies]\nfast = { path = './fast/' }\n\
                    [feature.a.pypi-dependencies]\nlib = { path = '../lib' }\n\
                    [feature.b.pypi-dependencies]\nb = { path = 'b' }\n\
                    [environments]\nx = ['a']\ny = { features = ['a'], no-default-feature = true }\n";
        let nested = text.replace('[', "[tool.pixi.").replace("= [tool.pixi.", "= [");
        for (name, text) in [("pixi.toml", text), ("pyproject.toml", &nested)] {
            for (environment, expected) in [
                ("default", &[".", "fast"][..]),
                ("x", &["../lib", ".", "fast"]),
                ("y", &["../lib"]),
            ] {
                let environment = environment.to_owned();
                let pixi = PixiEnvironment { environment, ..PixiEnvironment::new(name) };
                let mut found: Vec<PathBuf> =
                    named(&pixi, text.as_bytes(), None).into_iter().collect();
                found.sort();
                let mut expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
                expected.sort();
                assert_eq!(found, expected, "{name} {}", pixi.environment);
            }
        }
    }
}
