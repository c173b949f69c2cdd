//! Projects in an image's Python environment: what they lock is exact; what else is asked for is
//! resolved to go with it; what of the host is installed is built to wheels first.

mod addresses;
mod beside;
mod checkout;
mod error;
mod flat;
mod git;
mod locks;
mod pinned;
mod selection;
mod sources;

pub use addresses::{addresses, named_indexes};
pub use error::ProjectError;
pub use pinned::Pinned;
pub use sources::{FOLDER, Folder, Names, source_key, with_versions};

use crate::error::NativeError;
use crate::layer::Layer;
use crate::pip::{PipRequest, Resolution};
use crate::planner::Planner;
use flat::FlatRequirements;
use locks::{ProjectPackages, is_unsatisfiable};
use std::collections::BTreeMap;
use std::sync::Arc;
use tierce_oci::Digest;
use tierce_wheel::{FetchSettings, Lock, LockedPackage, Source, StoredWheel, Target};

/// What comes before an environment is resolved.
pub enum Prepared {
    /// The plan has to end: something would have to be built first.
    Ended,
    /// There is nothing to resolve beside what projects lock.
    Locked(Lock),
    /// All else has to be resolved, to go with this.
    Open(Box<Before>),
}

/// What was there before the rest was resolved.
#[derive(Default)]
pub struct Before {
    projects: ProjectPackages,
    /// What the host's packages, which were built or brought into the store, really are.
    local: BTreeMap<Digest, Source>,
}

impl Before {
    /// What all comes to: the projects' packages as they lock them, and what was missing.
    pub fn whole(&self, resolved: &Lock) -> Lock {
        let mut packages = self.projects.packages();
        for package in resolved.packages() {
            match packages.iter_mut().find(|known| known.name == package.name) {
                Some(known) => known.requested |= package.requested,
                None => packages.push(self.known_as(package)),
            }
        }
        Lock::of(resolved.target(), packages)
    }

    /// A package that was resolved to a wheel of the host's, as what it is made of.
    fn known_as(&self, package: &LockedPackage) -> LockedPackage {
        let local = match &package.source {
            Source::Wheel { file, .. } => self.local.get(&file.digest),
            _ => None,
        };
        match local {
            Some(source) => LockedPackage { source: source.clone(), ..package.clone() },
            None => package.clone(),
        }
    }

    /// The resolver's failure, with what is locked of what it names.
    pub fn explain(&self, error: NativeError) -> NativeError {
        if self.projects.0.is_empty() || !is_unsatisfiable(&error) {
            return error;
        }
        let explanation = error.to_string();
        let words: Vec<&str> = explanation
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
            .collect();
        let named = self.projects.0.values().filter(|(p, _)| words.contains(&p.name.as_str()));
        let pins = named.map(|(package, project)| {
            let version = package.version.as_ref().map(ToString::to_string);
            let version = version.unwrap_or_else(|| "of the host".to_owned());
            format!("{} {version} is locked by {}", package.name, project.display())
        });
        let pins = pins.collect();
        ProjectError::Conflict { explanation, pins }.into()
    }
}

impl Planner<'_> {
    /// Reads what projects lock, and builds what must be there before the rest can be resolved.
    pub(crate) async fn prepare(
        &mut self,
        request: &mut PipRequest<'_>,
        below: &mut Option<Vec<Layer>>,
    ) -> Result<Prepared, NativeError> {
        let environment = request.environment;
        let flat = FlatRequirements::read(environment, self.gathered)?;
        if (environment.projects.is_empty() && flat.is_none())
            || self.context.locking.locked().is_some()
        {
            return Ok(Prepared::Open(Box::default()));
        }
        let python = request.interpreter;
        let target = Target::new(python.version, request.platform, python.libc)?;
        let (context, events) = (self.context, self.events);
        let mut projects = context.project_packages(request, &target, events).await?;
        projects.beside_conda(request)?;
        let alone = environment.packages.is_empty()
            && environment.requirements.is_empty()
            && environment.wheels.is_empty();
        if alone {
            return Ok(Prepared::Locked(Lock::of(&target, projects.packages())));
        }
        let mut settings = FetchSettings::new(&request.gathered.root);
        settings.credentials = request.credentials.clone();
        let lock = Lock::of(&target, projects.packages());
        let locals = flat.as_ref().map(|flat| flat.to_build(&target)).transpose()?;
        let to_build = [Some(&lock), locals.as_ref()].into_iter().flatten();
        let names: Vec<String> =
            to_build.flat_map(Lock::to_build).map(|package| package.name.to_string()).collect();
        if !names.is_empty() && self.mode.is_show() {
            let names = names.join(", ");
            self.open_end = Some(format!(
                "{names} will be built from source first; what follows depends on the result"
            ));
            return Ok(Prepared::Ended);
        }
        if !names.is_empty() && below.is_none() {
            *below = Some(self.make_below().await?);
        }
        let layers = below.as_deref().unwrap_or_default();
        let mut wheels = context.fetch(&lock, &settings, events).await?;
        let built =
            context.build_sources((&lock, Names::Locked), &settings, request, layers, events);
        let built = built.await?;
        wheels.extend(built);
        let mut pinned = Pinned::of(&wheels);
        let mut local = BTreeMap::new();
        if let (Some(flat), Some(locals)) = (flat, locals) {
            let locals = (&locals, Names::Guessed);
            let built = context.build_sources(locals, &settings, request, layers, events).await?;
            let made = built
                .iter()
                .zip(locals.0.to_build())
                .map(|(wheel, package)| (wheel.clone(), package.source.clone()));
            let made: Vec<(StoredWheel, Source)> = made.collect();
            local.extend(made.iter().map(|(wheel, source)| (wheel.digest, source.clone())));
            local.extend(context.import_archives(&flat, &settings)?);
            pinned.requirements = Some(Arc::new(flat.with_wheels(&made)));
        }
        request.pinned = pinned;
        Ok(Prepared::Open(Box::new(Before { projects, local })))
    }
}

impl Planner<'_> {
    /// What an environment resolves to: what its projects lock, and the rest to go with it. The
    /// layers below are made where something has to be built on them first. `None` where the plan
    /// has to end.
    pub(crate) async fn resolve(
        &mut self,
        request: &mut PipRequest<'_>,
        below: &mut Option<Vec<Layer>>,
    ) -> Result<Option<Lock>, NativeError> {
        let before = match self.prepare(request, below).await? {
            Prepared::Ended => return Ok(None),
            Prepared::Locked(lock) => return Ok(Some(lock)),
            Prepared::Open(before) => before,
        };
        let resolution = self.context.python_lock(request, self.events).await;
        let lock = match resolution.map_err(|error| before.explain(error))? {
            Resolution::Lock(lock) => lock,
            Resolution::Inside(_) if self.mode.is_show() => {
                self.open_end = Some(
                    "packages must be built to know what they require; what follows depends on it"
                        .to_owned(),
                );
                return Ok(None);
            }
            Resolution::Inside(inside) => {
                if below.is_none() {
                    *below = Some(self.make_below().await?);
                }
                let layers = below.as_deref().unwrap_or_default();
                let lock = self.context.lock_inside(&inside, request, layers, self.events).await;
                lock.map_err(|error| before.explain(error))?
            }
        };
        Ok(Some(before.whole(&lock)))
    }
}
