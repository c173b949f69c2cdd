//! Part of a registry: a host, and the leading path of the repositories that are meant.

use crate::Reference;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A registry's host with its port, and the leading components of a repository's path if not all
/// of the registry is meant: `ghcr.io`, `mirror.example:5000/hub`.
///
/// What is in it is decided by whole components: `ghcr.io/foo` has `ghcr.io/foo` and
/// `ghcr.io/foo/bar`, but not `ghcr.io/foobar`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegistryPath {
    host: String,
    /// Without slashes at its ends; empty for the whole registry.
    path: String,
}

/// Why a string is not (part of) a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryPathError {
    /// It is a URL.
    #[error("a registry is written without a scheme, as `host:port` or `host/path`")]
    Scheme,
    /// It has no host.
    #[error("a registry starts with its host, as `registry.example`, `localhost` or `host:5000`")]
    NoHost,
    /// Something in it is not as the grammar of references has it.
    #[error("not a registry: expected `host`, `host:port` or `host/path` in lower case")]
    Invalid,
}

/// Stands for the repositories below a path while it is parsed.
const BELOW: &str = "x/x";

impl RegistryPath {
    /// The host, with its port if it has one: [`Reference::registry`] of what is in it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The leading path; empty for the whole registry.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path of a repository below this, or `None` where it is elsewhere: `bar` for
    /// `ghcr.io/foo/bar` below `ghcr.io/foo`. Empty where it is this very path.
    pub fn below<'a>(&self, registry: &str, repository: &'a str) -> Option<&'a str> {
        if registry != self.host {
            return None;
        }
        if self.path.is_empty() {
            return Some(repository);
        }
        match repository.strip_prefix(&self.path)? {
            "" => Some(""),
            rest => rest.strip_prefix('/'),
        }
    }

    /// The repository that is `rest` below this.
    pub fn join(&self, rest: &str) -> String {
        match (self.path.as_str(), rest) {
            ("", rest) => rest.to_owned(),
            (path, "") => path.to_owned(),
            (path, rest) => format!("{path}/{rest}"),
        }
    }
}

impl FromStr for RegistryPath {
    type Err = RegistryPathError;

    fn from_str(text: &str) -> Result<Self, RegistryPathError> {
        if text.contains("://") {
            return Err(RegistryPathError::Scheme);
        }
        let text = text.trim_end_matches('/');
        let reference: Reference =
            format!("{text}/{BELOW}").parse().map_err(|_| RegistryPathError::Invalid)?;
        // References without a host are Docker Hub's; here that would be a slip.
        let host = text.split('/').next().unwrap_or_default();
        if reference.registry() == "docker.io" && !matches!(host, "docker.io" | "index.docker.io") {
            return Err(RegistryPathError::NoHost);
        }
        let path = reference.repository().strip_suffix(BELOW).unwrap_or_default();
        Ok(RegistryPath {
            host: reference.registry().to_owned(),
            path: path.trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for RegistryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.host),
            path => write!(f, "{}/{path}", self.host),
        }
    }
}

impl Serialize for RegistryPath {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RegistryPath {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_paths() {
        for (text, host, path) in [
            ("ghcr.io", "ghcr.io", ""),
            ("ghcr.io/", "ghcr.io", ""),
            ("ghcr.io/foo", "ghcr.io", "foo"),
            ("mirror.example:5000/a/b", "mirror.example:5000", "a/b"),
            ("localhost", "localhost", ""),
            ("[::1]:5000/x", "[::1]:5000", "x"),
            ("docker.io", "docker.io", ""),
            ("docker.io/library", "docker.io", "library"),
            ("index.docker.io", "docker.io", ""),
        ] {
            let parsed: RegistryPath = text.parse().unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!((parsed.host(), parsed.path()), (host, path), "{text}");
        }
        for (text, error) in [
            ("", RegistryPathError::Invalid),
            ("https://ghcr.io", RegistryPathError::Scheme),
            ("foo", RegistryPathError::NoHost),
            ("foo/bar", RegistryPathError::NoHost),
            ("ghcr.io/Foo", RegistryPathError::Invalid),
            ("ghcr.io/foo:tag", RegistryPathError::Invalid),
            ("ghcr.io//foo", RegistryPathError::Invalid),
            ("host:port/x", RegistryPathError::Invalid),
            ("user@host.example", RegistryPathError::Invalid),
        ] {
            assert_eq!(text.parse::<RegistryPath>(), Err(error), "{text}");
        }
    }

    #[test]
    fn only_whole_components_match() {
        for (path, registry, repository, below) in [
            ("ghcr.io", "ghcr.io", "foo/bar", Some("foo/bar")),
            ("ghcr.io/foo", "ghcr.io", "foo/bar", Some("bar")),
            ("ghcr.io/foo", "ghcr.io", "foo", Some("")),
            ("ghcr.io/foo", "ghcr.io", "foobar", None),
            ("ghcr.io/foo", "ghcr.io", "foobar/x", None),
            ("ghcr.io/foo", "ghcr.io.evil", "foo/x", None),
            ("ghcr.io", "ghcr.io:443", "foo", None),
        ] {
            let path: RegistryPath = path.parse().unwrap();
            assert_eq!(path.below(registry, repository), below, "{path} {registry}/{repository}");
        }
    }
}
