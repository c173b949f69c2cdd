//! Where BuildKit's cache comes from and goes to.

use bollard_buildkit_proto::moby::buildkit::v1::CacheOptionsEntry;
use std::collections::BTreeMap;
use std::str::FromStr;

/// One cache to import or export: what `--cache-from` and `--cache-to` take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    kind: String,
    attributes: BTreeMap<String, String>,
}

/// Why a text is no cache's description.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheEntryError {
    /// A field that is no `key=value`.
    #[error("cache {0:?} has a field that is not key=value")]
    Field(String),
    /// Fields, but no `type=`.
    #[error("cache {0:?} has no type")]
    NoType(String),
}

impl CacheEntry {
    /// `registry`, `inline`, `local`, `gha`, ...
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether the daemon can do it alone: a `local` cache is a directory of the client's.
    pub fn is_daemons(&self) -> bool {
        self.kind != "local"
    }

    /// The repository that it is in, where that is in a registry.
    pub fn reference(&self) -> Option<&str> {
        let reference = self.attributes.get("ref")?;
        (self.kind == "registry").then_some(reference)
    }

    pub(crate) fn to_message(&self) -> CacheOptionsEntry {
        CacheOptionsEntry {
            r#type: self.kind.clone(),
            attrs: self.attributes.clone().into_iter().collect(),
        }
    }
}

impl FromStr for CacheEntry {
    type Err = CacheEntryError;

    /// `type=registry,ref=host/repo:tag,mode=max`, or a reference alone for a registry's.
    fn from_str(text: &str) -> Result<Self, CacheEntryError> {
        if !text.contains('=') {
            let attributes = BTreeMap::from([("ref".to_owned(), text.to_owned())]);
            return Ok(CacheEntry { kind: "registry".to_owned(), attributes });
        }
        let mut attributes = BTreeMap::new();
        for field in text.split(',') {
            let (key, value) =
                field.split_once('=').ok_or_else(|| CacheEntryError::Field(text.to_owned()))?;
            attributes.insert(key.trim().to_lowercase(), value.to_owned());
        }
        let kind =
            attributes.remove("type").ok_or_else(|| CacheEntryError::NoType(text.to_owned()))?;
        Ok(CacheEntry { kind, attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caches() {
        let entry = |kind: &str, attributes: &[(&str, &str)]| CacheEntry {
            kind: kind.to_owned(),
            attributes: attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
        };
        let cases = [
            ("localhost:5/c:1", Ok(entry("registry", &[("ref", "localhost:5/c:1")]))),
            (
                "type=registry,ref=h/c:1,mode=max",
                Ok(entry("registry", &[("ref", "h/c:1"), ("mode", "max")])),
            ),
            ("type=inline", Ok(entry("inline", &[]))),
            ("ref=h/c", Err(CacheEntryError::NoType("ref=h/c".into()))),
            ("type=local,x", Err(CacheEntryError::Field("type=local,x".into()))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<CacheEntry>(), expected, "{text}");
        }
    }
}
