//! Texts as they may be shown.

use std::borrow::Cow;

pub(crate) const HIDDEN: &str = "***";

/// Parts of names whose values are not shown: `type=s3,secret_access_key=...`.
const SENSITIVE: [&str; 7] =
    ["secret", "token", "password", "passwd", "credential", "access_key", "apikey"];

/// `text` without the user information of URLs and without the values of `name=value` pairs whose
/// name says that they are not for everybody.
pub(crate) fn redact(text: &str) -> Cow<'_, str> {
    if !text.contains(['@', '=']) {
        return Cow::Borrowed(text);
    }
    let text = without_user(text);
    let parts = text.split(',').map(|part| match sensitive_name(part) {
        Some(name) => Cow::Owned(format!("{name}={HIDDEN}")),
        None => Cow::Borrowed(part),
    });
    Cow::Owned(parts.collect::<Vec<_>>().join(","))
}

/// What is before the `=` of `name=value` where the name is a sensitive one; names may be values
/// of others: `--build-arg=TOKEN=...`.
fn sensitive_name(part: &str) -> Option<&str> {
    part.match_indices('=')
        .map(|(at, _)| &part[..at])
        .find(|before| is_sensitive(before.rsplit('=').next().unwrap_or_default()))
}

/// Whether what has this name is not for everybody.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SENSITIVE.iter().any(|sensitive| name.contains(sensitive))
}

/// Arguments of a command, by the names of options alone: whatever has a name of the user's choice
/// has values that may be anything.
pub(crate) fn options(arguments: &[String]) -> Vec<String> {
    let shown = |argument: &String| match argument.split_once('=') {
        Some((name, _)) if name.starts_with("--") => format!("{name}={HIDDEN}"),
        None if argument.starts_with("--") => argument.clone(),
        // `-eNAME=value` is an option with its value, too.
        _ => match argument.strip_prefix('-').and_then(|rest| rest.chars().next()) {
            Some(letter) if argument.chars().count() == 2 => format!("-{letter}"),
            Some(letter) => format!("-{letter}{HIDDEN}"),
            None => HIDDEN.to_owned(),
        },
    };
    arguments.iter().map(shown).collect()
}

/// A registered builder, with the values that every flavor has. Which others are secrets, only its
/// flavor knows.
pub(crate) fn builder(table: &toml::Table) -> toml::Table {
    let shown = |(key, value): (&String, &toml::Value)| {
        let value = match key.as_str() {
            "flavor" | "limits" => value.clone(),
            _ => toml::Value::String(HIDDEN.to_owned()),
        };
        (key.clone(), value)
    };
    table.iter().map(shown).collect()
}

/// Without what stands before the `@` of a URL.
fn without_user(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A password that is not encoded as it should be may have any character in it: rather hide
    // a path with an @ than show a part of one.
    match rest.rfind('@') {
        Some(at) => format!("{scheme}://{HIDDEN}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_hidden() {
        for (text, shown) in [
            ("https://pypi.example/simple", "https://pypi.example/simple"),
            ("https://u:p@pypi.example/simple", "https://***@pypi.example/simple"),
            ("https://u:p/q@pypi.example/simple", "https://***@pypi.example/simple"),
            ("https://u@pypi.example", "https://***@pypi.example"),
            (
                "type=s3,region=eu,secret_access_key=x,name=app",
                "type=s3,region=eu,secret_access_key=***,name=app",
            ),
            ("--build-arg=TOKEN=x", "--build-arg=TOKEN=***"),
            ("https://u:p,q@pypi.example/simple", "https://***@pypi.example/simple"),
            ("TOKEN=x", "TOKEN=***"),
            ("type=registry,ref=r.example/c@sha256:0", "type=registry,ref=r.example/c@sha256:0"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }

    #[test]
    fn arguments_are_shown_by_their_options() {
        let given = ["--network=host", "--pull", "--build-arg", "FOO=x", "-eA=x", "-q", "-", "x"];
        let shown = options(&given.map(str::to_owned));
        assert_eq!(
            shown,
            ["--network=***", "--pull", "--build-arg", "***", "-e***", "-q", "***", "***"]
        );
    }

    proptest::proptest! {
        #[test]
        fn passwords_are_never_shown(
            before in "[a-z:/?#,=@ ]{0,6}",
            after in "[a-z:/?#,=@ ]{0,6}",
            path in "[a-z/@=,]{0,8}",
        ) {
            let url = format!("https://me:{before}HUNTER2{after}@pypi.example/{path}");
            assert!(!redact(&url).contains("HUNTER2"), "{} of {url}", redact(&url));
            let cache = format!("type=s3,secret_access_key={before}HUNTER2");
            assert!(!redact(&cache).contains("HUNTER2") || before.contains(','), "{cache}");
        }
    }
}
