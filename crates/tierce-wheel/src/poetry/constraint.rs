//! Version constraints in Poetry's notation: PEP 440 with carets, tildes, wildcards and
//! alternatives.

use crate::target::PythonVersion;
use pep440_rs::{Operator, Version, VersionSpecifier};
use std::str::FromStr;

/// What versions are allowed: one of several sets of conditions. `^1.2`, `~1.2.3`, `1.*`,
/// `>=1.2,<2 || 3.1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Constraint {
    any_of: Vec<Vec<VersionSpecifier>>,
}

/// A text that is no constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version constraint")]
pub(crate) struct BadConstraint(pub String);

impl Constraint {
    /// Allows everything.
    pub(crate) fn any() -> Self {
        Constraint { any_of: vec![vec![]] }
    }

    pub(crate) fn allows(&self, version: &Version) -> bool {
        self.any_of.iter().any(|all| all.iter().all(|one| one.contains(version)))
    }

    /// Whether an interpreter fits, where the constraint is a condition and becomes a marker:
    /// bounds of two numbers look at two of the interpreter's, as `python_version` does.
    pub(crate) fn holds_for(&self, python: PythonVersion) -> bool {
        let (short, full) = (Version::new([3, u64::from(python.minor())]), full(python));
        let fits = |one: &VersionSpecifier| match one.version().release().len() {
            0..=2 => one.contains(&short),
            _ => one.contains(&full),
        };
        self.any_of.iter().any(|all| all.iter().all(fits))
    }

    /// Whether a project's or package's interpreters include this one; where its third number is
    /// not known, whether they may.
    pub(crate) fn includes(&self, python: PythonVersion) -> bool {
        let latest = Version::new([3, u64::from(python.minor()), 255]);
        self.allows(&full(python)) || (python.micro().is_none() && self.allows(&latest))
    }
}

fn full(python: PythonVersion) -> Version {
    Version::new([3, u64::from(python.minor()), u64::from(python.micro().unwrap_or(0))])
}

impl FromStr for Constraint {
    type Err = BadConstraint;

    fn from_str(text: &str) -> Result<Self, BadConstraint> {
        let bad = || BadConstraint(text.to_owned());
        // `|` and `||` are the same.
        let alternatives = text.split('|').map(str::trim).filter(|part| !part.is_empty());
        let any_of: Vec<_> =
            alternatives.map(|part| conditions(part).ok_or_else(bad)).collect::<Result<_, _>>()?;
        Ok(match any_of.is_empty() {
            true => Constraint::any(),
            false => Constraint { any_of },
        })
    }
}

/// Conditions between commas or blanks, where blanks may also follow an operator.
fn conditions(text: &str) -> Option<Vec<VersionSpecifier>> {
    let separator = |c: char| c == ',' || c.is_whitespace();
    let mut all = vec![];
    let mut rest = text.trim_start_matches(separator);
    while !rest.is_empty() {
        let operator_end = rest.find(|c| !"^~=<>!".contains(c)).unwrap_or(rest.len());
        let (operator, after) = rest.split_at(operator_end);
        let after = after.trim_start();
        let version_end = after.find(separator).unwrap_or(after.len());
        let (version, after) = after.split_at(version_end);
        all.extend(condition(operator, version)?);
        rest = after.trim_start_matches(separator);
    }
    Some(all)
}

fn condition(operator: &str, text: &str) -> Option<Vec<VersionSpecifier>> {
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    if text.split('.').all(|part| matches!(part, "*" | "x" | "X")) {
        return operator.is_empty().then(Vec::new).or((operator == "==").then(Vec::new));
    }
    let stem = text.trim_end_matches(".*");
    let wildcard = stem.len() < text.len();
    let version = Version::from_str(stem).ok()?;
    let one = |operator, version: Version| {
        VersionSpecifier::from_version(operator, version).ok().map(|specifier| vec![specifier])
    };
    let plain = match operator {
        "^" => return range(version.clone(), next_breaking(&version)?),
        "~" => {
            let kept = version.release().len().min(2) - 1;
            return range(version.clone(), bump(&version, kept)?);
        }
        "~=" if version.release().len() < 2 => {
            return range(version.clone(), bump(&version, 0)?);
        }
        "~=" => Operator::TildeEqual,
        "" | "=" | "==" | "===" if wildcard => Operator::EqualStar,
        "!=" if wildcard => Operator::NotEqualStar,
        "" | "=" | "==" | "===" => Operator::Equal,
        "!=" => Operator::NotEqual,
        ">=" => Operator::GreaterThanEqual,
        ">" => Operator::GreaterThan,
        "<=" => Operator::LessThanEqual,
        "<" => Operator::LessThan,
        _ => return None,
    };
    let version = match plain {
        Operator::Equal | Operator::NotEqual => version,
        // No order looks at what follows `+`.
        _ => version.without_local(),
    };
    one(plain, version)
}

fn range(from: Version, below: Version) -> Option<Vec<VersionSpecifier>> {
    Some(vec![
        VersionSpecifier::from_version(Operator::GreaterThanEqual, from.without_local()).ok()?,
        VersionSpecifier::from_version(Operator::LessThan, below).ok()?,
    ])
}

/// The version that a caret ends below: the first number that is not zero goes up, or the last
/// one that is there.
fn next_breaking(version: &Version) -> Option<Version> {
    let release = version.release();
    let last = release.len().min(3).saturating_sub(1);
    let at = release.iter().take(last).position(|number| *number > 0).unwrap_or(last);
    bump(version, at)
}

/// The version whose number `at` is one more, and that ends there.
fn bump(version: &Version, at: usize) -> Option<Version> {
    let mut release = version.release().get(..=at)?.to_vec();
    let last = release.last_mut()?;
    *last = last.checked_add(1)?;
    Some(Version::new(release).with_epoch(version.epoch()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(constraint: &str, versions: &str) -> String {
        let constraint: Constraint = constraint.parse().unwrap();
        let fits = |text: &&str| constraint.allows(&text.parse().unwrap());
        versions.split(' ').filter(fits).collect::<Vec<_>>().join(" ")
    }

    // What poetry-core's `parse_constraint` allows of these versions.
    #[test]
    fn constraints_allow_what_poetry_allows() {
        for (constraint, versions, expected) in [
            ("^1.2.3", "1.2.2 1.2.3 1.9 2.0rc1 2.0", "1.2.3 1.9"),
            ("^0.2.3", "0.2.2 0.2.3 0.2.9 0.3", "0.2.3 0.2.9"),
            ("^0.0.3", "0.0.2 0.0.3 0.0.4", "0.0.3"),
            ("^0.0", "0.0.0 0.0.9 0.1", "0.0.0 0.0.9"),
            ("^0", "0.9 1.0", "0.9"),
            ("^1", "0.9 1.0 1.9 2", "1.0 1.9"),
            ("~1.2.3", "1.2.2 1.2.9 1.3", "1.2.9"),
            ("~1.2", "1.1 1.2.9 1.3", "1.2.9"),
            ("~1", "1.2.9 2.0", "1.2.9"),
            ("~=1.4.5", "1.4.4 1.4.9 1.5", "1.4.9"),
            ("~=1", "1.9 2.0", "1.9"),
            ("1.*", "0.9 1.0 1.9 2.0", "1.0 1.9"),
            ("==1.2.*", "1.1 1.2.7 1.3", "1.2.7"),
            ("!=1.2.*", "1.1 1.2.7 1.3", "1.1 1.3"),
            ("*", "0.1 9", "0.1 9"),
            ("", "0.1 9", "0.1 9"),
            (">=1.2, <2", "1.1 1.2 2", "1.2"),
            (">=1.2 <2", "1.1 1.2 2", "1.2"),
            (">= 1.2,< 2,", "1.1 1.2 2", "1.2"),
            ("<1 || >=2,<3 | 4.5", "0.9 1 2 3 4.5 4.6", "0.9 2 4.5"),
            ("1.2.3", "1.2.3 1.2.4", "1.2.3"),
            ("=1.2.3", "1.2.3 1.2.4", "1.2.3"),
            (">1.0", "1.0 1.0.1", "1.0.1"),
            ("^1!2.0", "2.0 1!2.5 1!3", "1!2.5"),
            ("^2.0b1", "2.0b1 2.5 3.0b1", "2.0b1 2.5"),
        ] {
            assert_eq!(allowed(constraint, versions), expected, "{constraint}");
        }
        for bad in ["1.2.3.b.c", "^", "latest", "<>1", ">=", "^*", "~~1", "1 ||| x y"] {
            assert!(bad.parse::<Constraint>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn interpreters_are_compared_as_markers_do() {
        let python = |text: &str| text.parse::<PythonVersion>().unwrap();
        for (constraint, version, holds, includes) in [
            ("<=3.11", "3.11.2", true, false),
            (">3.11", "3.11.2", false, true),
            ("^3.9", "3.11.2", true, true),
            (">=3.11.4", "3.11", false, true),
            (">=3.11.4", "3.11.2", false, false),
            ("~3.11", "3.12", false, false),
            ("3.11", "3.11.2", true, false),
            ("3.11.*", "3.11.2", true, true),
        ] {
            let constraint: Constraint = constraint.parse().unwrap();
            assert_eq!(constraint.holds_for(python(version)), holds, "{constraint:?} {version}");
            assert_eq!(constraint.includes(python(version)), includes, "{constraint:?} {version}");
        }
    }
}
