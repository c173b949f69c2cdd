//! What the archive says of a package: a paragraph of Packages (Debian policy section 5.6).

use crate::control::{ControlError, Paragraph};
use crate::relation::{Alternatives, Relation, RelationError, parse_alternatives, parse_relations};
use crate::version::{Version, VersionError};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use tierce_oci::{Digest, DigestError, Platform};
use url::Url;

/// A package's name (Debian policy section 5.6.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName(String);

/// Why a string is not a package's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a package name: expected lower-case letters, digits and +-. after a letter or digit"
)]
pub struct PackageNameError(pub String);

impl PackageName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = PackageNameError;

    fn from_str(text: &str) -> Result<Self, PackageNameError> {
        // dpkg admits upper case and single characters, and virtual packages use them
        // (`r-api-4.0`, `libghc-x-dev-0.1-a1B2c`): its rule, not policy's.
        let valid = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._".contains(&b));
        if valid {
            Ok(PackageName(text.to_owned()))
        } else {
            Err(PackageNameError(text.to_owned()))
        }
    }
}

impl Borrow<str> for PackageName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A package that is asked for: `git`, or `git=1:2.39.5-0+deb12u2` for that version alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageSpec {
    /// The package, or something that packages provide.
    pub name: PackageName,
    /// The one version that will do.
    pub version: Option<Version>,
}

/// Why a string does not name a package to install.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageSpecError {
    /// What is before the `=` is no name.
    #[error(transparent)]
    Name(#[from] PackageNameError),
    /// What is after the `=` is no version.
    #[error(transparent)]
    Version(#[from] VersionError),
}

impl FromStr for PackageSpec {
    type Err = PackageSpecError;

    fn from_str(text: &str) -> Result<Self, PackageSpecError> {
        let (name, version) = match text.split_once('=') {
            Some((name, version)) => (name, Some(version.parse()?)),
            None => (text, None),
        };
        Ok(PackageSpec { name: name.parse()?, version })
    }
}

impl fmt::Display for PackageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "{}={version}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// A Debian architecture: `amd64`, `arm64`, `armhf`, ...
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Architecture(String);

/// A platform for which Debian has no architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("debian has no architecture for the platform {0}")]
pub struct ArchitectureError(pub Platform);

impl Architecture {
    /// The architecture whose packages run on `platform`.
    pub fn of(platform: &Platform) -> Result<Self, ArchitectureError> {
        let unknown = || ArchitectureError(platform.clone());
        if platform.os != "linux" {
            return Err(unknown());
        }
        let name = match (platform.architecture.as_str(), platform.variant.as_deref()) {
            ("386", _) => "i386",
            ("arm", Some("v5" | "v6")) => "armel",
            ("arm", _) => "armhf",
            ("ppc64le", _) => "ppc64el",
            ("mips64le", _) => "mips64el",
            (same @ ("amd64" | "arm64" | "s390x" | "riscv64" | "loong64"), _) => same,
            _ => return Err(unknown()),
        };
        Ok(Architecture(name.to_owned()))
    }

    /// The architecture's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How much a system needs a package (Debian policy section 2.5); the most needed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Without it dpkg may not work.
    Required,
    /// What one expects of any Unix system.
    Important,
    /// A small character-mode system.
    Standard,
    /// All else, `extra` too, which means the same since policy 4.0.1.
    Optional,
}

impl Priority {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("required") => Priority::Required,
            Some("important") => Priority::Important,
            Some("standard") => Priority::Standard,
            _ => Priority::Optional,
        }
    }
}

/// Whether packages of other architectures may satisfy relations to a package.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MultiArch {
    /// `no`, or not given.
    #[default]
    No,
    /// `same`: may be installed for several architectures at once, and dpkg files what it knows
    /// of it under `name:architecture`.
    Same,
    /// `foreign`
    Foreign,
    /// `allowed`
    Allowed,
}

impl MultiArch {
    pub(crate) fn of(text: Option<&str>) -> Self {
        match text {
            Some("same") => MultiArch::Same,
            Some("foreign") => MultiArch::Foreign,
            Some("allowed") => MultiArch::Allowed,
            _ => MultiArch::No,
        }
    }
}

/// A binary package in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The name.
    pub name: PackageName,
    /// The version.
    pub version: Version,
    /// `amd64`, or `all`.
    pub architecture: String,
    /// Whether it serves other architectures.
    pub multi_arch: MultiArch,
    /// `Essential: yes`: everything may use it without depending on it.
    pub essential: bool,
    /// How much a system needs it.
    pub priority: Priority,
    /// What must be configured before it is unpacked.
    pub pre_depends: Vec<Alternatives>,
    /// What must be configured before it is.
    pub depends: Vec<Alternatives>,
    /// What must not be unpacked with it.
    pub conflicts: Vec<Relation>,
    /// What must not be configured with it.
    pub breaks: Vec<Relation>,
    /// What it stands for besides itself.
    pub provides: Vec<Relation>,
    /// Where the `.deb` is.
    pub url: Url,
    /// The `.deb`'s size.
    pub size: u64,
    /// The `.deb`'s SHA-256.
    pub sha256: Digest,
}

/// Why a paragraph of Packages is no package.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// A field is missing or malformed.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A relationship is malformed.
    #[error(transparent)]
    Relation(#[from] RelationError),
    /// The SHA-256 is malformed.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// The file is not below the mirror.
    #[error("file name {0:?} does not stay below the mirror")]
    Filename(String),
}

/// The fields of Packages that a [`Package`] is made of.
pub(crate) const FIELDS: &[&str] = &[
    "Package",
    "Version",
    "Architecture",
    "Multi-Arch",
    "Essential",
    "Priority",
    "Pre-Depends",
    "Depends",
    "Conflicts",
    "Breaks",
    "Provides",
    "Filename",
    "Size",
    "SHA256",
];

impl Package {
    /// The package that a paragraph of Packages of the archive at `mirror` describes.
    pub fn from_paragraph(paragraph: &Paragraph, mirror: &Url) -> Result<Self, PackageError> {
        let alternatives = |name| parse_alternatives(paragraph.get(name).unwrap_or(""));
        let relations = |name| parse_relations(paragraph.get(name).unwrap_or(""));
        Ok(Package {
            name: paragraph.parse("Package")?,
            version: paragraph.parse("Version")?,
            architecture: paragraph.require("Architecture")?.to_owned(),
            multi_arch: MultiArch::of(paragraph.get("Multi-Arch")),
            essential: paragraph.get("Essential") == Some("yes"),
            priority: Priority::of(paragraph.get("Priority")),
            pre_depends: alternatives("Pre-Depends")?,
            depends: alternatives("Depends")?,
            conflicts: relations("Conflicts")?,
            breaks: relations("Breaks")?,
            provides: relations("Provides")?,
            url: below(mirror, paragraph.require("Filename")?)?,
            size: paragraph.parse("Size")?,
            sha256: Digest::from_hex(paragraph.require("SHA256")?)?,
        })
    }

    /// Whether the package, under its own name or one it provides, is what `relation` means
    /// on the machine's own architecture.
    pub fn satisfies(&self, relation: &Relation) -> bool {
        let qualifier_met = match relation.qualifier.as_deref() {
            None | Some("native") => true,
            // Policy of multi-arch: only packages that allow it satisfy `:any`; in an archive of
            // one architecture that is a demand already met by being there.
            Some("any") => true,
            Some(architecture) => self.architecture == architecture,
        };
        qualifier_met
            && (self.satisfies_by_name(relation)
                || self.provides.iter().any(|provided| provides(provided, relation)))
    }

    fn satisfies_by_name(&self, relation: &Relation) -> bool {
        self.name == relation.name
            && relation.constraint.as_ref().is_none_or(|c| c.admits(&self.version))
    }
}

/// Policy 7.5: a versioned relation is met only by a versioned `Provides`.
fn provides(provided: &Relation, wanted: &Relation) -> bool {
    provided.name == wanted.name
        && match (&wanted.constraint, &provided.constraint) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(demand), Some(given)) => demand.admits(&given.version),
        }
}

/// The URL of `path` below `mirror`: a signed index may be old or wrong, but never reaches
/// outside the mirror that the user named.
pub(crate) fn below(mirror: &Url, path: &str) -> Result<Url, PackageError> {
    let escapes = path.is_empty()
        || path.split('/').any(|part| part.is_empty() || part == "." || part == "..");
    if escapes {
        return Err(PackageError::Filename(path.to_owned()));
    }
    let mut url = mirror.clone();
    match url.path_segments_mut() {
        Ok(mut segments) => segments.pop_if_empty().extend(path.split('/')),
        Err(()) => return Err(PackageError::Filename(path.to_owned())),
    };
    Ok(url)
}
