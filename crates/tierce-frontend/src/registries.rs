//! The registries that a Dockerfile's build has to do with: nobody else gets their credentials.

use std::collections::{BTreeMap, BTreeSet};
use tierce_buildkit_client::{CacheEntry, Exporter};
use tierce_oci::Reference;

/// The registries of the images that `dockerfile` is built from, as references name them: those
/// of `FROM`, of `--from` and of `# syntax`. Variables have the values of `build_args`, else
/// their defaults; an image whose name can't be told is left out.
pub fn dockerfile_registries(
    dockerfile: &str,
    build_args: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let mut reader = Reader::new(build_args);
    for line in logical_lines(dockerfile) {
        reader.line(&line);
    }
    reader.found
}

/// The registries of everything that a solve is told besides its Dockerfile.
pub(crate) fn solve_registries(
    attributes: &BTreeMap<String, String>,
    exporter: Option<&Exporter>,
    caches: impl Iterator<Item = CacheEntry>,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |text: &str| found.extend(registry(text));
    for exporter in exporter.iter().filter(|e| is_true(e.attributes.get("push"))) {
        let names = exporter.attributes.get("name").map(String::as_str).unwrap_or_default();
        names.split(',').for_each(&mut add);
    }
    for cache in caches {
        cache.reference().into_iter().for_each(&mut add);
    }
    for (name, value) in attributes {
        match name.as_str() {
            // A frontend of the user's own.
            "build-arg:BUILDKIT_SYNTAX" => add(first_word(value)),
            "attest:sbom" => match value.split(',').find_map(|f| f.strip_prefix("generator=")) {
                Some(generator) => add(generator),
                None => add("docker.io/docker/buildkit-syft-scanner"),
            },
            name if name.starts_with("context:") => {
                value.strip_prefix("docker-image://").into_iter().for_each(&mut add);
            }
            _ => {}
        }
    }
    found
}

fn is_true(value: Option<&String>) -> bool {
    value.is_some_and(|value| matches!(value.as_str(), "true" | "1"))
}

fn registry(text: &str) -> Option<String> {
    let reference: Reference = text.parse().ok()?;
    Some(reference.registry().to_owned())
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

/// The lines of `text`, each with those that it goes on in. Comments within are left out.
fn logical_lines(text: &str) -> Vec<String> {
    let escape = match directive(text, "escape") {
        Some("`") => '`',
        _ => '\\',
    };
    let mut lines = vec![];
    let mut open: Option<String> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if open.is_some() && (trimmed.is_empty() || trimmed.starts_with('#')) {
            continue;
        }
        let mut whole = open.take().unwrap_or_default();
        match trimmed.strip_suffix(escape) {
            // A comment never goes on.
            Some(start) if !trimmed.starts_with('#') => {
                whole.push_str(start);
                open = Some(whole);
            }
            _ => {
                whole.push_str(trimmed);
                lines.push(whole);
            }
        }
    }
    lines.extend(open);
    lines
}

/// The value of a directive: a comment before everything else.
fn directive<'a>(text: &'a str, wanted: &str) -> Option<&'a str> {
    let comments = text.lines().map_while(|line| line.trim().strip_prefix('#'));
    comments
        .filter_map(|c| c.split_once('='))
        .find_map(|(name, value)| name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim()))
}

struct Reader<'a> {
    build_args: &'a BTreeMap<String, String>,
    /// Variables so far.
    variables: BTreeMap<String, String>,
    /// Stages so far, in lower case.
    stages: BTreeSet<String>,
    found: BTreeSet<String>,
}

impl<'a> Reader<'a> {
    fn new(build_args: &'a BTreeMap<String, String>) -> Self {
        // Variables that nobody has to declare: only those of platforms are ever part of a name.
        let variables = build_args.clone();
        Reader { build_args, variables, stages: BTreeSet::new(), found: BTreeSet::new() }
    }

    fn line(&mut self, line: &str) {
        if let Some(comment) = line.strip_prefix('#') {
            let syntax = comment.split_once('=').filter(|(name, _)| name.trim() == "syntax");
            self.found.extend(syntax.and_then(|(_, image)| registry(first_word(image.trim()))));
            return;
        }
        let mut words = line.split_whitespace();
        let Some(instruction) = words.next() else { return };
        match instruction.to_ascii_uppercase().as_str() {
            "ARG" => words.for_each(|word| self.argument(word)),
            "FROM" => self.stage(words),
            "COPY" | "ADD" => {
                let from = words.filter_map(|word| word.strip_prefix("--from="));
                from.for_each(|from| self.image(from));
            }
            "RUN" => {
                let mounts = words.filter_map(|word| word.strip_prefix("--mount="));
                let fields = mounts.flat_map(|mount| mount.split(','));
                fields
                    .filter_map(|field| field.strip_prefix("from="))
                    .for_each(|from| self.image(from));
            }
            // What another image does when it is built on this one.
            "ONBUILD" => self.line(&words.collect::<Vec<_>>().join(" ")),
            _ => {}
        }
    }

    fn argument(&mut self, word: &str) {
        let Some((name, default)) = word.split_once('=') else { return };
        if !self.build_args.contains_key(name)
            && let Some(value) = self.expand(unquoted(default))
        {
            self.variables.insert(name.to_owned(), value);
        }
    }

    fn stage<'w>(&mut self, words: impl Iterator<Item = &'w str>) {
        let mut words = words.filter(|word| !word.starts_with("--"));
        let image = words.next().unwrap_or_default();
        self.image(image);
        if let (Some("AS" | "as" | "As" | "aS"), Some(name)) = (words.next(), words.next()) {
            self.stages.insert(name.to_lowercase());
        }
    }

    fn image(&mut self, text: &str) {
        let Some(name) = self.expand(unquoted(text)) else {
            tracing::debug!(image = text, "an image's name depends on what is not known");
            return;
        };
        let is_stage = self.stages.contains(&name.to_lowercase()) || name.parse::<u32>().is_ok();
        if !is_stage && name != "scratch" {
            self.found.extend(registry(&name));
        }
    }

    /// `text` with the values of its variables; `None` where it can't be told. What decides over
    /// the registry is at the beginning, so a tag or a path that can't be told does not matter.
    fn expand(&self, text: &str) -> Option<String> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let (expression, after) = match rest.strip_prefix('{') {
                Some(inner) => inner.split_at_checked(closing(inner)?)?,
                None => {
                    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
                    rest.split_at(rest.find(|c| !inner(c)).unwrap_or(rest.len()))
                }
            };
            let braced = rest.starts_with('{');
            match self.value(expression) {
                Some(value) => out.push_str(&value),
                None if out.contains('/') => out.push('x'),
                None => return None,
            }
            rest = if braced { after.strip_prefix('}')? } else { after };
        }
        out.push_str(rest);
        Some(out)
    }

    /// The value of `NAME`, `NAME:-default` or `NAME:+alternative`.
    fn value(&self, expression: &str) -> Option<String> {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = expression.find(|c| !inner(c)).unwrap_or(expression.len());
        let (name, operator) = expression.split_at(end);
        let value = self.variables.get(name).filter(|value| !value.is_empty());
        let operator = operator.strip_prefix(':').unwrap_or(operator);
        match (operator.chars().next(), value) {
            (None, value) => value.cloned(),
            (Some('-'), Some(value)) => Some(value.clone()),
            (Some('-'), None) | (Some('+'), Some(_)) => self.expand(&operator[1..]),
            (Some('+'), None) => Some(String::new()),
            // What cuts and replaces.
            (Some(_), _) => None,
        }
    }
}

/// Where the brace is closed that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, c)| match c {
        '{' => {
            depth += 1;
            None
        }
        '}' if depth == 0 => Some(at),
        '}' => {
            depth -= 1;
            None
        }
        _ => None,
    })
}

fn unquoted(text: &str) -> &str {
    text.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_of_dockerfiles() {
        let cases: [(&str, &str); 12] = [
            ("FROM debian:12", "docker.io"),
            ("FROM scratch", ""),
            ("from --platform=linux/amd64 ghcr.io/a/b AS x\nFROM x", "ghcr.io"),
            ("FROM a.example/b AS Base\nCOPY --from=base / /\nCOPY --from=0 / /", "a.example"),
            (
                "FROM scratch\nCOPY --chown=1 --from=localhost:5000/b:1 / /\n\
                 RUN --mount=type=bind,from=c.example/d,target=/x true",
                "c.example localhost:5000",
            ),
            ("FROM \\\n# why\n  a.example/b", "a.example"),
            ("# escape=`\nFROM `\n  a.example/b", "a.example"),
            ("# syntax=s.example/f:1\nFROM scratch", "s.example"),
            ("ARG HOST=a.example\nARG IMAGE=$HOST/b\nFROM ${IMAGE}:$TAG", "a.example"),
            ("ARG GIVEN=a.example\nFROM ${GIVEN}/b", "given.example"),
            ("FROM ${OTHER:-${HOST:-d.example}/x}", "d.example"),
            ("FROM $UNKNOWN/b\nRUN echo evil.example/x", ""),
        ];
        let arguments = BTreeMap::from([("GIVEN".to_owned(), "given.example".to_owned())]);
        for (text, expected) in cases {
            let found: Vec<String> = dockerfile_registries(text, &arguments).into_iter().collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
    }

    #[test]
    fn registries_of_solves() {
        let exporter = |push: &str| Exporter {
            kind: "image".into(),
            attributes: BTreeMap::from([
                ("name".to_owned(), "p.example/a:1".to_owned()),
                ("push".to_owned(), push.to_owned()),
            ]),
            destination: None,
        };
        let attributes = BTreeMap::from([
            ("build-arg:BUILDKIT_SYNTAX".to_owned(), "s.example/f".to_owned()),
            ("context:x".to_owned(), "docker-image://x.example/y".to_owned()),
            ("build-arg:A".to_owned(), "evil.example/y".to_owned()),
        ]);
        let caches =
            || ["type=registry,ref=c.example/d", "type=inline"].map(|c| c.parse().unwrap());
        let found = |exporter: &Exporter| {
            let found = solve_registries(&attributes, Some(exporter), caches().into_iter());
            found.into_iter().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(found(&exporter("true")), "c.example p.example s.example x.example");
        assert_eq!(found(&exporter("false")), "c.example s.example x.example");
    }
}
