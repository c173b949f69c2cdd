//! Whether a lock still says what the manifest asks for: its Python packages.

use super::pyproject::split;
use super::{PixiRequirements, PypiRequirement};
use crate::foreign::{ForeignLock, PypiFile, PypiPlace, bare_index, git_address, normalized};
use pep508_rs::{
    ExtraName, MarkerEnvironment, MarkerEnvironmentBuilder, MarkerTree, Requirement, VersionOrUrl,
};
use std::collections::BTreeSet;
use std::str::FromStr;
use url::Url;

/// The index of those that name none.
const PYPI: &str = "https://pypi.org/simple";

type Pep508 = Requirement<Url>;

impl ForeignLock {
    /// What differs of what is asked for.
    pub(super) fn compare_pypi(&self, wanted: &PixiRequirements, differences: &mut Vec<String>) {
        self.compare_indexes(wanted, differences);
        let environment = self.markers();
        let options = &wanted.pypi_options;
        for requirement in &wanted.pypi {
            let difference = match requirement {
                PypiRequirement::Folder { name, path } => {
                    self.other_folder(name, path, environment.as_ref())
                }
                // What is overridden is not what is asked for.
                PypiRequirement::Requirement(text) if options.overrides(split(text).0) => None,
                PypiRequirement::Requirement(text) => {
                    self.unsatisfied_pypi(text, environment.as_ref())
                }
            };
            differences.extend(difference);
        }
    }

    /// The first index counts for more than the others. Those of single packages are not among
    /// the lock's.
    fn compare_indexes(&self, wanted: &PixiRequirements, differences: &mut Vec<String>) {
        if self.indexes.is_empty() || self.pypi.is_empty() {
            return;
        }
        let options = &wanted.pypi_options;
        let first = options.index_url.is_none().then(|| PYPI.to_owned());
        let asked: Vec<String> = first.into_iter().chain(options.indexes()).collect();
        let own: BTreeSet<String> = options.of_packages().collect();
        let locked: Vec<String> = self.indexes.iter().map(|url| bare_index(url)).collect();
        let all = |urls: &[String]| -> BTreeSet<String> {
            urls.iter().filter(|url| !own.contains(*url)).cloned().collect()
        };
        if asked.first() != locked.first() || all(&asked) != all(&locked) {
            differences.push(format!(
                "its package indexes are {}, and the manifest's {}",
                locked.join(", "),
                asked.join(", ")
            ));
        }
    }

    fn python_file(&self, name: &str) -> Option<&PypiFile> {
        let key = normalized(name);
        self.pypi.iter().find(|package| normalized(&package.name) == key)
    }

    /// Whether a package is there, of conda's or not: pixi takes those of conda's that are Python
    /// packages for installed.
    fn has_python(&self, name: &str) -> bool {
        let key = normalized(name);
        self.python_file(name).is_some()
            || self.packages.iter().any(|package| normalized(&package.name) == key)
    }

    fn other_folder(
        &self,
        name: &str,
        path: &str,
        environment: Option<&MarkerEnvironment>,
    ) -> Option<String> {
        let Some(found) = self.python_file(split(name).0) else {
            return Some(format!("{name} is not in it"));
        };
        match &found.place {
            PypiPlace::Folder(there) | PypiPlace::Archive { path: there, .. }
                if plain(there) == plain(path) =>
            {
                self.missing_extra(name, &Pep508::from_str(name).ok()?.extras, found, environment)
            }
            place => Some(format!(
                "{name} is asked for from {path}, and it has it from {}",
                shown(place)
            )),
        }
    }

    fn unsatisfied_pypi(
        &self,
        text: &str,
        environment: Option<&MarkerEnvironment>,
    ) -> Option<String> {
        let (name, _) = split(text);
        let parsed = Pep508::from_str(text).ok();
        let marker = parsed.as_ref().map(|parsed| &parsed.marker);
        let applies = match (marker, environment) {
            (Some(marker), Some(environment)) => Some(marker.evaluate(environment, &[])),
            (Some(marker), None) if *marker != MarkerTree::TRUE => None,
            (Some(_), None) | (None, _) => Some(true),
        };
        if applies == Some(false) {
            return None;
        }
        let found = self.python_file(name);
        let key = normalized(name);
        let conda = || self.packages.iter().find(|package| normalized(&package.name) == key);
        let Some(version) =
            found.map(|p| p.version.clone()).or_else(|| conda().map(|c| Some(c.version.clone())))
        else {
            // Whether it has to be there is not known where nothing says for which Python.
            return (applies == Some(true)).then(|| format!("{text} is not in it"));
        };
        let parsed = parsed?;
        if let Some(found) = found {
            let other = other_place(text, &parsed, found);
            let extra = || self.missing_extra(text, &parsed.extras, found, environment);
            if let Some(difference) = other.or_else(extra) {
                return Some(difference);
            }
        }
        let Some(VersionOrUrl::VersionSpecifier(specifiers)) = parsed.version_or_url else {
            return None;
        };
        let version = version?;
        let fits = specifiers.contains(&pep440_rs::Version::from_str(&version).ok()?);
        (!fits).then(|| format!("{text} is asked for, and it has {key}=={version}"))
    }

    /// What an extra that is asked for needs, and is not there.
    fn missing_extra(
        &self,
        text: &str,
        extras: &[ExtraName],
        found: &PypiFile,
        environment: Option<&MarkerEnvironment>,
    ) -> Option<String> {
        let environment = environment.filter(|_| !extras.is_empty())?;
        let all = found.requirements.iter().filter_map(|text| Pep508::from_str(text).ok());
        let mut of_extras = all.filter(|needed| {
            needed.marker.evaluate(environment, extras) && !needed.marker.evaluate(environment, &[])
        });
        let missing = of_extras.find(|needed| !self.has_python(needed.name.as_ref()))?;
        Some(format!("{text} is asked for, and {}, which that needs, is not in it", missing.name))
    }

    /// What markers are evaluated in: the locked Python, on the platform that packages are for.
    fn markers(&self) -> Option<MarkerEnvironment> {
        let python = self.packages.iter().find(|package| package.name == "python")?;
        let subdir = self.packages.iter().map(|p| p.subdir.as_str()).find(|s| *s != "noarch")?;
        let (sys_platform, platform_system, machine) = match subdir {
            "linux-64" => ("linux", "Linux", "x86_64"),
            "linux-aarch64" => ("linux", "Linux", "aarch64"),
            _ => return None,
        };
        let mut numbers = python.version.splitn(3, '.');
        let short = format!("{}.{}", numbers.next()?, numbers.next()?);
        MarkerEnvironment::try_from(MarkerEnvironmentBuilder {
            implementation_name: "cpython",
            implementation_version: &python.version,
            os_name: "posix",
            platform_machine: machine,
            platform_python_implementation: "CPython",
            platform_release: "",
            platform_system,
            platform_version: "",
            python_full_version: &python.version,
            python_version: &short,
            sys_platform,
        })
        .ok()
    }
}

/// Whether a package comes from elsewhere than is asked for.
fn other_place(text: &str, asked: &Pep508, found: &PypiFile) -> Option<String> {
    let is_same = match (&asked.version_or_url, &found.place) {
        (Some(VersionOrUrl::Url(url)), place) => is_at(url, place),
        (_, PypiPlace::File { .. }) => true,
        (_, PypiPlace::Git { .. } | PypiPlace::Folder(_) | PypiPlace::Archive { .. }) => false,
    };
    let from = || format!("{text} is asked for, and it has it from {}", shown(&found.place));
    (!is_same).then(from)
}

fn is_at(url: &Url, place: &PypiPlace) -> bool {
    match place {
        PypiPlace::File { url: there, .. } => file(url) == file(there),
        PypiPlace::Git { url: there, commit, requested, subdirectory } => {
            let Some(asked) = url.as_str().strip_prefix("git+").and_then(git_address) else {
                return false;
            };
            let is_revision = match (&asked.revision, requested) {
                (Some(asked), Some(there)) if asked == there => true,
                (Some(asked), _) => asked.len() >= 7 && commit.starts_with(asked.as_str()),
                (None, Some(there)) => there == "HEAD" || commit == there,
                (None, None) => true,
            };
            let folder = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
            is_revision
                && repository(&asked.url) == repository(there)
                && folder(&asked.subdirectory) == folder(subdirectory)
        }
        // Where that is, is said relative to the manifest.
        PypiPlace::Folder(_) | PypiPlace::Archive { .. } => url.scheme() == "file",
    }
}

/// A file's address without user, password, and what is no part of it.
fn file(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    bare_index(url.as_str())
}

fn repository(url: &str) -> &str {
    let url = url.trim_end_matches('/');
    url.strip_suffix(".git").unwrap_or(url)
}

/// A path without what leads nowhere.
fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

fn shown(place: &PypiPlace) -> String {
    match place {
        PypiPlace::File { url, .. } => url.to_string(),
        PypiPlace::Git { url, commit, requested: Some(requested), .. } => {
            format!("{url} at {requested} ({commit})")
        }
        PypiPlace::Git { url, commit, requested: None, .. } => format!("{url} at {commit}"),
        PypiPlace::Folder(path) | PypiPlace::Archive { path, .. } => path.clone(),
    }
}
