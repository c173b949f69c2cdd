//! What an image starts from.

use crate::{Image, ServiceUrl};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::Reference;

/// What an image starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// A root file system assembled from a Debian archive.
    Debian(DebianBase),
    /// An image in a registry.
    Registry(Reference),
    /// Nothing.
    Scratch,
    /// Another image of ours, which is built first.
    Image(Box<Image>),
    /// What a Dockerfile makes. Nothing can be added to it: what is in it is not known.
    Dockerfile(DockerfileBase),
    /// An image whose reference is looked up by this name when it is built.
    Named(String),
}

/// What a Dockerfile makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DockerfileBase {
    /// The Dockerfile on the host.
    pub file: PathBuf,
    /// The build context on the host; the Dockerfile's own directory unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<PathBuf>,
    /// The values of its `ARG`s.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub build_args: BTreeMap<String, String>,
    /// The stage to build; the last one unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl DockerfileBase {
    /// The last stage of `file`, in its own directory.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        DockerfileBase {
            file: file.into(),
            context: None,
            build_args: BTreeMap::new(),
            target: None,
        }
    }

    /// The build context on the host.
    pub fn context(&self) -> PathBuf {
        let own = || self.file.parent().map(PathBuf::from).unwrap_or_default();
        self.context.clone().unwrap_or_else(own)
    }
}

/// A root file system assembled from a Debian archive: the essential packages, `apt`, and what is
/// asked for here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct DebianBase {
    /// The suite's code name, as `bookworm`.
    pub suite: String,
    /// Whether the suite's own Python (`python3`) is part of the base.
    #[serde(default)]
    pub python: bool,
    /// The archive; `None` for Debian's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mirror: Option<ServiceUrl>,
    /// The archive of security updates; `None` for Debian's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_mirror: Option<ServiceUrl>,
    /// The archive's components; empty for `main` alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Packages of the base itself, besides the essential ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
}

impl DebianBase {
    /// The essential packages and `apt` of `suite`, from Debian's own archive.
    pub fn new(suite: impl Into<String>) -> Self {
        DebianBase {
            suite: suite.into(),
            python: false,
            mirror: None,
            security_mirror: None,
            components: vec![],
            packages: vec![],
        }
    }

    /// With the suite's own Python, or without.
    pub fn with_python(self, python: bool) -> Self {
        DebianBase { python, ..self }
    }

    /// From another archive than Debian's own.
    pub fn with_mirror(self, mirror: ServiceUrl) -> Self {
        DebianBase { mirror: Some(mirror), ..self }
    }

    /// With security updates from another archive than Debian's own.
    pub fn with_security_mirror(self, mirror: ServiceUrl) -> Self {
        DebianBase { security_mirror: Some(mirror), ..self }
    }

    /// From these components instead of `main`.
    pub fn with_components(self, components: impl IntoIterator<Item = impl Into<String>>) -> Self {
        DebianBase { components: components.into_iter().map(Into::into).collect(), ..self }
    }

    /// With these packages in the base, besides those it has.
    pub fn with_packages(mut self, packages: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.packages.extend(packages.into_iter().map(Into::into));
        self
    }
}

impl From<&str> for DebianBase {
    fn from(suite: &str) -> Self {
        DebianBase::new(suite)
    }
}

impl From<String> for DebianBase {
    fn from(suite: String) -> Self {
        DebianBase::new(suite)
    }
}
