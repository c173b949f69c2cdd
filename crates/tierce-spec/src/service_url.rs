//! Addresses of package indexes and archives, which may carry credentials.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use url::Url;

pub(crate) use tierce_oci::without_credentials as redact;

/// The address of a package index or archive: an `http`, `https` or `file` URL, after a name and
/// `=` if it has one (`private=https://pypi.example/simple`, as uv's `--index` takes it). The name
/// says which credentials of the user's are for it, and nothing else.
///
/// It may carry credentials (`https://user:token@host/simple`). They take part in requests
/// ([`ServiceUrl::as_url`]) and in nothing else: Display, Debug, JSON and the image key leave
/// them out, so that two people with credentials of their own share an image.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceUrl {
    url: Url,
    name: Option<String>,
}

/// Why a string is not an address of a package index or archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceUrlError {
    /// The string is not a URL.
    #[error("{text:?} is not a URL")]
    Malformed {
        /// The string, without credentials.
        text: String,
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// The scheme is one that nothing here can fetch.
    #[error("{text:?} is not an http, https or file URL")]
    Scheme {
        /// The URL, without credentials.
        text: String,
    },
}

impl ServiceUrl {
    /// The URL to send requests to, with its credentials. Not for messages.
    pub fn as_url(&self) -> &Url {
        &self.url
    }

    /// What uv's variables with credentials call it: `UV_INDEX_NAME_PASSWORD`.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Whether the URL carries a user name or a password.
    pub fn has_credentials(&self) -> bool {
        !self.url.username().is_empty() || self.url.password().is_some()
    }

    /// The same URL without user name and password.
    pub fn without_credentials(&self) -> Url {
        let mut url = self.url.clone();
        // Both fail only for URLs that can't have credentials.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url
    }
}

impl FromStr for ServiceUrl {
    type Err = ServiceUrlError;

    fn from_str(s: &str) -> Result<Self, ServiceUrlError> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let (name, s) = match s.split_once('=') {
            Some((name, url)) if !name.is_empty() && name.chars().all(is_name) => (Some(name), url),
            _ => (None, s),
        };
        let url = Url::parse(s)
            .map_err(|source| ServiceUrlError::Malformed { text: redact_address(s), source })?;
        match url.scheme() {
            "http" | "https" | "file" => Ok(ServiceUrl { url, name: name.map(str::to_owned) }),
            _ => Err(ServiceUrlError::Scheme { text: redact_address(s) }),
        }
    }
}

/// The URL alone, without credentials.
impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.without_credentials().fmt(f)
    }
}

impl fmt::Debug for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceUrl({self})")
    }
}

impl Serialize for ServiceUrl {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match &self.name {
            Some(name) => s.collect_str(&format_args!("{name}={self}")),
            None => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for ServiceUrl {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An address that breaks the grammar without whatever may have been meant for its credentials:
/// all before the last `@`, but for the scheme.
pub(crate) fn redact_address(text: &str) -> String {
    match text.rsplit_once('@') {
        None => text.to_owned(),
        Some((before, address)) => match before.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{address}"),
            None => address.to_owned(),
        },
    }
}

/// Whether some word of `text` may hold credentials, well-formed or not: a colon with an `@`
/// after it.
pub(crate) fn may_hold_credentials(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
        .filter_map(|word| word.split_once(':'))
        .any(|(_, rest)| rest.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_name() {
        let text = "own=https://u:p@pypi.example/simple?a=b";
        let named: ServiceUrl = text.parse().unwrap();
        assert_eq!(named.name(), Some("own"));
        assert_eq!(named.as_url().as_str(), "https://u:p@pypi.example/simple?a=b");
        assert_eq!(named.to_string(), "https://pypi.example/simple?a=b");
        let json = serde_json::to_string(&named).unwrap();
        assert_eq!(json, "\"own=https://pypi.example/simple?a=b\"");
        let again: ServiceUrl = serde_json::from_str(&json).unwrap();
        assert_eq!(again.name(), Some("own"));
        let plain: ServiceUrl = "https://pypi.example/?a=https://b".parse().unwrap();
        assert_eq!(plain.name(), None);
        for bad in ["=https://x", "a b=https://x", "own=ssh://x", "own="] {
            assert!(bad.parse::<ServiceUrl>().is_err(), "{bad}");
        }
    }
}
