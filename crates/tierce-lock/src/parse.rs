//! Reading the file, and checking that it makes sense.

use crate::error::LockFileError;
use crate::model::{
    FORMAT_VERSION, InterpreterProvider, LockFile, LockedApt, LockedBase, LockedConda,
    LockedCondaPackage, LockedDeb, LockedFile, LockedImage, LockedInterpreter, LockedMirrors,
    LockedPackage, LockedPlatform, LockedPython, LockedSource, Place, Toolchain, spec_digest,
};
use crate::sound::{
    check_commit, check_repository, check_subdirectory, check_url, check_wheel, contradiction,
};
use crate::text::END;
use serde::Deserialize;
use std::collections::BTreeSet;
use tierce_oci::{Digest, Platform};

/// Larger than this is no lock, in bytes: 100,000 packages are a third of it.
const LARGEST: usize = 64 << 20;

#[derive(Deserialize)]
struct Versioned {
    version: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWire {
    #[serde(rename = "version")]
    _version: i64,
    toolchain: ToolchainWire,
    #[serde(default)]
    image: Vec<ImageWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolchainWire {
    tierce: String,
    uv: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageWire {
    name: String,
    spec: Digest,
    declared: Vec<String>,
    #[serde(default)]
    platform: Vec<PlatformWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlatformWire {
    platform: String,
    base: Option<BaseWire>,
    debs: Option<Vec<DebWire>>,
    interpreter: Option<InterpreterWire>,
    python: Option<Vec<PackageWire>>,
    #[serde(default)]
    conda: Vec<CondaWire>,
    #[serde(default)]
    apt: Vec<AptWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct BaseWire {
    registry: Option<String>,
    digest: Option<Digest>,
    manifest: Option<Digest>,
    debian: Option<String>,
    mirror: Option<String>,
    security_mirror: Option<String>,
    snapshot: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DebWire {
    name: String,
    version: String,
    architecture: String,
    multi_arch: Option<MultiArchWire>,
    url: String,
    size: u64,
    sha256: Hex,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MultiArchWire {
    Same,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InterpreterWire {
    implementation: String,
    version: String,
    provider: String,
    file: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    sha256: Option<Hex>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PackageWire {
    name: String,
    version: Option<String>,
    wheel: Option<String>,
    sdist: Option<String>,
    vcs: Option<String>,
    directory: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    sha256: Option<Hex>,
    #[serde(default)]
    direct: bool,
    requested_revision: Option<String>,
    commit: Option<String>,
    subdirectory: Option<String>,
    #[serde(default)]
    requested: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CondaWire {
    prefix: String,
    packages: Vec<CondaPackageWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CondaPackageWire {
    name: String,
    version: String,
    build: String,
    subdir: String,
    channel: String,
    url: String,
    size: Option<u64>,
    sha256: Hex,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AptWire {
    packages: Vec<String>,
    snapshot: Option<String>,
    debs: Vec<DebWire>,
}

/// 64 hexadecimal digits.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hex(Digest);

impl TryFrom<String> for Hex {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digest = Digest::from_hex(&text);
        digest.map(Hex).map_err(|_| format!("{text:?} is no sha256: expected 64 hex digits"))
    }
}

impl LockFile {
    /// Reads the file.
    pub fn parse(text: &str) -> Result<Self, LockFileError> {
        let malformed = |message: String| LockFileError::Malformed { message };
        if text.len() > LARGEST {
            return Err(malformed(format!("it is larger than {LARGEST} bytes")));
        }
        let is_whole = text.trim_end().ends_with(END);
        let syntax = |error: toml::de::Error| match is_whole {
            true => malformed(error.to_string().trim_end().to_owned()),
            false => LockFileError::Truncated,
        };
        let version = toml::from_str::<Versioned>(text).map_err(syntax)?.version;
        match version {
            Some(version) if version == i64::from(FORMAT_VERSION) => {}
            Some(found) => return Err(LockFileError::Version { found, known: FORMAT_VERSION }),
            None if !is_whole => return Err(LockFileError::Truncated),
            None => return Err(malformed("it has no version".to_owned())),
        }
        let file: FileWire = toml::from_str(text).map_err(syntax)?;
        if !is_whole {
            return Err(LockFileError::Truncated);
        }
        let ToolchainWire { tierce, uv } = file.toolchain;
        let images: Result<Vec<LockedImage>, _> = file.image.into_iter().map(image).collect();
        let mut images = images?;
        images.sort_by(|a, b| a.name.cmp(&b.name));
        unique(images.iter().map(|i| i.name.clone()), "image", "the file")?;
        Ok(LockFile { toolchain: Toolchain { tierce, uv }, images })
    }
}

/// Fails where one of these is there twice.
fn unique(
    names: impl Iterator<Item = String>,
    kind: &str,
    place: &str,
) -> Result<(), LockFileError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if seen.contains(&name) {
            return contradiction(format!("{place} has the {kind} {name} twice"));
        }
        seen.insert(name);
    }
    Ok(())
}

fn image(wire: ImageWire) -> Result<LockedImage, LockFileError> {
    let ImageWire { name, spec, declared, platform } = wire;
    if spec_digest(&declared) != spec {
        return contradiction(format!(
            "what the image {name} declares is not what its spec digest stands for"
        ));
    }
    let platforms: Result<Vec<_>, _> = platform.into_iter().map(platform_of).collect();
    let mut platforms = platforms?;
    platforms.sort_by(|a, b| a.platform.cmp(&b.platform));
    unique(platforms.iter().map(|p| p.platform.to_string()), "platform", &name)?;
    Ok(LockedImage { name, declared, platforms })
}

fn platform_of(wire: PlatformWire) -> Result<LockedPlatform, LockFileError> {
    let platform: Platform = wire.platform.parse().map_err(|e: tierce_oci::PlatformError| {
        LockFileError::Malformed { message: e.to_string() }
    })?;
    let place = platform.to_string();
    let mut python = None;
    if let Some(packages) = wire.python {
        let packages: Result<Vec<_>, _> = packages.into_iter().map(package).collect();
        let mut packages = packages?;
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        unique(packages.iter().map(|p| p.name.clone()), "Python package", &place)?;
        python = Some(LockedPython { packages });
    }
    let conda: Result<Vec<_>, _> = wire.conda.into_iter().map(conda).collect();
    let mut conda = conda?;
    conda.sort_by(|a, b| a.prefix.cmp(&b.prefix));
    unique(conda.iter().map(|c| c.prefix.clone()), "conda environment", &place)?;
    let apt: Result<Vec<_>, _> = wire.apt.into_iter().map(apt).collect();
    Ok(LockedPlatform {
        base: base(wire.base, wire.debs, &place)?,
        interpreter: wire.interpreter.map(interpreter).transpose()?,
        python,
        conda,
        apt: apt?,
        platform,
    })
}

fn base(
    wire: Option<BaseWire>,
    packages: Option<Vec<DebWire>>,
    place: &str,
) -> Result<Option<LockedBase>, LockFileError> {
    let Some(wire) = wire else {
        return match packages {
            None => Ok(None),
            Some(_) => contradiction(format!("{place} has debs, but no base")),
        };
    };
    let BaseWire { registry, digest, manifest, debian, mirror, security_mirror, snapshot } = wire;
    let has_settings = snapshot.is_some() || mirror.is_some() || security_mirror.is_some();
    match (registry, digest, manifest, debian, packages) {
        (Some(reference), Some(digest), Some(manifest), None, None) if !has_settings => {
            Ok(Some(LockedBase::Registry { reference, digest, manifest }))
        }
        (None, None, None, Some(suite), Some(packages)) => {
            let packages = debs(packages, place)?;
            let mirrors = match (mirror, security_mirror) {
                (Some(archive), Some(security)) => Some(LockedMirrors {
                    archive: remote(archive, "the archive")?,
                    security: remote(security, "the archive of security updates")?,
                }),
                (None, None) => None,
                _ => return contradiction(format!("the base of {place} has one of two mirrors")),
            };
            let snapshot = date(snapshot)?;
            Ok(Some(LockedBase::Debian { suite, snapshot, mirrors, packages }))
        }
        _ => contradiction(format!(
            "the base of {place} is neither an image in a registry with its digests nor Debian \
             with its packages"
        )),
    }
}

/// `20251115T203412Z`: it becomes a part of a path.
fn date(snapshot: Option<String>) -> Result<Option<String>, LockFileError> {
    let is_date = |text: &String| {
        text.len() == 16
            && text.bytes().enumerate().all(|(at, b)| match at {
                8 => b == b'T',
                15 => b == b'Z',
                _ => b.is_ascii_digit(),
            })
    };
    match snapshot.as_ref().is_none_or(is_date) {
        true => Ok(snapshot),
        false => Err(LockFileError::Malformed {
            message: format!("{:?} is no date as 20251115T203412Z", snapshot.unwrap_or_default()),
        }),
    }
}

fn debs(wire: Vec<DebWire>, place: &str) -> Result<Vec<LockedDeb>, LockFileError> {
    let debs: Result<Vec<_>, LockFileError> = wire
        .into_iter()
        .map(|wire| {
            let Hex(sha256) = wire.sha256;
            Ok(LockedDeb {
                url: remote(wire.url, &wire.name)?,
                name: wire.name,
                version: wire.version,
                architecture: wire.architecture,
                multi_arch_same: wire.multi_arch.is_some(),
                size: wire.size,
                sha256,
            })
        })
        .collect();
    let debs = debs?;
    let names = debs.iter().map(|d| format!("{}:{}", d.name, d.architecture));
    unique(names, "Debian package", place)?;
    Ok(debs)
}

/// A URL that files are fetched from.
fn remote(url: String, name: &str) -> Result<String, LockFileError> {
    let known = ["https://", "http://", "file:///"].iter().any(|scheme| url.starts_with(scheme));
    match known {
        true => check_url(&url, name).map(|()| url),
        false => Err(LockFileError::Malformed {
            message: format!("{name} has the URL {url:?}, which nothing can be fetched from"),
        }),
    }
}

fn interpreter(wire: InterpreterWire) -> Result<LockedInterpreter, LockFileError> {
    let InterpreterWire { implementation, version, provider, file, url, path, size, sha256 } = wire;
    let known = InterpreterProvider::ALL.into_iter().find(|p| p.as_str() == provider);
    let Some(provider) = known else {
        let message = format!("the interpreter's provider {provider:?} is unknown");
        return Err(LockFileError::Malformed { message });
    };
    let file = match file {
        Some(filename) => Some(locked_file(filename, url, path, size, sha256)?),
        None if url.is_none() && path.is_none() && size.is_none() && sha256.is_none() => None,
        None => return contradiction("the interpreter's file has no name".to_owned()),
    };
    if provider == InterpreterProvider::Standalone && file.is_none() {
        return contradiction("the standalone interpreter has no file".to_owned());
    }
    Ok(LockedInterpreter { implementation, version, provider, file })
}

fn locked_file(
    filename: String,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    sha256: Option<Hex>,
) -> Result<LockedFile, LockFileError> {
    let place = place(&filename, url, path)?;
    if let Place::Url(url) = &place {
        remote(url.clone(), &filename)?;
    }
    let Some(Hex(sha256)) = sha256 else {
        return contradiction(format!("{filename} has no sha256"));
    };
    if filename.contains('/') || filename.is_empty() || filename == ".." || filename == "." {
        return contradiction(format!("{filename:?} is not the name of a file"));
    }
    Ok(LockedFile { filename, place, size, sha256 })
}

fn place(name: &str, url: Option<String>, path: Option<String>) -> Result<Place, LockFileError> {
    match (url, path) {
        (Some(url), None) => Ok(Place::Url(url)),
        (None, Some(path)) => Ok(Place::Path(path)),
        (None, None) => contradiction(format!("{name} has neither url nor path")),
        (Some(_), Some(_)) => contradiction(format!("{name} has both url and path")),
    }
}

fn package(wire: PackageWire) -> Result<LockedPackage, LockFileError> {
    let PackageWire {
        name,
        version,
        wheel,
        sdist,
        vcs,
        directory,
        url,
        path,
        size,
        sha256,
        direct,
        requested_revision,
        commit,
        subdirectory,
        requested,
    } = wire;
    let is_file = sha256.is_some() || size.is_some() || direct;
    let is_commit = commit.is_some() || requested_revision.is_some();
    let source = match (wheel, sdist, vcs, directory) {
        (Some(wheel), None, None, None) if !is_commit && subdirectory.is_none() => {
            let file = locked_file(wheel, url, path, size, sha256)?;
            check_wheel(&name, version.as_deref(), &file.filename)?;
            LockedSource::Wheel { file, direct }
        }
        (None, Some(sdist), None, None) if !is_commit => {
            let file = locked_file(sdist, url, path, size, sha256)?;
            check_subdirectory(&name, subdirectory.as_deref())?;
            LockedSource::Sdist { file, direct, subdirectory }
        }
        (None, None, Some(kind), None) if !is_file => {
            let Some(commit) = commit else {
                return contradiction(format!("{name} has no commit"));
            };
            let place = place(&name, url, path)?;
            check_commit(&name, &kind, &commit)?;
            check_repository(&name, &place)?;
            check_subdirectory(&name, subdirectory.as_deref())?;
            LockedSource::Vcs { kind, place, requested_revision, commit, subdirectory }
        }
        (None, None, None, Some(path_of)) if !is_file && !is_commit && url.is_none() => {
            if path.is_some() {
                return contradiction(format!("{name} has both directory and path"));
            }
            check_subdirectory(&name, subdirectory.as_deref())?;
            LockedSource::Directory { path: path_of, subdirectory }
        }
        _ => {
            return contradiction(format!(
                "{name} is not one of a wheel, an sdist, a commit and a directory"
            ));
        }
    };
    Ok(LockedPackage { name, version, requested, source })
}

fn conda(wire: CondaWire) -> Result<LockedConda, LockFileError> {
    let CondaWire { prefix, packages } = wire;
    let packages: Result<Vec<_>, LockFileError> = packages
        .into_iter()
        .map(|package| {
            let CondaPackageWire { name, version, build, subdir, channel, url, size, sha256 } =
                package;
            let url = remote(url, &name)?;
            check_url(&channel, &name)?;
            let Hex(sha256) = sha256;
            Ok(LockedCondaPackage { name, version, build, subdir, channel, url, size, sha256 })
        })
        .collect();
    let mut packages = packages?;
    packages.sort();
    unique(packages.iter().map(|p| p.name.clone()), "conda package", &prefix)?;
    Ok(LockedConda { prefix, packages })
}

fn apt(wire: AptWire) -> Result<LockedApt, LockFileError> {
    let AptWire { packages, snapshot, debs: wire } = wire;
    let mut debs = debs(wire, "an apt step")?;
    debs.sort();
    Ok(LockedApt { packages, snapshot: date(snapshot)?, debs })
}
