//! Texts of others, made fit for a terminal.
//!
//! Titles, lines, warnings and errors come from builders, plug-ins, registries and from programs
//! in images. A terminal obeys control characters, and a reader believes a line that looks like
//! one of ours: neither is theirs to write.

use std::borrow::Cow;

/// What stands for a character that is not shown.
const UNSHOWN: char = '\u{fffd}';

/// `text` as a part of one line.
pub fn line(text: &str) -> Cow<'_, str> {
    match text.chars().any(is_unfit) {
        true => Cow::Owned(without_sequences(text).map(|c| shown(c, UNSHOWN)).collect()),
        false => Cow::Borrowed(text),
    }
}

/// `text` with the lines that it has; all but the first are indented, so that none looks like a
/// message of its own.
pub fn lines(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unfit) {
        return Cow::Borrowed(text);
    }
    let text: String = without_sequences(&text.replace("\r\n", "\n"))
        .map(|c| if c == '\n' { c } else { shown(c, UNSHOWN) })
        .collect();
    let mut out = String::with_capacity(text.len());
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push('\n');
            if !line.is_empty() && !line.starts_with([' ', '\t']) {
                out.push_str("  ");
            }
        }
        out.push_str(line);
    }
    Cow::Owned(out)
}

fn shown(c: char, instead: char) -> char {
    if is_unfit(c) { instead } else { c }
}

/// Whether a terminal does something else with `c` than to show it: control characters, and those
/// that turn the direction of what follows.
fn is_unfit(c: char) -> bool {
    let turns = matches!(
        c,
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    turns || (c.is_control() && c != '\t')
}

/// The characters of `text` without colours, the commonest of what a terminal obeys and of no loss
/// (`ESC [ ... m`, ECMA-48, section 8.3.117).
fn without_sequences(text: &str) -> impl Iterator<Item = char> + '_ {
    let mut rest = text;
    std::iter::from_fn(move || {
        while let Some(after) = colour(rest) {
            rest = after;
        }
        let c = rest.chars().next()?;
        rest = &rest[c.len_utf8()..];
        Some(c)
    })
}

/// What comes after the colour that `text` begins with.
fn colour(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[")?;
    parameters.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').strip_prefix('m')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_obeys() {
        for (text, one, several) in [
            ("plain\tä", "plain\tä", "plain\tä"),
            ("\x1b[1;31mred\x1b[0m", "red", "red"),
            ("\x1b]0;pwn\x07x", "\u{fffd}]0;pwn\u{fffd}x", "\u{fffd}]0;pwn\u{fffd}x"),
            ("a\nerror[b]: c", "a\u{fffd}error[b]: c", "a\n  error[b]: c"),
            ("a\r\nb\rc", "a\u{fffd}\u{fffd}b\u{fffd}c", "a\n  b\u{fffd}c"),
            ("a\n\n    b\n", "a\u{fffd}\u{fffd}    b\u{fffd}", "a\n\n    b\n"),
            ("\x1b[2K\x1b[1A", "\u{fffd}[2K\u{fffd}[1A", "\u{fffd}[2K\u{fffd}[1A"),
            ("\u{9b}1A\u{202e}", "\u{fffd}1A\u{fffd}", "\u{fffd}1A\u{fffd}"),
            ("\x1b[\x1b[0m31m", "\u{fffd}[31m", "\u{fffd}[31m"),
        ] {
            assert_eq!(line(text), one, "{text:?}");
            assert_eq!(lines(text), several, "{text:?}");
        }
    }
}
