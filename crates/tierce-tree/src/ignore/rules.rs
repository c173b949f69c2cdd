//! All the rules that hold for one tree, ready to be asked about its paths.

use super::pattern::Pattern;
use super::{IgnoreRules, RulesAbove};
use crate::defaults::DefaultMatch;
use std::borrow::Cow;
use tierce_layer::LayerPath;

/// The rules of a directory above a tree, and after them the tree's own.
pub(crate) struct TreeRules<'a> {
    rules: Vec<Rule<'a>>,
    /// The way from the directory above to the tree, with a slash at its end; empty where none of
    /// the rules is from there.
    prefix: Vec<u8>,
    top: Matched,
}

struct Rule<'a> {
    pattern: &'a Pattern,
    /// Whether it is about paths from the directory above.
    from_above: bool,
}

/// Which patterns match a directory, or one above it. What is below needs no second look at them.
///
/// The first slot is for the default excludes, which come before all patterns.
#[derive(Clone, Debug)]
pub(crate) struct Matched(Vec<bool>);

/// What the rules say of one path.
pub(crate) struct Verdict {
    /// Whether the path itself is left out.
    pub(crate) ignored: bool,
    /// For what is below it.
    pub(crate) matched: Matched,
}

impl<'a> TreeRules<'a> {
    pub(crate) fn new(own: &'a IgnoreRules, above: Option<&'a RulesAbove>) -> Self {
        let mut all = TreeRules { rules: vec![], prefix: vec![], top: Matched(vec![false]) };
        if let Some(RulesAbove { rules, tree }) = above {
            all.inherit(rules, tree);
        }
        all.top.0.resize(all.top.0.len() + own.patterns.len(), false);
        let own = own.patterns.iter().map(|pattern| Rule { pattern, from_above: false });
        all.rules.extend(own);
        all
    }

    /// Takes the rules from above of which the tree can notice anything. Patterns that match
    /// nothing in it change no verdict, so that each path need not be tried on them.
    fn inherit(&mut self, rules: &'a IgnoreRules, tree: &LayerPath) {
        let above = TreeRules::new(rules, None);
        let matched = match tree.is_root() {
            true => above.top.clone(),
            false => above.judge(tree.as_bytes(), &above.above(tree), false).matched,
        };
        for (pattern, matched) in rules.patterns.iter().zip(&matched.0[1..]) {
            if *matched || tree.is_root() || pattern.may_match_below(tree.as_bytes()) {
                self.rules.push(Rule { pattern, from_above: true });
                self.top.0.push(*matched);
            }
        }
        if !tree.is_root() && !self.rules.is_empty() {
            self.prefix = [tree.as_bytes(), b"/"].concat();
        }
    }

    /// What holds for the root of the tree.
    pub(crate) fn top(&self) -> Matched {
        self.top.clone()
    }

    /// What holds for the directory of a path.
    pub(crate) fn above(&self, path: &LayerPath) -> Matched {
        path.ancestors().fold(self.top(), |matched, above| {
            self.judge(above.as_bytes(), &matched, false).matched
        })
    }

    /// Judges a path whose directory is known. `default` says that a default exclude is about it.
    pub(crate) fn judge(&self, path: &[u8], above: &Matched, default: bool) -> Verdict {
        let full = self.full(path);
        let mut matched = vec![false; self.rules.len() + 1];
        matched[0] = above.0[0] || default;
        let mut ignored = matched[0];
        for (at, rule) in self.rules.iter().enumerate() {
            let slot = at + 1;
            // As in Docker, a pattern that would change nothing is not even tried, which shows
            // below a directory: its match is not inherited.
            matched[slot] =
                above.0[slot] || (rule.pattern.exception == ignored && rule.matches(path, &full));
            if matched[slot] {
                ignored = !rule.pattern.exception;
            }
        }
        Verdict { ignored, matched: Matched(matched) }
    }

    /// The same without the memory of what matched: enough for anything but directories.
    pub(crate) fn ignores(&self, path: &[u8], above: &Matched, default: bool) -> bool {
        let full = self.full(path);
        let mut ignored = above.0[0] || default;
        for (rule, &inherited) in self.rules.iter().zip(&above.0[1..]) {
            if inherited || (rule.pattern.exception == ignored && rule.matches(path, &full)) {
                ignored = !rule.pattern.exception;
            }
        }
        ignored
    }

    /// Whether an exception may bring back something below a directory that is left out.
    pub(crate) fn may_return_below(&self, directory: &[u8]) -> bool {
        let full = self.full(directory);
        self.rules
            .iter()
            .any(|rule| rule.pattern.exception && rule.may_match_below(directory, &full))
    }

    /// Whether an exception that names this default exclude is about the path or something below.
    pub(crate) fn lifts_default(&self, path: &[u8], default: DefaultMatch) -> bool {
        let (DefaultMatch::Always(glob) | DefaultMatch::IfVirtualEnv(glob)) = default;
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        let full = self.full(path);
        self.rules.iter().any(|rule| {
            rule.pattern.exception
                && (rule.pattern.names(glob.as_bytes()) || rule.pattern.names(name))
                && (rule.matches(path, &full) || rule.may_match_below(path, &full))
        })
    }

    /// The path from the directory above.
    fn full<'p>(&self, path: &'p [u8]) -> Cow<'p, [u8]> {
        match self.prefix.is_empty() {
            true => Cow::Borrowed(path),
            false => Cow::Owned([self.prefix.as_slice(), path].concat()),
        }
    }
}

impl Rule<'_> {
    fn matches(&self, path: &[u8], full: &[u8]) -> bool {
        self.pattern.matches(if self.from_above { full } else { path })
    }

    fn may_match_below(&self, path: &[u8], full: &[u8]) -> bool {
        self.pattern.may_match_below(if self.from_above { full } else { path })
    }
}
