//! What packages are solved for: a platform and its virtual packages.

use rattler_conda_types::package::BuildString;
use rattler_conda_types::{GenericVirtualPackage, PackageName, Version};
use std::collections::BTreeMap;
use std::str::FromStr;
use tierce_oci::{Diagnostic, ErrorKind, Platform};
use tierce_wheel::Libc;

/// The platform and the virtual packages (CEP 30) that packages are solved for: those of the
/// image, never those of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CondaTarget {
    platform: Platform,
    subdir: &'static str,
    virtual_packages: Vec<GenericVirtualPackage>,
}

/// Why there are no conda packages for a platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("conda packages can't be solved for {0}: only linux/amd64 and linux/arm64 are known")]
pub struct UnsupportedSubdir(pub Platform);

impl Diagnostic for UnsupportedSubdir {
    fn code(&self) -> &'static str {
        "conda/unsupported-platform"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }
}

/// Why an override of a virtual package can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("virtual package {name}={value}: {problem}")]
pub struct VirtualPackageError {
    /// The name.
    pub name: String,
    /// What it was to be.
    pub value: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Diagnostic for VirtualPackageError {
    fn code(&self) -> &'static str {
        "conda/bad-virtual-package"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        Some(
            "Write a name that begins with two underscores and a version, as __cuda = \"12.4\"."
                .to_owned(),
        )
    }
}

impl CondaTarget {
    /// A target on `platform` with what every image there has: `__unix`, `__linux` (without a
    /// version: which kernel the image will run on is not known), `__archspec`, and `__glibc`
    /// where `libc` is glibc.
    pub fn new(platform: &Platform, libc: Libc) -> Result<Self, UnsupportedSubdir> {
        let (subdir, archspec) = match (platform.os.as_str(), platform.architecture.as_str()) {
            ("linux", "amd64") => ("linux-64", amd64_level(platform.variant.as_deref())),
            ("linux", "arm64") => ("linux-aarch64", "aarch64"),
            _ => return Err(UnsupportedSubdir(platform.clone())),
        };
        let mut target =
            CondaTarget { platform: platform.clone(), subdir, virtual_packages: Vec::new() };
        target.put("__archspec", Version::major(1), archspec);
        target.put("__linux", Version::major(0), "0");
        target.put("__unix", Version::major(0), "0");
        if let Libc::Glibc { minor } = libc
            && let Ok(version) = Version::from_str(&format!("2.{minor}"))
        {
            target.put("__glibc", version, "0");
        }
        Ok(target)
    }

    /// The same with these virtual packages on top, as `__cuda` = `12.4` or `__archspec` =
    /// `1=x86_64_v3`. An empty value takes one away (`CONDA_OVERRIDE_CUDA=""`).
    pub fn with_overrides(
        mut self,
        overrides: &BTreeMap<String, String>,
    ) -> Result<Self, VirtualPackageError> {
        for (name, value) in overrides {
            let bad =
                |problem| VirtualPackageError { name: name.clone(), value: value.clone(), problem };
            let valid = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            if !name.starts_with("__") || name.len() < 3 || !name.chars().all(valid) {
                return Err(bad("its name does not begin with two underscores"));
            }
            self.virtual_packages.retain(|known| known.name.as_normalized() != name);
            if value.is_empty() {
                continue;
            }
            let (version, build) = value.split_once('=').unwrap_or((value, "0"));
            let version =
                Version::from_str(version).map_err(|_| bad("its value is not a version"))?;
            if BuildString::from_str(build).is_err() {
                return Err(bad("its build is not a build string"));
            }
            self.put(name, version, build);
        }
        Ok(self)
    }

    fn put(&mut self, name: &str, version: Version, build: &str) {
        self.virtual_packages.push(GenericVirtualPackage {
            name: PackageName::new_unchecked(name),
            version,
            build_string: BuildString::new_unchecked(build),
        });
        self.virtual_packages.sort();
    }

    /// The platform.
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// The channels' directory of the platform: `linux-64` or `linux-aarch64`.
    pub fn subdir(&self) -> &'static str {
        self.subdir
    }

    /// The virtual packages, sorted by name.
    pub fn virtual_packages(&self) -> &[GenericVirtualPackage] {
        &self.virtual_packages
    }

    /// The virtual packages as people write them: `__cuda=12.4=0`.
    pub fn describe(&self) -> Vec<String> {
        self.virtual_packages.iter().map(ToString::to_string).collect()
    }
}

/// The microarchitecture levels of the x86-64 psABI, as OCI's variants name them.
fn amd64_level(variant: Option<&str>) -> &'static str {
    match variant {
        Some("v2") => "x86_64_v2",
        Some("v3") => "x86_64_v3",
        Some("v4") => "x86_64_v4",
        _ => "x86_64",
    }
}
