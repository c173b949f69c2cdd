//! From a few names to all packages that a system with them needs.

mod error;
mod universe;

use crate::index::PackageList;
use crate::package::{Package, PackageName, PackageSpec, Priority};
use crate::relation::{Alternatives, Relation};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use universe::Universe;

pub use error::ResolveError;

/// What a system is to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Packages by name.
    pub names: Vec<PackageSpec>,
    /// Whether all essential packages are in it, as any working system has them.
    pub essential: bool,
    /// All packages of these priorities are in it.
    pub priorities: BTreeSet<Priority>,
    /// Packages that must not be in it.
    pub exclude: BTreeSet<PackageName>,
    /// Packages to prefer where alternatives are open.
    pub prefer: BTreeSet<PackageName>,
}

impl Request {
    /// What `debootstrap --variant=minbase` installs, which is what Debian's container images
    /// are made of: the essential and required packages, and apt.
    pub fn base() -> Self {
        Request {
            names: vec![known("apt")],
            essential: true,
            priorities: BTreeSet::from([Priority::Required]),
            exclude: BTreeSet::new(),
            // Root layers have the merged /usr already: there is nothing to convert.
            prefer: BTreeSet::from([known("usr-is-merged").name]),
        }
    }

    /// Adds Debian's Python with its whole standard library, and what the library needs beyond
    /// Python's own packages: certificates for TLS (`ca-certificates`) and time zones for
    /// `zoneinfo` (`tzdata`).
    pub fn with_python(self) -> Self {
        self.with_names(["python3", "ca-certificates", "tzdata"].map(known))
    }

    /// Adds packages.
    pub fn with_names(mut self, names: impl IntoIterator<Item = PackageSpec>) -> Self {
        self.names.extend(names);
        self
    }
}

fn known(name: &str) -> PackageSpec {
    name.parse().expect("a valid package name")
}

/// The packages that meet the request, each after those it depends on as far as cycles allow,
/// otherwise by name. The result depends on the lists and the request alone, not on the order of
/// either's parts.
///
/// A package's highest version counts, as with apt's default priorities. Where alternatives are
/// open, what is needed anyway is preferred, then the alternative named first, then the most
/// needed provider.
pub fn resolve(lists: &[PackageList], request: &Request) -> Result<Vec<Package>, ResolveError> {
    let mut resolver = Resolver {
        universe: Universe::new(lists),
        exclude: &request.exclude,
        prefer: &request.prefer,
        selected: BTreeMap::new(),
        open: BTreeSet::new(),
    };
    for spec in request.names.iter().filter(|spec| spec.version.is_some()) {
        resolver.universe.pin(spec)?;
    }
    for package in resolver.universe.base(request)? {
        if !request.exclude.contains(&package.name) {
            resolver.select(&package);
        }
    }
    let wanted: BTreeSet<&PackageName> = request.names.iter().map(|spec| &spec.name).collect();
    for name in wanted {
        if request.exclude.contains(name) {
            return Err(ResolveError::Excluded { name: name.clone() });
        }
        let package = resolver.universe.asked_for(name)?;
        resolver.select(&package);
    }
    resolver.close()?;
    resolver.check()?;
    Ok(resolver.in_order())
}

/// A demand of a selected package: its name and the demand's place among its demands.
type Demand = (PackageName, usize);

struct Resolver<'a> {
    universe: Universe<'a>,
    exclude: &'a BTreeSet<PackageName>,
    prefer: &'a BTreeSet<PackageName>,
    selected: BTreeMap<PackageName, Rc<Package>>,
    open: BTreeSet<Demand>,
}

fn demands(package: &Package) -> impl Iterator<Item = &Alternatives> {
    package.pre_depends.iter().chain(&package.depends)
}

impl Resolver<'_> {
    fn select(&mut self, package: &Rc<Package>) {
        if self.selected.insert(package.name.clone(), package.clone()).is_none() {
            let count = demands(package).count();
            self.open.extend((0..count).map(|n| (package.name.clone(), n)));
        }
    }

    /// Selects until every demand is met. What has only one solution is decided before what is
    /// open, so that the outcome does not depend on the order in which packages are met.
    fn close(&mut self) -> Result<(), ResolveError> {
        while !self.open.is_empty() {
            let mut forced = false;
            let mut preferred = None;
            for demand in std::mem::take(&mut self.open) {
                let alternatives = self.alternatives(&demand);
                if self.is_met(&alternatives) {
                    continue;
                }
                let options = self.options(&demand.0, &alternatives)?;
                if let [only] = options.as_slice() {
                    forced = true;
                    self.select(only);
                } else {
                    preferred = preferred.or_else(|| options.into_iter().next());
                    self.open.insert(demand);
                }
            }
            if let (false, Some(choice)) = (forced, preferred) {
                self.select(&choice);
            }
        }
        Ok(())
    }

    fn alternatives(&self, (name, n): &Demand) -> Alternatives {
        let found = self.selected.get(name).and_then(|package| demands(package).nth(*n));
        found.cloned().unwrap_or_else(|| Alternatives(Vec::new()))
    }

    fn is_met(&self, alternatives: &Alternatives) -> bool {
        alternatives.0.iter().any(|r| self.selected.values().any(|p| p.satisfies(r)))
    }

    /// The packages that would meet the demand of `package`, the preferred one first; at least
    /// one.
    fn options(
        &self,
        package: &PackageName,
        alternatives: &Alternatives,
    ) -> Result<Vec<Rc<Package>>, ResolveError> {
        let mut options: Vec<Rc<Package>> = Vec::new();
        let mut reason = None;
        for relation in &alternatives.0 {
            for option in self.universe.options(relation)? {
                if self.exclude.contains(&option.name) {
                    reason.get_or_insert(format!("{} is excluded", option.name));
                } else if let Some(other) = self.clashing(&option) {
                    reason.get_or_insert(format!("{} does not go with {other}", option.name));
                } else if options.iter().all(|known| known.name != option.name) {
                    options.push(option);
                }
            }
        }
        if !options.is_empty() {
            options.sort_by_key(|option| !self.prefer.contains(&option.name));
            return Ok(options);
        }
        let reason = match reason {
            Some(reason) => reason,
            None => self.why_missing(alternatives)?,
        };
        let relation = alternatives.to_string();
        Err(ResolveError::Unsatisfiable { package: package.clone(), relation, reason })
    }

    fn why_missing(&self, alternatives: &Alternatives) -> Result<String, ResolveError> {
        for relation in &alternatives.0 {
            if let Some(candidate) = self.universe.candidate(&relation.name)? {
                return Ok(format!("the archive has {} {}", candidate.name, candidate.version));
            }
        }
        Ok("the archive does not have it".to_owned())
    }

    fn clashing(&self, option: &Package) -> Option<&PackageName> {
        let clash = self
            .selected
            .values()
            .find(|other| clash(option, other).is_some() || clash(other, option).is_some());
        clash.map(|package| &package.name)
    }

    fn check(&self) -> Result<(), ResolveError> {
        for package in self.selected.values() {
            for other in self.selected.values() {
                if let Some((verb, relation)) = clash(package, other) {
                    return Err(ResolveError::Conflict {
                        package: package.name.clone(),
                        verb,
                        relation: relation.to_string(),
                        other: other.name.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn in_order(&self) -> Vec<Package> {
        let mut order = Vec::with_capacity(self.selected.len());
        let mut seen = BTreeSet::new();
        for start in self.selected.values() {
            // Depth first without recursion: a package leaves the stack after its needs.
            let mut stack = vec![(start, false)];
            while let Some((package, needs_done)) = stack.pop() {
                if needs_done {
                    order.push(Package::clone(package));
                } else if seen.insert(&package.name) {
                    stack.push((package, true));
                    let needs = self.needs(package);
                    stack.extend(needs.into_iter().rev().map(|need| (need, false)));
                }
            }
        }
        order
    }

    /// The selected packages that meet the demands of one: first those it must be unpacked
    /// after, then the others, each by name.
    fn needs(&self, package: &Package) -> Vec<&Rc<Package>> {
        let mut needs = Vec::new();
        for group in [&package.pre_depends, &package.depends] {
            let relations: Vec<&Relation> = group.iter().flat_map(|a| &a.0).collect();
            needs.extend(self.selected.values().filter(|other| {
                other.name != package.name && relations.iter().any(|r| other.satisfies(r))
            }));
        }
        needs
    }
}

/// What `package` says against `other`.
fn clash<'a>(package: &'a Package, other: &Package) -> Option<(&'static str, &'a Relation)> {
    // A package may conflict with a name that it provides itself (policy 7.4).
    if package.name == other.name {
        return None;
    }
    let against = |relations: &'a [Relation]| relations.iter().find(|r| other.satisfies(r));
    let conflict = against(&package.conflicts).map(|r| ("conflicts with", r));
    conflict.or_else(|| against(&package.breaks).map(|r| ("breaks", r)))
}
