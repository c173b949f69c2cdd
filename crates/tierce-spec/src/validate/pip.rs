//! Python requirements and resolver options.

use super::Item;
use super::problem::{Fault, Reporter};
use crate::PipOptions;
use crate::service_url::{may_hold_credentials, redact};
use pep508_rs::{Pep508Error, Requirement, VersionOrUrl};
use url::Url;

const INVALID: &str = "spec/invalid-requirement";
const LOCAL: &str = "spec/local-requirement";

/// Checks one requirement (PEP 508, as the packaging specifications have it now).
pub(super) fn check_requirement(text: &str) -> Result<(), Fault> {
    if let Some(fault) = slip(text).or_else(|| dangling_name(text)) {
        return Err(fault);
    }
    // With `Url`, unlike with pep508_rs' own URL type, nothing is expanded from the environment.
    // Text that is far from any requirement makes the parser slice strings where they can't be
    // sliced; the known cases are refused above, and the unknown ones must not end the program.
    let parsed = std::panic::catch_unwind(|| text.parse::<Requirement<Url>>());
    let Ok(parsed) = parsed else {
        let shown = redact(text);
        return Err(Fault::new(INVALID, format!("{shown:?} is not a requirement")));
    };
    match parsed {
        Ok(requirement) => match requirement.version_or_url {
            Some(VersionOrUrl::Url(url)) if url.scheme() == "file" => Err(local(text)),
            _ => Ok(()),
        },
        Err(error) => Err(Fault::new(INVALID, explain(text, &error))),
    }
}

/// What is not a requirement, but is often written for one.
fn slip(text: &str) -> Option<Fault> {
    let trimmed = text.trim();
    let shown = redact(trimmed);
    let first = trimmed.chars().next()?;
    let name_end = trimmed.find(|c: char| c.is_whitespace() || "[<>=!~;@(".contains(c));
    let head = &trimmed[..name_end.unwrap_or(trimmed.len())];
    if trimmed.starts_with("-r") || trimmed.starts_with("--requirement") {
        return Some(
            Fault::new(INVALID, format!("{shown:?} is an option, not a requirement"))
                .hint("List files with requirements (Python: with_requirements)."),
        );
    }
    if first == '-' {
        return Some(
            Fault::new(INVALID, format!("{shown:?} is an option, not a requirement"))
                .hint("Options of the resolver go into extra-args."),
        );
    }
    if head.contains("://") || trimmed.starts_with("git+") {
        return Some(
            Fault::new(INVALID, format!("{shown:?} has no package name"))
                .hint(format!("Name the package before the URL: \"package @ {shown}\".")),
        );
    }
    if first == '.' || head.contains('/') || head.contains('\\') || head.ends_with(".whl") {
        return Some(local(trimmed));
    }
    None
}

/// A package's or extra's name with a separator at its end (PEP 508, "Names"), as in `a-[b.]`:
/// pep508_rs finds the end of such names, and then panics over them.
fn dangling_name(text: &str) -> Option<Fault> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fault = |name: &str, rest: &str| {
        let end = text.len() - rest.len();
        let mark = Mark { start: end - 1, len: 1 };
        let reason = format!("{name:?} ends in a separator: names end in a letter or digit");
        Fault::new(INVALID, marked(text, &reason, mark))
    };
    let dangles = |name: &str| name.ends_with(['.', '-', '_']);
    let start = text.trim_start();
    let after_name = start.trim_start_matches(word);
    let name = &start[..start.len() - after_name.len()];
    if dangles(name) {
        return Some(fault(name, after_name));
    }
    let mut rest = after_name.trim_start().strip_prefix('[')?;
    loop {
        let extra_start = rest.trim_start();
        let after_extra = extra_start.trim_start_matches(word);
        let extra = &extra_start[..extra_start.len() - after_extra.len()];
        if dangles(extra) {
            return Some(fault(extra, after_extra));
        }
        rest = after_extra.trim_start().strip_prefix(',')?;
    }
}

fn local(text: &str) -> Fault {
    Fault::new(LOCAL, format!("{:?} is a path of this machine", redact(text)))
        .hint("Copy the project into the image and install it with a run step.")
}

/// The parser's message, with the requirement and a caret below it.
///
/// Not the parser's own rendering: that one panics on spans past the end, and would show
/// credentials.
fn explain(text: &str, error: &Pep508Error<Url>) -> String {
    let mut reason = redact(&error.message.to_string());
    if let Some(first) = reason.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    marked(text, &reason, Mark { start: error.start, len: error.len })
}

/// Bytes of a requirement that a message is about.
struct Mark {
    start: usize,
    len: usize,
}

/// `reason`, and `text` with carets below `mark`.
fn marked(text: &str, reason: &str, mark: Mark) -> String {
    if may_hold_credentials(text) || text.contains(char::is_control) {
        return format!("{reason}, in {:?}", redact(text));
    }
    let start = floor_boundary(text, mark.start);
    let end = floor_boundary(text, mark.start.saturating_add(mark.len)).max(start);
    let indent = text[..start].chars().count();
    let width = text[start..end].chars().count().max(1);
    format!("{reason}\n  {text}\n  {}{}", " ".repeat(indent), "^".repeat(width))
}

fn floor_boundary(text: &str, index: usize) -> usize {
    (0..=index.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}

/// Options of the resolver that are not the user's to give: what they do, and how to say it.
const RESERVED_ARGS: &[(&[&str], &str)] = &[
    (&["-i", "--index-url", "--index", "--default-index"], "Name the index in `index`."),
    (&["--extra-index-url"], "Name further indexes in `extra-indexes`."),
    (&["--pre", "--prerelease"], "Ask for pre-releases with `pre = true`."),
    (&["-r", "--requirement", "--requirements"], "List files in `requirements`."),
    (&["-e", "--editable"], "Copy the project into the image and install it with a run step."),
    (
        &["-c", "--constraint", "--constraints", "--override", "--overrides"],
        "Put `-c constraints.txt` into a requirements file: the files that it names are part of the image's key.",
    ),
    (&["-o", "--output-file", "--format"], "The lock is made by the build: leave it out."),
    (
        &["-p", "--python", "--python-version", "--python-platform", "--target", "--prefix"],
        "Say which Python in `python` and for which machines in `platforms`.",
    ),
];

pub(super) fn check_options(
    r: &mut Reporter<'_>,
    options: &PipOptions,
    first: Option<&PipOptions>,
) {
    let PipOptions { index, extra_indexes, pre: _, extra_args, secrets: _ } = options;
    if let (Some(index), Some(other)) = (index, first.and_then(|o| o.index.as_ref()))
        && index.without_credentials() != other.without_credentials()
    {
        let fault = Fault::new(
                "spec/conflicting-index",
                format!("the index {index} is not that of an earlier step, {other}"),
            )
            .hint("All python packages of an image are resolved together, from one index: name others in extra-indexes.");
        r.report([Item::Part("index")], fault);
    }
    for (position, extra) in extra_indexes.iter().enumerate() {
        if extra_indexes[..position].contains(extra) {
            let fault =
                Fault::new("spec/duplicate-index", format!("the index {extra} is named twice"));
            r.report([Item::Part("extra-indexes"), Item::Index(position)], fault);
        }
    }
    for (position, arg) in extra_args.iter().enumerate() {
        let at = [Item::Part("extra-args"), Item::Index(position)];
        let next = extra_args.get(position + 1).map(String::as_str);
        r.check(at, check_extra_arg(arg, next));
    }
}

fn check_extra_arg(arg: &str, next: Option<&str>) -> Result<(), Fault> {
    const CODE: &str = "spec/invalid-extra-arg";
    let shown = redact(arg);
    if arg.contains('\0') || arg.is_empty() {
        return Err(Fault::new(CODE, format!("{shown:?} is not an argument")));
    }
    let (option, value) = match arg.split_once('=') {
        Some((option, value)) => (option, Some(value)),
        None => (arg, next),
    };
    if ["-f", "--find-links"].contains(&option)
        && !value.is_some_and(|v| v.starts_with("https://") || v.starts_with("http://"))
    {
        return Err(Fault::new(CODE, format!("{shown:?} reads packages of this machine"))
            .hint("Give the URL of a page with links, or publish the packages in an index."));
    }
    let reserved = RESERVED_ARGS.iter().find(|(names, _)| {
        names.iter().any(|name| {
            // `-rfile` is `-r file`.
            option == *name || (name.len() == 2 && !arg.starts_with("--") && arg.starts_with(name))
        })
    });
    match reserved {
        Some((_, hint)) => Err(Fault::new(
            CODE,
            format!("{shown:?} can't be given to the resolver as an extra argument"),
        )
        .hint(*hint)),
        None => Ok(()),
    }
}
