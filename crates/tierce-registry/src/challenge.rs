//! `WWW-Authenticate` (RFC 9110, 11.6.1; distribution project, "Token Authentication").

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be told who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// With a token from a token server.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
    /// With a user and a password in each request.
    Basic,
}

impl Challenge {
    /// The challenge to answer out of an answer's headers: a bearer one where there is one.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let values = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|v| v.to_str().ok());
        let mut found: Vec<Challenge> =
            values.flat_map(parse).filter_map(RawChallenge::understood).collect();
        match found.iter().position(|c| matches!(c, Challenge::Bearer { .. })) {
            Some(bearer) => Some(found.swap_remove(bearer)),
            None => found.pop(),
        }
    }
}

/// One challenge as it stands in the header.
#[derive(Clone, Debug, PartialEq, Eq)]
struct RawChallenge {
    scheme: String,
    params: Vec<(String, String)>,
}

impl RawChallenge {
    fn param(&self, name: &str) -> Option<String> {
        let found = self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    }

    fn understood(self) -> Option<Challenge> {
        if self.scheme.eq_ignore_ascii_case("bearer") {
            let realm = self.param("realm")?;
            let (service, scope) = (self.param("service"), self.param("scope"));
            return Some(Challenge::Bearer { realm, service, scope });
        }
        self.scheme.eq_ignore_ascii_case("basic").then_some(Challenge::Basic)
    }
}

/// All challenges in one header value. What breaks the grammar ends the reading: challenges
/// before it count.
fn parse(value: &str) -> Vec<RawChallenge> {
    let mut challenges: Vec<RawChallenge> = vec![];
    let mut input = Input(value);
    loop {
        input.skip(|c| c == ' ' || c == '\t' || c == ',');
        let Some(word) = input.token() else { return challenges };
        let after_word = input.0;
        input.skip(|c| c == ' ' || c == '\t');
        if !input.eat('=') {
            challenges.push(RawChallenge { scheme: word.to_owned(), params: vec![] });
            input.0 = after_word;
            continue;
        }
        input.skip(|c| c == ' ' || c == '\t');
        let Some(value) = input.value() else { return challenges };
        match challenges.last_mut() {
            Some(challenge) => challenge.params.push((word.to_owned(), value)),
            None => return challenges,
        }
    }
}

struct Input<'a>(&'a str);

impl<'a> Input<'a> {
    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(skipped);
    }

    fn eat(&mut self, c: char) -> bool {
        match self.0.strip_prefix(c) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn token(&mut self) -> Option<&'a str> {
        let word = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let end = self.0.find(|c| !word(c)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A quoted string, or what servers that forget the quotes write.
    fn value(&mut self) -> Option<String> {
        if !self.eat('"') {
            let end = self.0.find([',', ' ', '\t', '"']).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(value.to_owned());
        }
        let mut value = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(chars.next()?.1),
                c => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        let header = |v: &&str| (WWW_AUTHENTICATE, v.parse().unwrap());
        let mut headers = HeaderMap::new();
        values.iter().map(header).for_each(|(name, value)| {
            headers.append(name, value);
        });
        Challenge::of(&headers)
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
            scope: scope.map(Into::into),
        })
    }

    #[test]
    fn headers_of_real_registries() {
        let scope = "repository:library/debian:pull";
        for (values, expected) in [
            // Docker Hub
            (
                &[
                    r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#,
                ][..],
                bearer("https://auth.docker.io/token", Some("registry.docker.io"), Some(scope)),
            ),
            // ghcr.io
            (
                &[
                    r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull""#,
                ],
                bearer("https://ghcr.io/token", Some("ghcr.io"), Some("repository:a/b:pull")),
            ),
            // commas within a scope
            (
                &[
                    r#"bearer realm="https://x/t", scope="repository:a:pull,push", error="insufficient_scope""#,
                ],
                bearer("https://x/t", None, Some("repository:a:pull,push")),
            ),
            // no quotes
            (&["Bearer realm=https://x/t,service=s"], bearer("https://x/t", Some("s"), None)),
            // docker-registry with htpasswd
            (&[r#"Basic realm="Registry Realm""#], Some(Challenge::Basic)),
            (&["BASIC"], Some(Challenge::Basic)),
            // several, in one header and in two: Bearer is preferred
            (
                &[r#"Basic realm="x", Bearer realm="https://x/t""#],
                bearer("https://x/t", None, None),
            ),
            (
                &[r#"Bearer realm="https://x/t""#, r#"Basic realm="x""#],
                bearer("https://x/t", None, None),
            ),
            (&["Negotiate", "Basic realm=x"], Some(Challenge::Basic)),
            (&["Negotiate YWJj=="], None),
            (&["Bearer"], None),
            (&[""], None),
        ] {
            assert_eq!(challenge(values), expected, "{values:?}");
        }
    }

    fn quoted(text: &str) -> String {
        format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            challenges in prop::collection::vec(
                ("[A-Za-z][A-Za-z0-9-]{0,8}", prop::collection::vec(("[a-z_]{1,8}", "[ -~]{0,20}"), 1..4)),
                1..4,
            )
        ) {
            let text: Vec<String> = challenges.iter().map(|(scheme, params)| {
                let params: Vec<String> =
                    params.iter().map(|(n, v)| format!("{n}={}", quoted(v))).collect();
                format!("{scheme} {}", params.join(","))
            }).collect();
            let read: Vec<_> = parse(&text.join(", ")).into_iter().map(|c| (c.scheme, c.params)).collect();
            prop_assert_eq!(read, challenges);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            parse(&text);
        }
    }
}
