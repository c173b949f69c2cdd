//! The way through a lock that does not say what its packages are for (before 2.1): from what the
//! project requires to what that requires.

use super::dependency::{Dependency, Environment};
use super::error::PoetryError;
use super::lockfile::{Entry, LockFile};
use crate::name::PackageName;
use std::collections::{BTreeMap, BTreeSet};

/// How often choices are made again. Each round knows everything that the one before found to be
/// required, so that real locks need two.
const ROUNDS: usize = 16;

/// What is required of each package.
type Demands<'a> = BTreeMap<PackageName, Vec<&'a Dependency>>;

/// The packages that `roots` need here. Of several entries of a name it is the newest that all
/// who require it allow.
pub(super) fn walk<'a>(
    lock: &'a LockFile,
    environment: &Environment,
    roots: &[&'a Dependency],
) -> Result<BTreeMap<PackageName, &'a Entry>, PoetryError> {
    let mut by_name: BTreeMap<&PackageName, Vec<&Entry>> = BTreeMap::new();
    for entry in &lock.entries {
        if entry.python.includes(environment.target.python()) {
            by_name.entry(&entry.name).or_default().push(entry);
        }
    }
    let mut known = Demands::new();
    let mut chosen = BTreeMap::new();
    for _ in 0..ROUNDS {
        let mut round = Round { by_name: &by_name, environment, known, found: Demands::new() };
        let (before, next) = (chosen, round.run(roots)?);
        let same = |one: &BTreeMap<PackageName, &Entry>| {
            one.len() == next.len()
                && one.iter().all(|(name, entry)| {
                    next.get(name).is_some_and(|other| std::ptr::eq(*entry, *other))
                })
        };
        let settled = same(&before);
        (known, chosen) = (round.found, next);
        if settled {
            break;
        }
    }
    for (name, demands) in &known {
        let accepts = |entry: &&Entry| demands.iter().all(|one| accepts(one, entry));
        if chosen.get(name).is_some_and(|entry| !accepts(entry)) {
            return Err(PoetryError::NoCandidate(name.clone()));
        }
    }
    Ok(chosen)
}

struct Round<'r, 'a> {
    by_name: &'r BTreeMap<&'a PackageName, Vec<&'a Entry>>,
    environment: &'r Environment,
    /// What the round before found.
    known: Demands<'a>,
    found: Demands<'a>,
}

impl<'a> Round<'_, 'a> {
    fn run(
        &mut self,
        roots: &[&'a Dependency],
    ) -> Result<BTreeMap<PackageName, &'a Entry>, PoetryError> {
        let mut chosen: BTreeMap<PackageName, &'a Entry> = BTreeMap::new();
        let mut extras: BTreeMap<PackageName, BTreeSet<PackageName>> = BTreeMap::new();
        let mut waiting: Vec<&'a Dependency> = roots.to_vec();
        waiting.reverse();
        while let Some(dependency) = waiting.pop() {
            let name = &dependency.name;
            let demands = self.found.entry(name.clone()).or_default();
            if !demands.iter().any(|one| std::ptr::eq(*one, dependency)) {
                demands.push(dependency);
            }
            let is_new = !chosen.contains_key(name);
            let entry = match chosen.get(name) {
                Some(entry) => *entry,
                None => match self.pick(name)? {
                    Some(entry) => entry,
                    None => continue,
                },
            };
            chosen.insert(name.clone(), entry);
            let active = extras.entry(name.clone()).or_default();
            let before = active.len();
            active.extend(dependency.extras.iter().cloned());
            if is_new || active.len() > before {
                waiting.extend(requires(entry, active, self.environment));
            }
        }
        Ok(chosen)
    }

    fn pick(&self, name: &PackageName) -> Result<Option<&'a Entry>, PoetryError> {
        // Whoever checks what is missing knows who requires it.
        let Some(candidates) = self.by_name.get(name) else { return Ok(None) };
        let newest = |demands: Option<&Vec<&Dependency>>| {
            let fits =
                |entry: &&&Entry| demands.into_iter().flatten().all(|one| accepts(one, entry));
            candidates.iter().filter(fits).max_by(|a, b| a.version.cmp(&b.version)).copied()
        };
        // What another choice required in the round before may be required no more.
        newest(self.known.get(name))
            .or_else(|| newest(self.found.get(name)))
            .map(Some)
            .ok_or_else(|| PoetryError::NoCandidate(name.clone()))
    }
}

fn accepts(dependency: &Dependency, entry: &Entry) -> bool {
    let origin = &entry.origin;
    dependency.accepts(&entry.version, origin.place(), origin.reference.as_deref())
}

/// What an entry requires here with these extras.
fn requires<'a>(
    entry: &'a Entry,
    extras: &BTreeSet<PackageName>,
    environment: &Environment,
) -> Vec<&'a Dependency> {
    let named: BTreeSet<&PackageName> =
        extras.iter().filter_map(|extra| entry.extras.get(extra)).flatten().collect();
    let active = |one: &&Dependency| {
        (!one.optional || named.contains(&one.name)) && one.applies(environment, extras)
    };
    entry.dependencies.iter().filter(active).collect()
}
