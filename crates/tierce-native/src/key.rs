//! Layer keys: what a layer is a function of.

use serde::{Deserialize, Serialize};
use std::fmt;
use tierce_oci::{Digest, Hasher};

/// Changes whenever the bytes that some layer comes to change for equal inputs.
const FORMAT: &str = "tierce-native-layer/2";

/// Names a layer by all that its bytes depend on. Equal keys give equal layers, so a layer is
/// made once for each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerKey(pub Digest);

impl fmt::Display for LayerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.short())
    }
}

/// Encodes a key: each field with its name, each name and value with its length, so that no two
/// different inputs are the same bytes (CVE-2024-24557 is what happens otherwise).
pub struct KeyEncoder(Hasher);

impl KeyEncoder {
    /// A key of a layer of this kind.
    pub fn new(kind: &str) -> Self {
        let mut encoder = KeyEncoder(Hasher::new());
        encoder.bytes(FORMAT.as_bytes());
        encoder.bytes(kind.as_bytes());
        encoder
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// A text field.
    pub fn text(mut self, name: &str, value: &str) -> Self {
        self.bytes(name.as_bytes());
        self.bytes(value.as_bytes());
        self
    }

    /// A digest field.
    pub fn digest(mut self, name: &str, value: &Digest) -> Self {
        self.bytes(name.as_bytes());
        self.bytes(value.as_bytes());
        self
    }

    /// A list field: its length, then its items.
    pub fn list<T: AsRef<[u8]>>(mut self, name: &str, items: impl IntoIterator<Item = T>) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        self.bytes(name.as_bytes());
        self.0.update(&(items.len() as u64).to_le_bytes());
        for item in items {
            self.bytes(item.as_ref());
        }
        self
    }

    /// The key.
    pub fn finish(self) -> LayerKey {
        LayerKey(self.0.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_cannot_run_into_each_other() {
        let key = |items: &[&str]| KeyEncoder::new("k").list("items", items).finish();
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["ab"]), key(&["ab", ""]));
        let text = |n, v| KeyEncoder::new("k").text(n, v).finish();
        assert_ne!(text("ab", "c"), text("a", "bc"));
        assert_ne!(KeyEncoder::new("a").finish(), KeyEncoder::new("b").finish());
    }
}
