//! Finding values in what was made, and hiding them in what is said.

use crate::forms;
use crate::value::SecretValue;
use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tierce_spec::SecretId;

/// What is shown in place of a value.
const HIDDEN: &[u8] = b"****";

/// How many characters of base64 are hidden after one that was found: those that it shares with
/// what comes next, and the padding.
const TRAILING: usize = 4;

/// The forms in which the values can be met.
#[derive(Default)]
pub(crate) struct Patterns {
    /// What is searched for in what was made.
    search: Finder,
    /// What is hidden in texts, where that is more.
    hide: Option<Finder>,
}

#[derive(Default)]
struct Finder {
    /// Whose each form is.
    owners: Vec<SecretId>,
    /// Whether each form is base64.
    base64: Vec<bool>,
    longest: usize,
    /// `None` without any form.
    automaton: Option<AhoCorasick>,
}

impl Finder {
    fn new(all: BTreeMap<Vec<u8>, &SecretId>, encoded: &BTreeSet<Vec<u8>>) -> Self {
        let longest = all.keys().map(Vec::len).max().unwrap_or(0);
        let automaton = AhoCorasick::builder()
            // The only kind that also finds what overlaps.
            .match_kind(MatchKind::Standard)
            .build(all.keys())
            .expect("so few forms of limited length make a small automaton");
        let automaton = (!all.is_empty()).then_some(automaton);
        let base64 = all.keys().map(|form| encoded.contains(form)).collect();
        Finder { owners: all.into_values().cloned().collect(), base64, longest, automaton }
    }

    fn find(&self, bytes: &[u8]) -> Option<&SecretId> {
        let found = self.automaton.as_ref()?.find(bytes)?;
        self.owners.get(found.pattern().as_usize())
    }

    /// Everything that is found, by where it starts, the longest first. Values overlap: what one
    /// ends with, another may begin with.
    fn all(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let found = self.automaton.iter().flat_map(|a| a.find_overlapping_iter(bytes));
        let hidden = |found: aho_corasick::Match| match self.base64[found.pattern().as_usize()] {
            true => found.start()..end_of_base64(bytes, found.end()),
            false => found.range(),
        };
        let mut all: Vec<_> = found.map(hidden).collect();
        all.sort_unstable_by_key(|range| (range.start, Reverse(range.end)));
        all
    }
}

/// Where a text of base64 ends of which what is before `end` was found; not far from it.
fn end_of_base64(bytes: &[u8], end: usize) -> usize {
    let inner = |b: &&u8| b.is_ascii_alphanumeric() || b"+/-_=".contains(b);
    end + bytes[end..].iter().take(TRAILING).take_while(inner).count()
}

impl Patterns {
    pub fn of(values: &BTreeMap<SecretId, SecretValue>) -> Self {
        let mut search: BTreeMap<Vec<u8>, &SecretId> = BTreeMap::new();
        let mut more = BTreeMap::new();
        let mut encoded = BTreeSet::new();
        for (id, value) in values {
            encoded.extend(forms::base64_forms(value.expose()));
            for form in forms::forms(value.expose()) {
                search.entry(form).or_insert(id);
            }
            more.extend(forms::more_to_hide(value.expose()).into_iter().map(|form| (form, id)));
        }
        let hide = (!more.is_empty()).then(|| {
            more.extend(search.iter().map(|(form, id)| (form.clone(), *id)));
            Finder::new(more, &encoded)
        });
        Patterns { search: Finder::new(search, &encoded), hide }
    }

    fn hide(&self) -> &Finder {
        self.hide.as_ref().unwrap_or(&self.search)
    }

    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let bytes = text.as_bytes();
        let mut out: Vec<u8> = vec![];
        // Where the last value ended. What follows it at once is a part of the same one.
        let mut end = None;
        for Range { start, end: new } in self.hide().all(bytes) {
            if end.is_none_or(|end| end < start) {
                out.extend_from_slice(&bytes[end.unwrap_or(0)..start]);
                out.extend_from_slice(HIDDEN);
            }
            end = end.max(Some(new));
        }
        match end {
            None => Cow::Borrowed(text),
            Some(end) => {
                out.extend_from_slice(&bytes[end..]);
                // Pieces of values may start and end within a character.
                Cow::Owned(String::from_utf8_lossy(&out).into_owned())
            }
        }
    }

    pub fn cut(&self, text: &[u8]) -> usize {
        // What starts before this ends within the text.
        let last = text.len() - text.len().min(self.longest_hidden().saturating_sub(1));
        let all = self.hide().all(text);
        let through = |at: usize| move |found: &&Range<usize>| found.start < at && at < found.end;
        let before = all.iter().rev().fold(last, |at, found| match through(at)(&found) {
            true => found.start,
            false => at,
        });
        if before >= text.len() / 2 {
            return before;
        }
        // Values overlap all the way: between two of them, then.
        let mut end = 0;
        let side_by_side = all.iter().filter(|found| {
            let next = found.start >= end;
            end = if next { found.end } else { end };
            next
        });
        side_by_side.into_iter().find(through(last)).map_or(last, |found| found.start)
    }

    pub fn longest_hidden(&self) -> usize {
        match self.hide().longest {
            0 => 0,
            longest => longest + TRAILING,
        }
    }
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
        let keep = self.patterns.search.longest.checked_sub(1)?;
        let head = &piece[..piece.len().min(keep)];
        if !self.tail.is_empty() {
            self.tail.extend_from_slice(head);
            let found = self.patterns.search.find(&self.tail);
            if found.is_some() || head.len() == piece.len() {
                self.keep_last(keep);
                return found;
            }
        }
        let found = self.patterns.search.find(piece);
        self.tail.clear();
        self.tail.extend_from_slice(&piece[piece.len().saturating_sub(keep)..]);
        found
    }

    /// Searches these bytes alone; what came before and comes after is another text.
    pub fn search(&mut self, whole: &[u8]) -> Option<&'a SecretId> {
        self.reset();
        self.patterns.search.find(whole)
    }

    /// Forgets what came so far: another file starts.
    pub fn reset(&mut self) {
        self.tail.clear();
    }

    fn keep_last(&mut self, keep: usize) {
        let excess = self.tail.len().saturating_sub(keep);
        self.tail.drain(..excess);
    }
}
