//! Relationships between packages: `Depends` and its kin (Debian policy section 7.1).

use crate::package::{PackageName, PackageNameError};
use crate::version::{Version, VersionError};
use std::fmt;
use std::str::FromStr;

/// How a version must compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

/// A demand on a version: `(>= 2.36)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Constraint {
    /// How the version must compare with...
    pub comparison: Comparison,
    /// ...this one.
    pub version: Version,
}

impl Constraint {
    /// Whether `version` meets the demand.
    pub fn admits(&self, version: &Version) -> bool {
        match self.comparison {
            Comparison::Earlier => *version < self.version,
            Comparison::EarlierOrEqual => *version <= self.version,
            Comparison::Equal => *version == self.version,
            Comparison::LaterOrEqual => *version >= self.version,
            Comparison::Later => *version > self.version,
        }
    }
}

/// One package in a relationship: `python3:any (>= 3.11)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// A package or something packages provide.
    pub name: PackageName,
    /// What follows the name after a colon: `any`, `native` or an architecture.
    pub qualifier: Option<String>,
    /// The versions that count.
    pub constraint: Option<Constraint>,
}

/// Relations of which any one suffices: `debconf | debconf-2.0`. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alternatives(pub Vec<Relation>);

/// Why a string is not a relationship.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelationError {
    /// The name is not a package name.
    #[error(transparent)]
    Name(#[from] PackageNameError),
    /// The version is not a version.
    #[error(transparent)]
    Version(#[from] VersionError),
    /// The rest is not as it should be.
    #[error("{0:?} is not a package relationship")]
    Malformed(String),
}

impl FromStr for Relation {
    type Err = RelationError;

    fn from_str(text: &str) -> Result<Self, RelationError> {
        let malformed = || RelationError::Malformed(text.to_owned());
        let text = text.trim();
        let (name, rest) =
            text.split_at(text.find([' ', '\t', '\n', '(', '[', '<']).unwrap_or(text.len()));
        let (name, qualifier) = match name.split_once(':') {
            Some((_, "")) => return Err(malformed()),
            Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
            None => (name, None),
        };
        let rest = rest.trim();
        let constraint = if rest.is_empty() {
            None
        } else {
            let inner = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')'));
            Some(
                parse_constraint(inner.ok_or_else(malformed)?)
                    .map_err(|e| e.unwrap_or_else(malformed))?,
            )
        };
        Ok(Relation { name: name.parse()?, qualifier, constraint })
    }
}

fn parse_constraint(text: &str) -> Result<Constraint, Option<RelationError>> {
    let text = text.trim();
    let end = text.find(|c| !matches!(c, '<' | '=' | '>')).ok_or(None)?;
    let comparison = match &text[..end] {
        "<<" => Comparison::Earlier,
        "<=" => Comparison::EarlierOrEqual,
        "=" => Comparison::Equal,
        ">=" => Comparison::LaterOrEqual,
        ">>" => Comparison::Later,
        _ => return Err(None),
    };
    let version = text[end..].trim().parse().map_err(|e| Some(RelationError::Version(e)))?;
    Ok(Constraint { comparison, version })
}

impl FromStr for Alternatives {
    type Err = RelationError;

    fn from_str(text: &str) -> Result<Self, RelationError> {
        text.split('|').map(str::parse).collect::<Result<_, _>>().map(Alternatives)
    }
}

/// Parses a field such as `Depends`: alternatives with commas between them.
pub fn parse_alternatives(field: &str) -> Result<Vec<Alternatives>, RelationError> {
    items(field).map(str::parse).collect()
}

/// Parses a field without alternatives, such as `Provides` or `Conflicts`.
pub fn parse_relations(field: &str) -> Result<Vec<Relation>, RelationError> {
    items(field).map(str::parse).collect()
}

/// dpkg writes no trailing comma, but tolerates one.
fn items(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').filter(|item| !item.trim().is_empty())
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Earlier => "<<",
            Comparison::EarlierOrEqual => "<=",
            Comparison::Equal => "=",
            Comparison::LaterOrEqual => ">=",
            Comparison::Later => ">>",
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        if let Some(qualifier) = &self.qualifier {
            write!(f, ":{qualifier}")?;
        }
        match &self.constraint {
            Some(c) => write!(f, " ({} {})", c.comparison, c.version),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Alternatives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, relation) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str(" | ")?;
            }
            write!(f, "{relation}")?;
        }
        Ok(())
    }
}
