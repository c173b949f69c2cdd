//! Lines of requirements files that install something of this machine.

use super::gather::{Gathered, IncludedAs};
use super::line::{Line, LineKind};
use std::path::PathBuf;

/// A line that names something of this machine: a project, a wheel or source archive, or a folder
/// with such archives (`--find-links`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalRequirement {
    /// The file that has the line.
    pub file: PathBuf,
    /// The line's number.
    pub line: usize,
    /// What it says.
    pub text: String,
    /// The path, as it is written: pip takes it from the directory that it is started in.
    pub path: PathBuf,
    /// The package's name, where the line has one.
    pub name: Option<String>,
    /// The extras that are wanted, with their brackets; empty for none.
    pub extras: String,
    /// What is behind the `;`; empty for nothing.
    pub marker: String,
    /// What the file must be: `sha256:…`, from `--hash` and from the fragment of its URL.
    pub hashes: Vec<String>,
    /// What is at the path.
    pub kind: LocalKind,
}

/// What a line of this machine names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocalKind {
    /// Something that is installed: a project's folder, or an archive.
    Package,
    /// A folder with archives that may be chosen: `--find-links`.
    FindLinks,
}

impl Gathered {
    /// The lines that install something of this machine, in order. Constraints are none.
    pub fn locals(&self) -> Vec<LocalRequirement> {
        let files = self.files.iter().filter(|f| f.included_as == IncludedAs::Requirements);
        let lines = files.flat_map(|file| file.lines.iter().map(move |line| (file, line)));
        let mut all: Vec<LocalRequirement> = vec![];
        for (file, line) in lines {
            if let Some(local) = line.local() {
                all.push(LocalRequirement { file: file.path.clone(), ..local });
            }
        }
        all
    }
}

impl Line {
    /// What the line names of this machine, if it does; the file is left open.
    pub fn local(&self) -> Option<LocalRequirement> {
        let (text, kind) = match &self.kind {
            LineKind::LocalPath(text) if text.starts_with('-') => {
                let value = text.trim_start_matches("--find-links").trim_start_matches("-f");
                let value = value.trim_start_matches(['=', ' ', '\t']).trim_matches(['"', '\'']);
                (value, LocalKind::FindLinks)
            }
            LineKind::LocalPath(text) => (text.as_str(), LocalKind::Package),
            LineKind::Editable(text) if !is_remote(text) => (text.as_str(), LocalKind::Package),
            _ => return None,
        };
        let mut local = package(text);
        local.kind = kind;
        local.line = self.number;
        Some(local)
    }
}

/// Whether an editable requirement is a repository, and not a folder of this machine.
pub(super) fn is_remote(text: &str) -> bool {
    text.contains("://") && !text.contains("file:")
}

fn package(text: &str) -> LocalRequirement {
    // pip wants a space before the `;` of a marker, since a path may have one.
    let (place, marker) = match text.split_once(" ;").or_else(|| text.split_once("; ")) {
        Some((place, marker)) => (place.trim(), marker.trim()),
        None => (text.trim(), ""),
    };
    // Options of a requirement, as `--hash` and `--config-settings`.
    let place = place.split(" --").next().unwrap_or(place).trim();
    let marker = marker.split(" --").next().unwrap_or(marker).trim();
    let (head, place) = match place.split_once('@') {
        Some((head, rest)) if !head.contains(['/', '\\', ':']) && !rest.trim().is_empty() => {
            (Some(head.trim()), rest.trim())
        }
        _ => (None, place),
    };
    let (place, fragment) = match place.split_once('#') {
        Some((place, fragment)) => (place, fragment),
        None => (place, ""),
    };
    let (place, behind) = extras_of(place);
    let (name, before) = head.map_or((None, ""), |head| {
        let (name, extras) = extras_of(head);
        (Some(name.trim().to_owned()), extras)
    });
    let egg = fragment.split('&').find_map(|part| part.strip_prefix("egg="));
    let (egg, egg_extras) = egg.map_or((None, ""), |egg| {
        let (name, extras) = extras_of(egg);
        (Some(name.to_owned()), extras)
    });
    let extras = [before, behind, egg_extras].into_iter().find(|e| !e.is_empty()).unwrap_or("");
    LocalRequirement {
        file: PathBuf::new(),
        line: 0,
        text: text.to_owned(),
        path: path_of(place),
        name: name.or(egg),
        extras: extras.to_owned(),
        marker: marker.to_owned(),
        hashes: hashes_of(text, fragment),
        kind: LocalKind::Package,
    }
}

/// The values of `--hash`, and those of a fragment (`#sha256=…`), as pip takes both.
fn hashes_of(text: &str, fragment: &str) -> Vec<String> {
    let option = text.split("--hash").skip(1).filter_map(|rest| {
        let value = rest.trim_start_matches(['=', ' ', '\t']).split_whitespace().next()?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    });
    let known = ["md5", "sha1", "sha224", "sha256", "sha384", "sha512"];
    let parts = fragment.split('&').filter_map(|part| part.split_once('='));
    let parts = parts.filter(|(name, _)| known.contains(name));
    option.chain(parts.map(|(name, value)| format!("{name}:{value}"))).collect()
}

/// A text, and the extras in brackets at its end.
fn extras_of(text: &str) -> (&str, &str) {
    match (text.ends_with(']'), text.rfind('[')) {
        (true, Some(start)) => (text[..start].trim_end(), &text[start..]),
        _ => (text, ""),
    }
}

/// The path that a `file:` URL or a path is.
fn path_of(text: &str) -> PathBuf {
    let Some(rest) = text.strip_prefix("file:") else { return PathBuf::from(text) };
    let rest = rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
    PathBuf::from(percent_decoded(rest))
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| bytes.get(at + 1..at + 3)).flatten();
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn local_lines_are_taken_apart() {
        for (line, path, name, extras, marker) in [
            ("./lib", "./lib", None, "", ""),
            ("-e .", ".", None, "", ""),
            ("-e ./lib[a,b]", "./lib", None, "[a,b]", ""),
            (
                "--editable=../lib ; python_version > '3'",
                "../lib",
                None,
                "",
                "python_version > '3'",
            ),
            (
                "lib[x] @ file:///srv/a%20b ; os_name == 'posix'",
                "/srv/a b",
                Some("lib"),
                "[x]",
                "os_name == 'posix'",
            ),
            ("-e file:///srv/lib#egg=lib[x]", "/srv/lib", Some("lib"), "[x]", ""),
            (
                "./w/lib-1-py3-none-any.whl --hash=sha256:00",
                "./w/lib-1-py3-none-any.whl",
                None,
                "",
                "",
            ),
            ("lib @ ./lib", "./lib", Some("lib"), "", ""),
            ("file:lib", "lib", None, "", ""),
        ] {
            let lines = parse(line);
            let local = lines[0].local().unwrap_or_else(|| panic!("{line}: {:?}", lines[0]));
            assert_eq!(local.path, PathBuf::from(path), "{line}");
            assert_eq!(local.name.as_deref(), name, "{line}");
            assert_eq!((local.extras.as_str(), local.marker.as_str()), (extras, marker), "{line}");
            assert_eq!(local.kind, LocalKind::Package);
        }
        for (line, hashes) in [
            ("./a.whl --hash=sha256:00 --hash sha512:11 ; os_name == 'x'", "sha256:00 sha512:11"),
            (
                "a @ file:///a.whl#egg=a&sha256=22 ; os_name == 'x' --hash=sha256:33",
                "sha256:33 sha256:22",
            ),
            ("./a.whl", ""),
        ] {
            assert_eq!(parse(line)[0].local().unwrap().hashes.join(" "), hashes, "{line}");
        }
        for (line, path) in [("-f ./w", "./w"), ("--find-links=w", "w"), ("--find-links 'w'", "w")]
        {
            let local = parse(line)[0].local().unwrap();
            assert_eq!((local.path, local.kind), (PathBuf::from(path), LocalKind::FindLinks));
        }
        for line in ["six", "-e git+https://x/y#egg=y", "-f https://x/w", "six @ https://x/six.whl"]
        {
            assert_eq!(parse(line)[0].local(), None, "{line}");
        }
    }
}
