//! The interpreter and platform that wheels are chosen for.

use crate::name::WheelFilename;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use tierce_oci::Platform;

/// A CPython version: `3.11` or, where the interpreter is known exactly, `3.11.2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PythonVersion {
    major: u8,
    minor: u8,
    micro: Option<u8>,
}

/// Why a string is not the version of an interpreter that tierce installs for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a python version: expected 3.9 or later, as 3.11 or 3.11.2")]
pub struct PythonVersionError(pub String);

impl PythonVersion {
    /// `major.minor`, which must be at least 3.9.
    pub fn new(major: u8, minor: u8) -> Result<Self, PythonVersionError> {
        if major != 3 || minor < 9 {
            return Err(PythonVersionError(format!("{major}.{minor}")));
        }
        Ok(PythonVersion { major, minor, micro: None })
    }

    /// The same with the third number known.
    pub fn with_micro(self, micro: u8) -> Self {
        PythonVersion { micro: Some(micro), ..self }
    }

    /// The first number.
    pub fn major(self) -> u8 {
        self.major
    }

    /// The second number.
    pub fn minor(self) -> u8 {
        self.minor
    }

    /// The third number, where it is known.
    pub fn micro(self) -> Option<u8> {
        self.micro
    }

    /// `3.11`, as directories and program names spell it.
    pub fn short(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

impl FromStr for PythonVersion {
    type Err = PythonVersionError;

    fn from_str(s: &str) -> Result<Self, PythonVersionError> {
        let bad = || PythonVersionError(s.to_owned());
        let number = |part: &str| -> Result<u8, PythonVersionError> {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad());
            }
            part.parse().map_err(|_| bad())
        };
        let parts: Vec<&str> = s.split('.').collect();
        let version = match parts.as_slice() {
            [major, minor] => PythonVersion::new(number(major)?, number(minor)?),
            [major, minor, micro] => PythonVersion::new(number(major)?, number(minor)?)
                .and_then(|v| Ok(v.with_micro(number(micro)?))),
            _ => return Err(bad()),
        };
        version.map_err(|_| bad())
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        self.micro.map_or(Ok(()), |micro| write!(f, ".{micro}"))
    }
}

/// The C library of the image: it decides which compiled wheels run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Libc {
    /// The GNU C library 2.`minor` (PEP 600).
    Glibc {
        /// The number after `2.`.
        minor: u8,
    },
    /// musl 1.`minor` (PEP 656), as Alpine has it.
    Musl {
        /// The number after `1.`.
        minor: u8,
    },
}

impl Libc {
    /// glibc 2.28: what current wheels are built for and every Debian, Ubuntu and RHEL since
    /// 2019 provides. For images whose C library is not known.
    pub const DEFAULT: Libc = Libc::Glibc { minor: 28 };
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Libc::Glibc { minor } => write!(f, "glibc 2.{minor}"),
            Libc::Musl { minor } => write!(f, "musl 1.{minor}"),
        }
    }
}

/// What wheels are chosen for: an interpreter, a platform and its C library.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    python: PythonVersion,
    platform: Platform,
    libc: Libc,
    machine: &'static str,
}

/// Why there are no wheels for a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("python packages can't be resolved for {0}: only linux/amd64 and linux/arm64 are known")]
pub struct UnsupportedPlatform(pub Platform);

impl Target {
    /// A target on `platform`, which must be Linux on amd64 or arm64.
    pub fn new(
        python: PythonVersion,
        platform: &Platform,
        libc: Libc,
    ) -> Result<Self, UnsupportedPlatform> {
        let machine = match (platform.os.as_str(), platform.architecture.as_str()) {
            ("linux", "amd64") => "x86_64",
            ("linux", "arm64") => "aarch64",
            _ => return Err(UnsupportedPlatform(platform.clone())),
        };
        Ok(Target { python, platform: platform.clone(), libc, machine })
    }

    /// The interpreter's version.
    pub fn python(&self) -> PythonVersion {
        self.python
    }

    /// The platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The C library.
    pub fn libc(&self) -> Libc {
        self.libc
    }

    /// The processor as `uname -m` and platform tags spell it.
    pub fn machine(&self) -> &'static str {
        self.machine
    }

    /// The value of uv's `--python-platform` that comes closest from below.
    pub(crate) fn uv_platform(&self) -> String {
        match self.libc {
            Libc::Musl { .. } => format!("{}-unknown-linux-musl", self.machine),
            Libc::Glibc { minor } => {
                let known = match minor {
                    0..=27 => 17,
                    28..=30 => 28,
                    31..=40 => minor,
                    _ => 40,
                };
                format!("{}-manylinux_2_{known}", self.machine)
            }
        }
    }

    /// The tags of wheels that this target runs.
    pub fn tags(&self) -> Tags {
        Tags::of(self)
    }

    fn platform_tags(&self) -> Vec<String> {
        let machine = self.machine;
        let mut tags = Vec::new();
        match self.libc {
            Libc::Glibc { minor } => {
                // PEP 600: manylinux1 (2.5) and manylinux2010 (2.12) exist for x86_64 only.
                let oldest = if machine == "x86_64" { 5 } else { 17 };
                for minor in (oldest..=minor).rev() {
                    tags.push(format!("manylinux_2_{minor}_{machine}"));
                    let legacy = match minor {
                        17 => "manylinux2014",
                        12 => "manylinux2010",
                        5 => "manylinux1",
                        _ => continue,
                    };
                    tags.push(format!("{legacy}_{machine}"));
                }
            }
            Libc::Musl { minor } => {
                tags.extend((0..=minor).rev().map(|m| format!("musllinux_1_{m}_{machine}")));
            }
        }
        tags.push(format!("linux_{machine}"));
        tags
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "python {} on {} with {}", self.python, self.platform, self.libc)
    }
}

/// The tags that a target supports, best first (platform compatibility tags, PEP 425).
///
/// The order is that of `packaging.tags.sys_tags` for CPython.
#[derive(Clone, Debug)]
pub struct Tags {
    ordered: Vec<(String, String, String)>,
    rank: HashMap<(String, String, String), usize>,
}

impl Tags {
    fn of(target: &Target) -> Self {
        let minor = target.python.minor;
        let platforms = target.platform_tags();
        let cp = format!("cp3{minor}");
        let mut ordered = Vec::new();
        let mut push = |python: &str, abi: &str, platform: &str| {
            ordered.push((python.to_owned(), abi.to_owned(), platform.to_owned()));
        };
        for abi in [cp.as_str(), "abi3", "none"] {
            platforms.iter().for_each(|p| push(&cp, abi, p));
        }
        for older in (2..minor).rev() {
            platforms.iter().for_each(|p| push(&format!("cp3{older}"), "abi3", p));
        }
        let generic: Vec<String> = [format!("py3{minor}"), "py3".to_owned()]
            .into_iter()
            .chain((0..minor).rev().map(|older| format!("py3{older}")))
            .collect();
        for python in &generic {
            platforms.iter().for_each(|p| push(python, "none", p));
        }
        push(&cp, "none", "any");
        generic.iter().for_each(|python| push(python, "none", "any"));
        let rank = ordered.iter().cloned().enumerate().map(|(i, tag)| (tag, i)).collect();
        Tags { ordered, rank }
    }

    /// All tags, best first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.ordered
            .iter()
            .map(|(python, abi, platform)| (python.as_str(), abi.as_str(), platform.as_str()))
    }

    /// How good a wheel fits, smaller is better; `None` if it doesn't.
    pub fn rank(&self, wheel: &WheelFilename) -> Option<usize> {
        wheel
            .tags()
            .filter_map(|(python, abi, platform)| {
                self.rank.get(&(python.to_owned(), abi.to_owned(), platform.to_owned())).copied()
            })
            .min()
    }

    /// The wheel that an installer should take: the best tag, then the highest build number,
    /// then (so that the choice is one) the file name.
    pub fn best<'a, T>(
        &self,
        wheels: impl IntoIterator<Item = &'a T>,
        filename: impl Fn(&'a T) -> &'a WheelFilename,
    ) -> Option<&'a T> {
        wheels
            .into_iter()
            .filter_map(|wheel| {
                let name = filename(wheel);
                let build = name.build().map(|(number, suffix)| (number, suffix.to_owned()));
                Some(((self.rank(name)?, Reverse(build), name.as_str().to_owned()), wheel))
            })
            .min_by(|(a, _), (b, _)| a.cmp(b))
            .map(|(_, wheel)| wheel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(python: &str, arch: &str, libc: Libc) -> Target {
        Target::new(python.parse().unwrap(), &Platform::linux(arch), libc).unwrap()
    }

    fn best<'a>(target: &Target, names: &[&'a str]) -> Option<&'a str> {
        let wheels: Vec<(WheelFilename, &'a str)> =
            names.iter().map(|n| (n.parse().unwrap(), *n)).collect();
        target.tags().best(&wheels, |(w, _)| w).map(|(_, n)| *n)
    }

    #[test]
    fn the_best_wheel_is_chosen() {
        let debian = target("3.11.2", "amd64", Libc::Glibc { minor: 36 });
        let alpine = target("3.12", "amd64", Libc::Musl { minor: 2 });
        let arm = target("3.13", "arm64", Libc::DEFAULT);
        let all = [
            "x-1-py3-none-any.whl",
            "x-1-cp37-abi3-manylinux1_x86_64.manylinux_2_5_x86_64.whl",
            "x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
            "x-1-cp311-cp311-manylinux_2_28_x86_64.whl",
            "x-1-cp311-cp311-manylinux_2_39_x86_64.whl",
            "x-1-cp312-cp312-musllinux_1_1_x86_64.whl",
            "x-1-cp313-cp313-manylinux_2_17_aarch64.whl",
            "x-1-cp313-cp313t-manylinux_2_17_aarch64.whl",
        ];
        assert_eq!(best(&debian, &all), Some(all[3]));
        assert_eq!(best(&alpine, &all), Some(all[5]));
        assert_eq!(best(&arm, &all), Some(all[6]));
        assert_eq!(best(&debian, &all[..2]), Some(all[1]));
        assert_eq!(best(&debian, &all[4..]), None);
        assert_eq!(
            best(&debian, &["x-1-2-py3-none-any.whl", "x-1-10-py3-none-any.whl"]),
            Some("x-1-10-py3-none-any.whl")
        );
    }

    #[test]
    fn versions_are_checked() {
        for good in ["3.9", "3.11.2", "3.14"] {
            assert_eq!(good.parse::<PythonVersion>().unwrap().to_string(), good);
        }
        for bad in ["3", "2.7", "3.8", "3.x", "3.11.2.1", "3.+1", "", "4.0"] {
            assert!(bad.parse::<PythonVersion>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn uv_is_told_a_platform_it_knows() {
        for (minor, expected) in
            [(17, 17), (27, 17), (28, 28), (30, 28), (31, 31), (36, 36), (41, 40)]
        {
            let target = target("3.11", "amd64", Libc::Glibc { minor });
            assert_eq!(target.uv_platform(), format!("x86_64-manylinux_2_{expected}"));
        }
    }
}
