//! Lists of URLs that begin with `@EXPLICIT`: what `conda list --explicit` writes.

use super::CondaLockError;
use crate::foreign::{ForeignLock, ForeignPackage, PypiFile, hidden};
use tierce_oci::Digest;
use url::Url;

/// Lines that conda-lock writes for packages that pip installs.
const PIP: &str = "# pip ";

pub(super) fn parse(text: &str, subdir: &str) -> Result<ForeignLock, CondaLockError> {
    let mut lock = ForeignLock::default();
    for line in text.lines().map(str::trim) {
        if let Some(platform) = line.strip_prefix("# platform:").map(str::trim) {
            for_platform(platform, subdir)?;
        } else if let Some(package) = line.strip_prefix(PIP) {
            lock.pypi.push(pip(package)?);
        } else if !line.is_empty() && !line.starts_with('#') && line != "@EXPLICIT" {
            let package = package(line)?;
            for_platform(&package.subdir, subdir)?;
            lock.packages.push(package);
        }
    }
    Ok(lock)
}

fn for_platform(platform: &str, subdir: &str) -> Result<(), CondaLockError> {
    if platform == subdir || platform == "noarch" {
        return Ok(());
    }
    let (wanted, there) = (subdir.to_owned(), vec![platform.to_owned()]);
    Err(CondaLockError::Platform { wanted, there })
}

/// `URL#MD5`, `URL#SHA256` or `URL#sha256:SHA256`.
fn package(line: &str) -> Result<ForeignPackage, CondaLockError> {
    let bad = |problem| CondaLockError::Package { package: hidden(line), problem };
    let (place, hash) =
        line.rsplit_once('#').ok_or_else(|| bad("there is no hash behind its URL"))?;
    let url = Url::parse(place).map_err(|_| bad("its URL is malformed"))?;
    let mut package = ForeignPackage::at(url).ok_or_else(|| bad("it is no package's URL"))?;
    match hash.strip_prefix("sha256:").unwrap_or(hash) {
        md5 if is_hex(md5, 32) => package.md5 = Some(md5.to_ascii_lowercase()),
        sha256 if is_hex(sha256, 64) => {
            let digest: Result<Digest, _> =
                format!("sha256:{}", sha256.to_ascii_lowercase()).parse();
            package.sha256 = digest.ok();
        }
        _ => return Err(bad("its hash is neither MD5 nor SHA-256")),
    }
    Ok(package)
}

/// `NAME @ URL --hash=sha256:SHA256`.
fn pip(line: &str) -> Result<PypiFile, CondaLockError> {
    let bad = |problem| CondaLockError::Package { package: hidden(line), problem };
    let (name, rest) = line.split_once('@').ok_or_else(|| bad("it has no URL"))?;
    let (place, hash) =
        rest.split_once("--hash=sha256:").ok_or_else(|| bad("it has no SHA-256"))?;
    let digest: Digest = format!("sha256:{}", hash.trim().to_ascii_lowercase())
        .parse()
        .map_err(|_| bad("its SHA-256 is malformed"))?;
    let file = PypiFile::at(name.trim(), None, place.trim(), Some(digest));
    file.ok_or_else(|| bad("its URL is malformed"))
}

pub(super) fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
