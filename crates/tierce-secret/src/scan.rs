//! Finding values in what was made, and hiding them in what is said.

use crate::forms;
use crate::value::SecretValue;
use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;
use tierce_spec::SecretId;

/// What is shown in place of a value.
const HIDDEN: &[u8] = b"****";

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
    longest: usize,
    /// `None` without any form.
    automaton: Option<AhoCorasick>,
}

impl Finder {
    fn new(all: BTreeMap<Vec<u8>, &SecretId>) -> Self {
        let longest = all.keys().map(Vec::len).max().unwrap_or(0);
        let automaton = AhoCorasick::builder()
            // The only kind that also finds what overlaps.
            .match_kind(MatchKind::Standard)
            .build(all.keys())
            .expect("so few forms of limited length make a small automaton");
        let automaton = (!all.is_empty()).then_some(automaton);
        Finder { owners: all.into_values().cloned().collect(), longest, automaton }
    }

    fn find(&self, bytes: &[u8]) -> Option<&SecretId> {
        let found = self.automaton.as_ref()?.find(bytes)?;
        self.owners.get(found.pattern().as_usize())
    }

    /// Everything that is found, by where it starts, the longest first. Values overlap: what one
    /// ends with, another may begin with.
    fn all(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let found = self.automaton.iter().flat_map(|a| a.find_overlapping_iter(bytes));
        let mut all: Vec<_> = found.map(|found| found.range()).collect();
        all.sort_unstable_by_key(|range| (range.start, Reverse(range.end)));
        all
    }
}

impl Patterns {
    pub fn of(values: &BTreeMap<SecretId, SecretValue>) -> Self {
        let mut search: BTreeMap<Vec<u8>, &SecretId> = BTreeMap::new();
        let mut more = BTreeMap::new();
        for (id, value) in values {
            for form in forms::forms(value.expose()) {
                search.entry(form).or_insert(id);
            }
            more.extend(forms::more_to_hide(value.expose()).into_iter().map(|form| (form, id)));
        }
        let hide = (!more.is_empty()).then(|| {
            more.extend(search.iter().map(|(form, id)| (form.clone(), *id)));
            Finder::new(more)
        });
        Patterns { search: Finder::new(search), hide }
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
        self.hide().longest
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
