//! What lock files of other tools say: exact conda packages, and Python packages with them.

use crate::lock::{CondaPackage, Noarch};
use rattler_conda_types::package::DistArchiveIdentifier;
use std::collections::BTreeSet;
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use url::Url;

/// What a lock file of another tool says about one platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignLock {
    /// The channels that it was made from, without credentials.
    pub channels: Vec<String>,
    /// The conda packages.
    pub packages: Vec<ForeignPackage>,
    /// The Python packages that are installed into the environment.
    pub pypi: Vec<PypiFile>,
    /// The Python package indexes that it was made from, without credentials.
    pub indexes: Vec<String>,
}

/// A conda package of such a file. Not every format says everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignPackage {
    /// Its name, in lower case.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its build string.
    pub build: String,
    /// Its build number.
    pub build_number: u64,
    /// The channel's directory that it is in.
    pub subdir: String,
    /// The channel's URL, without credentials.
    pub channel: String,
    /// Where it is, without credentials.
    pub url: Url,
    /// What it must be.
    pub sha256: Option<Digest>,
    /// Its MD5 in hexadecimal digits.
    pub md5: Option<String>,
    /// Its size.
    pub size: Option<u64>,
    /// What it depends on; `None` where that is not said.
    pub depends: Option<Vec<String>>,
    /// What it restricts without needing it.
    pub constrains: Vec<String>,
    /// Whether and how it is independent of the platform.
    pub noarch: Option<Noarch>,
    /// Where an interpreter wants modules, relative to the prefix.
    pub python_site_packages_path: Option<String>,
    /// Whether `noarch` is what its URL looks like, and not what the file says.
    pub is_guess: bool,
}

/// A Python package of such a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PypiFile {
    /// Its name.
    pub name: String,
    /// Its version, where that is said.
    pub version: Option<String>,
    /// Where it comes from.
    pub place: PypiPlace,
    /// The names of packages that it may require, where that is said.
    pub requires: Vec<String>,
    /// The requirements themselves (PEP 508), those of extras with them, where they are said.
    pub requirements: Vec<String>,
}

/// Where a Python package comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PypiPlace {
    /// A wheel or a source archive.
    File {
        /// Where it is, without credentials.
        url: Url,
        /// What it must be.
        sha256: Option<Digest>,
    },
    /// A commit in a git repository.
    Git {
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
        /// The branch or tag that was asked for.
        requested: Option<String>,
        /// The project's directory in the repository.
        subdirectory: Option<String>,
    },
    /// A folder or an archive of the host, relative to the lock file's.
    Folder(String),
    /// A wheel or a source archive of the host.
    Archive {
        /// Where it is, as folders are given.
        path: String,
        /// What it is.
        sha256: Digest,
    },
}

impl ForeignPackage {
    /// The package at `URL/CHANNEL/SUBDIR/NAME-VERSION-BUILD.conda`, as far as its URL tells.
    pub(crate) fn at(url: Url) -> Option<Self> {
        let url = clean(url);
        let mut parts = url.path_segments()?.rev();
        let (file, subdir) = (parts.next()?, parts.next()?.to_owned());
        let file = percent_decoded(file);
        let archive = DistArchiveIdentifier::try_from_filename(&file)?;
        let stem = file.strip_suffix(".conda").or_else(|| file.strip_suffix(".tar.bz2"))?;
        drop(archive);
        let mut parts = stem.rsplitn(3, '-');
        let (build, version, name) = (parts.next()?, parts.next()?, parts.next()?);
        if subdir.is_empty() || name.is_empty() {
            return None;
        }
        let channel = url.join("..").ok()?.to_string();
        let digits = build.rsplit('_').next().and_then(|number| number.parse().ok());
        Some(ForeignPackage {
            name: name.to_ascii_lowercase(),
            version: version.to_owned(),
            build: build.to_owned(),
            build_number: digits.unwrap_or(0),
            noarch: noarch(&subdir, build),
            subdir,
            channel,
            sha256: None,
            md5: None,
            size: None,
            depends: None,
            constrains: vec![],
            python_site_packages_path: None,
            is_guess: true,
            url,
        })
    }

    /// The package, which must be this.
    pub(crate) fn package(&self, sha256: Digest) -> CondaPackage {
        CondaPackage {
            name: self.name.clone(),
            version: self.version.clone(),
            build: self.build.clone(),
            build_number: self.build_number,
            subdir: self.subdir.clone(),
            channel: self.channel.clone(),
            url: self.url.clone(),
            sha256,
            md5: self.md5.clone(),
            size: self.size,
            depends: self.depends.clone().unwrap_or_default(),
            constrains: self.constrains.clone(),
            noarch: self.noarch,
            python_site_packages_path: self.python_site_packages_path.clone(),
            requested: false,
        }
    }
}

/// What conda's build strings tell of packages that fit every platform.
fn noarch(subdir: &str, build: &str) -> Option<Noarch> {
    match (subdir, build.contains("py")) {
        ("noarch", true) => Some(Noarch::Python),
        ("noarch", false) => Some(Noarch::Generic),
        _ => None,
    }
}

/// Why an address is no package's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the URL of a conda package")]
pub struct UrlError(String);

impl Diagnostic for UrlError {
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

impl ForeignLock {
    /// A lock of these files alone, each with its size where that is known: what they are, they say
    /// themselves.
    pub fn of_files<'a>(
        files: impl IntoIterator<Item = (&'a str, Digest, Option<u64>)>,
    ) -> Result<Self, UrlError> {
        let file = |(url, sha256, size): (&str, Digest, Option<u64>)| {
            let package = Url::parse(url).ok().and_then(ForeignPackage::at);
            let package = package.ok_or_else(|| UrlError(hidden(url)))?;
            Ok(ForeignPackage { sha256: Some(sha256), size, ..package })
        };
        let packages = files.into_iter().map(file).collect::<Result<_, _>>()?;
        Ok(ForeignLock { packages, ..ForeignLock::default() })
    }

    /// The Python packages as a `pylock.toml` (PEP 751), the name of the one that can't be in it
    /// where there is such a one.
    pub fn pylock(&self) -> Result<String, String> {
        let mut packages = vec![];
        for package in &self.pypi {
            packages.push(toml::Value::Table(package.table()?));
        }
        let mut lock = toml::Table::new();
        lock.insert("lock-version".into(), "1.0".into());
        lock.insert("created-by".into(), "tierce".into());
        lock.insert("packages".into(), toml::Value::Array(packages));
        Ok(lock.to_string())
    }

    /// The folders of the host that Python packages are in, each with its package's name.
    pub fn folders(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pypi.iter().filter_map(|package| match &package.place {
            PypiPlace::Folder(path) => Some((package.name.as_str(), path.as_str())),
            PypiPlace::File { .. } | PypiPlace::Git { .. } | PypiPlace::Archive { .. } => None,
        })
    }

    /// The name of a package that is there twice.
    pub(crate) fn twice(&self) -> Option<String> {
        let (mut conda, mut pypi) = (BTreeSet::new(), BTreeSet::new());
        let conda = self.packages.iter().find(|p| !conda.insert(&p.name)).map(|p| &p.name);
        let mut again = || self.pypi.iter().find(|p| !pypi.insert(normalized(&p.name)));
        conda.cloned().or_else(|| again().map(|p| p.name.clone()))
    }
}

impl PypiFile {
    /// The package at a URL, which may begin with `git+`, as direct references do (PEP 440).
    pub(crate) fn at(
        name: &str,
        version: Option<String>,
        place: &str,
        sha256: Option<Digest>,
    ) -> Option<Self> {
        let place = match place.strip_prefix("git+") {
            Some(place) => git(place)?,
            None => PypiPlace::File { url: bare(Url::parse(place).ok()?), sha256 },
        };
        Some(PypiFile {
            name: name.to_owned(),
            version,
            place,
            requires: vec![],
            requirements: vec![],
        })
    }

    /// Its entry in a `pylock.toml`.
    fn table(&self) -> Result<toml::Table, String> {
        let mut table = toml::Table::new();
        table.insert("name".into(), normalized(&self.name).into());
        if let Some(version) = &self.version {
            table.insert("version".into(), version.as_str().into());
        }
        match &self.place {
            PypiPlace::File { url, sha256 } => {
                let digest = sha256.ok_or_else(|| self.name.clone())?;
                let name = url.path().rsplit('/').next().unwrap_or_default();
                add_file(&mut table, &percent_decoded(name), ("url", url.as_str()), &digest);
            }
            PypiPlace::Archive { path, sha256 } => {
                let name = path.rsplit('/').next().unwrap_or_default();
                add_file(&mut table, name, ("path", path), sha256);
            }
            PypiPlace::Git { url, commit, requested, subdirectory } => {
                let mut vcs = toml::Table::new();
                vcs.insert("type".into(), "git".into());
                vcs.insert("url".into(), url.as_str().into());
                vcs.insert("commit-id".into(), commit.as_str().into());
                if let Some(requested) = requested {
                    vcs.insert("requested-revision".into(), requested.as_str().into());
                }
                if let Some(subdirectory) = subdirectory {
                    vcs.insert("subdirectory".into(), subdirectory.as_str().into());
                }
                table.insert("vcs".into(), vcs.into());
            }
            PypiPlace::Folder(path) => {
                let path = ("path".to_owned(), path.as_str().into());
                table.insert("directory".into(), toml::Table::from_iter([path]).into());
            }
        }
        Ok(table)
    }
}

/// Adds a wheel or source archive that is at a place.
fn add_file(table: &mut toml::Table, name: &str, (kind, place): (&str, &str), digest: &Digest) {
    let mut file = toml::Table::new();
    file.insert("name".into(), name.into());
    file.insert(kind.into(), place.into());
    let hashes = toml::Table::from_iter([("sha256".to_owned(), digest.hex().to_string().into())]);
    file.insert("hashes".into(), hashes.into());
    match name.ends_with(".whl") {
        true => table.insert("wheels".into(), vec![file].into()),
        false => table.insert("sdist".into(), file.into()),
    };
}

/// Where something is in a git repository.
pub(crate) struct GitAddress {
    /// The repository, without a password.
    pub url: String,
    /// The commit, where one is said after `#`.
    commit: Option<String>,
    /// What is asked for: a branch, a tag or a commit.
    pub revision: Option<String>,
    /// The project's directory in it.
    pub subdirectory: Option<String>,
}

/// `https://host/repository.git?rev=REQUESTED&subdirectory=DIR#COMMIT`, as uv and pixi write it,
/// or `https://host/repository.git@COMMIT#subdirectory=DIR`, as pip does.
pub(crate) fn git_address(place: &str) -> Option<GitAddress> {
    let mut url = Url::parse(place).ok()?;
    let (mut revision, mut subdirectory) = (None, None);
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "rev" | "branch" | "tag" => revision = Some(value.into_owned()),
            "subdirectory" => subdirectory = Some(value.into_owned()),
            _ => {}
        }
    }
    let mut commit = None;
    match url.fragment() {
        Some(fragment) if is_commit(fragment) => commit = Some(fragment.to_owned()),
        Some(fragment) => {
            let found = fragment.split('&').find_map(|part| part.strip_prefix("subdirectory="));
            subdirectory = found.map(str::to_owned).or(subdirectory);
        }
        None => {}
    }
    url.set_fragment(None);
    url.set_query(None);
    let path = url.path().to_owned();
    if let Some((path, at)) = path.rsplit_once('@') {
        url.set_path(path);
        revision = Some(at.to_owned());
    }
    // Who logs in by SSH is no secret, and nobody gets in without.
    let user = (url.scheme() == "ssh").then(|| url.username().to_owned());
    let mut url = bare(url);
    if let Some(user) = user {
        let _ = url.set_username(&user);
    }
    Some(GitAddress { url: url.to_string(), commit, revision, subdirectory })
}

fn git(place: &str) -> Option<PypiPlace> {
    let GitAddress { url, commit, revision, subdirectory } = git_address(place)?;
    let (commit, requested) = match (commit, revision) {
        (Some(commit), requested) => (commit, requested),
        (None, Some(revision)) if is_commit(&revision) => (revision, None),
        (None, _) => return None,
    };
    Some(PypiPlace::Git { url, commit, requested, subdirectory })
}

fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A name as Python's packages are compared by (PEP 503).
pub(crate) fn normalized(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let mut normal = String::with_capacity(lower.len());
    for part in lower.split(['-', '_', '.']).filter(|part| !part.is_empty()) {
        if !normal.is_empty() {
            normal.push('-');
        }
        normal.push_str(part);
    }
    normal
}

/// The URL without user and password. Only addresses of conda's channels have tokens in their
/// paths: elsewhere, `/t/` is a folder, and a query says which file is meant.
fn bare(url: Url) -> Url {
    let mut url = url;
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// The address of an index without user and password, if it is one.
pub(crate) fn bare_index(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => bare(url).to_string().trim_end_matches('/').to_owned(),
        _ => text.trim_end_matches('/').to_owned(),
    }
}

/// The URL of a channel, or of something in one, without credentials and tokens.
fn clean(url: Url) -> Url {
    let mut url = bare(url);
    url.set_query(None);
    if let Some(at) = url.path().find("/t/")
        && url.scheme() != "file"
    {
        let path = url.path().to_owned();
        let rest = &path[at + 3..];
        if let Some((token, rest)) = rest.split_once('/')
            && !token.is_empty()
        {
            url.set_path(&format!("{}/{rest}", &path[..at]));
        }
    }
    url
}

/// A URL or name without credentials.
pub(crate) fn without_credentials(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let url = clean(url).to_string();
            match text.ends_with('/') {
                true => url,
                false => url.trim_end_matches('/').to_owned(),
            }
        }
        _ => text.to_owned(),
    }
}

/// What may be a URL with credentials, for messages.
pub(crate) fn hidden(text: &str) -> String {
    match text.split_once("://") {
        Some(_) => without_credentials(text.split_whitespace().next().unwrap_or_default()),
        None => text.chars().take(200).collect(),
    }
}

/// `1%2B2` is `1+2`; what is malformed stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = vec![];
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = (*first == b'%').then(|| tail.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}
