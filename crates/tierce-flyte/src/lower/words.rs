//! Words of Dockerfiles: quotes, backslashes and variables in them.

use super::variables::{Expanded, Reference, expand, reference};
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

/// What a Dockerfile makes of a value that is written without anything around it, as Flyte writes
/// those of `ENV`: nothing is special between single quotes; variables, and backslashes before
/// `"`, `$` and `\`, are between double quotes; elsewhere a backslash keeps any character.
///
/// `None` where it is not one word: Docker fails on the line, or takes the rest for something
/// else.
pub(super) fn word(text: &str, known: &BTreeMap<String, String>) -> Option<Expanded> {
    let mut out = Expanded { text: String::new(), unknown: vec![] };
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            c if c.is_whitespace() => return None,
            '\'' => {
                let (inner, after) = after.split_once('\'')?;
                if inner.contains('\n') {
                    return None;
                }
                out.text.push_str(inner);
                after
            }
            '"' => double_quoted(after, known, &mut out)?,
            '\\' => {
                // At the end it goes on in the next line.
                let kept = after.chars().next().filter(|kept| *kept != '\n')?;
                out.text.push(kept);
                &after[kept.len_utf8()..]
            }
            '$' => match reference(rest) {
                Some(reference) => {
                    let after = reference.after;
                    substitute(&reference, known, &mut out, |text| word(text, known))?;
                    after
                }
                None => {
                    out.text.push('$');
                    after
                }
            },
            c => {
                out.text.push(c);
                after
            }
        };
    }
    Some(out)
}

/// Reads up to the closing quote; gives what comes after it.
fn double_quoted<'a>(
    text: &'a str,
    known: &BTreeMap<String, String>,
    out: &mut Expanded,
) -> Option<&'a str> {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '"' => return Some(after),
            '\n' => return None,
            '\\' if after.starts_with(['"', '$', '\\']) => {
                out.text.push_str(&after[..1]);
                &after[1..]
            }
            '$' => match reference(rest) {
                Some(reference) => {
                    let after = reference.after;
                    substitute(&reference, known, out, |text| Some(expand(text, known)))?;
                    after
                }
                None => {
                    out.text.push('$');
                    after
                }
            },
            c => {
                out.text.push(c);
                after
            }
        };
    }
    None
}

/// Writes what a variable is, or what is said for that it is not set, or is, as `inner` reads it.
pub(super) fn substitute(
    reference: &Reference<'_>,
    known: &BTreeMap<String, String>,
    out: &mut Expanded,
    inner: impl Fn(&str) -> Option<Expanded>,
) -> Option<()> {
    let Reference { name, or, after: _ } = reference;
    let value = known.get(*name).filter(|value| !value.is_empty());
    match (or, value) {
        (Some(('-', text)), None) | (Some(('+', text)), Some(_)) => {
            let inner = inner(text)?;
            out.text.push_str(&inner.text);
            out.unknown.extend(inner.unknown);
        }
        (Some(('+', _)), None) => {}
        (_, Some(value)) => out.text.push_str(value),
        (_, None) if known.contains_key(*name) => {}
        (_, None) => out.unknown.push((*name).to_owned()),
    }
    Some(())
}

/// The words of a line as they are written, quotes and all; `None` where a quote stays open.
pub(super) fn split(line: &str) -> Option<Vec<&str>> {
    let mut words = vec![];
    let mut chars = line.char_indices().peekable();
    while let Some(&(start, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let end = end_of_word(&mut chars)?.unwrap_or(line.len());
        words.push(&line[start..end]);
    }
    Some(words)
}

/// Where the word ends; `Some(None)` at the end of the line.
fn end_of_word(chars: &mut Peekable<CharIndices<'_>>) -> Option<Option<usize>> {
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            return Some(Some(at));
        }
        chars.next();
        match c {
            '\\' => {
                chars.next();
            }
            '"' | '\'' => loop {
                match chars.next()?.1 {
                    '\\' if c == '"' => {
                        chars.next();
                    }
                    closing if closing == c => break,
                    _ => {}
                }
            },
            _ => {}
        }
    }
    Some(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_dockerfiles_make_of_them() {
        let known = BTreeMap::from([("A".to_owned(), "1 2".to_owned())]);
        for (text, expected) in [
            ("plain", Some("plain")),
            ("", Some("")),
            (r#"a"b c"d"#, Some("ab cd")),
            (r#""a b""#, Some("a b")),
            (r#""a"'b'"#, Some("ab")),
            (r#"{"json":"yes"}"#, Some("{json:yes}")),
            (r"a\b", Some("ab")),
            (r"a\ b", Some("a b")),
            (r"a\\b", Some(r"a\b")),
            (r#""a\b\"c\\d\$A""#, Some(r#"a\b"c\d$A"#)),
            (r"'a\b$A'", Some(r"a\b$A")),
            (r"\$A", Some("$A")),
            ("$A", Some("1 2")),
            ("\"$A\"x", Some("1 2x")),
            ("${B:-\"x y\"}", Some("x y")),
            ("\"${B:-x y}\"", Some("x y")),
            ("5$", Some("5$")),
            ("it's", None),
            ("\"open", None),
            ("a b", None),
            ("${B:-x y}", None),
            (r#"{"a": "b"}"#, None),
            ("\"two\nlines\"", None),
            ("ends\\", None),
            ("é\"ü\"", Some("éü")),
        ] {
            let found = word(text, &known).map(|found| found.text);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn lines_are_split_between_words() {
        for (line, expected) in [
            ("a=1  b=\"2 3\" ", Some(&["a=1", "b=\"2 3\""][..])),
            (r#"a='x y'z b=\ c d="\" e""#, Some(&["a='x y'z", r"b=\ c", r#"d="\" e""#])),
            ("", Some(&[])),
            ("a='b", None),
        ] {
            assert_eq!(split(line).as_deref(), expected, "{line}");
        }
    }
}
