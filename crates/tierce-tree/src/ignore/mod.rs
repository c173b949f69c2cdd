//! `.dockerignore` rules, as Docker's builders apply them (moby's `patternmatcher`).

mod clean;
mod pattern;

use crate::defaults::DefaultMatch;
use crate::error::{IgnoreError, PatternProblem};
use pattern::Pattern;
use tierce_layer::LayerPath;

/// The patterns of a `.dockerignore` file, in order.
///
/// A pattern matches a path from the root of the tree, as Go's `filepath.Match` says, with `**`
/// for any number of directories, and with it everything below. A pattern after `!` is an
/// exception: it brings back what patterns above it left out, also below a directory that is left
/// out. The last pattern that matches counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IgnoreRules {
    patterns: Vec<Pattern>,
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

impl IgnoreRules {
    /// Reads the text of a `.dockerignore` file.
    pub fn parse(text: &str) -> Result<Self, IgnoreError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (number, line) in text.lines().enumerate() {
            // Only lines that begin with # are comments; one can't stand after a pattern.
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            let pattern = parse_line(line.trim()).map_err(|problem| IgnoreError {
                line: number + 1,
                pattern: line.trim().to_owned(),
                problem,
            })?;
            patterns.push(pattern);
        }
        Ok(IgnoreRules { patterns })
    }

    /// Whether there are no patterns.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether a path is left out. The root never is.
    pub fn is_ignored(&self, path: &LayerPath) -> bool {
        if path.is_root() {
            return false;
        }
        let above = path.ancestors().fold(self.top(), |matched, ancestor| {
            self.judge(ancestor.as_bytes(), &matched, false).matched
        });
        self.judge(path.as_bytes(), &above, false).ignored
    }

    /// What holds for the root.
    pub(crate) fn top(&self) -> Matched {
        Matched(vec![false; self.patterns.len() + 1])
    }

    /// Judges a path whose directory is known. `default` says that a default exclude is about it.
    pub(crate) fn judge(&self, path: &[u8], above: &Matched, default: bool) -> Verdict {
        let mut matched = vec![false; self.patterns.len() + 1];
        matched[0] = above.0[0] || default;
        let mut ignored = matched[0];
        for (at, pattern) in self.patterns.iter().enumerate() {
            let slot = at + 1;
            // As in Docker, a pattern that would change nothing is not even tried, which shows
            // below a directory: its match is not inherited.
            matched[slot] =
                above.0[slot] || (pattern.exception == ignored && pattern.matches(path));
            if matched[slot] {
                ignored = !pattern.exception;
            }
        }
        Verdict { ignored, matched: Matched(matched) }
    }

    /// The same without the memory of what matched: enough for anything but directories.
    pub(crate) fn ignores(&self, path: &[u8], above: &Matched, default: bool) -> bool {
        let mut ignored = above.0[0] || default;
        for (pattern, &inherited) in self.patterns.iter().zip(&above.0[1..]) {
            if inherited || (pattern.exception == ignored && pattern.matches(path)) {
                ignored = !pattern.exception;
            }
        }
        ignored
    }

    /// Whether an exception may bring back something below a directory that is left out.
    pub(crate) fn may_return_below(&self, directory: &[u8]) -> bool {
        self.patterns.iter().any(|p| p.exception && p.may_match_below(directory))
    }

    /// Whether an exception that names this default exclude is about the path or something below.
    pub(crate) fn lifts_default(&self, path: &[u8], default: DefaultMatch) -> bool {
        let (DefaultMatch::Always(glob) | DefaultMatch::IfVirtualEnv(glob)) = default;
        let name = path.rsplit(|&b| b == b'/').next().unwrap_or(path);
        self.patterns.iter().any(|pattern| {
            pattern.exception
                && (pattern.names(glob.as_bytes()) || pattern.names(name))
                && (pattern.matches(path) || pattern.may_match_below(path))
        })
    }
}

/// One line that is neither blank nor a comment, trimmed.
fn parse_line(line: &str) -> Result<Pattern, PatternProblem> {
    let (exception, text) = match line.strip_prefix('!') {
        Some(rest) => (true, rest.trim()),
        None => (false, line),
    };
    let text = if text.is_empty() { String::new() } else { clean::clean(text) };
    // The root of the tree, not that of the machine.
    let text = match text.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => rest,
        _ => &text,
    };
    if exception && (text.is_empty() || text == "/") {
        return Err(PatternProblem::LoneException);
    }
    Pattern::compile(text, exception)
}
