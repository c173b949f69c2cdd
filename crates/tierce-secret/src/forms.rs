//! The forms in which a value can be met.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Values shorter than this, in bytes, are not searched for: they would be found everywhere.
pub const SHORTEST: usize = 4;

/// Fewer characters of base64 are found by chance.
const SHORTEST_BASE64: usize = 6;

/// How much of a long base64 text is searched for at once: lines of 64 characters and more have
/// a piece whole.
const PIECE_BASE64: usize = 24;

/// Shorter pieces are found by chance.
const SHORTEST_PIECE: usize = 8;

/// Longer values are searched for in pieces.
const LONG: usize = 4096;
/// The length of such a piece.
const PIECE: usize = 64;
/// How many pieces of one text are searched for.
const MOST_PIECES: usize = 256;

/// A line shorter than this is found by chance.
const SHORTEST_LINE: usize = 16;
/// A word shorter than this is found by chance.
const SHORTEST_WORD: usize = 20;

/// How programs differ in what they percent-encode: the characters besides letters and digits
/// that stay as they are.
const KEPT: [&[u8]; 4] = [
    b"-._~",                 // RFC 3986, section 2.3; JavaScript's and Go's for query values
    b"-._~/",                // Python's urllib.parse.quote
    b"-_.!~*'()",            // ECMAScript's encodeURIComponent
    b"-_.!~*'();/?:@&=+$,#", // ECMAScript's encodeURI
];

/// The value without white space around it: files end with a line break, variables don't.
pub(crate) fn trimmed(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

/// What is hidden besides [`forms`]: what others have in common with the value, too. Nothing is
/// lost where that is hidden once too often.
pub(crate) fn more_to_hide(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let value = trimmed(value);
    let core = core(value);
    match core.len() < value.len() {
        true => lines(value, value).chain(base64(value)).chain(words(value)).collect(),
        false => BTreeSet::new(),
    }
}

/// Those of the forms that are base64: what follows one at once still holds bits of the value.
pub(crate) fn base64_forms(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let value = trimmed(value);
    base64(value).into_iter().chain(base64(core(value))).collect()
}

/// All forms of `value`; none where it is too short.
pub(crate) fn forms(value: &[u8]) -> BTreeSet<Vec<u8>> {
    let value = trimmed(value);
    let mut forms = BTreeSet::new();
    if value.len() < SHORTEST {
        return forms;
    }
    match value.len() > LONG {
        true => forms.extend(pieces(value, PIECE).filter(|p| is_varied(p)).map(<[u8]>::to_vec)),
        false => {
            forms.insert(value.to_vec());
            forms.extend(percent_encoded(value));
            forms.extend(json_escaped(value));
        }
    }
    let core = core(value);
    forms.extend(base64(core));
    if value.contains(&b'\n') {
        forms.extend(lines(value, core));
        forms.extend(words(core));
    }
    forms
}

/// The part of a value that others don't share: of PEM files (RFC 7468) what is between the first
/// line of data, in which keys of one kind are alike, and the last boundary.
fn core(value: &[u8]) -> &[u8] {
    if !value.starts_with(b"-----BEGIN") {
        return value;
    }
    let breaks: Vec<usize> = positions(value, b'\n').collect();
    match breaks.as_slice() {
        [_, second, .., last] if second < last => &value[second + 1..*last],
        [first, last] => &value[first + 1..*last],
        _ => value,
    }
}

fn positions(bytes: &[u8], wanted: u8) -> impl Iterator<Item = usize> + '_ {
    bytes.iter().enumerate().filter(move |(_, byte)| **byte == wanted).map(|(at, _)| at)
}

/// `text` in consecutive pieces of at most `length`, all of about the same length; every so many
/// of them where there are too many.
fn pieces(text: &[u8], length: usize) -> impl Iterator<Item = &[u8]> {
    let count = text.len().div_ceil(length).max(1);
    let step = count.div_ceil(MOST_PIECES);
    (0..count).step_by(step).map(move |index| {
        let (start, end) = (index * text.len() / count, (index + 1) * text.len() / count);
        &text[start..end]
    })
}

/// Whether a piece of binary data is more than filler.
fn is_varied(piece: &[u8]) -> bool {
    piece.iter().collect::<BTreeSet<_>>().len() >= 12
}

/// In base64, wherever the value may start in what is encoded. What comes before and after it
/// changes the characters at the edges, which are left out.
fn base64(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![];
    for (shift, skip) in [(0, 0), (1, 2), (2, 3)] {
        let mut padded = vec![0; shift];
        padded.extend_from_slice(value);
        let whole = padded.len() * 8 / 6;
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            let inner = encoded.as_bytes().get(skip..whole).unwrap_or_default();
            if inner.len() < SHORTEST_BASE64 {
                continue;
            }
            if inner.len() <= LONG {
                forms.push(inner.to_vec());
            }
            // Two pieces at least: a line break is in one of them only.
            if inner.len() >= 2 * SHORTEST_PIECE {
                let length = PIECE_BASE64.min(inner.len().div_ceil(2));
                forms.extend(pieces(inner, length).map(<[u8]>::to_vec));
            }
        }
    }
    forms
}

fn percent_encoded(value: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![];
    for kept in KEPT {
        for lower in [false, true] {
            let mut out = String::new();
            for &byte in value {
                // Writing to a string can't fail.
                let _ = match byte {
                    b if b.is_ascii_alphanumeric() || kept.contains(&b) => {
                        out.push(char::from(b));
                        Ok(())
                    }
                    b if lower => write!(out, "%{b:02x}"),
                    b => write!(out, "%{b:02X}"),
                };
            }
            // Forms of HTML have another sign for spaces.
            forms.push(out.replace("%20", "+").into_bytes());
            forms.push(out.into_bytes());
        }
    }
    forms
}

/// As between the quotes of JSON (RFC 8259, section 7), with and without escaped slashes.
fn json_escaped(value: &[u8]) -> Vec<Vec<u8>> {
    let Ok(text) = std::str::from_utf8(value) else { return vec![] };
    let mut out = String::new();
    for c in text.chars() {
        // Writing to a string can't fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\r' => write!(out, "\\r"),
            '\t' => write!(out, "\\t"),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    vec![out.replace('/', "\\/").into_bytes(), out.into_bytes()]
}

/// The long lines, but for those of JSON documents, which are alike in all of them.
fn lines<'a>(value: &[u8], core: &'a [u8]) -> impl Iterator<Item = Vec<u8>> + use<'a> {
    let is_json = value.starts_with(b"{") || value.starts_with(b"[");
    let lines = core.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    lines
        .filter(move |line| !is_json && line.len() >= SHORTEST_LINE && !line.starts_with(b"-----"))
        .map(<[u8]>::to_vec)
}

/// The long words that look like keys: of letters of both cases and digits, or hexadecimal.
fn words(core: &[u8]) -> Vec<Vec<u8>> {
    // JSON documents have keys of several lines in one.
    let text = String::from_utf8_lossy(core).replace("\\n", "\n");
    let inner = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    text.split(|c| !inner(c)).filter(|word| is_key(word)).map(|w| w.as_bytes().to_vec()).collect()
}

fn is_key(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    let digits = has(char::is_ascii_digit);
    let mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    let hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit());
    word.len() >= SHORTEST_WORD && digits && (mixed || hexadecimal)
}
