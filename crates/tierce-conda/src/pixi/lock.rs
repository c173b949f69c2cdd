//! `pixi.lock`, versions 4 to 7, as `rattler_lock` reads it.

use super::error::PixiLockError;
use crate::foreign::{
    ForeignLock, ForeignPackage, PypiFile, PypiPlace, bare_index, without_credentials,
};
use crate::lock::Noarch;
use crate::text::{TextError, text};
use rattler_conda_types::NoArchKind;
use rattler_lock::{
    CondaBinaryData, CondaPackageData, Environment, FileFormatVersion, LockFile, LockedPackage,
    Platform, PypiPackageData, UrlOrPath,
};
use tierce_oci::Digest;

/// The oldest version that pixi still reads by itself.
const OLDEST: FileFormatVersion = FileFormatVersion::V4;

impl ForeignLock {
    /// Reads what a `pixi.lock` says about an environment on the platform that conda calls
    /// `subdir`.
    pub fn parse_pixi(
        bytes: &[u8],
        environment: &str,
        subdir: &str,
    ) -> Result<Self, PixiLockError> {
        let content = text(bytes)?;
        // What an alias stands for, it stands for as often as it is named.
        let anchors = content.lines().filter(|line| line.contains(": &") || line.contains("- &"));
        if anchors.count() > 16 {
            return Err(TextError::TooLarge.into());
        }
        let file = LockFile::from_str_with_base_directory(content, None)
            .map_err(|error| PixiLockError::Malformed(error.to_string()))?;
        if file.version() < OLDEST {
            let version = file.version();
            return Err(PixiLockError::Malformed(format!(
                "its version is {version}, which is too old"
            )));
        }
        let found = file.environment(environment).ok_or_else(|| {
            let mut there: Vec<String> =
                file.environments().map(|(name, _)| name.to_owned()).collect();
            there.sort();
            PixiLockError::Environment { wanted: environment.to_owned(), there }
        })?;
        let platform = platform(&found, environment, subdir)?;
        let mut lock = ForeignLock {
            channels: found.channels().iter().map(|c| without_credentials(&c.url)).collect(),
            ..ForeignLock::default()
        };
        if let Some(indexes) = found.pypi_indexes() {
            lock.indexes = indexes.indexes.iter().map(|i| bare_index(i.as_str())).collect();
        }
        for package in found.packages(platform).into_iter().flatten() {
            match package {
                LockedPackage::Conda(CondaPackageData::Binary(package)) => {
                    lock.packages.push(conda(package)?);
                }
                LockedPackage::Conda(CondaPackageData::Source(source)) => {
                    let problem = "pixi would build it from source, which is not supported";
                    return Err(bad(source.name().as_normalized(), problem));
                }
                LockedPackage::Pypi(package) => lock.pypi.push(pypi(package)?),
            }
        }
        match lock.twice() {
            Some(name) => Err(bad(&name, "has it twice")),
            None => Ok(lock),
        }
    }
}

fn platform<'l>(
    found: &Environment<'l>,
    environment: &str,
    subdir: &str,
) -> Result<Platform<'l>, PixiLockError> {
    let mut all: Vec<Platform<'l>> = found.platforms().collect();
    all.sort_by(|a, b| a.name().as_str().cmp(b.name().as_str()));
    let exact = all.iter().find(|platform| platform.name().as_str() == subdir);
    let fits = || all.iter().find(|platform| platform.subdir().to_string() == subdir);
    exact.or_else(fits).copied().ok_or_else(|| PixiLockError::Platform {
        environment: environment.to_owned(),
        wanted: subdir.to_owned(),
        there: all.iter().map(|platform| platform.name().as_str().to_owned()).collect(),
    })
}

fn bad(package: &str, problem: &'static str) -> PixiLockError {
    PixiLockError::Package { package: package.to_owned(), problem }
}

fn conda(data: &CondaBinaryData) -> Result<ForeignPackage, PixiLockError> {
    let record = &data.package_record;
    let name = record.name.as_normalized();
    let UrlOrPath::Url(url) = &data.location else {
        return Err(bad(name, "it is a file of the host"));
    };
    let mut package =
        ForeignPackage::at(url.clone()).ok_or_else(|| bad(name, "its URL is no package's"))?;
    if package.name != name {
        return Err(bad(name, "its URL is that of another package"));
    }
    package.version = record.version.as_str().into_owned();
    package.build = record.build.to_string();
    package.build_number = record.build_number;
    package.subdir.clone_from(&record.subdir);
    if let Some(channel) = &data.channel {
        let channel = without_credentials(channel.url().as_str());
        package.channel = format!("{}/", channel.trim_end_matches('/'));
    }
    package.sha256 = record.sha256.map(|hash| Digest::from_bytes(hash.into()));
    package.md5 = record.md5.map(|hash| crate::solve::hex(&hash));
    if package.sha256.is_none() && package.md5.is_none() {
        return Err(bad(name, "it has no hash"));
    }
    package.size = record.size;
    package.depends = Some(record.depends.clone());
    package.constrains.clone_from(&record.constrains);
    package.noarch = record.noarch.kind().map(|kind| match kind {
        NoArchKind::Python => Noarch::Python,
        NoArchKind::Generic => Noarch::Generic,
    });
    package.is_guess = false;
    package.python_site_packages_path.clone_from(&record.python_site_packages_path);
    Ok(package)
}

fn pypi(package: &PypiPackageData) -> Result<PypiFile, PixiLockError> {
    let name = package.name().to_string();
    let version = package.version().map(ToString::to_string);
    let given = package.location();
    let place = match given.inner() {
        UrlOrPath::Path(path) => PypiPlace::Folder(path.as_str().to_owned()),
        UrlOrPath::Url(url) => {
            let hash = package.as_wheel().and_then(|wheel| wheel.hash.as_ref());
            let sha256 = hash.and_then(|hash| hash.sha256());
            let sha256 = sha256.map(|hash| Digest::from_bytes((*hash).into()));
            let text = match url.scheme() {
                "git+https" | "git+http" | "git+ssh" | "git+file" | "http" | "https" | "file" => {
                    url.as_str()
                }
                _ => return Err(bad(&name, "its URL has an unknown scheme")),
            };
            let file = PypiFile::at(&name, version.clone(), text, sha256);
            file.ok_or_else(|| bad(&name, "its URL is neither a file's nor a commit's"))?.place
        }
    };
    if matches!(place, PypiPlace::File { sha256: None, .. }) {
        return Err(bad(&name, "it has no SHA-256"));
    }
    let all = package.requires_dist();
    let requires = all.iter().map(|requirement| requirement.name.to_string()).collect();
    let requirements = all.iter().map(ToString::to_string).collect();
    Ok(PypiFile { name, version, place, requires, requirements })
}
