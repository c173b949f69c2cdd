//! Debian package names, as `apt-get install` takes them.

use super::problem::Fault;
use std::fmt;
use std::str::FromStr;
use tierce_oci::{Diagnostic, ErrorKind};

/// A Debian package to install, taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AptPackage {
    /// The name (Debian policy, 5.6.1).
    pub name: String,
    /// The architecture, after `:`.
    pub architecture: Option<String>,
    /// Which version.
    pub selector: AptSelector,
}

/// Which version of a package is installed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AptSelector {
    /// The one that apt prefers.
    Preferred,
    /// This one, after `=` (Debian policy, 5.6.12).
    Version(String),
    /// That of this release, after `/`.
    Release(String),
}

/// Why a string is not a package for `apt-get install`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AptPackageError {
    /// The name breaks the policy.
    #[error(
        "{0:?} is not a debian package: a name has at least two lower-case letters, digits, + - and ., and starts with a letter or digit"
    )]
    Name(String),
    /// The version breaks the policy.
    #[error("{0:?} has an invalid version: expected [epoch:]version[-revision]")]
    Version(String),
    /// The release is not a word.
    #[error("{0:?} has an invalid release: expected a suite's name, as bookworm-backports")]
    Release(String),
    /// The architecture is not a word.
    #[error("{0:?} has an invalid architecture: expected one as arm64")]
    Architecture(String),
}

impl Diagnostic for AptPackageError {
    fn code(&self) -> &'static str {
        "spec/invalid-apt-package"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            AptPackageError::Name(text) if text.starts_with('-') => {
                Some("Options of apt-get are not taken here.".into())
            }
            AptPackageError::Name(text) if text.trim().contains(char::is_whitespace) => {
                Some("Name each package by itself: [\"git\", \"curl\"].".into())
            }
            AptPackageError::Name(text) if text.contains("==") => {
                Some("A version follows a single =: \"git=1:2.39.5-0\".".into())
            }
            AptPackageError::Name(text) if text.to_lowercase().parse::<AptPackage>().is_ok() => {
                Some(format!("Debian's names are lower case: {:?}.", text.to_lowercase()))
            }
            _ => None,
        }
    }
}

impl FromStr for AptPackage {
    type Err = AptPackageError;

    fn from_str(s: &str) -> Result<Self, AptPackageError> {
        let (rest, selector) = match s.find(['=', '/']) {
            None => (s, AptSelector::Preferred),
            Some(at) => {
                let (rest, value) = (&s[..at], &s[at + 1..]);
                match s.as_bytes()[at] {
                    // A second = is a slip in the name's syntax, not in the version's.
                    b'=' if value.starts_with('=') => {
                        return Err(AptPackageError::Name(s.to_owned()));
                    }
                    b'=' if valid_version(value) => (rest, AptSelector::Version(value.to_owned())),
                    b'=' => return Err(AptPackageError::Version(s.to_owned())),
                    _ if super::values::archive_word(value) => {
                        (rest, AptSelector::Release(value.to_owned()))
                    }
                    _ => return Err(AptPackageError::Release(s.to_owned())),
                }
            }
        };
        let (name, architecture) = match rest.split_once(':') {
            None => (rest, None),
            Some((name, architecture)) => (name, Some(architecture)),
        };
        if !valid_name(name) {
            return Err(AptPackageError::Name(s.to_owned()));
        }
        let word = |a: &str| {
            !a.is_empty()
                && a.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !a.starts_with('-')
        };
        if architecture.is_some_and(|a| !word(a)) {
            return Err(AptPackageError::Architecture(s.to_owned()));
        }
        let architecture = architecture.map(str::to_owned);
        Ok(AptPackage { name: name.to_owned(), architecture, selector })
    }
}

impl fmt::Display for AptPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(architecture) = &self.architecture {
            write!(f, ":{architecture}")?;
        }
        match &self.selector {
            AptSelector::Preferred => Ok(()),
            AptSelector::Version(version) => write!(f, "={version}"),
            AptSelector::Release(release) => write!(f, "/{release}"),
        }
    }
}

/// Debian policy, 5.6.1. A trailing `-` or `+` would tell `apt-get install` to remove or keep;
/// names that end in `+` (`g++`) exist, names that end in `-` do not.
fn valid_name(name: &str) -> bool {
    name.len() >= 2
        && !name.ends_with('-')
        && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')
        })
}

/// Debian policy, 5.6.12, and `*` for the patterns that apt takes.
fn valid_version(version: &str) -> bool {
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) => (Some(epoch), rest),
        None => (None, version),
    };
    // dpkg keeps epochs in an int.
    let valid_epoch = |e: &str| e.bytes().all(|b| b.is_ascii_digit()) && e.parse::<i32>().is_ok();
    let (upstream, revision) = match rest.rsplit_once('-') {
        Some((upstream, revision)) => (upstream, Some(revision)),
        None => (rest, None),
    };
    let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'~' | b'*');
    epoch.is_none_or(valid_epoch)
        && upstream.starts_with(|c: char| c.is_ascii_digit())
        && upstream.bytes().all(|b| word(b) || matches!(b, b'-' | b':'))
        && revision.is_none_or(|r| !r.is_empty() && r.bytes().all(word))
}

pub(super) fn check_package(package: &str) -> Result<(), Fault> {
    match package.parse::<AptPackage>() {
        Ok(_) => Ok(()),
        Err(error) => {
            Err(Fault { code: error.code(), message: error.to_string(), hint: error.hint() })
        }
    }
}

/// A package of a base: by name alone, since the archive's own suite decides.
pub(super) fn check_base_package(package: &str) -> Result<(), Fault> {
    check_package(package)?;
    match valid_name(package) {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-apt-package",
            format!("{package:?} names more than a package: the suite decides on versions"),
        )
        .hint("Ask for a version in an apt step instead: apt = [\"git=1:2.39.5-0\"].")),
    }
}
