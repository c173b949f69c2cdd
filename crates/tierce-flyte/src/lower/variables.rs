//! Environment variables. In an image that Flyte wrote, they are those of a Dockerfile: values
//! name other variables. In others they are what they are, but for search paths that what they
//! are so far is a part of.

use super::Lowering;
use super::words::{substitute, word};
use std::collections::BTreeMap;
use tierce_spec::SearchPath;

/// What is known of the image's variables. Those of the base are not.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    known: BTreeMap<String, String>,
    /// The directories that `PATH` begins with.
    front: Vec<String>,
}

impl Variables {
    /// The variable is set to this.
    pub fn set(&mut self, name: &str, value: &str) {
        self.known.insert(name.to_owned(), value.to_owned());
    }

    /// `PATH` begins with these directories.
    pub fn lead(&mut self, directories: &[String]) {
        self.front.splice(0..0, directories.iter().cloned());
    }
}

/// The value of a variable.
#[derive(Debug, PartialEq, Eq)]
enum Value {
    /// The whole of it.
    Text(String),
    /// What goes around that which it is so far.
    Around(SearchPath),
}

/// The result of expanding a text.
pub(super) struct Expanded {
    pub text: String,
    /// Variables that nothing is known of.
    pub unknown: Vec<String>,
}

impl Lowering<'_> {
    /// Sets variables, one after the other.
    pub(super) fn env(&mut self, vars: &[(String, String)]) {
        let mut plain: BTreeMap<String, String> = BTreeMap::new();
        let mut paths: BTreeMap<String, SearchPath> = BTreeMap::new();
        for (name, value) in vars {
            let value = match self.expands() {
                true => self.value(name, value),
                false => self.literal(name, value),
            };
            if plain.contains_key(name) || paths.contains_key(name) {
                self.flush(std::mem::take(&mut plain), std::mem::take(&mut paths));
            }
            match value {
                Value::Text(text) => {
                    self.variables.set(name, &text);
                    if name == "PATH" {
                        self.variables.front.clear();
                    }
                    plain.insert(name.clone(), text);
                }
                Value::Around(path) if path == SearchPath::default() => {}
                Value::Around(path) => {
                    if name == "PATH" {
                        self.variables.lead(&path.before);
                    }
                    paths.insert(name.clone(), path);
                }
            }
        }
        self.flush(plain, paths);
    }

    fn flush(&mut self, vars: BTreeMap<String, String>, paths: BTreeMap<String, SearchPath>) {
        if !(vars.is_empty() && paths.is_empty()) {
            self.add(tierce_spec::Step::Env(tierce_spec::Env { vars, paths }));
        }
    }

    fn value(&mut self, name: &str, written: &str) -> Value {
        let text = unquoted(written).unwrap_or(written);
        if !self.variables.known.contains_key(name)
            && !text.contains(['"', '\'', '\\'])
            && let Some(path) = self.around(name, text)
        {
            return Value::Around(path);
        }
        Value::Text(match word(written, &self.variables.known) {
            Some(expanded) => self.said(expanded),
            // Docker would not take it; what is meant is plain enough.
            None => self.expand(written),
        })
    }

    /// A value that is not one of a Dockerfile. One that loses what the variable is without it
    /// breaks the image, so nobody means that.
    fn literal(&mut self, name: &str, value: &str) -> Value {
        let others = value.split(':').filter(|part| !is_itself(name, part));
        if others.clone().all(|part| references(part).next().is_none())
            && let Some(path) = self.around(name, value)
        {
            return Value::Around(path);
        }
        if references(value).next().is_some() {
            // Without a word of the value, which may be a password.
            self.warn(
                "flyte/literal-variable",
                format!("the value of {name} has a $ and a name in it, which stay as they are: only {name} itself is known, as a part of a search path (/opt/bin:${name})"),
            );
        }
        Value::Text(value.to_owned())
    }

    /// What goes around the variable itself, where that is a list of directories.
    fn around(&mut self, name: &str, text: &str) -> Option<SearchPath> {
        let parts: Vec<&str> = text.split(':').collect();
        let at = parts.iter().position(|part| is_itself(name, part))?;
        let mut list = |parts: &[&str]| -> Option<Vec<String>> {
            let all: Vec<String> = parts.iter().map(|part| self.expand(part)).collect();
            let all: Vec<String> = all.into_iter().filter(|d| !d.is_empty()).collect();
            // A value may have brought several.
            let all: Vec<String> =
                all.iter().flat_map(|d| d.split(':')).map(str::to_owned).collect();
            all.iter().all(|d| d.starts_with('/')).then_some(all)
        };
        let (before, after) = (list(&parts[..at])?, list(&parts[at + 1..])?);
        let leads = name == "PATH" && self.variables.front.starts_with(&before);
        let before = if leads { vec![] } else { before };
        Some(SearchPath { before, after })
    }

    /// A text of the image: in one that Flyte wrote, with its variables expanded.
    pub(super) fn text(&mut self, text: &str) -> String {
        match self.expands() {
            true => self.expand(text),
            false => text.to_owned(),
        }
    }

    fn expand(&mut self, text: &str) -> String {
        let expanded = expand(text, &self.variables.known);
        self.said(expanded)
    }

    /// The text, after a warning of what is not known in it.
    fn said(&mut self, expanded: Expanded) -> String {
        let Expanded { text, unknown } = expanded;
        for name in unknown {
            self.warn(
                "flyte/unknown-variable",
                format!("${name} is taken to be empty: what the base says of it is not looked at"),
            );
        }
        text
    }
}

/// Whether a part of a search path is the variable itself.
fn is_itself(name: &str, part: &str) -> bool {
    let named = part.strip_prefix('$');
    let braced = |named: &str| named.strip_prefix('{')?.strip_suffix('}').map(str::to_owned);
    named.is_some_and(|named| named == name || braced(named).is_some_and(|inner| inner == name))
}

/// The names of the variables that a text refers to.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('$').filter_map(|(at, _)| Some(reference(&text[at..])?.name))
}

/// What is between double quotes that are around all of it.
fn unquoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.strip_suffix('"')
}

/// `$name`, `${name}`, `${name:-else}` and `${name:+then}` expanded, as Dockerfiles have them; a
/// backslash keeps a `$` as it is.
pub(super) fn expand(text: &str, known: &BTreeMap<String, String>) -> Expanded {
    let mut out = Expanded { text: String::new(), unknown: vec![] };
    let mut rest = text;
    while let Some(at) = rest.find(['$', '\\']) {
        out.text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\$") {
            out.text.push('$');
            rest = after;
            continue;
        }
        let Some(reference) = reference(rest) else {
            let first = rest.chars().next().map_or(0, char::len_utf8);
            out.text.push_str(&rest[..first]);
            rest = &rest[first..];
            continue;
        };
        // All that is in it is read.
        let _ = substitute(&reference, known, &mut out, |text| Some(expand(text, known)));
        rest = reference.after;
    }
    out.text.push_str(rest);
    out
}

/// A reference to a variable at the start of a text.
pub(super) struct Reference<'a> {
    pub name: &'a str,
    /// What is said for the case that it is not set (`-`), or is (`+`).
    pub or: Option<(char, &'a str)>,
    /// What comes after it.
    pub after: &'a str,
}

/// The reference that a text begins with.
pub(super) fn reference(text: &str) -> Option<Reference<'_>> {
    let word = |text: &str| {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
        (end > 0 && !text.starts_with(|c: char| c.is_ascii_digit())).then_some(end)
    };
    let text = text.strip_prefix('$')?;
    let Some(braced) = text.strip_prefix('{') else {
        let (name, after) = text.split_at(word(text)?);
        return Some(Reference { name, or: None, after });
    };
    let (name, tail) = braced.split_at(word(braced)?);
    if let Some(after) = tail.strip_prefix('}') {
        return Some(Reference { name, or: None, after });
    }
    let said = tail.strip_prefix(':').unwrap_or(tail);
    let kind = said.chars().next().filter(|c| matches!(c, '-' | '+'))?;
    let close = closing(said)?;
    Some(Reference { name, or: Some((kind, &said[1..close])), after: &said[close + 1..] })
}

/// Where the brace is that closes the one that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_expanded_as_in_dockerfiles() {
        let known = BTreeMap::from([("A", "1"), ("EMPTY", "")].map(|(n, v)| (n.into(), v.into())));
        for (text, expected, unknown) in [
            ("a b", "a b", &[][..]),
            ("$A/x", "1/x", &[]),
            ("${A}x", "1x", &[]),
            ("$Ax", "", &["Ax"]),
            (r"\$A", "$A", &[]),
            (r"a\b", r"a\b", &[]),
            ("${B:-2}", "2", &[]),
            ("${B:-${A}}", "1", &[]),
            ("${A:+set}", "set", &[]),
            ("${B:+set}", "", &[]),
            ("${EMPTY:-2}", "2", &[]),
            ("$EMPTY", "", &[]),
            ("$", "$", &[]),
            ("$1", "$1", &[]),
            ("100%${", "100%${", &[]),
            ("é$A", "é1", &[]),
        ] {
            let found = expand(text, &known);
            assert_eq!(found.text, expected, "{text}");
            assert_eq!(found.unknown, unknown, "{text}");
        }
    }
}
