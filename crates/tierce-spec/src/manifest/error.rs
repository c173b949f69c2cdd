//! What is wrong with a manifest, shown where it is.

use super::locate::{Position, Segment, Source, shown};
use crate::service_url::redact;
use crate::validate::shared;
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
    /// Where it starts in the text; `None` for the text as a whole.
    pub(super) offset: Option<usize>,
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
        let offset = span.map(|span| span.start);
        ManifestProblem { code, offset, location, message, snippet, hint }
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
        let message = in_tomls_words(&redact(error.message()));
        let span = error.span();
        let path = span.as_ref().map(|span| source.path_at(span.start)).unwrap_or_default();
        let problem = if toml::de::DeTable::parse(&source.text).is_err() {
            ManifestProblem::new(source, "spec/toml-syntax", span, message, None)
        } else if let Some((key, known)) = unknown_field(&message) {
            unknown_key(source, span, &path, key, &known)
        } else if let Some(key) = quoted_after(&message, "missing field ") {
            match key == "base" && source.is_workspace_only() {
                true => workspace_only(source),
                false => missing_key(source, span, path, key),
            }
        } else {
            let code = match message.starts_with("invalid type") {
                true => "spec/wrong-type",
                false => "spec/invalid-value",
            };
            // A list or table among the values of `env` is out of place; anything else is a slip.
            let structured = ["invalid type: list", "invalid type: table"];
            let out_of_place = matches!(path.first(), Some(Segment::Key(key)) if key == "env" || key == "labels")
                && structured.iter().any(|start| message.starts_with(start));
            let hint = out_of_place.then(|| misplaced(&path)).flatten().or_else(|| example(&path));
            let message = format!("{}{message}", place(&path));
            ManifestProblem::new(source, code, span, message, hint)
        };
        ManifestError { problems: vec![problem] }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What all problems share is the whole error's hint, which `Diagnostic` has.
        let common = self.hint();
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
            if let (Some(hint), None) = (&problem.hint, &common) {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}

impl Diagnostic for ManifestError {
    fn code(&self) -> &'static str {
        shared(self.problems.iter().map(|p| p.code)).unwrap_or("spec/invalid")
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        shared(self.problems.iter().map(|p| p.hint.clone())).flatten()
    }
}

/// serde's message in lower case, with TOML's names for types.
fn in_tomls_words(message: &str) -> String {
    let mut out = message
        .trim_end()
        .replace("invalid type: sequence", "invalid type: list")
        .replace("invalid type: map", "invalid type: table")
        .replace("invalid type: floating point", "invalid type: float")
        .replace("expected a sequence", "expected a list")
        .replace("expected a map", "expected a table");
    if let Some(first) = out.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    out
}

/// `path` as the start of a message.
fn place(path: &[Segment]) -> String {
    match path {
        [] => String::new(),
        path => format!("{}: ", shown(path)),
    }
}

fn missing_key(
    source: &Source,
    span: Option<Range<usize>>,
    path: Vec<Segment>,
    key: &str,
) -> ManifestProblem {
    // Only the file itself needs a base; its span is that of its first key, or nothing.
    let (path, span) = match key {
        "base" => (vec![], None),
        _ => (path, span),
    };
    let message = format!("{}the key `{key}` is missing", place(&path));
    let mut wanted = path;
    wanted.push(Segment::from(key));
    ManifestProblem::new(source, "spec/missing-key", span, message, example(&wanted))
}

fn workspace_only(source: &Source) -> ManifestProblem {
    let message = "it holds the settings of a workspace, but no image".to_owned();
    let hint = "Give the folder of one of the workspace's images, or add `base` and the rest of an \
                image here.";
    ManifestProblem::new(source, "spec/no-image", None, message, Some(hint.to_owned()))
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
    let message = format!("{}unknown key `{key}`", place(parent));
    let (message, hint) = match (misplaced(path), nearest(key, known)) {
        _ if parent.is_empty() && key == "secrets" => (message, Some(OF_A_STEP.to_owned())),
        (Some(hint), _) => (message, Some(hint)),
        (None, Some(near)) => (format!("{message}, did you mean `{near}`?"), None),
        (None, None) => {
            let known = known.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
            (message, Some(format!("The keys are {known}.")))
        }
    };
    ManifestProblem::new(source, "spec/unknown-key", span, message, hint)
}

/// Who sees a secret is said for each step.
const OF_A_STEP: &str = "Secrets belong to the step that sees them: `run = [{ cmd = \"make\", \
                         secrets = [\"token\"] }]`, and likewise in the tables of `pip` and `apt`.";

/// What to do about a key of the file that is in a table: most likely it was written below the
/// table's header.
fn misplaced(path: &[Segment]) -> Option<String> {
    let [Segment::Key(table), rest @ ..] = path else { return None };
    let key = match rest {
        [.., Segment::Key(key)] | [Segment::Key(key), ..] => key,
        _ => return None,
    };
    // `requirements` is a key of `pip`, too; and in `env` any name may be meant.
    let here = EXAMPLES.iter().any(|(name, _)| name == key) && key != "requirements";
    here.then(|| {
        format!("`{key}` is a key of the file, not of `{table}`: write it above all [tables].")
    })
}

/// Other tools' words for what has another name here.
const OTHER_WORDS: &[(&str, &str)] = &[
    ("apt-packages", "apt"),
    ("apt-get", "apt"),
    ("args", "build-args"),
    ("as-env-var", "env"),
    ("base-image", "base"),
    ("code-bundle", "code"),
    ("command", "cmd"),
    ("commands", "run"),
    ("conda-channels", "conda"),
    ("conda-packages", "conda"),
    ("copy-style", "code"),
    ("copy-style", "style"),
    ("dependencies", "pip"),
    ("dist", "wheels"),
    ("environment", "env"),
    ("env-vars", "env"),
    ("exclude", "ignore"),
    ("extra-index-url", "extra-indexes"),
    ("extra-index-urls", "extra-indexes"),
    ("file", "dockerfile"),
    ("file", "mount"),
    ("from", "base"),
    ("ignore-file", "dockerignore"),
    ("image", "base"),
    ("image", "spec"),
    ("image-builder", "builder"),
    ("index-url", "index"),
    ("name", "key"),
    ("named", "ref"),
    ("pip-packages", "pip"),
    ("platform", "platforms"),
    ("python-version", "python"),
    ("secret", "secrets"),
    ("secret-mounts", "secrets"),
    ("source", "src"),
    ("stage", "target"),
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
    let mut others = OTHER_WORDS.iter().filter(|(word, _)| *word == plain).map(|(_, here)| here);
    if let Some(other) = others.find_map(|here| known.iter().find(|k| *k == here)) {
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

/// How each key is written.
const EXAMPLES: &[(&str, &str)] = &[
    ("apt", "apt = [\"git\", \"curl\"]` or `apt = { packages = [\"git\"], secrets = [\"token\"] }"),
    ("base", "base = { debian = \"bookworm\", python = true }` or `base = \"python:3.12-slim\""),
    ("builder", "builder = \"native\""),
    ("bytecode", "bytecode = false"),
    ("code", "code = \"all\"` or `code = { style = \"all\", dst = \"/app\" }"),
    ("cmd", "cmd = [\"python\", \"-m\", \"app\"]"),
    ("conda", "conda = [\"numpy\"]` or `conda = { environment = \"environment.yml\" }"),
    ("copy", "copy = [{ src = \"app\", dst = \"/app\" }]"),
    ("dockerignore", "dockerignore = \"build/ignore\""),
    ("entrypoint", "entrypoint = [\"python\", \"-m\", \"app\"]"),
    ("env", "env = { APP_ENV = \"prod\", PORT = \"8080\" }"),
    ("labels", "labels = { \"org.opencontainers.image.title\" = \"report\" }"),
    ("name", "name = \"report\""),
    ("network", "network = \"none\""),
    ("pip", "pip = [\"fastapi\"]` or `pip = { packages = [\"fastapi\"], pre = true }"),
    ("platforms", "platforms = [\"linux/amd64\", \"linux/arm64\"]"),
    ("project", "project = { uv = \"pyproject.toml\", install = \"project\" }"),
    ("python", "python = \"3.12\""),
    ("registry", "registry = \"ghcr.io/team\""),
    ("registry-secret", "registry-secret = \"ghcr/login\""),
    ("requirements", "requirements = \"requirements.txt\""),
    (
        "run",
        "run = [\"python -m app --check\"]` or `run = [{ cmd = \"make\", network = \"none\" }]",
    ),
    ("steps", "[[steps]]` with one key below it: `apt = [\"git\"]"),
    ("tag", "tag = \"2025.1\""),
    ("user", "user = \"1000:1000\""),
    ("wheels", "wheels = \"dist\""),
    ("workdir", "workdir = \"/app\""),
];

/// How keys of tables are written.
const PART_EXAMPLES: &[(&str, &str)] = &[
    ("build-args", "build-args = { VERSION = \"1.2\" }"),
    ("channels", "conda = { packages = [\"numpy\"], channels = [\"conda-forge\"] }"),
    ("components", "components = [\"main\", \"contrib\"]"),
    ("context", "base = { dockerfile = \"docker/Dockerfile\", context = \".\" }"),
    ("debian", "base = { debian = \"bookworm\" }"),
    ("dockerfile", "base = { dockerfile = \"Dockerfile\" }"),
    ("dst", "dst = \"/app\""),
    ("environment", "conda = { environment = \"environment.yml\" }"),
    ("extra-args", "extra-args = [\"--exclude-newer=2025-01-01\"]"),
    ("extra-indexes", "extra-indexes = [\"https://download.pytorch.org/whl/cpu\"]"),
    ("extras", "project = { uv = \"pyproject.toml\", extras = [\"gpu\"] }"),
    ("groups", "project = { uv = \"pyproject.toml\", groups = [\"train\"] }"),
    ("ignore", "ignore = [\"**/*.tmp\"]"),
    ("index", "index = \"https://pypi.example.com/simple\""),
    ("install", "project = { uv = \"pyproject.toml\", install = \"project\" }"),
    ("interpreter", "python = { version = \"3.12\", interpreter = \"/usr/bin/python3\" }"),
    ("key", "secrets = [{ key = \"token\", env = \"TOKEN\" }]"),
    ("keep-defaults", "keep-defaults = true"),
    ("lock", "project = { uv = \"pyproject.toml\", lock = \"uv.lock\" }"),
    ("mirror", "mirror = \"https://deb.debian.org/debian\""),
    ("packages", "packages = [\"fastapi\"]"),
    ("pixi", "conda = { pixi = \"pixi.toml\", environment = \"default\" }"),
    ("poetry", "project = { poetry = \"pyproject.toml\" }"),
    ("pre", "pre = true"),
    ("pylock", "project = { pylock = \"pylock.toml\" }"),
    ("ref", "base = { ref = \"team-base\" }"),
    (
        "secrets",
        "secrets = [\"token\", { key = \"password\", group = \"pypi\", mount = \"/root/.netrc\" }]",
    ),
    ("security-mirror", "security-mirror = \"https://deb.debian.org/debian-security\""),
    ("spec", "base = { spec = \"../base/tierce.toml\" }"),
    ("src", "copy = [{ src = \"app\", dst = \"/app\" }]"),
    ("style", "code = { style = \"all\", dst = \"/app\" }"),
    ("target", "base = { dockerfile = \"Dockerfile\", target = \"runtime\" }"),
    ("uv", "project = { uv = \"pyproject.toml\" }"),
    ("version", "python = { version = \"3.12\", interpreter = \"/usr/bin/python3\" }"),
];

/// How the key at `path` is written.
fn example(path: &[Segment]) -> Option<String> {
    let path = match path {
        // In [[steps]] the field is the step's.
        [Segment::Key(steps), Segment::Index(_), rest @ ..] if steps == "steps" => rest,
        path => path,
    };
    let keys = || path.iter().filter_map(|s| if let Segment::Key(k) = s { Some(k) } else { None });
    let find = |table: &'static [(&str, &str)], key: &String| {
        table.iter().find(|(name, _)| name == key).map(|(_, example)| *example)
    };
    let part = keys().skip(1).last().and_then(|key| find(PART_EXAMPLES, key));
    let example = part.or_else(|| find(EXAMPLES, keys().next()?))?;
    Some(format!("Write it as `{example}`."))
}
