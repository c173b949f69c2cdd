//! The lines of a requirements file.

/// A logical line of a requirements file: without comments, with its continuations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The number of its first line in the file, from 1.
    pub number: usize,
    /// What it says.
    pub kind: LineKind,
}

/// What a line of a requirements file says (pip's "Requirements File Format").
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A requirement (PEP 508), with its own options (`--hash`) if any.
    Requirement(String),
    /// `-r FILE`: the requirements of another file.
    Include(String),
    /// `-c FILE`: constraints of another file.
    Constraint(String),
    /// `-e PROJECT`: a project that stays where it is.
    Editable(String),
    /// A project or wheel on this machine.
    LocalPath(String),
    /// A URL without a package name.
    Url(String),
    /// Any other option, whole: `--index-url https://…`.
    Option(String),
}

/// The lines of a requirements file. Never fails: whether a requirement is one is the resolver's
/// to say.
///
/// ```
/// use tierce_spec::requirements::{LineKind, parse};
///
/// let lines = parse("-r base.txt\nnumpy>=2 \\\n  ; python_version > '3.9'  # pinned\n");
/// assert_eq!(lines[0].kind, LineKind::Include("base.txt".into()));
/// assert_eq!(lines[1].number, 2);
/// ```
pub fn parse(text: &str) -> Vec<Line> {
    logical_lines(text.strip_prefix('\u{feff}').unwrap_or(text))
        .into_iter()
        .map(|(number, line)| Line { number, kind: classify(&line) })
        .collect()
}

/// Joins continued lines and strips comments, in pip's order: a comment ends a continuation.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut out = vec![];
    let mut pending: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        let comment = line.trim_start().starts_with('#');
        let (content, continued) = match line.strip_suffix('\\') {
            Some(content) if !comment => (content, true),
            _ => (line, false),
        };
        let (_, joined) = pending.get_or_insert_with(|| (index + 1, String::new()));
        // pip puts a space before a comment line, so that it is seen as one.
        if comment {
            joined.push(' ');
        }
        joined.push_str(content);
        if !continued {
            out.extend(pending.take());
        }
    }
    out.extend(pending);
    out.into_iter()
        .map(|(number, line)| (number, strip_comment(&line).trim().to_owned()))
        .filter(|(_, line)| !line.is_empty())
        .collect()
}

/// `#` starts a comment at the start of a line and after white space; in a URL it does not.
fn strip_comment(line: &str) -> &str {
    let start = line.char_indices().find(|&(at, c)| {
        c == '#' && line[..at].chars().next_back().is_none_or(char::is_whitespace)
    });
    start.map_or(line, |(at, _)| &line[..at])
}

fn classify(line: &str) -> LineKind {
    if line.starts_with('-') {
        return classify_option(line);
    }
    let name_end = line.find(|c: char| c.is_whitespace() || "[<>=!~;@(".contains(c));
    let head = &line[..name_end.unwrap_or(line.len())];
    if let Some((name, target)) = line.split_once('@')
        && !name.contains('/')
        && is_local(target.trim_start())
    {
        return LineKind::LocalPath(line.to_owned());
    }
    let scheme = line.split("://").next().unwrap_or_default();
    if line.contains("://") && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+') {
        return match is_local(line) {
            true => LineKind::LocalPath(line.to_owned()),
            false => LineKind::Url(line.to_owned()),
        };
    }
    let archive = [".whl", ".tar.gz", ".zip"].iter().any(|suffix| head.ends_with(suffix));
    if is_local(line) || head.contains('/') || head.contains('\\') || archive {
        return LineKind::LocalPath(line.to_owned());
    }
    LineKind::Requirement(line.to_owned())
}

/// Whether the target of a requirement lies on this machine.
pub(super) fn is_local(target: &str) -> bool {
    target.starts_with("file:")
        || target.starts_with('.')
        || target.starts_with('/')
        || target.starts_with('~')
}

fn classify_option(line: &str) -> LineKind {
    let value = |names: &[&str]| names.iter().find_map(|name| option_value(line, name));
    if let Some(file) = value(&["-r", "--requirement"]) {
        LineKind::Include(file)
    } else if let Some(file) = value(&["-c", "--constraint"]) {
        LineKind::Constraint(file)
    } else if let Some(project) = value(&["-e", "--editable"]) {
        LineKind::Editable(project)
    } else if value(&["-f", "--find-links"]).is_some_and(|target| !target.contains("://"))
        || value(&["-f", "--find-links"]).is_some_and(|target| is_local(&target))
    {
        LineKind::LocalPath(line.to_owned())
    } else {
        LineKind::Option(line.to_owned())
    }
}

/// The value of the option `name` where `line` is that option: `-rX`, `-r X`, `--name X`,
/// `--name=X`.
fn option_value(line: &str, name: &str) -> Option<String> {
    let rest = line.strip_prefix(name)?;
    let long = name.starts_with("--");
    let value = match rest.chars().next()? {
        '=' => &rest[1..],
        c if c.is_whitespace() => rest,
        _ if long => return None,
        _ => rest,
    };
    // pip splits option lines as a shell does; only quotes around the whole value matter here.
    let value = value.trim();
    let unquoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value);
    Some(unquoted.to_owned())
}
