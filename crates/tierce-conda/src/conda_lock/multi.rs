//! `conda-lock.yml`, version 1: several platforms, conda's packages and pip's.

use super::CondaLockError;
use super::explicit::is_hex;
use crate::foreign::{ForeignLock, ForeignPackage, PypiFile, without_credentials};
use crate::text::yaml;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use tierce_oci::Digest;
use url::Url;

#[derive(Deserialize)]
struct File {
    version: u64,
    metadata: Metadata,
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    channels: Vec<Channel>,
    #[serde(default)]
    platforms: Vec<String>,
}

#[derive(Deserialize)]
struct Channel {
    url: String,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manager: String,
    platform: String,
    #[serde(default)]
    dependencies: BTreeMap<String, Option<String>>,
    url: String,
    #[serde(default)]
    hash: Hash,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    build: Option<String>,
}

#[derive(Default, Deserialize)]
struct Hash {
    #[serde(default)]
    md5: Option<String>,
    #[serde(default)]
    sha256: Option<String>,
}

impl Package {
    fn is_main(&self) -> bool {
        match (&self.category, self.categories.as_slice()) {
            (None, []) => true,
            (category, all) => category.iter().chain(all).any(|c| c == "main"),
        }
    }
}

pub(super) fn parse(bytes: &[u8], subdir: &str) -> Result<ForeignLock, CondaLockError> {
    #[derive(Deserialize)]
    struct Shape {
        version: Option<u64>,
        package: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = yaml(bytes)?;
    match shape {
        Shape { version: Some(1), package: Some(_) } => {}
        Shape { version: Some(version), package: Some(_) } => {
            return Err(CondaLockError::Version(version));
        }
        _ => return Err(CondaLockError::Unknown),
    }
    let file: File = yaml(bytes)?;
    debug_assert_eq!(file.version, 1);
    let there: BTreeSet<String> = file
        .metadata
        .platforms
        .into_iter()
        .chain(file.package.iter().map(|p| p.platform.clone()))
        .collect();
    if !there.contains(subdir) {
        let (wanted, there) = (subdir.to_owned(), there.into_iter().collect());
        return Err(CondaLockError::Platform { wanted, there });
    }
    let channels = file.metadata.channels.iter().map(|c| without_credentials(&c.url)).collect();
    let mut lock = ForeignLock { channels, ..ForeignLock::default() };
    for package in file.package.iter().filter(|p| p.platform == subdir && p.is_main()) {
        match package.manager.as_str() {
            "conda" => lock.packages.push(conda(package)?),
            "pip" => lock.pypi.push(pip(package)?),
            _ => return Err(bad(package, "its manager is neither conda nor pip")),
        }
    }
    Ok(lock)
}

fn bad(package: &Package, problem: &'static str) -> CondaLockError {
    CondaLockError::Package { package: package.name.clone(), problem }
}

fn sha256(package: &Package) -> Result<Option<Digest>, CondaLockError> {
    let Some(hash) = package.hash.sha256.as_ref().filter(|hash| !hash.is_empty()) else {
        return Ok(None);
    };
    let digest = format!("sha256:{}", hash.to_ascii_lowercase()).parse();
    digest.map(Some).map_err(|_| bad(package, "its SHA-256 is malformed"))
}

fn conda(package: &Package) -> Result<ForeignPackage, CondaLockError> {
    let url = Url::parse(&package.url).map_err(|_| bad(package, "its URL is malformed"))?;
    let mut read =
        ForeignPackage::at(url).ok_or_else(|| bad(package, "its URL is no package's"))?;
    if read.name != package.name.to_ascii_lowercase() || read.version != package.version {
        return Err(bad(package, "its URL is that of another package or version"));
    }
    if let Some(build) = package.build.as_ref().filter(|build| !build.is_empty()) {
        read.build.clone_from(build);
    }
    read.sha256 = sha256(package)?;
    read.md5 = package.hash.md5.clone().filter(|md5| is_hex(md5, 32));
    if read.sha256.is_none() && read.md5.is_none() {
        return Err(bad(package, "it has no hash"));
    }
    let spec = |(name, version): (&String, &Option<String>)| match version.as_deref() {
        None | Some("") => name.clone(),
        Some(version) => format!("{name} {version}"),
    };
    read.depends = Some(package.dependencies.iter().map(spec).collect());
    Ok(read)
}

fn pip(package: &Package) -> Result<PypiFile, CondaLockError> {
    let (version, sha256) = (Some(package.version.clone()), sha256(package)?);
    let file = PypiFile::at(&package.name, version, &package.url, sha256);
    file.ok_or_else(|| bad(package, "its URL is neither a file's nor a commit's"))
}
