//! Package names and wheel file names.

use pep440_rs::Version;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A distribution's name, normalised as the "Names and normalization" specification (PEP 503)
/// asks: lower case, runs of `-`, `_` and `.` become one `-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageName(String);

/// Why a string is not a distribution's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a package name: letters, digits, '-', '_' and '.' only, a letter or digit at both ends"
)]
pub struct NameError(pub String);

impl PackageName {
    /// Checks and normalises `name`.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let bytes = name.as_bytes();
        let inner = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        if !edge(bytes.first()) || !edge(bytes.last()) || !bytes.iter().all(inner) {
            return Err(NameError(name.to_owned()));
        }
        let mut normal = String::with_capacity(name.len());
        for c in name.chars() {
            match c {
                '-' | '_' | '.' if normal.ends_with('-') => {}
                '-' | '_' | '.' => normal.push('-'),
                _ => normal.push(c.to_ascii_lowercase()),
            }
        }
        Ok(PackageName(normal))
    }

    /// The normalised name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        PackageName::new(s)
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for PackageName {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PackageName {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        PackageName::new(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// A wheel's file name, taken apart (binary distribution format, "File name convention").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WheelFilename {
    text: String,
    name: PackageName,
    version: Version,
    build: Option<(u64, String)>,
    pythons: Vec<String>,
    abis: Vec<String>,
    platforms: Vec<String>,
}

/// Why a string is not a wheel's file name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a wheel's file name: expected name-version[-build]-python-abi-platform.whl")]
pub struct FilenameError(pub String);

impl WheelFilename {
    /// The whole file name.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normalised name of the distribution.
    pub fn name(&self) -> &PackageName {
        &self.name
    }

    /// The version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The build number and its suffix, by which wheels of equal tags are ordered.
    pub fn build(&self) -> Option<(u64, &str)> {
        self.build.as_ref().map(|(number, suffix)| (*number, suffix.as_str()))
    }

    /// Every (python, abi, platform) tag that the compressed tag set stands for (PEP 425).
    pub fn tags(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.pythons.iter().flat_map(move |python| {
            self.abis.iter().flat_map(move |abi| {
                self.platforms
                    .iter()
                    .map(move |platform| (python.as_str(), abi.as_str(), platform.as_str()))
            })
        })
    }
}

impl FromStr for WheelFilename {
    type Err = FilenameError;

    fn from_str(s: &str) -> Result<Self, FilenameError> {
        let bad = || FilenameError(s.to_owned());
        let printable = |b: u8| b.is_ascii_graphic() && b != b'/' && b != b'\\';
        if !s.bytes().all(printable) {
            return Err(bad());
        }
        let parts: Vec<&str> = s.strip_suffix(".whl").ok_or_else(bad)?.split('-').collect();
        let (build, tags) = match parts.len() {
            5 => (None, &parts[2..]),
            6 => (Some(parse_build(parts[2]).ok_or_else(bad)?), &parts[3..]),
            _ => return Err(bad()),
        };
        let set = |text: &str| -> Option<Vec<String>> {
            let tags: Vec<_> = text.split('.').map(|t| t.to_ascii_lowercase()).collect();
            tags.iter().all(|t| !t.is_empty()).then_some(tags)
        };
        Ok(WheelFilename {
            text: s.to_owned(),
            name: PackageName::new(parts[0]).map_err(|_| bad())?,
            version: parse_version(parts[1]).ok_or_else(bad)?,
            build,
            pythons: set(tags[0]).ok_or_else(bad)?,
            abis: set(tags[1]).ok_or_else(bad)?,
            platforms: set(tags[2]).ok_or_else(bad)?,
        })
    }
}

impl fmt::Display for WheelFilename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for WheelFilename {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for WheelFilename {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A version as file and directory names spell it: `-` is escaped as `_` there.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    Version::from_str(text).or_else(|_| Version::from_str(&text.replace('_', "-"))).ok()
}

fn parse_build(text: &str) -> Option<(u64, String)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_normalised() {
        for (given, normal) in
            [("Flask", "flask"), ("ruamel.yaml", "ruamel-yaml"), ("a-_.b", "a-b"), ("X", "x")]
        {
            assert_eq!(PackageName::new(given).unwrap().as_str(), normal);
        }
        for bad in ["", "-a", "a.", "a b", "a/b", "ü", "a\n"] {
            assert!(PackageName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn filenames_are_taken_apart() {
        let f: WheelFilename =
            "numpy-2.1.0-3-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
                .parse()
                .unwrap();
        assert_eq!(f.name().as_str(), "numpy");
        assert_eq!(f.build(), Some((3, "")));
        assert_eq!(f.tags().count(), 2);
        for bad in [
            "x.whl",
            "a-b-c.whl",
            "a-1-py3-none-any.zip",
            "a-1-py3--any.whl",
            "../a-1-py3-none-any.whl",
            "a-1-x-py3-none-any.whl",
        ] {
            assert!(bad.parse::<WheelFilename>().is_err(), "{bad:?}");
        }
    }
}
