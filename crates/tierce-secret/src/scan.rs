//! Finding values in what was made.

use crate::value::SecretValue;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;
use tierce_spec::SecretId;

/// Values shorter than this are not searched for: they would be found everywhere.
const SHORTEST: usize = 4;

/// The forms in which the values can be met.
#[derive(Default)]
pub(crate) struct Patterns {
    /// Longest first, so that a whole value is hidden before a part of it is.
    list: Vec<(SecretId, Vec<u8>)>,
}

impl Patterns {
    pub fn of(values: &BTreeMap<SecretId, SecretValue>) -> Self {
        let mut list = vec![];
        for (id, value) in values {
            let bytes = value.expose();
            let trimmed = bytes.trim_ascii();
            for form in forms(trimmed) {
                if form.len() >= SHORTEST && !list.iter().any(|(_, known)| *known == form) {
                    list.push((id.clone(), form));
                }
            }
        }
        list.sort_by(|(_, a), (_, b)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        Patterns { list }
    }

    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut text = Cow::Borrowed(text);
        for (_, pattern) in &self.list {
            if let Ok(pattern) = std::str::from_utf8(pattern)
                && text.contains(pattern)
            {
                text = Cow::Owned(text.replace(pattern, "****"));
            }
        }
        text
    }

    fn longest(&self) -> usize {
        self.list.first().map_or(0, |(_, pattern)| pattern.len())
    }
}

/// A value as it is, in base64 wherever it may start in the encoded bytes, and as part of a URL.
fn forms(value: &[u8]) -> Vec<Vec<u8>> {
    if value.len() < SHORTEST {
        return vec![];
    }
    let mut forms = vec![value.to_vec(), percent_encoded(value)];
    for shift in 0..3 {
        // What is before and after the value changes the characters at the edges.
        let mut padded = vec![0; shift];
        padded.extend_from_slice(value);
        let skip = [0, 2, 3][shift];
        let whole = padded.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let inner = &encoded.as_bytes()[skip..whole.min(encoded.len())];
            if inner.len() >= 2 * SHORTEST {
                forms.push(inner.to_vec());
            }
        }
    }
    forms
}

/// RFC 3986, section 2.1: everything but unreserved characters.
fn percent_encoded(value: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for &byte in value {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                // Writing to a string can't fail.
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out.into_bytes()
}

/// Searches bytes that come in pieces.
pub struct Scanner<'a> {
    patterns: &'a Patterns,
    /// The end of what came so far: a value may go on in the next piece.
    tail: Vec<u8>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(patterns: &'a Patterns) -> Self {
        Scanner { patterns, tail: vec![] }
    }

    /// Takes in the next piece; the secret whose value it completes, if any.
    pub fn feed(&mut self, piece: &[u8]) -> Option<&'a SecretId> {
        let longest = self.patterns.longest();
        if longest == 0 {
            return None;
        }
        self.tail.extend_from_slice(piece);
        let found = self.patterns.list.iter().find(|(_, pattern)| contains(&self.tail, pattern));
        let keep = self.tail.len().min(longest - 1);
        self.tail.drain(..self.tail.len() - keep);
        found.map(|(id, _)| id)
    }

    /// Forgets what came so far: another file starts.
    pub fn reset(&mut self) {
        self.tail.clear();
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
