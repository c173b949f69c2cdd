//! Records: what was found out about a key, as JSON.

use crate::file::{remove_file, stat, touch};
use crate::store::{Store, fan_out};
use crate::{StoreError, document};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use tierce_oci::Digest;

/// What a record is about: `layer`, `wheel`, `base`. Each kind has keys and a JSON form of its
/// own; who changes the form of a kind changes its keys or its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKind(&'static str);

impl RecordKind {
    /// A kind of this name: lower-case letters, digits and `-`.
    ///
    /// # Panics
    /// When the name is something else; at compile time, in a constant.
    pub const fn new(name: &'static str) -> Self {
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty(), "the name of a kind is empty");
        let mut i = 0;
        while i < bytes.len() {
            let valid =
                bytes[i].is_ascii_lowercase() || bytes[i].is_ascii_digit() || bytes[i] == b'-';
            assert!(valid, "the name of a kind holds other than a-z, 0-9 and -");
            i += 1;
        }
        RecordKind(name)
    }

    /// The name.
    pub const fn name(&self) -> &'static str {
        self.0
    }
}

impl Store {
    /// What is recorded under the key. A record that is damaged, or of another form than `T`, is
    /// none: it will be made again. Counts as a use.
    pub fn record<T: DeserializeOwned>(&self, kind: RecordKind, key: &Digest) -> Option<T> {
        let path = self.record_path(kind, key);
        let body = document::read(&path, kind.0, key)?;
        let value = serde_json::from_slice(&body)
            .inspect_err(|error| tracing::debug!(kind = kind.0, %key, %error, "ignoring a record"))
            .ok()?;
        if let Some(metadata) = stat(&path) {
            touch(&path, &metadata);
        }
        Some(value)
    }

    /// Records `value` under the key, in place of what was recorded there.
    pub fn put_record<T: Serialize + ?Sized>(
        &self,
        kind: RecordKind,
        key: &Digest,
        value: &T,
    ) -> Result<(), StoreError> {
        let encode = |source| StoreError::Encode { kind: kind.0, key: *key, source };
        let body = serde_json::to_vec(value).map_err(encode)?;
        document::write(self, &self.record_path(kind, key), kind.0, key, &body)
    }

    /// Forgets what is recorded under the key.
    pub fn remove_record(&self, kind: RecordKind, key: &Digest) -> Result<(), StoreError> {
        Ok(remove_file(&self.record_path(kind, key))?)
    }

    fn record_path(&self, kind: RecordKind, key: &Digest) -> PathBuf {
        self.inner.records.join(kind.0).join(fan_out(key))
    }
}
