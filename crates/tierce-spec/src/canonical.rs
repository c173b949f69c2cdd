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
pub struct Encoder {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Values that look alike once they are strung together.
    #[derive(Clone, Debug, PartialEq)]
    enum Item {
        Text(String),
        Number(u64),
        Flag(bool),
        Digest(u8),
        Absent,
        Record(Vec<(String, Item)>),
        List(Vec<Item>),
    }

    fn encode(e: &mut Encoder, name: &str, item: &Item) {
        match item {
            Item::Text(text) => e.text(name, text),
            Item::Number(number) => e.number(name, *number),
            Item::Flag(flag) => e.flag(name, *flag),
            Item::Digest(byte) => e.digest(name, &Digest::from_bytes([*byte; 32])),
            Item::Absent => e.option(name, None::<&Item>, encode),
            Item::Record(fields) => {
                e.record(name, |e| fields.iter().for_each(|(name, item)| encode(e, name, item)));
            }
            Item::List(items) => e.list(name, items.iter(), |e, item| encode(e, "", item)),
        }
    }

    /// Reads back what `encode` wrote: what can be read in one way only is injective.
    fn decode(bytes: &mut &[u8]) -> (String, Item) {
        let kind = take(bytes, 1)[0];
        let name = text(bytes);
        let item = match kind {
            kind::TEXT => Item::Text(text(bytes)),
            kind::NUMBER => Item::Number(number(bytes)),
            kind::FLAG => Item::Flag(take(bytes, 1)[0] == 1),
            kind::DIGEST => Item::Digest(take(bytes, 32)[0]),
            kind::ABSENT => Item::Absent,
            kind::RECORD => {
                let mut fields = vec![];
                while bytes[0] != kind::END {
                    fields.push(decode(bytes));
                }
                take(bytes, 1);
                Item::Record(fields)
            }
            kind::LIST => Item::List((0..number(bytes)).map(|_| decode(bytes).1).collect()),
            other => panic!("no kind {other}"),
        };
        (name, item)
    }

    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (head, tail) = bytes.split_at(count);
        *bytes = tail;
        head
    }

    fn number(bytes: &mut &[u8]) -> u64 {
        u64::from_le_bytes(take(bytes, 8).try_into().unwrap())
    }

    fn text(bytes: &mut &[u8]) -> String {
        let length = number(bytes) as usize;
        String::from_utf8(take(bytes, length).to_vec()).unwrap()
    }

    fn item() -> impl Strategy<Value = Item> {
        let text = || "[t{}\\[\\-a\\x00]{0,3}";
        let leaf = prop_oneof![
            text().prop_map(Item::Text),
            any::<u64>().prop_map(Item::Number),
            any::<bool>().prop_map(Item::Flag),
            any::<u8>().prop_map(Item::Digest),
            Just(Item::Absent),
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec((text(), inner.clone()), 0..4).prop_map(Item::Record),
                prop::collection::vec(inner, 0..4).prop_map(Item::List),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_can_be_read_in_one_way(name in "[a-z{}]{0,3}", item in item()) {
            let mut encoder = Encoder::new("test", 1);
            encode(&mut encoder, &name, &item);
            let bytes = encoder.finish();
            let mut rest = bytes.as_slice();
            prop_assert_eq!(decode(&mut rest), ("type".to_owned(), Item::Text("test".to_owned())));
            prop_assert_eq!(decode(&mut rest), ("version".to_owned(), Item::Number(1)));
            prop_assert_eq!(decode(&mut rest), (name, item));
            prop_assert!(rest.is_empty());
        }
    }
}
