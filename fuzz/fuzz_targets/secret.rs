//! Values in texts: whatever they are, and however a text is cut, they are found, and nothing of
//! them is left.
#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tierce_secret::{SecretId, SecretValue, Secrets};

/// What is shown in place of a value.
const HIDDEN: char = '*';

#[derive(Arbitrary, Debug)]
struct Input {
    values: Vec<String>,
    /// Which value, and what is between it and the next.
    parts: Vec<(u8, String)>,
    cut: u8,
}

fuzz_target!(|input: Input| {
    let Input { mut values, parts, cut } = input;
    // What is shown in place of values may be in them, or make one up together with its
    // neighbours: that tells nobody anything.
    values.retain(|value| {
        value.trim_ascii().len() >= 4 && !value.contains([HIDDEN, char::REPLACEMENT_CHARACTER])
    });
    if values.is_empty() {
        return;
    }
    let named = |(n, value): (usize, &String)| {
        (SecretId { group: None, key: n.to_string() }, SecretValue::new(value.as_bytes()))
    };
    let secrets = Secrets::new(values.iter().enumerate().map(named));
    assert!(secrets.too_short().is_empty());
    let text: String = parts
        .iter()
        .flat_map(|(which, rest)| [values[usize::from(*which) % values.len()].as_str(), rest])
        .collect();
    let is_in = |text: &str| values.iter().any(|value| text.contains(value.trim_ascii()));

    let redacted = secrets.redact(&text);
    assert!(!is_in(&redacted), "{redacted:?} of {text:?}");
    let visible = |c: &char| !matches!(*c, HIDDEN | char::REPLACEMENT_CHARACTER);
    let mut others = others(&text, &values).into_iter().filter(visible);
    let mut shown = redacted.chars().filter(visible);
    assert!(shown.all(|c| others.any(|other| other == c)), "{redacted:?} of {text:?}");
    assert!(is_in(&text) || parts.is_empty());

    let mut scanner = secrets.scanner();
    let pieces = text.as_bytes().chunks(usize::from(cut).max(1));
    let found = pieces.map(|piece| scanner.feed(piece).is_some()).fold(false, |any, one| any | one);
    assert_eq!(found, scanner.search(text.as_bytes()).is_some(), "{text:?} by {cut}");
    assert!(found || parts.is_empty(), "{text:?} by {cut}");

    // As much at once as the documented limit, and the rest with the next.
    let size = secrets.overlap() + usize::from(cut) + 1;
    let (mut shown, mut pending) = (Vec::new(), Vec::new());
    for byte in text.bytes() {
        pending.push(byte);
        if pending.len() >= size {
            let at = secrets.cut(&pending);
            shown.extend(secrets.redact(&String::from_utf8_lossy(&pending[..at])).bytes());
            pending.drain(..at);
        }
    }
    shown.extend(secrets.redact(&String::from_utf8_lossy(&pending)).bytes());
    let shown = String::from_utf8(shown).expect("each part of it is a text");
    assert!(!is_in(&shown), "{shown:?} of {text:?} by {size}");
});

/// The characters of a text that are in none of the values.
fn others(text: &str, values: &[String]) -> Vec<char> {
    let mut hidden = vec![false; text.len()];
    for value in values.iter().map(|value| value.trim_ascii()) {
        for at in (0..text.len()).filter(|&at| text.as_bytes()[at..].starts_with(value.as_bytes()))
        {
            hidden[at..at + value.len()].fill(true);
        }
    }
    text.char_indices().filter(|(at, _)| !hidden[*at]).map(|(_, c)| c).collect()
}
