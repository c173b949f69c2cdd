//! What is wrong with a manifest, shown where it is.

use super::locate::{Position, Segment, Source, shown};
use crate::service_url::redact;
use std::fmt;
use std::ops::Range;
use tierce_oci::{Diagnostic, ErrorKind};

/// Everything that is wrong with a manifest: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    pub(super) problems: Vec<ManifestProblem>,
}

/// One thing that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestProblem {
    code: &'static str,
    location: String,
    message: String,
    snippet: Option<String>,
    hint: Option<String>,
}

impl ManifestProblem {
    pub(super) fn new(
        source: &Source,
        code: &'static str,
        span: Option<Range<usize>>,
        message: String,
        hint: Option<String>,
    ) -> Self {
        let (location, snippet) = match &span {
            Some(span) => {
                let Position { line, column } = source.position(span.start);
                (format!("{}:{line}:{column}", source.file_name), source.snippet(span))
            }
            None => (source.file_name.clone(), None),
        };
        ManifestProblem { code, location, message, snippet, hint }
    }

    /// A stable code, as `spec/unknown-key`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// `file:line:column`, or the file alone.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it: a full sentence.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for ManifestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)?;
        match &self.snippet {
            Some(snippet) => write!(f, "\n{snippet}"),
            None => Ok(()),
        }
    }
}

impl ManifestError {
    /// The problems, in the order of the image's fields and steps.
    pub fn problems(&self) -> &[ManifestProblem] {
        &self.problems
    }

    /// The error of a text that serde can't read.
    pub(super) fn of_toml(source: &Source, error: &toml::de::Error) -> Self {
        let message = redact(error.message());
        let span = error.span().filter(|span| *span != (0..source.text.len()));
        let path = span.as_ref().map(|span| source.path_at(span.start)).unwrap_or_default();
        let problem = if let Some((key, known)) = unknown_field(&message) {
            unknown_key(source, span, &path, key, &known)
        } else if let Some(key) = quoted_after(&message, "missing field ") {
            let place = if path.is_empty() { String::new() } else { format!("{}: ", shown(&path)) };
            let message = format!("{place}the key `{key}` is missing");
            ManifestProblem::new(source, "spec/missing-key", span, message, example(&path, key))
        } else if toml::de::DeTable::parse(&source.text).is_err() {
            let hint = None;
            ManifestProblem::new(source, "spec/toml-syntax", span, lower_first(&message), hint)
        } else {
            let place = if path.is_empty() { String::new() } else { format!("{}: ", shown(&path)) };
            let code = match message.starts_with("invalid type") {
                true => "spec/wrong-type",
                false => "spec/invalid-value",
            };
            let message = format!("{place}{}", lower_first(&message));
            ManifestProblem::new(source, code, span, message, example(&path, ""))
        };
        ManifestError { problems: vec![problem] }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
            // One problem's hint is the whole error's, which `Diagnostic` has.
            if let (Some(hint), 2..) = (&problem.hint, self.problems.len()) {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn code(&self) -> &'static str {
        match self.problems.as_slice() {
            [only] => only.code,
            _ => "spec/invalid",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self.problems.as_slice() {
            [only] => only.hint.clone(),
            _ => None,
        }
    }
}

fn unknown_key(
    source: &Source,
    span: Option<Range<usize>>,
    path: &[Segment],
    key: &str,
    known: &[&str],
) -> ManifestProblem {
    let parent = match path {
        [parent @ .., Segment::Key(last)] if last == key => parent,
        path => path,
    };
    let place = match parent {
        [] => String::new(),
        parent => format!("{}: ", shown(parent)),
    };
    let (message, hint) = match nearest(key, known) {
        Some(near) => (format!("{place}unknown key `{key}`, did you mean `{near}`?"), None),
        None => {
            let known = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
            (format!("{place}unknown key `{key}`"), Some(format!("The keys are {known}.")))
        }
    };
    ManifestProblem::new(source, "spec/unknown-key", span, message, hint)
}

/// Other tools' words for what has another name here.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("apt-packages", "apt"),
    ("apt-get", "apt"),
    ("base-image", "base"),
    ("command", "cmd"),
    ("commands", "run"),
    ("dependencies", "pip"),
    ("environment", "env"),
    ("env-vars", "env"),
    ("exclude", "ignore"),
    ("extra-index-url", "extra-indexes"),
    ("extra-index-urls", "extra-indexes"),
    ("from", "base"),
    ("image", "base"),
    ("index-url", "index"),
    ("pip-packages", "pip"),
    ("platform", "platforms"),
    ("python-version", "python"),
    ("source", "src"),
    ("suite", "debian"),
    ("target", "dst"),
    ("to", "dst"),
    ("working-dir", "workdir"),
];

/// The known key that `key` was meant for, if it is near enough to one.
fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let plain = key.to_lowercase().replace('_', "-");
    if let Some(same) = known.iter().find(|k| **k == plain) {
        return Some(same);
    }
    let other = OTHER_WORDS.iter().find(|(word, _)| *word == plain).map(|(_, here)| *here);
    if let Some(other) = other.and_then(|here| known.iter().find(|k| **k == here)) {
        return Some(other);
    }
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&plain, k), *k))
        .filter(|(distance, k)| *distance <= 1 + plain.len().min(k.len()) / 4)
        .min()
        .map(|(_, k)| k)
}

/// The key and the known ones of serde's message about an unknown field.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let key = quoted_after(message, "unknown field ")?;
    let (_, known) = message.rsplit_once(", expected ").unwrap_or_default();
    // "one of `a`, `b`", "`a` or `b`", "`a`": every other piece is a key.
    Some((key, known.split('`').skip(1).step_by(2).collect()))
}

fn quoted_after<'a>(message: &'a str, start: &str) -> Option<&'a str> {
    message.strip_prefix(start)?.strip_prefix('`')?.split('`').next()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.trim_end().chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}

/// How each key is written.
const EXAMPLES: &[(&str, &str)] = &[
    ("apt", "apt = [\"git\", \"curl\"]"),
    ("base", "base = { debian = \"bookworm\", python = true }` or `base = \"python:3.12-slim\""),
    ("bytecode", "bytecode = false"),
    ("cmd", "cmd = [\"python\", \"-m\", \"app\"]"),
    ("copy", "copy = [{ src = \"app\", dst = \"/app\" }]"),
    ("entrypoint", "entrypoint = [\"python\", \"-m\", \"app\"]"),
    ("env", "env = { APP_ENV = \"prod\", PORT = \"8080\" }"),
    ("labels", "labels = { \"org.opencontainers.image.title\" = \"report\" }"),
    ("name", "name = \"report\""),
    ("network", "network = \"none\""),
    ("pip", "pip = [\"fastapi\"]` or `pip = { packages = [\"fastapi\"], pre = true }"),
    ("platforms", "platforms = [\"linux/amd64\", \"linux/arm64\"]"),
    ("python", "python = \"3.12\""),
    ("registry", "registry = \"ghcr.io/team\""),
    ("requirements", "requirements = \"requirements.txt\""),
    (
        "run",
        "run = [\"python -m app --check\"]` or `run = [{ cmd = \"make\", network = \"none\" }]",
    ),
    ("steps", "[[steps]]` with one key below it: `apt = [\"git\"]"),
    ("tag", "tag = \"2025.1\""),
    ("user", "user = \"1000:1000\""),
    ("workdir", "workdir = \"/app\""),
];

/// How the key at `path` is written, or `key` where the path is the file's.
fn example(path: &[Segment], key: &str) -> Option<String> {
    let field = match path {
        [] => key,
        // In [[steps]] the field is the step's.
        [Segment::Key(steps), Segment::Index(_), Segment::Key(field), ..] if steps == "steps" => {
            field
        }
        [Segment::Key(field), ..] => field,
        [Segment::Index(_), ..] => return None,
    };
    let (_, example) = EXAMPLES.iter().find(|(name, _)| *name == field)?;
    Some(format!("Write it as `{example}`."))
}
