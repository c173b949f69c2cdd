//! The exact packages of an environment.

use rattler_conda_types::package::{BuildString, DistArchiveIdentifier};
use rattler_conda_types::{NoArchType, PackageName, PackageRecord, RepoDataRecord, Version};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use url::Url;

/// The packages of an environment, sorted by name: one for each name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CondaLock {
    /// The packages.
    pub packages: Vec<CondaPackage>,
}

/// In what way a package is independent of the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Noarch {
    /// Files that are the same everywhere.
    Generic,
    /// A Python package: its modules go where the environment's interpreter wants them.
    Python,
}

/// A package, exactly. Dependencies are those of the channel's index, which channels correct
/// after a package was built ("repodata patches").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CondaPackage {
    /// Its name, in lower case.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its build string.
    pub build: String,
    /// Its build number.
    #[serde(default)]
    pub build_number: u64,
    /// The channel's directory that it is in: `linux-64`, `noarch`.
    pub subdir: String,
    /// The channel's URL, without credentials.
    pub channel: String,
    /// Where it is, without credentials.
    pub url: Url,
    /// What it must be.
    pub sha256: Digest,
    /// Its MD5 in hexadecimal digits, for those who compare with other tools' locks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Its size, where the index tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// What it depends on, as match specs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<String>,
    /// What it restricts without needing it, as match specs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constrains: Vec<String>,
    /// Whether and how it is independent of the platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noarch: Option<Noarch>,
    /// Where an interpreter wants modules, relative to the prefix (CEP 17).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub python_site_packages_path: Option<String>,
    /// Whether it was asked for, or is there because another needs it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub requested: bool,
}

impl fmt::Display for CondaPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}={}", self.name, self.version, self.build)
    }
}

/// Why bytes are not a lock.
#[derive(Debug, thiserror::Error)]
pub enum LockFormatError {
    /// They are malformed.
    #[error("the list of conda packages is malformed")]
    Json(#[from] serde_json::Error),
    /// A package is there twice.
    #[error("the list of conda packages has {0} twice")]
    Twice(String),
    /// A field makes no sense.
    #[error("conda package {package}: {problem}")]
    Package {
        /// The package.
        package: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Diagnostic for LockFormatError {
    fn code(&self) -> &'static str {
        "conda/bad-lock"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some("Make the lock anew.".to_owned())
    }
}

impl CondaLock {
    /// A lock of these packages: sorted, each name once, every field checked.
    pub fn new(mut packages: Vec<CondaPackage>) -> Result<Self, LockFormatError> {
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = packages.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(LockFormatError::Twice(pair[0].name.clone()));
        }
        for package in &packages {
            package.check()?;
        }
        Ok(CondaLock { packages })
    }

    /// The canonical bytes: JSON, always the same for the same packages.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_else(|_| unreachable!("a lock is plain data"))
    }

    /// A lock from its bytes, checked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LockFormatError> {
        let lock: CondaLock = serde_json::from_slice(bytes)?;
        CondaLock::new(lock.packages)
    }

    /// What stands for the lock in keys.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_bytes())
    }

    /// The package of this name.
    pub fn package(&self, name: &str) -> Option<&CondaPackage> {
        let at = self.packages.binary_search_by(|p| p.name.as_str().cmp(name)).ok()?;
        self.packages.get(at)
    }

    /// The interpreter, if the environment has one.
    pub fn python(&self) -> Option<&CondaPackage> {
        self.package("python")
    }

    /// The packages so that each comes after those it depends on; within that, by name.
    pub fn in_link_order(&self) -> Vec<&CondaPackage> {
        let mut order = Vec::with_capacity(self.packages.len());
        let mut state = vec![Visit::New; self.packages.len()];
        for at in 0..self.packages.len() {
            self.visit(at, &mut state, &mut order);
        }
        order
    }

    /// Iterative, since a hostile lock can be one long chain.
    fn visit<'a>(&'a self, start: usize, state: &mut [Visit], order: &mut Vec<&'a CondaPackage>) {
        let mut stack = vec![(start, 0)];
        while let Some((at, next)) = stack.pop() {
            if next == 0 {
                if state[at] != Visit::New {
                    continue;
                }
                state[at] = Visit::Open;
            }
            let package = &self.packages[at];
            match package.depends.get(next) {
                Some(spec) => {
                    stack.push((at, next + 1));
                    let name = PackageName::normalized_name_from_matchspec_str(spec);
                    let found =
                        self.packages.binary_search_by(|p| p.name.as_str().cmp(name.as_ref()));
                    if let Ok(found) = found
                        && state[found] == Visit::New
                    {
                        stack.push((found, 0));
                    }
                }
                None => {
                    state[at] = Visit::Done;
                    order.push(package);
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visit {
    New,
    Open,
    Done,
}

impl CondaPackage {
    /// The package's file name: `numpy-2.1.0-py311h1_0.conda`.
    pub fn filename(&self) -> &str {
        self.url.path().rsplit('/').next().unwrap_or_default()
    }

    /// Name, version and build joined: how conda calls the package's record.
    pub fn stem(&self) -> String {
        format!("{}-{}-{}", self.name, self.version, self.build)
    }

    /// Whether this is a Python package without compiled parts.
    pub fn is_noarch_python(&self) -> bool {
        self.noarch == Some(Noarch::Python)
    }

    /// What becomes part of file names and scripts must be harmless.
    fn check(&self) -> Result<(), LockFormatError> {
        let bad = |problem| {
            let package = self.name.chars().filter(|c| !c.is_control()).collect();
            Err(LockFormatError::Package { package, problem })
        };
        let plain = |text: &str, more: &str| {
            !text.is_empty()
                && text.len() < 128
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !plain(&self.name, "-_.") || self.name.starts_with(['.', '-']) {
            return bad("its name is not a package name");
        }
        if !plain(&self.version, "-_.+!") || Version::from_str(&self.version).is_err() {
            return bad("its version is not a version");
        }
        if !plain(&self.build, "_.+-") {
            return bad("its build is not a build string");
        }
        if !plain(&self.subdir, "-_") {
            return bad("its subdirectory is none");
        }
        if !matches!(self.url.scheme(), "https" | "http" | "file") {
            return bad("its URL is neither https, http nor file");
        }
        if !self.url.username().is_empty() || self.url.password().is_some() {
            return bad("its URL has credentials");
        }
        let extension = [".conda", ".tar.bz2"].iter().any(|e| self.filename().ends_with(e));
        if !extension {
            return bad("its file is neither .conda nor .tar.bz2");
        }
        if self.python_site_packages_path.as_deref().is_some_and(|path| !is_relative(path)) {
            return bad("its modules' directory leads out of the environment");
        }
        Ok(())
    }

    /// The package as the solver knows it.
    pub(crate) fn to_record(&self, channel: String) -> Option<RepoDataRecord> {
        let version = Version::from_str(&self.version).ok()?;
        let mut record = PackageRecord::new(
            PackageName::new_unchecked(self.name.clone()),
            rattler_conda_types::VersionWithSource::new(version, &self.version),
            BuildString::new_unchecked(self.build.clone()),
        );
        record.build_number = self.build_number;
        record.subdir = self.subdir.clone();
        record.depends = self.depends.clone();
        record.constrains = self.constrains.clone();
        record.sha256 = Some((*self.sha256.as_bytes()).into());
        record.size = self.size;
        record.python_site_packages_path = self.python_site_packages_path.clone();
        record.noarch = match self.noarch {
            None => NoArchType::none(),
            Some(Noarch::Generic) => NoArchType::generic(),
            Some(Noarch::Python) => NoArchType::python(),
        };
        let identifier = DistArchiveIdentifier::try_from_filename(self.filename())?;
        Some(RepoDataRecord {
            package_record: record,
            identifier,
            url: self.url.clone(),
            channel: Some(channel),
        })
    }
}

/// Whether a path in a package stays below the prefix.
pub(crate) fn is_relative(path: &str) -> bool {
    !path.is_empty()
        && !path.starts_with('/')
        && !path.contains('\0')
        && path.split('/').all(|part| part != ".." && part != "." && !part.is_empty())
}
