//! Values, in memory only.

use crate::scan::{Patterns, Scanner};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use tierce_spec::SecretId;
use zeroize::Zeroizing;

/// A secret's value: shown by nothing, erased when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// The value `bytes`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        SecretValue(Zeroizing::new(bytes.into()))
    }

    /// The value itself, to be handed to the step that needs it and nowhere else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(****)")
    }
}

/// The values of all secrets of a build.
#[derive(Clone, Default)]
pub struct Secrets(Arc<Inner>);

#[derive(Default)]
struct Inner {
    values: BTreeMap<SecretId, SecretValue>,
    patterns: Patterns,
}

impl Secrets {
    /// These values.
    pub fn new(values: impl IntoIterator<Item = (SecretId, SecretValue)>) -> Self {
        let values: BTreeMap<_, _> = values.into_iter().collect();
        let patterns = Patterns::of(&values);
        Secrets(Arc::new(Inner { values, patterns }))
    }

    /// The value of the secret `id`, if it is one of these.
    pub fn get(&self, id: &SecretId) -> Option<&SecretValue> {
        self.0.values.get(id)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// `text` with `****` in place of every value, however it is encoded.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.patterns.redact(text)
    }

    /// What finds the values in bytes.
    pub fn scanner(&self) -> Scanner<'_> {
        Scanner::new(&self.0.patterns)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values.keys().map(ToString::to_string)).finish()
    }
}
