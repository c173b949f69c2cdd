//! References: which image, in which repository, of which registry.
//!
//! The grammar is that of the distribution project's `reference` package, with Docker's
//! normalisation: no registry means `docker.io`, and a single-component repository there is in
//! `library/`.

use crate::{Digest, DigestError, hide_address};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// `[registry/]repository[:tag][@digest]`, normalised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// What picks an image within a repository; a digest outranks a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selector<'a> {
    /// A movable name.
    Tag(&'a str),
    /// A fixed content.
    Digest(&'a Digest),
}

impl fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Selector::Tag(t) => f.write_str(t),
            Selector::Digest(d) => d.fmt(f),
        }
    }
}

/// Why a string is not an image reference. What it quotes has no credentials in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing there.
    #[error("image reference is empty")]
    Empty,
    /// The registry part is not a host with an optional port.
    #[error("{0:?} has an invalid registry host")]
    Registry(String),
    /// The repository breaks the grammar.
    #[error(
        "{0:?} has an invalid repository: lower-case letters, digits and separators (. _ __ -) between slashes, 255 characters at most"
    )]
    Repository(String),
    /// The tag breaks the grammar.
    #[error(
        "{0:?} has an invalid tag: at most 128 letters, digits, _ . and -, not starting with . or -"
    )]
    Tag(String),
    /// There are credentials in it.
    #[error("{0:?} has a user name or a password in it, which references can't have")]
    Credentials(String),
    /// The digest is malformed.
    #[error("{reference:?} has an invalid digest")]
    Digest {
        /// The whole reference.
        reference: String,
        /// What is wrong with its digest.
        source: DigestError,
    },
}

/// Docker Hub's name in references.
const DOCKER_HUB: &str = "docker.io";

impl Reference {
    /// A reference to `tag` in `registry/repository`.
    pub fn new(
        registry: &str,
        repository: &str,
        tag: Option<&str>,
    ) -> Result<Self, ReferenceError> {
        let tag = tag.map(|t| format!(":{t}")).unwrap_or_default();
        format!("{registry}/{repository}{tag}").parse()
    }

    /// The registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository's path.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, if the reference names one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the reference names one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What picks the image: the digest, else the tag, else `latest`.
    pub fn selector(&self) -> Selector<'_> {
        match (&self.digest, &self.tag) {
            (Some(d), _) => Selector::Digest(d),
            (None, Some(t)) => Selector::Tag(t),
            (None, None) => Selector::Tag("latest"),
        }
    }

    /// The same repository, picked by `digest` alone.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Reference { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The same repository, picked by `tag` alone.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !valid_tag(tag) {
            return Err(ReferenceError::Tag(hide_address(tag)));
        }
        Ok(Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// `registry/repository`, without tag and digest.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The reference as people write it: without `docker.io/` and `library/`, as far as it then
    /// still means the same (`docker.io/library/a/b` is not `a/b`).
    pub fn familiar(&self) -> String {
        let full = self.to_string();
        let rest = full.strip_prefix("docker.io/");
        let mut candidates = rest.and_then(|r| r.strip_prefix("library/")).into_iter().chain(rest);
        let same = candidates.find(|text| text.parse().as_ref() == Ok(self));
        same.unwrap_or(&full).to_owned()
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(s: &str) -> Result<Self, ReferenceError> {
        if s.is_empty() {
            return Err(ReferenceError::Empty);
        }
        let (rest, digest) = match s.split_once('@') {
            None => (s, None),
            Some((rest, d)) => (rest, Some(d.parse().map_err(|source| invalid_digest(s, source))?)),
        };
        // A colon after the last slash starts a tag; one before it belongs to a port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|t| !valid_tag(t)) {
            return Err(ReferenceError::Tag(hide_address(s)));
        }
        let (registry, repository) = split_registry(name);
        if !valid_registry(registry) {
            return Err(ReferenceError::Registry(hide_address(s)));
        }
        let repository = match registry {
            DOCKER_HUB if !repository.contains('/') => format!("library/{repository}"),
            _ => repository.to_owned(),
        };
        if !valid_repository(&repository) {
            return Err(ReferenceError::Repository(hide_address(s)));
        }
        Ok(Reference {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

/// The error about a reference whose digest, all that is after its first `@`, has `source` wrong
/// with it: where that is no digest at all, it may be the rest of a password.
fn invalid_digest(reference: &str, source: DigestError) -> ReferenceError {
    let shown = hide_address(reference);
    match shown == reference {
        true => ReferenceError::Digest { reference: shown, source },
        false => ReferenceError::Credentials(shown),
    }
}

/// The first component is a registry when it looks like a host: it has a dot or a colon, is
/// `localhost`, or has an upper-case letter.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((host, rest))
            if host.contains(['.', ':'])
                || host == "localhost"
                || host.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            match host {
                "index.docker.io" => (DOCKER_HUB, rest),
                _ => (host, rest),
            }
        }
        _ => (DOCKER_HUB, name),
    }
}

fn valid_registry(host: &str) -> bool {
    // An IPv6 address stands in brackets.
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) => (address, None),
            Some((address, port)) => match port.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None => return false,
            },
            None => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let bracketed = host.starts_with('[');
    let name_ok = if bracketed {
        name.parse::<std::net::Ipv6Addr>().is_ok()
    } else {
        name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
    };
    name_ok && port.is_none_or(|p| p.parse::<u16>().is_ok())
}

fn valid_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && word(tag.as_bytes()[0])
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

fn valid_repository(path: &str) -> bool {
    path.len() <= 255 && path.split('/').all(valid_component)
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn valid_component(component: &str) -> bool {
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return false };
    if !alnum(first) || !alnum(last) {
        return false;
    }
    component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .filter(|separator| !separator.is_empty())
        .all(|separator| {
            matches!(separator, "." | "_" | "__") || separator.bytes().all(|b| b == b'-')
        })
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    #[test]
    fn errors_quote_no_credentials() {
        for text in [
            "https://user:s3cr3t@h.example/x",
            "user:s3cr3t@h.example/x:1",
            "user:s3cr3t@s3cr3t@h.example/x:1",
            "user:s3cr3t/s3cr3t@h.example/x",
            "s3cr3t@h.example/x",
            "https://user:s3cr3t@h.example",
        ] {
            let error = text.parse::<Reference>().unwrap_err();
            let mut shown = format!("{error} {error:?}");
            let mut cause = error.source();
            while let Some(error) = cause {
                shown += &format!(" {error} {error:?}");
                cause = error.source();
            }
            assert!(!shown.contains("s3cr3t"), "{shown}");
            assert!(shown.contains("h.example"), "{shown}");
        }
        let kept = "python:3.11@sha256:ab".parse::<Reference>().unwrap_err();
        assert!(kept.to_string().contains("\"python:3.11@sha256:ab\""), "{kept}");
    }
}
