//! Which builds there are.

use super::error::StandaloneError;
use crate::target::{Libc, PythonVersion};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use tierce_fetch::Fetcher;
use tierce_oci::{Digest, Platform};
use url::Url;

/// Every build that the pinned uv knows: version, processor, C library, path below the releases
/// of the project, SHA-256. Written by `scripts/python-builds`.
const PINNED: &str = include_str!("builds.tsv");

/// Where the project publishes.
const RELEASES: &str = "https://github.com/astral-sh/python-build-standalone/releases/download";

/// Where uv looks first.
const FIRST_MIRROR: &str =
    "https://releases.astral.sh/github/python-build-standalone/releases/download";

/// The largest list that is read: uv's own is 3 MB.
const LIST_LIMIT: u64 = 64 << 20;

/// The C library that a build runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuildLibc {
    /// glibc 2.17 or later.
    Gnu,
    /// musl 1.
    Musl,
}

impl From<Libc> for BuildLibc {
    fn from(libc: Libc) -> Self {
        match libc {
            Libc::Glibc { .. } => BuildLibc::Gnu,
            Libc::Musl { .. } => BuildLibc::Musl,
        }
    }
}

impl fmt::Display for BuildLibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BuildLibc::Gnu => "glibc",
            BuildLibc::Musl => "musl",
        })
    }
}

/// What is where in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveLayout {
    /// The installation is in `python/` (`install_only`).
    InstallOnly,
    /// The installation is in `python/install/`, beside what it was built from.
    Full,
}

/// One build: an archive with an installation of CPython.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandaloneBuild {
    /// The version, to its third number.
    pub version: PythonVersion,
    /// The processor, as `uname -m` spells it.
    pub machine: String,
    /// The C library it runs on.
    pub libc: BuildLibc,
    /// Where it is, where no mirror is named.
    pub url: Url,
    /// The archive's digest.
    pub digest: Digest,
}

impl StandaloneBuild {
    /// What is where in its archive. The names are the project's.
    pub fn layout(&self) -> ArchiveLayout {
        match self.url.path().ends_with(".tar.zst") {
            true => ArchiveLayout::Full,
            false => ArchiveLayout::InstallOnly,
        }
    }

    /// The archive's name, for people.
    pub fn filename(&self) -> String {
        let name = self.url.path_segments().and_then(|mut s| s.next_back()).unwrap_or_default();
        name.replace("%2B", "+")
    }

    /// Where to look for it, one after the other. A `mirror` is asked alone, and has what the
    /// project publishes under the same paths, as `UV_PYTHON_INSTALL_MIRROR` does.
    pub fn urls(&self, mirror: Option<&Url>) -> Vec<Url> {
        let Some(path) = self.url.as_str().strip_prefix(RELEASES) else {
            return vec![self.url.clone()];
        };
        let below = |base: &str| Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).ok();
        match mirror {
            Some(mirror) => below(mirror.as_str()).into_iter().collect(),
            None => below(FIRST_MIRROR).into_iter().chain([self.url.clone()]).collect(),
        }
    }
}

/// The builds to choose from. Only releases with a hash: no pre-releases, no debug builds, none
/// without the global interpreter lock, none for later processors than the architecture's first.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    builds: Vec<StandaloneBuild>,
}

/// An entry of uv's list (`download-metadata.json`), as far as it matters here.
#[derive(Deserialize)]
struct Entry {
    name: String,
    arch: Arch,
    os: String,
    libc: String,
    major: u8,
    minor: u8,
    patch: u8,
    prerelease: Option<String>,
    url: String,
    sha256: Option<String>,
    variant: Option<String>,
}

#[derive(Deserialize)]
struct Arch {
    family: String,
    variant: Option<String>,
}

impl Catalog {
    /// The builds that the pinned uv knows.
    pub fn pinned() -> Self {
        Catalog { builds: PINNED.lines().filter_map(pinned_build).collect() }
    }

    /// The builds of a list at `url`, in the format of uv's `UV_PYTHON_DOWNLOADS_JSON_URL`,
    /// instead of the pinned ones.
    pub async fn from_url(fetcher: &Fetcher, url: &Url) -> Result<Self, StandaloneError> {
        let list = || tierce_fetch::Redacted(url).to_string();
        let failed = |source| StandaloneError::List { list: list(), source };
        let bytes = fetcher.get(url, LIST_LIMIT).await.map_err(failed)?;
        Catalog::parse(&bytes)
            .map_err(|source| StandaloneError::ListFormat { list: list(), source })
    }

    /// Reads such a list.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        let entries: BTreeMap<String, Entry> = serde_json::from_slice(json)?;
        Ok(Catalog { builds: entries.into_values().filter_map(Entry::build).collect() })
    }

    /// All builds.
    pub fn builds(&self) -> &[StandaloneBuild] {
        &self.builds
    }

    /// The build to take: exactly `version` where it has three numbers, else the newest of that
    /// series; the newest of all for none.
    pub fn choose(
        &self,
        version: Option<PythonVersion>,
        platform: &Platform,
        libc: Libc,
    ) -> Result<&StandaloneBuild, StandaloneError> {
        let machine = match (platform.os.as_str(), platform.architecture.as_str()) {
            ("linux", "amd64") => "x86_64",
            ("linux", "arm64") => "aarch64",
            _ => return Err(StandaloneError::Platform(platform.clone())),
        };
        let libc = BuildLibc::from(libc);
        let here = || self.builds.iter().filter(|b| b.machine == machine && b.libc == libc);
        let fits = |build: &&StandaloneBuild| version.is_none_or(|v| fits(build.version, v));
        // Lists may have several builds of one version: the last published is the one.
        let best = here().filter(fits).max_by_key(|b| (b.version, b.url.as_str()));
        best.ok_or_else(|| StandaloneError::NoBuild {
            wanted: version.map_or_else(|| "3".to_owned(), |v| v.to_string()),
            platform: platform.clone(),
            libc,
            known: nearest(here().map(|b| b.version).collect(), version),
        })
    }
}

/// Whether a version is the one wanted, or of its series.
fn fits(version: PythonVersion, wanted: PythonVersion) -> bool {
    let is_series = (version.major(), version.minor()) == (wanted.major(), wanted.minor());
    is_series && (wanted.micro().is_none() || wanted.micro() == version.micro())
}

/// What to say there is: the releases of the series, or else the newest of each series.
fn nearest(mut all: Vec<PythonVersion>, wanted: Option<PythonVersion>) -> Vec<PythonVersion> {
    all.sort_unstable();
    all.dedup();
    let series = |v: &PythonVersion| (v.major(), v.minor());
    let of_series: Vec<_> =
        all.iter().copied().filter(|v| wanted.is_some_and(|w| series(v) == series(&w))).collect();
    if !of_series.is_empty() {
        return of_series;
    }
    let newest: BTreeMap<_, _> = all.into_iter().map(|v| (series(&v), v)).collect();
    newest.into_values().collect()
}

fn pinned_build(line: &str) -> Option<StandaloneBuild> {
    let mut fields = line.split('\t');
    Some(StandaloneBuild {
        version: fields.next()?.parse().ok()?,
        machine: fields.next()?.to_owned(),
        libc: build_libc(fields.next()?)?,
        url: Url::parse(&format!("{RELEASES}/{}", fields.next()?)).ok()?,
        digest: Digest::from_hex(fields.next()?).ok()?,
    })
}

fn build_libc(name: &str) -> Option<BuildLibc> {
    match name {
        "gnu" => Some(BuildLibc::Gnu),
        "musl" => Some(BuildLibc::Musl),
        _ => None,
    }
}

impl Entry {
    /// The build, if it is one to choose from.
    fn build(self) -> Option<StandaloneBuild> {
        let is_plain = self.name == "cpython"
            && self.os == "linux"
            && self.variant.is_none()
            && self.arch.variant.is_none()
            && self.prerelease.is_none_or(|p| p.is_empty());
        if !is_plain {
            return None;
        }
        let version = PythonVersion::new(self.major, self.minor).ok()?.with_micro(self.patch);
        Some(StandaloneBuild {
            version,
            machine: self.arch.family,
            libc: build_libc(&self.libc)?,
            url: Url::parse(&self.url).ok()?,
            digest: Digest::from_hex(&self.sha256?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_oci::Diagnostic;

    const MUSL: Libc = Libc::Musl { minor: 2 };

    fn chosen(version: &str, architecture: &str, libc: Libc) -> Result<String, StandaloneError> {
        let version = (!version.is_empty()).then(|| version.parse().unwrap());
        let platform = Platform::linux(architecture);
        Catalog::pinned().choose(version, &platform, libc).map(StandaloneBuild::filename)
    }

    #[test]
    fn every_line_of_the_table_is_a_build_and_every_series_is_there() {
        let catalog = Catalog::pinned();
        assert_eq!(catalog.builds().len(), PINNED.lines().count());
        for minor in 9..=15 {
            for architecture in ["amd64", "arm64"] {
                for libc in [Libc::DEFAULT, MUSL] {
                    let name = chosen(&format!("3.{minor}"), architecture, libc).unwrap();
                    assert!(name.starts_with(&format!("cpython-3.{minor}.")), "{name}");
                    assert!(name.ends_with("install_only_stripped.tar.gz"), "{name}");
                }
            }
        }
    }

    #[test]
    fn a_version_is_taken_exactly_and_a_series_at_its_newest() {
        for (version, architecture, libc, expected) in [
            ("3.12.3", "amd64", Libc::DEFAULT, "cpython-3.12.3+20240415-x86_64-unknown-linux-gnu"),
            ("3.9", "arm64", MUSL, "cpython-3.9.25+20251031-aarch64-unknown-linux-musl"),
            ("", "amd64", Libc::DEFAULT, "cpython-3.15.2+20261110-x86_64-unknown-linux-gnu"),
        ] {
            let name = chosen(version, architecture, libc).unwrap();
            assert!(name.starts_with(expected), "{name}");
        }
    }

    #[test]
    fn what_there_is_is_said_of_what_there_is_not() {
        let error = chosen("3.12.99", "amd64", Libc::DEFAULT).unwrap_err();
        assert_eq!(error.code(), "python/no-build");
        let said = error.to_string();
        assert!(said.contains("Python 3.12.99 for linux/amd64 with glibc"), "{said}");
        let hint = error.hint().unwrap();
        assert!(hint.contains("3.12.0") && hint.contains("3.12.16"), "{hint}");
        assert!(!hint.contains("3.13"), "{hint}");
        let hint = chosen("3.77", "arm64", MUSL).unwrap_err().hint().unwrap();
        assert!(hint.contains("3.9.25") && hint.contains("3.15.2"), "{hint}");
        let error = chosen("3.12", "riscv64", Libc::DEFAULT).unwrap_err();
        assert_eq!(error.code(), "python/unsupported-platform");
    }

    #[test]
    fn mirrors_have_the_same_paths() {
        let catalog = Catalog::pinned();
        let platform = Platform::linux("amd64");
        let build = catalog.choose(None, &platform, Libc::DEFAULT).unwrap();
        let urls = build.urls(None);
        assert_eq!(urls.len(), 2);
        assert!(urls[0].as_str().starts_with(FIRST_MIRROR) && urls[1] == build.url, "{urls:?}");
        for mirror in ["https://mirror.example/python", "https://mirror.example/python/"] {
            let urls = build.urls(Some(&Url::parse(mirror).unwrap()));
            let [url] = urls.as_slice() else { panic!("{urls:?}") };
            let expected = "https://mirror.example/python/20261110/cpython-3.15.2%2B20261110-";
            assert!(url.as_str().starts_with(expected), "{url}");
        }
    }

    #[test]
    fn lists_are_read_as_uv_reads_them() {
        let hash = "ab".repeat(32);
        let entry = |version: &str, more: &str| {
            let (minor, patch) = version.split_once('.').unwrap();
            format!(
                r#"{{"name": "cpython", "arch": {{"family": "x86_64", "variant": null}},
                "os": "linux", "libc": "gnu", "major": 3, "minor": {minor}, "patch": {patch},
                "prerelease": "", "url": "https://example.org/{version}.tar.gz", "build": "1",
                "sha256": "{hash}", "variant": null{more}}}"#
            )
        };
        let list = format!(
            r#"{{"a": {}, "b": {}, "c": {}}}"#,
            entry("11.2", ""),
            entry("11.3", "").replace("\"variant\": null}", "\"variant\": \"freethreaded\"}"),
            entry("11.4", "").replace(&format!("\"{hash}\""), "null"),
        );
        let catalog = Catalog::parse(list.as_bytes()).unwrap();
        let build = catalog.choose(None, &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
        // Of another variant, or without a hash: neither is taken.
        assert_eq!((catalog.builds().len(), build.version.to_string().as_str()), (1, "3.11.2"));
        let mirror = Url::parse("https://m.example").unwrap();
        assert_eq!(build.urls(Some(&mirror)), std::slice::from_ref(&build.url));
        assert!(Catalog::parse(b"[]").is_err());
    }
}
