//! Records: small documents by kind and key.

use crate::error::StoreError;
use crate::store::Store;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tierce_oci::Digest;

/// What records are about. Each kind has a directory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RecordKind(&'static str);

impl RecordKind {
    /// A kind of this name: lower-case letters and dashes.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty(), "a record kind has a name");
        let mut i = 0;
        while i < bytes.len() {
            assert!(bytes[i].is_ascii_lowercase() || bytes[i] == b'-', "lower-case and dashes");
            i += 1;
        }
        RecordKind(name)
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.0
    }
}

/// A record as it is on disk: with its own address and checksum, so that a file that was torn,
/// copied or edited is no record.
#[derive(Serialize, Deserialize)]
struct Envelope {
    kind: String,
    key: Digest,
    checksum: Digest,
    value: String,
}

impl Store {
    fn record_path(&self, kind: RecordKind, key: &Digest) -> PathBuf {
        self.root().join("records").join(kind.0).join(key.hex())
    }

    /// The record of this kind and key; `None` where there is none, or none that is whole.
    pub fn record<T: DeserializeOwned>(&self, kind: RecordKind, key: &Digest) -> Option<T> {
        let path = self.record_path(kind, key);
        let envelope: Envelope = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
        let whole = envelope.kind == kind.0
            && envelope.key == *key
            && envelope.checksum == Digest::of(&envelope.value);
        if !whole {
            return None;
        }
        touch(&path);
        serde_json::from_str(&envelope.value).ok()
    }

    /// Writes a record, replacing the one that is there.
    pub fn put_record<T: Serialize>(
        &self,
        kind: RecordKind,
        key: &Digest,
        value: &T,
    ) -> Result<(), StoreError> {
        let value = serde_json::to_string(value).expect("records have only string keys");
        let envelope =
            Envelope { kind: kind.0.to_owned(), key: *key, checksum: Digest::of(&value), value };
        let bytes = serde_json::to_vec(&envelope).expect("an envelope is plain");
        self.write_atomic(&self.record_path(kind, key), &bytes)
    }

    /// Forgets a record.
    pub fn forget(&self, kind: RecordKind, key: &Digest) {
        let _ = std::fs::remove_file(self.record_path(kind, key));
    }
}

/// Marks a record as used, for the collection; at most once an hour, since it is a write.
fn touch(path: &std::path::Path) {
    const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);
    let old = |m: std::fs::Metadata| m.modified().ok()?.elapsed().ok().map(|age| age > HOUR);
    if std::fs::metadata(path).ok().and_then(old) == Some(true)
        && let Ok(file) = std::fs::File::open(path)
    {
        let _ = file.set_modified(std::time::SystemTime::now());
    }
}
