//! Text into words, as a shell would (POSIX shell, section 2.2), without anything else that
//! shells do.

/// A quote that is never closed, or a backslash at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WordsError {
    #[error("a quote is never closed")]
    Quote,
    #[error("there is nothing after the last backslash")]
    Escape,
}

/// The words of `text`.
pub(crate) fn split(text: &str) -> Result<Vec<String>, WordsError> {
    let mut words = vec![];
    // `Some` inside of a word, which may be empty: `''`.
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next().ok_or(WordsError::Quote)? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '\\' => {
                let c = chars.next().ok_or(WordsError::Escape)?;
                word.get_or_insert_default().push(c);
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// What is between double quotes: a backslash keeps its place before what needs none.
fn double(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), WordsError> {
    loop {
        match chars.next().ok_or(WordsError::Quote)? {
            '"' => return Ok(()),
            '\\' => match chars.next().ok_or(WordsError::Quote)? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_a_shell_makes_of_them() {
        for (text, words) in [
            ("", vec![]),
            ("  --no-deps  --pre ", vec!["--no-deps", "--pre"]),
            ("-c 'a b'", vec!["-c", "a b"]),
            ("\"a\\\"b\" c\\ d", vec!["a\"b", "c d"]),
            ("--a='x y'\"z\"", vec!["--a=x yz"]),
            ("'' \"\"", vec!["", ""]),
            (r#""a\b""#, vec!["a\\b"]),
        ] {
            assert_eq!(split(text).unwrap(), words, "{text}");
        }
        assert_eq!(split("'a"), Err(WordsError::Quote));
        assert_eq!(split("\"a"), Err(WordsError::Quote));
        assert_eq!(split("a\\"), Err(WordsError::Escape));
    }
}
