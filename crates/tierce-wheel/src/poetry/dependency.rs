//! A dependency, as `poetry.lock` and `pyproject.toml` say it.

use super::constraint::Constraint;
use crate::name::PackageName;
use crate::target::Target;
use pep440_rs::Version;
use pep508_rs::{ExtraName, MarkerEnvironment, MarkerTree};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::str::FromStr;

/// What is required, under which conditions.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    pub name: PackageName,
    pub constraint: Constraint,
    pub extras: BTreeSet<PackageName>,
    pub place: Place,
    /// The index that it must be from, by its name.
    source: Option<String>,
    /// Whether an extra has to name it.
    pub optional: bool,
    /// The extras that have it, as far as it says so itself (`[project.optional-dependencies]`).
    pub in_extras: BTreeSet<PackageName>,
    marker: MarkerTree,
    python: Option<Constraint>,
    platform: Option<String>,
}

/// Where a dependency is to come from: an index, or one place only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Index,
    Git,
    Path,
    Url,
}

/// What a dependency's markers are evaluated in.
pub(super) struct Environment {
    pub target: Target,
    pub markers: MarkerEnvironment,
}

/// What a dependency is written as.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum DependencySpec {
    Version(String),
    Table(Box<DependencyTable>),
    Several(Vec<DependencySpec>),
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct DependencyTable {
    version: Option<String>,
    #[serde(default)]
    extras: Vec<String>,
    #[serde(default)]
    optional: bool,
    markers: Option<String>,
    python: Option<String>,
    platform: Option<String>,
    source: Option<String>,
    git: Option<String>,
    path: Option<String>,
    file: Option<String>,
    url: Option<String>,
}

/// Why a dependency is not one: the text that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadDependency(pub String);

impl DependencySpec {
    /// The dependencies on `name` that this means.
    pub(super) fn read(&self, name: &str) -> Result<Vec<Dependency>, BadDependency> {
        let package = PackageName::new(name).map_err(|_| BadDependency(name.to_owned()))?;
        let mut all = vec![];
        self.collect(&package, &mut all)?;
        Ok(all)
    }

    fn collect(&self, name: &PackageName, all: &mut Vec<Dependency>) -> Result<(), BadDependency> {
        match self {
            DependencySpec::Version(version) => {
                let constraint = constraint(version)?;
                all.push(Dependency { constraint, ..Dependency::on(name) });
            }
            DependencySpec::Table(table) => all.push(table.read(name)?),
            DependencySpec::Several(several) => {
                several.iter().try_for_each(|one| one.collect(name, all))?;
            }
        }
        Ok(())
    }
}

impl DependencyTable {
    fn read(&self, name: &PackageName) -> Result<Dependency, BadDependency> {
        let place = match self {
            DependencyTable { git: Some(_), .. } => Place::Git,
            DependencyTable { path: Some(_), .. } | DependencyTable { file: Some(_), .. } => {
                Place::Path
            }
            DependencyTable { url: Some(_), .. } => Place::Url,
            _ => Place::Index,
        };
        Ok(Dependency {
            constraint: self.version.as_deref().map_or(Ok(Constraint::any()), constraint)?,
            extras: names(&self.extras)?,
            place,
            source: self.source.clone(),
            optional: self.optional,
            marker: self.markers.as_deref().map_or(Ok(MarkerTree::TRUE), marker)?,
            python: self.python.as_deref().map(constraint).transpose()?,
            platform: self.platform.clone(),
            ..Dependency::on(name)
        })
    }
}

impl Dependency {
    fn on(name: &PackageName) -> Self {
        Dependency {
            name: name.clone(),
            constraint: Constraint::any(),
            extras: BTreeSet::new(),
            place: Place::Index,
            source: None,
            optional: false,
            in_extras: BTreeSet::new(),
            marker: MarkerTree::TRUE,
            python: None,
            platform: None,
        }
    }

    /// A requirement as PEP 508 has it, and as Poetry writes it: with constraints in parentheses
    /// and in its own notation, with paths that are relative.
    pub(super) fn parse(text: &str) -> Result<Self, BadDependency> {
        let bad = || BadDependency(text.to_owned());
        // A URL may hold a semicolon, and only one after a blank ends it.
        let separator = if text.contains('@') { " ;" } else { ";" };
        let (head, condition) = match text.split_once(separator) {
            Some((head, condition)) => (head.trim(), marker(condition.trim())?),
            None => (text.trim(), MarkerTree::TRUE),
        };
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let (name, rest) = head.split_at(head.find(|c| !inner(c)).unwrap_or(head.len()));
        let name = PackageName::new(name).map_err(|_| bad())?;
        let mut rest = rest.trim();
        let mut extras = BTreeSet::new();
        if let Some(inside) = rest.strip_prefix('[') {
            let (list, after) = inside.split_once(']').ok_or_else(bad)?;
            let list = list.split(',').map(str::trim).filter(|extra| !extra.is_empty());
            extras = names(&list.map(str::to_owned).collect::<Vec<_>>())?;
            rest = after.trim();
        }
        let (place, allowed) = match rest.strip_prefix('@') {
            Some(url) => (place_of(url.trim()), Constraint::any()),
            None => {
                let inside = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
                (Place::Index, constraint(inside.unwrap_or(rest))?)
            }
        };
        let marker = condition;
        Ok(Dependency { constraint: allowed, extras, place, marker, ..Dependency::on(&name) })
    }

    /// Whether its conditions hold where these extras of the package that has it are installed.
    pub(super) fn applies(
        &self,
        environment: &Environment,
        extras: &BTreeSet<PackageName>,
    ) -> bool {
        let python = environment.target.python();
        self.python.as_ref().is_none_or(|constraint| constraint.holds_for(python))
            && self.platform.as_deref().is_none_or(platform_holds)
            && environment.holds(&self.marker, extras)
    }

    /// Whether a locked version from `place` (of an index: of which, by its name) is what it asks
    /// for.
    pub(super) fn accepts(&self, version: &Version, place: Place, index: Option<&str>) -> bool {
        match (self.place, &self.source) {
            (Place::Index, None) => self.constraint.allows(version),
            (Place::Index, Some(source)) => {
                let is_from_it = source.eq_ignore_ascii_case(index.unwrap_or("pypi"));
                place == Place::Index && is_from_it && self.constraint.allows(version)
            }
            (other, _) => other == place,
        }
    }
}

impl Environment {
    pub(super) fn holds(&self, marker: &MarkerTree, extras: &BTreeSet<PackageName>) -> bool {
        let extras: Vec<ExtraName> =
            extras.iter().filter_map(|extra| ExtraName::from_str(extra.as_str()).ok()).collect();
        marker.evaluate(&self.markers, &extras)
    }
}

/// A marker; `*` is one that always holds.
pub(super) fn marker(text: &str) -> Result<MarkerTree, BadDependency> {
    match text.trim() {
        "" | "*" => Ok(MarkerTree::TRUE),
        text => MarkerTree::from_str(text).map_err(|_| BadDependency(text.to_owned())),
    }
}

pub(super) fn constraint(text: &str) -> Result<Constraint, BadDependency> {
    text.parse().map_err(|_| BadDependency(text.to_owned()))
}

pub(super) fn names(texts: &[String]) -> Result<BTreeSet<PackageName>, BadDependency> {
    let name = |text: &String| PackageName::new(text).map_err(|_| BadDependency(text.clone()));
    texts.iter().map(name).collect()
}

fn place_of(url: &str) -> Place {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some(scheme) if scheme.starts_with("git+") => Place::Git,
        Some("http" | "https") => Place::Url,
        _ => Place::Path,
    }
}

/// Whether `platform = "linux || darwin"` and the like hold on Linux.
fn platform_holds(text: &str) -> bool {
    let one = |condition: &str| match condition.trim() {
        "" | "*" => true,
        other => match other.strip_prefix("!=") {
            Some(excluded) => excluded.trim() != "linux",
            None => other.trim_start_matches('=').trim() == "linux",
        },
    };
    text.split("||").any(|alternative| alternative.split(',').all(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_hold_on_linux_or_not() {
        for (platform, holds) in [
            ("linux", true),
            ("win32", false),
            ("!=win32", true),
            ("!=linux", false),
            ("win32 || linux", true),
            ("!=win32,!=darwin", true),
            ("*", true),
        ] {
            assert_eq!(platform_holds(platform), holds, "{platform}");
        }
    }

    #[test]
    fn requirements_are_read_as_poetry_writes_them() {
        for (text, name, extras, place, allowed, refused) in [
            ("PySocks (>=1.5.6,!=1.5.7)", "pysocks", 0, Place::Index, "1.5.6", "1.5.7"),
            ("a[b, c] (^2.0) ; python_version > \"3\"", "a", 2, Place::Index, "2.1", "3"),
            ("a>=2;sys_platform == 'linux'", "a", 0, Place::Index, "2", "1"),
            ("a @ git+https://x/a.git@v1", "a", 0, Place::Git, "1", ""),
            (
                "a[x] @ https://x/a-1-py3-none-any.whl ; os_name == 'nt'",
                "a",
                1,
                Place::Url,
                "1",
                "",
            ),
            ("a @ ../a", "a", 0, Place::Path, "1", ""),
        ] {
            let read = Dependency::parse(text).unwrap();
            assert_eq!((read.name.as_str(), read.extras.len(), read.place), (name, extras, place));
            assert!(read.constraint.allows(&allowed.parse().unwrap()), "{text}");
            let other = refused.parse().ok();
            assert!(other.is_none_or(|other| !read.constraint.allows(&other)), "{text}");
        }
        for bad in ["", "-a", "a[b", "a ; what", "a (nothing)"] {
            assert!(Dependency::parse(bad).is_err(), "{bad:?}");
        }
    }
}
