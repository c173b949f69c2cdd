//! Values, in memory only.

use crate::forms::{self, SHORTEST};
use crate::protect::Protection;
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

    /// The value itself, byte for byte: what a file with it holds. To be handed to the step that
    /// needs it and nowhere else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value without the line breaks at its end: what a variable holds, as it does when a
    /// shell assigns the content of a file to it.
    pub fn expose_text(&self) -> &[u8] {
        let end = self.0.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |at| at + 1);
        &self.0[..end]
    }

    /// Whether there is nothing in it but line breaks.
    pub fn is_empty(&self) -> bool {
        self.expose_text().is_empty()
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
    _protection: Option<Protection>,
}

impl Secrets {
    /// These values.
    pub fn new(values: impl IntoIterator<Item = (SecretId, SecretValue)>) -> Self {
        let values: BTreeMap<_, _> = values.into_iter().collect();
        if values.is_empty() {
            return Secrets::default();
        }
        let protection = Some(Protection::new());
        let patterns = Patterns::of(&values);
        Secrets(Arc::new(Inner { values, patterns, _protection: protection }))
    }

    /// The value of the secret `id`, if it is one of these.
    pub fn get(&self, id: &SecretId) -> Option<&SecretValue> {
        self.0.values.get(id)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// The variables that they may have been found in. This process's own environment still holds
    /// them: programs that are started for a build must not inherit them.
    pub fn variables(&self) -> Vec<String> {
        self.0.values.keys().map(SecretId::variable).collect()
    }

    /// Those of them that are among `wanted`: what one step has seen.
    pub fn only<'a>(&self, wanted: impl IntoIterator<Item = &'a SecretId>) -> Secrets {
        let found = wanted.into_iter().filter_map(|id| self.0.values.get_key_value(id));
        Secrets::new(found.map(|(id, value)| (id.clone(), value.clone())))
    }

    /// These, and others besides.
    pub fn and(&self, others: impl IntoIterator<Item = (SecretId, SecretValue)>) -> Secrets {
        let mut others = others.into_iter().peekable();
        if others.peek().is_none() {
            return self.clone();
        }
        let own = self.0.values.iter().map(|(id, value)| (id.clone(), value.clone()));
        Secrets::new(others.chain(own))
    }

    /// Those whose values are too short to be searched for, and to be hidden.
    pub fn too_short(&self) -> Vec<&SecretId> {
        let short = |value: &SecretValue| forms::trimmed(value.expose()).len() < SHORTEST;
        self.0.values.iter().filter(|(_, value)| short(value)).map(|(id, _)| id).collect()
    }

    /// `text` with `****` in place of every value, however it is encoded.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.patterns.redact(text)
    }

    /// Where a long text, of which this is the beginning, can be cut without cutting through a
    /// value: near its end, and never behind it.
    pub fn cut(&self, text: &[u8]) -> usize {
        self.0.patterns.cut(text)
    }

    /// How many bytes before its end a text may have to be cut.
    pub fn overlap(&self) -> usize {
        self.0.patterns.longest_hidden().saturating_sub(1)
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
