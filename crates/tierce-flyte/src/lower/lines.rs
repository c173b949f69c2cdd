//! Lines of a Dockerfile, which Flyte's own base images have.

use super::Lowering;
use super::words::split;
use crate::FlyteError;
use std::collections::BTreeMap;

impl Lowering<'_> {
    /// Does what a `LABEL` or `ENV` says.
    pub(super) fn line(&mut self, line: &str) -> Result<(), FlyteError> {
        let error = || FlyteError::DockerLine { line: line.to_owned() };
        let text = line.trim();
        if text.is_empty() || text.starts_with('#') {
            return Ok(());
        }
        let (instruction, rest) = text.split_once(char::is_whitespace).ok_or_else(error)?;
        match instruction.to_ascii_uppercase().as_str() {
            "LABEL" => {
                let pairs = pairs(rest).ok_or_else(error)?;
                let labels: Vec<(String, String)> =
                    pairs.into_iter().map(|(name, value)| (name, self.text(&value))).collect();
                self.image = self.image.with_labels(labels);
                Ok(())
            }
            "ENV" => {
                self.env(&variables(rest).ok_or_else(error)?);
                Ok(())
            }
            _ => Err(error()),
        }
    }
}

/// `name=value name="some value"`, or, in the old form, `name some value`.
fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    let words = shlex::split(text)?;
    if !words.first()?.contains('=') {
        let (name, value) = text.split_once(char::is_whitespace)?;
        return Some(vec![(name.to_owned(), value.trim().to_owned())]);
    }
    let pair = |word: &String| {
        word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
    };
    let all: Vec<(String, String)> = words.iter().map(pair).collect::<Option<_>>()?;
    // The last one of a name counts.
    let last: BTreeMap<String, String> = all.iter().cloned().collect();
    Some(match last.len() == all.len() {
        true => all,
        false => last.into_iter().collect(),
    })
}

/// The same of variables, whose values stay as they are written: what is expanded in them depends
/// on their quotes.
fn variables(text: &str) -> Option<Vec<(String, String)>> {
    let words = split(text)?;
    if !words.first()?.contains('=') {
        return pairs(text);
    }
    let pair =
        |word: &&str| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_words_with_an_equals_sign() {
        for (text, expected) in [
            ("a=b", Some(vec![("a", "b")])),
            ("a.b='Some One <a@b>'", Some(vec![("a.b", "Some One <a@b>")])),
            ("a=1 b=\"2 3\"", Some(vec![("a", "1"), ("b", "2 3")])),
            ("a b c", Some(vec![("a", "b c")])),
            ("a='b", None),
            ("a=1 b", None),
        ] {
            let expected = expected.map(|pairs| {
                pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>()
            });
            assert_eq!(pairs(text), expected, "{text}");
        }
    }
}
