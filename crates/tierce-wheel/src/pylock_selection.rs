//! Extras and dependency groups of a `pylock.toml` (PEP 751): which are chosen, and the markers
//! that ask for them (`'test' in extras`, `'dev' in dependency_groups`), which ordinary
//! dependency specifiers don't have.

use crate::pylock::PylockError;
use std::collections::BTreeSet;

/// What markers that hold become, and those that do not: any target is of this kind.
const TRUE: &str = "os_name == 'posix'";
const FALSE: &str = "os_name != 'posix'";

/// The groups that others are added to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PylockGroups {
    /// The lock's `default-groups`.
    #[default]
    Defaults,
    /// None.
    None,
    /// All of the lock's.
    All,
}

/// What is chosen of a `pylock.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PylockSelection {
    /// Which groups there are without naming any.
    pub groups: PylockGroups,
    /// More groups.
    pub with_groups: Vec<String>,
    /// Groups that are not, whatever says so.
    pub without_groups: Vec<String>,
    /// Whether all of the lock's extras are.
    pub all_extras: bool,
    /// Extras.
    pub with_extras: Vec<String>,
    /// Extras that are not, whatever says so.
    pub without_extras: Vec<String>,
}

/// The names that markers are evaluated with.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    extras: BTreeSet<String>,
    groups: BTreeSet<String>,
}

/// What a lock has to choose from.
#[derive(Clone, Copy)]
pub(crate) struct Offered<'a> {
    pub extras: &'a [String],
    pub groups: &'a [String],
    pub default_groups: &'a [String],
}

impl PylockSelection {
    /// The names that are chosen of a lock.
    pub(crate) fn of(&self, offered: Offered<'_>) -> Result<Chosen, PylockError> {
        let names = |all: &[String]| all.iter().map(|name| normal(name)).collect::<BTreeSet<_>>();
        let known = names(offered.extras);
        let with = names(&self.with_extras);
        let without = names(&self.without_extras);
        if let Some(name) = with.union(&without).find(|name| !known.contains(*name)) {
            let (name, known) = (name.clone(), listed(&known));
            return Err(PylockError::UnknownExtra { name, known });
        }
        let mut extras = if self.all_extras { known } else { BTreeSet::new() };
        extras.extend(with);
        extras.retain(|name| !without.contains(name));

        let defaults = names(offered.default_groups);
        let known: BTreeSet<String> = names(offered.groups).union(&defaults).cloned().collect();
        let with = names(&self.with_groups);
        let without = names(&self.without_groups);
        if let Some(name) = with.union(&without).find(|name| !known.contains(*name)) {
            let (name, known) = (name.clone(), listed(&known));
            return Err(PylockError::UnknownGroup { name, known });
        }
        let mut groups = match self.groups {
            PylockGroups::Defaults => defaults,
            PylockGroups::None => BTreeSet::new(),
            PylockGroups::All => known,
        };
        groups.extend(with);
        groups.retain(|name| !without.contains(name));
        Ok(Chosen { extras, groups })
    }
}

impl Chosen {
    /// The marker with what asks for extras and groups answered.
    pub(crate) fn answered(&self, marker: &str) -> String {
        let mut out = String::with_capacity(marker.len());
        let mut rest = marker;
        while let Some(at) = rest.find(['\'', '"']) {
            let (before, quoted) = rest.split_at(at);
            out.push_str(before);
            let quote = if quoted.starts_with('"') { '"' } else { '\'' };
            let Some(end) = quoted[1..].find(quote) else {
                // No marker: whoever parses it says so.
                return out + quoted;
            };
            let (text, after) = quoted.split_at(end + 2);
            match self.asks(&text[1..=end], after) {
                Some((holds, after)) => {
                    out.push_str(if holds { TRUE } else { FALSE });
                    rest = after;
                }
                None => {
                    out.push_str(text);
                    rest = after;
                }
            }
        }
        out + rest
    }

    /// Whether what is behind a name asks for it; the answer, and what comes then.
    fn asks<'a>(&self, name: &str, after: &'a str) -> Option<(bool, &'a str)> {
        let (negated, after) = match word(after)? {
            ("in", after) => (false, after),
            ("not", after) => match word(after)? {
                ("in", after) => (true, after),
                _ => return None,
            },
            _ => return None,
        };
        let (chosen, after) = match word(after)? {
            ("extras", after) => (&self.extras, after),
            ("dependency_groups", after) => (&self.groups, after),
            _ => return None,
        };
        Some((chosen.contains(&normal(name)) != negated, after))
    }
}

/// The next word, and what comes behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

fn listed(names: &BTreeSet<String>) -> String {
    match names.is_empty() {
        true => "none".to_owned(),
        false => names.iter().cloned().collect::<Vec<_>>().join(", "),
    }
}

/// A name as it is compared (PEP 685, PEP 735).
fn normal(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Lock;
    use crate::target::{Libc, Target};
    use tierce_oci::{Diagnostic, Platform};

    fn lock() -> String {
        let package = |name: &str, marker: &str| {
            format!(
                "[[packages]]\nname = \"{name}\"\nversion = \"1\"\nmarker = \"{marker}\"\n\
                 wheels = [{{ name = \"{name}-1-py3-none-any.whl\", url = \"https://x/{name}.whl\", \
                 hashes = {{ sha256 = \"{}\" }} }}]\n",
                "a".repeat(64)
            )
        };
        let packages = [
            package("main", "python_version >= '3.9'"),
            package("fast", "'Speed_Up' in extras"),
            package("both", "'dev' in dependency_groups or 'speed-up' in extras"),
            package(
                "windows",
                "('speed-up' in extras or 'dev' in dependency_groups) and os_name == 'nt'",
            ),
            package("tool", "'dev' in dependency_groups and python_version >= '3.9'"),
            package("pages", "'docs' in dependency_groups"),
            package("plain", "'speed-up' not in extras"),
        ];
        format!(
            "lock-version = \"1.0\"\ncreated-by = \"x\"\nextras = [\"speed-up\"]\n\
             dependency-groups = [\"dev\", \"docs\"]\ndefault-groups = [\"docs\"]\n{}",
            packages.concat()
        )
    }

    fn read(selection: &PylockSelection) -> Result<String, PylockError> {
        let target =
            Target::new("3.11".parse().unwrap(), &Platform::linux("amd64"), Libc::DEFAULT).unwrap();
        let lock = Lock::parse_selected(lock().as_bytes(), &target, selection)?;
        let names = lock.packages().iter().map(|package| package.name.to_string());
        Ok(names.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn what_is_chosen_is_installed() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let all = PylockSelection {
            groups: PylockGroups::All,
            all_extras: true,
            ..PylockSelection::default()
        };
        for (selection, expected) in [
            (PylockSelection::default(), "main pages plain"),
            (
                PylockSelection { with_groups: names(&["Dev"]), ..PylockSelection::default() },
                "both main pages plain tool",
            ),
            (
                PylockSelection { groups: PylockGroups::None, ..PylockSelection::default() },
                "main plain",
            ),
            (
                PylockSelection {
                    with_extras: names(&["speed.up"]),
                    without_groups: names(&["docs"]),
                    ..PylockSelection::default()
                },
                "both fast main",
            ),
            (all.clone(), "both fast main pages tool"),
            (
                PylockSelection {
                    without_groups: names(&["dev"]),
                    without_extras: names(&["speed-up"]),
                    ..all
                },
                "main pages plain",
            ),
        ] {
            assert_eq!(read(&selection).unwrap(), expected, "{selection:?}");
        }
    }

    #[test]
    fn names_that_are_not_there_are_errors_that_name_those_that_are() {
        let nope = || vec!["nope".to_owned()];
        let extra = PylockSelection { with_extras: nope(), ..PylockSelection::default() };
        let group = PylockSelection { without_groups: nope(), ..PylockSelection::default() };
        for (selection, code, known) in [
            (extra, "python/unknown-extra", "speed-up"),
            (group, "python/unknown-group", "dev, docs"),
        ] {
            let error = read(&selection).unwrap_err();
            assert_eq!(error.code(), code);
            let text = error.to_string();
            assert!(text.contains("nope") && text.contains(known), "{text}");
        }
    }

    #[test]
    fn other_markers_are_left_alone() {
        let none = Chosen::default();
        for marker in [
            "python_version >= '3.9' and sys_platform == \"linux\"",
            "'linux' in sys_platform",
            "'a' == extras",
            "'never ends",
            "'x' in extras_of",
        ] {
            assert_eq!(none.answered(marker), marker);
        }
        assert_eq!(none.answered("'x' not  in extras"), TRUE);
    }
}
