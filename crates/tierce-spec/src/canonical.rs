//! The canonical encoding that keys are computed over.
//!
//! Every item is a kind byte, its name, and a payload; names and payloads are prefixed with their
//! lengths, and records end with a mark of their own. The encoding can therefore be decoded in
//! one way only: two values that differ anywhere have different encodings.

use tierce_oci::Digest;

/// Kind bytes. Printable, so that a dump can be read.
pub(crate) mod kind {
    pub const TEXT: u8 = b't';
    pub const NUMBER: u8 = b'n';
    pub const FLAG: u8 = b'f';
    pub const DIGEST: u8 = b'd';
    pub const ABSENT: u8 = b'-';
    pub const RECORD: u8 = b'{';
    pub const END: u8 = b'}';
    pub const LIST: u8 = b'[';
}

/// Collects the canonical encoding of one value.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// An encoder of a value of the type `label`, in its format `version`.
    pub fn new(label: &str, version: u32) -> Self {
        let mut encoder = Encoder { out: vec![] };
        encoder.text("type", label);
        encoder.number("version", u64::from(version));
        encoder
    }

    /// The encoded bytes.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// A string.
    pub fn text(&mut self, name: &str, value: &str) {
        self.item(kind::TEXT, name);
        self.prefixed(value.as_bytes());
    }

    /// A number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.item(kind::NUMBER, name);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A yes or no.
    pub fn flag(&mut self, name: &str, value: bool) {
        self.item(kind::FLAG, name);
        self.out.push(u8::from(value));
    }

    /// A content digest.
    pub fn digest(&mut self, name: &str, value: &Digest) {
        self.item(kind::DIGEST, name);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// A value, or the mark of its absence.
    pub fn option<T>(
        &mut self,
        name: &str,
        value: Option<T>,
        encode: impl FnOnce(&mut Self, &str, T),
    ) {
        match value {
            Some(value) => encode(self, name, value),
            None => self.item(kind::ABSENT, name),
        }
    }

    /// Named fields.
    pub fn record(&mut self, name: &str, fields: impl FnOnce(&mut Self)) {
        self.begin(name);
        fields(self);
        self.end();
    }

    /// Starts named fields that [`Encoder::end`] ends; for those that a closure can't hold.
    pub fn begin(&mut self, name: &str) {
        self.item(kind::RECORD, name);
    }

    /// Ends what [`Encoder::begin`] started.
    pub fn end(&mut self) {
        self.out.push(kind::END);
    }

    /// Items in order, each encoded under an empty name.
    pub fn list<T>(
        &mut self,
        name: &str,
        items: impl ExactSizeIterator<Item = T>,
        mut encode: impl FnMut(&mut Self, T),
    ) {
        self.item(kind::LIST, name);
        self.out.extend_from_slice(&(items.len() as u64).to_le_bytes());
        for item in items {
            encode(self, item);
        }
    }

    /// Strings in order.
    pub fn texts<'a>(&mut self, name: &str, items: impl ExactSizeIterator<Item = &'a String>) {
        self.list(name, items, |e, item| e.text("", item));
    }

    fn item(&mut self, kind: u8, name: &str) {
        self.out.push(kind);
        self.prefixed(name.as_bytes());
    }

    fn prefixed(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.out.extend_from_slice(bytes);
    }
}
