//! Dockerfiles as their frontends read them: what the fuzzer compares with what was meant.

use std::collections::BTreeMap;

/// An instruction: its keyword, and all that follows.
pub type Instruction = (String, String);

/// The instructions of a text, as BuildKit's parser and that of old Docker cut it: a line that
/// ends in a backslash goes on with the next one, and comments and blank lines in between are
/// nothing.
pub fn instructions(text: &str) -> Vec<Instruction> {
    let mut all = vec![];
    let mut current: Option<String> = None;
    for line in text.split('\n').map(|line| line.trim_end_matches('\r')) {
        if line.trim_start().starts_with('#') || line.trim().is_empty() {
            continue;
        }
        let mut whole = match current.take() {
            Some(begun) => begun + line,
            None => line.trim_start().to_owned(),
        };
        match whole.trim_end_matches([' ', '\t']).strip_suffix('\\') {
            Some(begun) => current = Some(begun.to_owned()),
            None => all.push(std::mem::take(&mut whole)),
        }
    }
    all.extend(current);
    all.iter().map(|line| split(line)).collect()
}

fn split(line: &str) -> Instruction {
    let (keyword, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    (keyword.to_owned(), rest.trim().to_owned())
}

/// The words of `ENV`, `LABEL`, `USER` and `WORKDIR`, without quotes, variables replaced. The only
/// one there may be is the one that stands for a line feed.
pub fn words(text: &str) -> Vec<String> {
    let mut words = vec![];
    let (mut word, mut begun, mut quoted) = (String::new(), false, false);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => {
                let escaped = rest.next().expect("nothing ends in a backslash");
                // Of other characters, the backslash would be a part of the word.
                assert!(matches!(escaped, '"' | '\\' | '$'), "\\{escaped} in {text:?}");
                word.push(escaped);
            }
            '$' => {
                const LINE_FEED: &str = "{TIERCE_LF}";
                let after = rest.as_str().strip_prefix(LINE_FEED);
                rest = after.unwrap_or_else(|| panic!("a variable in {text:?}")).chars();
                word.push('\n');
            }
            '\'' if !quoted => panic!("a quote in {text:?}"),
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                continue;
            }
            c => word.push(c),
        }
        begun = true;
    }
    assert!(!quoted, "a quote is open in {text:?}");
    if begun {
        words.push(word);
    }
    words
}

/// The pairs of `ENV` and `LABEL`.
pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').expect("a pair");
        (name.to_owned(), value.to_owned())
    };
    words(text).iter().map(pair).collect()
}

/// The JSON array of an exec form.
pub fn exec(text: &str) -> Vec<String> {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// The paths of `COPY`: words, each in a JSON string.
pub fn paths(text: &str) -> Vec<String> {
    let unescaped = |path: &String| {
        let mut out = String::new();
        let mut rest = path.chars();
        while let Some(c) = rest.next() {
            match c {
                '\\' => out.extend(rest.next()),
                '"' | '\'' | '$' => panic!("{c} in {path:?}"),
                c => out.push(c),
            }
        }
        out
    };
    exec(text).iter().map(unescaped).collect()
}
