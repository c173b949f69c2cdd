//! What there is to choose from.

use super::{Request, ResolveError};
use crate::index::PackageList;
use crate::package::{Package, PackageError, PackageName, PackageSpec};
use crate::relation::Relation;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// All packages there are.
pub(super) struct Universe<'a> {
    lists: &'a [PackageList],
    pins: BTreeMap<PackageName, Rc<Package>>,
    cache: RefCell<BTreeMap<String, Rc<Choices>>>,
}

/// What can stand for a name.
struct Choices {
    /// The package of that name.
    named: Option<Rc<Package>>,
    /// Packages that provide it, the most needed first.
    providers: Vec<Rc<Package>>,
}

impl<'a> Universe<'a> {
    pub(super) fn new(lists: &'a [PackageList]) -> Self {
        Universe { lists, pins: BTreeMap::new(), cache: RefCell::default() }
    }

    /// Makes the version that is asked for the one that counts.
    pub(super) fn pin(&mut self, spec: &PackageSpec) -> Result<(), ResolveError> {
        let package = self.pinned(spec)?;
        self.pins.insert(spec.name.clone(), package);
        Ok(())
    }

    fn versions(&self, name: &str) -> Result<Vec<Package>, PackageError> {
        let mut found = Vec::new();
        for list in self.lists {
            found.extend(list.named(name)?);
        }
        // Lists may come in any order: of equal versions the same one must win always.
        found.sort_by(|a, b| b.version.cmp(&a.version).then_with(|| a.sha256.cmp(&b.sha256)));
        Ok(found)
    }

    /// The version of a package that counts.
    pub(super) fn candidate(
        &self,
        name: &PackageName,
    ) -> Result<Option<Rc<Package>>, PackageError> {
        if let Some(pinned) = self.pins.get(name) {
            return Ok(Some(pinned.clone()));
        }
        Ok(self.versions(name.as_str())?.into_iter().next().map(Rc::new))
    }

    fn choices(&self, name: &PackageName) -> Result<Rc<Choices>, PackageError> {
        if let Some(known) = self.cache.borrow().get(name.as_str()) {
            return Ok(known.clone());
        }
        let mut providers = BTreeMap::new();
        for list in self.lists {
            for provider in list.providing(name.as_str())? {
                if provider.name == *name || providers.contains_key(&provider.name) {
                    continue;
                }
                // Only the version that counts counts, and it may provide the name no more.
                if let Some(candidate) = self.candidate(&provider.name)?
                    && candidate.provides.iter().any(|p| p.name == *name)
                {
                    providers.insert(provider.name, candidate);
                }
            }
        }
        let mut providers: Vec<Rc<Package>> = providers.into_values().collect();
        providers.sort_by_key(|package| package.priority);
        let choices = Rc::new(Choices { named: self.candidate(name)?, providers });
        self.cache.borrow_mut().insert(name.as_str().to_owned(), choices.clone());
        Ok(choices)
    }

    /// The packages that meet a relation, the preferred one first.
    pub(super) fn options(&self, relation: &Relation) -> Result<Vec<Rc<Package>>, PackageError> {
        let choices = self.choices(&relation.name)?;
        let all = choices.named.iter().chain(&choices.providers);
        Ok(all.filter(|package| package.satisfies(relation)).cloned().collect())
    }

    /// The packages that the request wants whatever their names.
    pub(super) fn base(&self, request: &Request) -> Result<Vec<Rc<Package>>, PackageError> {
        let mut names = BTreeSet::new();
        for list in self.lists {
            names.extend(list.base()?.into_iter().map(|package| package.name));
        }
        let mut found = Vec::new();
        for name in names {
            let Some(package) = self.candidate(&name)? else { continue };
            let essential = request.essential && package.essential;
            if essential || request.priorities.contains(&package.priority) {
                found.push(package);
            }
        }
        Ok(found)
    }

    fn pinned(&self, spec: &PackageSpec) -> Result<Rc<Package>, ResolveError> {
        let versions = self.versions(spec.name.as_str())?;
        if versions.is_empty() {
            return Err(self.unknown(&spec.name));
        }
        let available = versions.iter().map(|p| p.version.to_string()).collect();
        let found = versions.into_iter().find(|p| Some(&p.version) == spec.version.as_ref());
        found.map(Rc::new).ok_or_else(|| ResolveError::NoSuchVersion {
            name: spec.name.clone(),
            wanted: spec.version.as_ref().map(|v| v.to_string()).unwrap_or_default(),
            available,
        })
    }

    /// The package that is meant by a name that a user wrote.
    pub(super) fn asked_for(&self, name: &PackageName) -> Result<Rc<Package>, ResolveError> {
        let choices = self.choices(name)?;
        match (&choices.named, choices.providers.as_slice()) {
            (Some(package), _) => Ok(package.clone()),
            (None, [only]) => Ok(only.clone()),
            (None, []) => Err(self.unknown(name)),
            (None, several) => Err(ResolveError::Virtual {
                name: name.clone(),
                providers: several.iter().map(|p| p.name.clone()).collect(),
            }),
        }
    }

    fn unknown(&self, name: &PackageName) -> ResolveError {
        let limit = (name.as_str().len() / 3).clamp(1, 3);
        let names: BTreeSet<&str> = self.lists.iter().flat_map(PackageList::names).collect();
        let near = names.into_iter().filter(|n| n.len().abs_diff(name.as_str().len()) <= limit);
        let mut near: Vec<(usize, &str)> = near
            .map(|n| (strsim::damerau_levenshtein(n, name.as_str()), n))
            .filter(|(distance, _)| *distance <= limit)
            .collect();
        near.sort();
        let nearest = near.into_iter().take(3).map(|(_, n)| n.to_owned()).collect();
        ResolveError::Unknown { name: name.clone(), nearest }
    }
}
