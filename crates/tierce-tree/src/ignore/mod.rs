//! `.dockerignore` rules, as Docker's builders apply them (moby's `patternmatcher`).

mod clean;
mod pattern;
mod rules;

use crate::error::{IgnoreError, PatternProblem};
use pattern::Pattern;
use tierce_layer::LayerPath;

pub(crate) use rules::{Matched, TreeRules};

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

/// Rules of a directory further up, which hold for a tree below it too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RulesAbove {
    /// The rules, whose patterns are relative to that directory.
    pub rules: IgnoreRules,
    /// The way from there to the tree.
    pub tree: LayerPath,
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

    /// These rules and, after them, `others`: as if they were lines of one file.
    pub fn then(mut self, others: IgnoreRules) -> Self {
        self.patterns.extend(others.patterns);
        self
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
        let rules = TreeRules::new(self, None);
        rules.judge(path.as_bytes(), &rules.above(path), false).ignored
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
