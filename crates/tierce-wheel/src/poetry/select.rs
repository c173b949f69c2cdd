//! Which packages of a lock are installed for a target and a selection.

use super::dependency::{Dependency, Environment};
use super::error::PoetryError;
use super::lockfile::{Entry, LockFile};
use super::manifest::{Manifest, main_group};
use super::walk::walk;
use super::{PoetryExtras, PoetryGroups, PoetrySelection};
use crate::name::PackageName;
use std::collections::{BTreeMap, BTreeSet};

/// What older versions of Poetry leave out of their locks.
const UNLOCKED: [&str; 4] = ["distribute", "pip", "setuptools", "wheel"];

/// What was chosen.
pub(super) struct Chosen<'a> {
    pub entries: Vec<&'a Entry>,
    /// What the project itself requires.
    pub requested: BTreeSet<PackageName>,
}

/// The packages of `lock` that `selection` needs, by name.
pub(super) fn select<'a>(
    lock: &'a LockFile,
    manifest: &'a Manifest,
    environment: &Environment,
    selection: &PoetrySelection,
) -> Result<Chosen<'a>, PoetryError> {
    let groups = groups(manifest, selection)?;
    let extras = extras(lock, manifest, selection)?;
    let own = manifest.package.as_ref().ok().map(|(name, _)| name);
    let is_active = |one: &&Dependency| {
        Some(&one.name) != own
            && (!one.optional || !one.in_extras.is_disjoint(&extras))
            && one.applies(environment, &extras)
    };
    let roots: Vec<&Dependency> =
        manifest.dependencies_of(&groups).into_iter().filter(is_active).collect();
    let entries = match lock.has_groups {
        true => marked(lock, environment, &groups, &extras)?,
        false => walk(lock, environment, &roots)?,
    };
    check(&entries, &roots, environment, own)?;
    let requested = roots.iter().map(|root| root.name.clone()).collect();
    Ok(Chosen { entries: entries.into_values().collect(), requested })
}

/// The packages that say themselves that they are for these groups and extras here.
fn marked<'a>(
    lock: &'a LockFile,
    environment: &Environment,
    groups: &BTreeSet<PackageName>,
    extras: &BTreeSet<PackageName>,
) -> Result<BTreeMap<PackageName, &'a Entry>, PoetryError> {
    let mut chosen: BTreeMap<PackageName, &Entry> = BTreeMap::new();
    for entry in &lock.entries {
        let mut own = entry.groups.iter().filter(|(group, _)| groups.contains(*group));
        if !own.any(|(_, marker)| environment.holds(marker, extras)) {
            continue;
        }
        if let Some(first) = chosen.insert(entry.name.clone(), entry) {
            return Err(PoetryError::Twice {
                name: entry.name.clone(),
                target: environment.target.to_string(),
                first: first.version.clone(),
                second: entry.version.clone(),
            });
        }
    }
    Ok(chosen)
}

/// That nothing is left out that the project or a chosen package requires: a lock that was edited
/// by hand would be installed in part.
fn check(
    chosen: &BTreeMap<PackageName, &Entry>,
    roots: &[&Dependency],
    environment: &Environment,
    own: Option<&PackageName>,
) -> Result<(), PoetryError> {
    let missing = |one: &Dependency| {
        let name = &one.name;
        !chosen.contains_key(name) && !may_be_unlocked(name) && Some(name) != own
    };
    if let Some(root) = roots.iter().find(|root| missing(root)) {
        let requirer = "pyproject.toml".to_owned();
        return Err(PoetryError::Missing { package: root.name.clone(), requirer });
    }
    for entry in chosen.values() {
        let applies =
            |one: &&Dependency| !one.optional && one.applies(environment, &BTreeSet::new());
        let mut active = entry.dependencies.iter().filter(applies);
        if let Some(missing) = active.find(|one| missing(one)) {
            let requirer = format!("{} {}", entry.name, entry.version);
            return Err(PoetryError::Missing { package: missing.name.clone(), requirer });
        }
    }
    Ok(())
}

fn may_be_unlocked(name: &PackageName) -> bool {
    UNLOCKED.contains(&name.as_str())
}

fn groups(
    manifest: &Manifest,
    selection: &PoetrySelection,
) -> Result<BTreeSet<PackageName>, PoetryError> {
    let named = |names: &[String]| -> Result<BTreeSet<PackageName>, PoetryError> {
        let known = |text: &String| {
            let name = PackageName::new(text).ok();
            name.filter(|name| manifest.groups.contains_key(name))
                .ok_or_else(|| PoetryError::UnknownGroup(text.clone()))
        };
        names.iter().map(known).collect()
    };
    let all = manifest.groups.iter();
    let mut groups: BTreeSet<PackageName> = match selection.groups {
        PoetryGroups::Defaults => {
            all.filter(|(_, group)| !group.optional).map(|(name, _)| name.clone()).collect()
        }
        PoetryGroups::None => BTreeSet::from([main_group()]),
        PoetryGroups::All => all.map(|(name, _)| name.clone()).collect(),
        PoetryGroups::Only => BTreeSet::new(),
    };
    groups.extend(named(&selection.with_groups)?);
    let without = named(&selection.without_groups)?;
    Ok(groups.difference(&without).cloned().collect())
}

fn extras(
    lock: &LockFile,
    manifest: &Manifest,
    selection: &PoetrySelection,
) -> Result<BTreeSet<PackageName>, PoetryError> {
    let named = |names: &[String]| -> Result<BTreeSet<PackageName>, PoetryError> {
        let known = |text: &String| {
            let name = PackageName::new(text).ok();
            name.filter(|name| manifest.extras.contains_key(name) || lock.extras.contains(name))
                .ok_or_else(|| PoetryError::UnknownExtra(text.clone()))
        };
        names.iter().map(known).collect()
    };
    let mut extras = match selection.extras {
        PoetryExtras::None => BTreeSet::new(),
        PoetryExtras::All => manifest.extras.keys().cloned().collect(),
    };
    extras.extend(named(&selection.with_extras)?);
    let without = named(&selection.without_extras)?;
    Ok(extras.difference(&without).cloned().collect())
}
