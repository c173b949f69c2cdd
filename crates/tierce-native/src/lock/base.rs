//! The base of a locked image.

use super::LockedError;
use super::debs::{LockedDebs, locked};
use crate::context::Context;
use std::time::SystemTime;
use tierce_debian::{ArchiveSettings, MultiArch, Package, Priority, Release, snapshot_date};
use tierce_engine::Locking;
use tierce_lock::{InterpreterProvider, LockedBase, LockedDeb, LockedInterpreter, LockedMirrors};
use tierce_oci::{Digest, Platform, Reference};
use tierce_wheel::Location;
use url::Url;

/// A Debian base as a lock has it.
pub struct LockedDebian {
    /// Its packages.
    pub packages: Vec<Package>,
    /// Where they are.
    pub debs: LockedDebs,
    /// The archives that the image is told of.
    pub mirrors: Option<LockedMirrors>,
    /// Its Python: the path and the version.
    pub interpreter: Option<(String, String)>,
}

impl Context {
    /// What a lock says about the digest of a base in a registry; `None` where it is to be
    /// looked up.
    pub fn locked_digest(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<Option<Digest>, LockedError> {
        let Some(ledger) = self.locking.ledger() else { return Ok(None) };
        let wanted = reference.to_string();
        match ledger.base(platform) {
            Some(LockedBase::Registry { reference, digest, .. }) if reference == wanted => {
                Ok(Some(digest))
            }
            _ if ledger.is_locked() => Err(missing(&format!("base {wanted}"), platform)),
            _ => Ok(None),
        }
    }

    /// Records what a base in a registry is.
    pub fn record_registry_base(
        &self,
        reference: &Reference,
        platform: &Platform,
        digest: Digest,
        manifest: Digest,
    ) {
        if let Some(ledger) = self.locking.record() {
            let reference = reference.to_string();
            ledger.record_base(platform, LockedBase::Registry { reference, digest, manifest });
        }
    }

    /// What a lock says about a Debian base; `None` where it is to be looked up.
    pub fn locked_debian(
        &self,
        suite: &str,
        platform: &Platform,
    ) -> Result<Option<LockedDebian>, LockedError> {
        let Some(ledger) = self.locking.ledger() else { return Ok(None) };
        let (snapshot, mirrors, debs) = match ledger.base(platform) {
            Some(LockedBase::Debian { suite: same, snapshot, mirrors, packages })
                if same == suite =>
            {
                (snapshot, mirrors, packages)
            }
            _ if ledger.is_locked() => {
                return Err(missing(&format!("base debian {suite}"), platform));
            }
            _ => return Ok(None),
        };
        let packages: Result<Vec<Package>, LockedError> = debs.iter().map(package).collect();
        let packages = packages?;
        let is_python = |deb: &LockedDeb| deb.name == "python3";
        let interpreter = match (debs.iter().any(is_python), ledger.interpreter(platform)) {
            (false, _) => None,
            (
                true,
                Some(LockedInterpreter { provider: InterpreterProvider::Debian, version, .. }),
            ) => Some((debian_python(&version), version)),
            (true, _) => debs.iter().find_map(python_of),
        };
        let debs = LockedDebs { debs, snapshot };
        Ok(Some(LockedDebian { packages, debs, mirrors, interpreter }))
    }

    /// Records what a Debian base is made of, as it is in the archive or in an earlier lock.
    pub fn record_debian_base(
        &self,
        suite: &str,
        platform: &Platform,
        packages: &[Package],
        snapshot: Option<String>,
        settings: &ArchiveSettings,
    ) {
        if let Some(ledger) = self.locking.record() {
            let packages = packages.iter().map(locked).collect();
            let suite = suite.to_owned();
            let url = |url: &Url| Location::Url(url.clone()).without_credentials();
            let mirrors = Some(LockedMirrors {
                archive: url(&settings.mirror),
                security: url(&settings.security_mirror),
            });
            let base = LockedBase::Debian { suite, snapshot, mirrors, packages };
            ledger.record_base(platform, base);
        }
    }

    /// Whether a lock is made, which needs nothing run that is not looked into.
    pub fn is_recording(&self) -> bool {
        matches!(self.locking, Locking::Record(_))
    }
}

/// The date of the newest of an archive's releases.
pub fn newest(releases: &[Release]) -> Option<String> {
    let newest: Option<SystemTime> = releases.iter().map(|release| release.date).max();
    newest.map(snapshot_date)
}

/// The settings of a Debian base with the archives that a lock says: the image is told of these,
/// whatever this machine fetches from.
pub fn with_mirrors(
    settings: &ArchiveSettings,
    mirrors: Option<&LockedMirrors>,
) -> Result<ArchiveSettings, LockedError> {
    let mut settings = settings.clone();
    if let Some(LockedMirrors { archive, security }) = mirrors {
        let parsed = |url: &String| {
            Url::parse(url).map_err(|error| LockedError::Impossible {
                what: format!("the Debian archive {url}"),
                why: error.to_string(),
            })
        };
        settings.mirror = parsed(archive)?;
        settings.security_mirror = parsed(security)?;
    }
    Ok(settings)
}

/// A lock lacks something.
pub fn missing(what: &str, platform: &Platform) -> LockedError {
    LockedError::Missing { what: what.to_owned(), platform: platform.clone() }
}

/// The package that `python3` is a link into, whose name has the version.
fn python_of(deb: &LockedDeb) -> Option<(String, String)> {
    let minor = deb.name.strip_prefix("python3.")?;
    let is_minor = !minor.is_empty() && minor.bytes().all(|b| b.is_ascii_digit());
    let end = deb.version.find(|c: char| !c.is_ascii_digit() && c != '.');
    let version = &deb.version[..end.unwrap_or(deb.version.len())];
    is_minor.then(|| (format!("/usr/bin/{}", deb.name), version.to_owned()))
}

/// Where Debian has the Python of a version.
fn debian_python(version: &str) -> String {
    let series: Vec<&str> = version.split('.').take(2).collect();
    format!("/usr/bin/python{}", series.join("."))
}

/// A locked package, as far as unpacking and configuring it needs to know.
fn package(deb: &LockedDeb) -> Result<Package, LockedError> {
    let impossible = |why: String| LockedError::Impossible {
        what: format!("the Debian package {} {}", deb.name, deb.version),
        why,
    };
    Ok(Package {
        name: deb
            .name
            .parse()
            .map_err(|e: tierce_debian::PackageNameError| impossible(e.to_string()))?,
        version: deb
            .version
            .parse()
            .map_err(|e: tierce_debian::VersionError| impossible(e.to_string()))?,
        architecture: deb.architecture.clone(),
        multi_arch: if deb.multi_arch_same { MultiArch::Same } else { MultiArch::No },
        essential: false,
        priority: Priority::Optional,
        pre_depends: vec![],
        depends: vec![],
        conflicts: vec![],
        breaks: vec![],
        provides: vec![],
        url: Url::parse(&deb.url).map_err(|e| impossible(e.to_string()))?,
        size: deb.size,
        sha256: deb.sha256,
    })
}
