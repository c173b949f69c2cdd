//! The identity of an assembled base.

use crate::package::Package;
use crate::root::{Documentation, ROOT_VERSION, RootOptions};
use std::fmt;
use tierce_oci::{Digest, Hasher};

/// Stands for the bytes of a root layer: packages by hash, options, and the versions of all
/// formats involved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BaseKey(Digest);

impl BaseKey {
    /// The key of the root layer that these packages and options give.
    pub fn of(packages: &[Package], options: &RootOptions) -> Self {
        let RootOptions { architecture, apt_sources, documentation } = options;
        let mut hasher = Hasher::new();
        // Every part with its length in front: no two lists of parts give the same bytes.
        let mut put = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        put("tierce-debian base");
        put(&ROOT_VERSION.to_string());
        put(&tierce_layer::FORMAT_VERSION.to_string());
        put(architecture.as_str());
        put(match documentation {
            Documentation::Keep => "keep documentation",
            Documentation::Omit => "omit documentation",
        });
        put(&apt_sources.len().to_string());
        for source in apt_sources {
            put(source.uri.as_str());
            put(&source.suites.join(" "));
            put(&source.components.join(" "));
        }
        let mut hashes: Vec<Digest> = packages.iter().map(|package| package.sha256).collect();
        hashes.sort();
        put(&hashes.len().to_string());
        for hash in hashes {
            put(&hash.hex());
        }
        BaseKey(hasher.finish())
    }

    /// The key as a digest.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

impl fmt::Display for BaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
