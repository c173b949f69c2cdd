//! The Python environment that a program runs in, as layers of an image.

use crate::{LocalPackage, Warning};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tierce_spec::{PythonVersion, hide_credentials};
use url::Url;

/// A distribution of an environment, as it was recorded there (packaging specifications,
/// "Recording installed projects").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Its name, in any spelling.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Who installed it (`INSTALLER`).
    pub installer: Option<String>,
    /// Where it is from, if not from an index (`direct_url.json`, PEP 610).
    pub direct_url: Option<String>,
    /// Whether it is recorded which files it has (`RECORD`).
    pub is_recorded: bool,
    /// The folder of a project that is used in place without a record of it, as `setup.py develop`
    /// leaves it.
    pub develop: Option<PathBuf>,
}

/// What an environment comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Requirements (PEP 508) of exact versions, URLs and commits, sorted by name.
    pub packages: Vec<String>,
    /// What is installed from folders and archives of the host, sorted by name.
    pub local: Vec<LocalPackage>,
    /// What is left out.
    pub warnings: Vec<Warning>,
}

/// Installers whose packages are not those of indexes: they build them themselves.
const FOREIGN: [&str; 9] =
    ["conda", "debian", "apt", "rpm", "dnf", "pacman", "apk", "brew", "portage"];

/// `direct_url.json`.
#[derive(Deserialize)]
struct DirectUrl {
    url: String,
    subdirectory: Option<String>,
    vcs_info: Option<VcsInfo>,
    archive_info: Option<ArchiveInfo>,
    dir_info: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct VcsInfo {
    vcs: String,
    commit_id: String,
}

#[derive(Deserialize)]
struct ArchiveInfo {
    /// `sha256=...`; superseded by `hashes`.
    hash: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

/// Why a distribution is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    Foreign,
    Unrecorded,
    Unreadable,
    Gone,
}

impl LeftOut {
    fn reason(self) -> &'static str {
        match self {
            LeftOut::Foreign => {
                "they were not installed from an index, but by another package manager"
            }
            LeftOut::Unrecorded => "there is no record of where they are from",
            LeftOut::Unreadable => "the record of where they are from can't be read",
            LeftOut::Gone => "the folder or file that they were installed from is gone",
        }
    }
}

/// What becomes of a distribution.
enum Origin {
    Package(String),
    Local { path: PathBuf, sha256: Option<String> },
}

impl Environment {
    /// What `distributions` come to, the first of each name, without those that are `excluded` and
    /// without the installers that environments begin with, as `pip freeze` has it. `exists` says
    /// whether a path of the host is there.
    pub fn of(
        distributions: &[Distribution],
        excluded: &[String],
        python: PythonVersion,
        exists: impl Fn(&Path) -> bool,
    ) -> Self {
        let mut seen: BTreeSet<String> = excluded.iter().map(|name| normal(name)).collect();
        seen.extend(seeds(python).map(str::to_owned));
        let mut packages = BTreeMap::new();
        let mut local = BTreeMap::new();
        let mut left_out: BTreeMap<LeftOut, BTreeSet<String>> = BTreeMap::new();
        for distribution in distributions {
            let name = normal(&distribution.name);
            if name.is_empty() || !seen.insert(name.clone()) {
                continue;
            }
            let version = distribution.version.clone();
            match distribution.origin(&name, &exists) {
                Ok(Origin::Package(requirement)) => {
                    packages.insert(name, requirement);
                }
                Ok(Origin::Local { path, sha256 }) => {
                    let package = LocalPackage { name: name.clone(), version, path, sha256 };
                    local.insert(name, package);
                }
                Err(reason) => {
                    left_out.entry(reason).or_default().insert(format!("{name} {version}"));
                }
            }
        }
        let warning = |(reason, names): (LeftOut, BTreeSet<String>)| {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let reason = reason.reason();
            Warning {
                code: "flyte/not-pinned",
                message: format!("left out of the image, since {reason}: {names}"),
            }
        };
        Environment {
            packages: packages.into_values().collect(),
            local: local.into_values().collect(),
            warnings: left_out.into_iter().map(warning).collect(),
        }
    }
}

/// What `pip freeze` leaves out: what environments are made with.
fn seeds(python: PythonVersion) -> impl Iterator<Item = &'static str> {
    let had_more = (python.major, python.minor) < (3, 12);
    let more = ["setuptools", "distribute", "wheel"].into_iter().filter(move |_| had_more);
    std::iter::once("pip").chain(more)
}

impl Distribution {
    fn origin(&self, name: &str, exists: &dyn Fn(&Path) -> bool) -> Result<Origin, LeftOut> {
        if let Some(path) = &self.develop {
            return local(path.clone(), None, exists);
        }
        if let Some(text) = &self.direct_url {
            let found: DirectUrl = serde_json::from_str(text).map_err(|_| LeftOut::Unreadable)?;
            return found.origin(name, exists);
        }
        let installer = self.installer.as_deref().unwrap_or_default().trim();
        let is_foreign = FOREIGN.iter().any(|foreign| installer.eq_ignore_ascii_case(foreign));
        match (is_foreign, self.is_recorded) {
            (true, _) => Err(LeftOut::Foreign),
            (false, false) => Err(LeftOut::Unrecorded),
            (false, true) => Ok(Origin::Package(format!("{name}=={}", self.version))),
        }
    }
}

fn local(
    path: PathBuf,
    sha256: Option<String>,
    exists: &dyn Fn(&Path) -> bool,
) -> Result<Origin, LeftOut> {
    match exists(&path) {
        true => Ok(Origin::Local { path, sha256 }),
        false => Err(LeftOut::Gone),
    }
}

impl DirectUrl {
    fn origin(self, name: &str, exists: &dyn Fn(&Path) -> bool) -> Result<Origin, LeftOut> {
        let url: Url = self.url.parse().map_err(|_| LeftOut::Unreadable)?;
        let sha256 = self.archive_info.as_ref().and_then(ArchiveInfo::sha256);
        let below = self.subdirectory.as_deref().filter(|path| !path.is_empty());
        if let Some(VcsInfo { vcs, commit_id }) = &self.vcs_info {
            let below = below.map(|path| format!("#subdirectory={path}")).unwrap_or_default();
            return Ok(Origin::Package(format!("{name} @ {vcs}+{url}@{commit_id}{below}")));
        }
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| LeftOut::Unreadable)?;
            let path = below.map_or(path.clone(), |below| path.join(below));
            return local(path, sha256.filter(|_| self.dir_info.is_none()), exists);
        }
        let hash = sha256.map(|hash| format!("sha256={hash}"));
        let below = below.map(|path| format!("subdirectory={path}"));
        let parts: Vec<String> = hash.into_iter().chain(below).collect();
        let fragment = match parts.as_slice() {
            [] => String::new(),
            parts => format!("#{}", parts.join("&")),
        };
        Ok(Origin::Package(format!("{name} @ {url}{fragment}")))
    }
}

impl ArchiveInfo {
    fn sha256(&self) -> Option<String> {
        let old = || self.hash.as_deref()?.strip_prefix("sha256=").map(str::to_owned);
        self.hashes.get("sha256").cloned().or_else(old)
    }
}

/// A name as indexes compare it (PEP 503).
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// The `pylock.toml` (PEP 751) that says where these packages are.
pub(crate) fn pylock(packages: &[LocalPackage]) -> String {
    let mut text = "lock-version = \"1.0\"\ncreated-by = \"tierce\"\n".to_owned();
    for LocalPackage { name, version, path, sha256 } in packages {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let path = quoted(&path.to_string_lossy());
        text +=
            &format!("\n[[packages]]\nname = {}\nversion = {}\n", quoted(name), quoted(version));
        text += &match sha256 {
            Some(sha256) => {
                let sha256 = quoted(sha256);
                format!("archive = {{ path = {path}, hashes = {{ sha256 = {sha256} }} }}\n")
            }
            None => format!("directory = {{ path = {path} }}\n"),
        };
    }
    text
}

impl LocalPackage {
    /// The package in a few words.
    pub(crate) fn describe(&self) -> String {
        format!("{} of {}", self.name, hide_credentials(&self.path.to_string_lossy()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(name: &str, version: &str) -> Distribution {
        let (name, version) = (name.to_owned(), version.to_owned());
        Distribution { name, version, is_recorded: true, ..Distribution::default() }
    }

    fn direct(name: &str, url: &str) -> Distribution {
        Distribution { direct_url: Some(url.to_owned()), ..index(name, "1") }
    }

    fn of(distributions: &[Distribution]) -> Environment {
        let python = "3.11".parse().unwrap();
        Environment::of(distributions, &["left_out".to_owned()], python, |path| {
            !path.to_string_lossy().contains("gone")
        })
    }

    #[test]
    fn packages_of_indexes_are_pinned() {
        let all = of(&[
            index("Zope.Interface", "6.0"),
            index("a_b", "1.0+cu124"),
            index("a-b", "0.9"),
            index("pip", "1"),
            index("setuptools", "1"),
            index("left-out", "1"),
        ]);
        assert_eq!(all.packages, ["a-b==1.0+cu124", "zope-interface==6.0"]);
        assert_eq!((all.local, all.warnings), (vec![], vec![]));
        let newer = "3.12".parse().unwrap();
        let all = Environment::of(&[index("setuptools", "1")], &[], newer, |_| true);
        assert_eq!(all.packages, ["setuptools==1"]);
    }

    #[test]
    fn urls_are_kept() {
        for (url, expected) in [
            (
                r#"{"url": "https://h/a.git", "vcs_info": {"vcs": "git", "commit_id": "0123"}}"#,
                "a @ git+https://h/a.git@0123",
            ),
            (
                r#"{"url": "ssh://git@h/a", "vcs_info": {"vcs": "git", "commit_id": "01", "requested_revision": "v1"}, "subdirectory": "x/y"}"#,
                "a @ git+ssh://git@h/a@01#subdirectory=x/y",
            ),
            (
                r#"{"url": "https://h/a.zip", "archive_info": {"hash": "sha256=00"}, "subdirectory": "d"}"#,
                "a @ https://h/a.zip#sha256=00&subdirectory=d",
            ),
            (
                r#"{"url": "https://h/a.whl", "archive_info": {"hashes": {"sha256": "ff"}}}"#,
                "a @ https://h/a.whl#sha256=ff",
            ),
            (r#"{"url": "https://h/a.whl", "archive_info": {}}"#, "a @ https://h/a.whl"),
        ] {
            assert_eq!(of(&[direct("a", url)]).packages, [expected]);
        }
    }

    #[test]
    fn projects_of_the_host_are_installed_from_there() {
        let develop = Distribution { develop: Some("/src/old".into()), ..index("old", "2") };
        let all = of(&[
            direct("lib", r#"{"url": "file:///src/my%20lib", "dir_info": {"editable": true}}"#),
            direct("sub", r#"{"url": "file:///src", "dir_info": {}, "subdirectory": "sub"}"#),
            direct(
                "whl",
                r#"{"url": "file:///w.whl", "archive_info": {"hashes": {"sha256": "aa"}}}"#,
            ),
            develop,
        ]);
        let found: Vec<String> = all.local.iter().map(LocalPackage::describe).collect();
        assert_eq!(
            found,
            ["lib of /src/my lib", "old of /src/old", "sub of /src/sub", "whl of /w.whl"]
        );
        let text = pylock(&all.local);
        let lock: toml::Table = text.parse().unwrap();
        let packages = lock["packages"].as_array().unwrap();
        assert_eq!(packages[0]["directory"]["path"].as_str(), Some("/src/my lib"));
        assert_eq!(packages[1]["version"].as_str(), Some("2"));
        assert_eq!(packages[3]["archive"]["hashes"]["sha256"].as_str(), Some("aa"));
    }

    #[test]
    fn what_can_not_be_pinned_is_named() {
        let by = |name: &str, who: &str| Distribution {
            installer: Some(who.to_owned()),
            ..index(name, "1")
        };
        let all = of(&[
            by("numpy", "conda\n"),
            by("scipy", "Conda"),
            by("six", "uv"),
            Distribution { is_recorded: false, ..index("python-apt", "2") },
            direct("gone", r#"{"url": "file:///gone", "dir_info": {}}"#),
            direct("broken", "{"),
        ]);
        assert_eq!(all.packages, ["six==1"]);
        let said: Vec<&str> = all.warnings.iter().map(|w| w.message.as_str()).collect();
        let ends = ["numpy 1, scipy 1", "python-apt 2", "broken 1", "gone 1"];
        for (message, end) in said.iter().zip(ends) {
            assert!(message.ends_with(&format!(": {end}")), "{message}");
        }
        assert_eq!(said.len(), ends.len());
    }
}
