//! What a build takes pinned things from, and writes what it finds into.

use crate::model::{
    LockedApt, LockedBase, LockedConda, LockedImage, LockedInterpreter, LockedPlatform,
    LockedPython, LockedSource, Place,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tierce_oci::{Digest, Platform};

/// What is looked for anew when a lock is made where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Everything.
    All,
    /// These packages; all else stays as far as it fits. Names as users write them.
    Packages(Vec<String>),
}

enum Mode {
    Recording,
    Updating { before: LockedImage, update: Update },
    Locked(LockedImage),
}

/// What a build of one image reads from and records to. Shared by all parts of the build.
///
/// Each kind of thing has a method that gives what is pinned, and one that records what was
/// found. Where a build is locked, what is not pinned is an error ([`Ledger::is_locked`]); where
/// a lock is made, what is given is what an earlier lock had and need not be looked up again.
pub struct Ledger {
    mode: Mode,
    made: Mutex<BTreeMap<Platform, LockedPlatform>>,
    used: Mutex<BTreeSet<String>>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("is_locked", &self.is_locked()).finish_non_exhaustive()
    }
}

impl Ledger {
    fn new(mode: Mode) -> Self {
        Ledger { mode, made: Mutex::default(), used: Mutex::default() }
    }

    /// Looks everything up, and records it.
    pub fn recording() -> Self {
        Ledger::new(Mode::Recording)
    }

    /// Uses what is locked and nothing else.
    pub fn locked(image: LockedImage) -> Self {
        Ledger::new(Mode::Locked(image))
    }

    /// Records, and keeps what `before` has as far as `update` leaves it alone.
    pub fn updating(before: LockedImage, update: Update) -> Self {
        match update {
            Update::All => Ledger::recording(),
            update => Ledger::new(Mode::Updating { before, update }),
        }
    }

    /// Whether nothing but what is locked may be used.
    pub fn is_locked(&self) -> bool {
        matches!(self.mode, Mode::Locked(_))
    }

    /// What is known before anything is looked up.
    fn known(&self, platform: &Platform) -> Option<&LockedPlatform> {
        match &self.mode {
            Mode::Recording => None,
            Mode::Locked(image) | Mode::Updating { before: image, .. } => image.platform(platform),
        }
    }

    /// Which packages are to be looked up anew.
    fn updated(&self) -> &[String] {
        match &self.mode {
            Mode::Updating { update: Update::Packages(names), .. } => names,
            _ => &[],
        }
    }

    /// Whether one of these is to be looked up anew. It is remembered that they are there.
    fn is_updated<'a>(&self, names: impl Iterator<Item = &'a str>) -> bool {
        let mut found = false;
        for name in names {
            for wanted in self.updated().iter().filter(|wanted| same_name(wanted, name)) {
                lock(&self.used).insert(wanted.clone());
                found = true;
            }
        }
        found
    }

    /// Those of [`Update::Packages`] that nothing had.
    pub fn not_found(&self) -> Vec<String> {
        let used = lock(&self.used);
        self.updated().iter().filter(|name| !used.contains(*name)).cloned().collect()
    }

    /// What the image starts from. Where it is Debian and one of its packages is to be looked up
    /// anew, all are: those of one release are made for each other.
    pub fn base(&self, platform: &Platform) -> Option<LockedBase> {
        let base = self.known(platform)?.base.clone()?;
        let is_updated = match &base {
            LockedBase::Registry { reference, .. } => {
                let (name, _) = reference.split_once('@').unwrap_or((reference, ""));
                let untagged = name.rsplit_once(':').map_or(name, |(name, _)| name);
                let last = untagged.rsplit('/').next().unwrap_or(untagged);
                self.is_updated([reference.as_str(), name, untagged, last].into_iter())
            }
            LockedBase::Debian { suite, packages, .. } => {
                let names = packages.iter().map(|p| p.name.as_str());
                self.is_updated(names.chain([suite.as_str(), "debian"]))
            }
        };
        (!is_updated).then_some(base)
    }

    /// Records what the image starts from.
    pub fn record_base(&self, platform: &Platform, base: LockedBase) {
        self.made(platform, |made| made.base = Some(base));
    }

    /// The image's Python.
    pub fn interpreter(&self, platform: &Platform) -> Option<LockedInterpreter> {
        let interpreter = self.known(platform)?.interpreter.clone()?;
        (!self.is_updated(["python"].into_iter())).then_some(interpreter)
    }

    /// Records the image's Python.
    pub fn record_interpreter(&self, platform: &Platform, interpreter: LockedInterpreter) {
        self.made(platform, |made| made.interpreter = Some(interpreter));
    }

    /// The Python packages, where a build is locked.
    pub fn python(&self, platform: &Platform) -> Option<LockedPython> {
        match self.is_locked() {
            true => self.known(platform)?.python.clone(),
            false => None,
        }
    }

    /// The Python packages of an earlier lock that are to stay as they are if they fit what is
    /// asked for, and the names of all that it had.
    pub fn python_preferences(&self, platform: &Platform) -> Option<LockedPython> {
        let Mode::Updating { .. } = &self.mode else { return None };
        let mut python = self.known(platform)?.python.clone()?;
        python.packages.retain(|package| !self.is_updated([package.name.as_str()].into_iter()));
        Some(python)
    }

    /// Records the Python packages.
    pub fn record_python(&self, platform: &Platform, python: LockedPython) {
        // An update may name what is new.
        self.is_updated(python.packages.iter().map(|p| p.name.as_str()));
        self.made(platform, |made| made.python = Some(python));
    }

    /// A conda environment. Where one of its packages is to be looked up anew, a solver is asked,
    /// which may prefer what [`Ledger::conda_preferences`] gives.
    pub fn conda(&self, platform: &Platform, prefix: &str) -> Option<LockedConda> {
        let conda = self.known(platform)?.conda.iter().find(|c| c.prefix == prefix)?;
        let is_updated = self.is_updated(conda.packages.iter().map(|p| p.name.as_str()));
        let holds = self.is_locked();
        (holds && !is_updated).then(|| conda.clone())
    }

    /// The conda packages of an earlier lock that are to stay as they are if they fit.
    pub fn conda_preferences(&self, platform: &Platform, prefix: &str) -> Option<LockedConda> {
        let Mode::Updating { .. } = &self.mode else { return None };
        let mut conda = self.known(platform)?.conda.iter().find(|c| c.prefix == prefix)?.clone();
        conda.packages.retain(|package| !self.is_updated([package.name.as_str()].into_iter()));
        Some(conda)
    }

    /// Records a conda environment, in place of one at the same prefix.
    pub fn record_conda(&self, platform: &Platform, conda: LockedConda) {
        self.is_updated(conda.packages.iter().map(|p| p.name.as_str()));
        self.made(platform, |made| {
            made.conda.retain(|other| other.prefix != conda.prefix);
            made.conda.push(conda);
            made.conda.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        });
    }

    /// What the apt step that `step` others come before installs, if it asks for `packages`.
    /// Where one of its packages is to be looked up anew, all of the step are.
    pub fn apt(&self, platform: &Platform, step: usize, packages: &[String]) -> Option<LockedApt> {
        let known = self.known(platform)?;
        let apt = known.apt.get(step)?;
        if !self.is_locked() && !self.is_as_before(known, platform, step) {
            return None;
        }
        let is_updated = self.is_updated(apt.debs.iter().map(|d| d.name.as_str()));
        (apt.packages == packages && !is_updated).then(|| apt.clone())
    }

    /// Whether what the apt step `step` is on top of is what it was.
    fn is_as_before(&self, known: &LockedPlatform, platform: &Platform, step: usize) -> bool {
        let made = lock(&self.made);
        match made.get(platform) {
            Some(made) => made.base == known.base && made.apt.get(..step) == known.apt.get(..step),
            None => known.base.is_none() && step == 0,
        }
    }

    /// Records what an apt step installs.
    pub fn record_apt(&self, platform: &Platform, step: usize, apt: LockedApt) {
        self.is_updated(apt.debs.iter().map(|d| d.name.as_str()));
        self.made(platform, |made| match made.apt.get_mut(step) {
            Some(there) => *there = apt,
            None => made.apt.push(apt),
        });
    }

    /// Fills in sizes that nobody told.
    pub fn fill_sizes(&self, platform: &Platform, size: &dyn Fn(&Digest) -> Option<u64>) {
        self.made(platform, |made| {
            for package in made.python.iter_mut().flat_map(|python| &mut python.packages) {
                if let LockedSource::Wheel { file, .. } | LockedSource::Sdist { file, .. } =
                    &mut package.source
                    && file.size.is_none()
                    && matches!(file.place, Place::Url(_))
                {
                    file.size = size(&file.sha256);
                }
            }
        });
    }

    fn made(&self, platform: &Platform, change: impl FnOnce(&mut LockedPlatform)) {
        if self.is_locked() {
            return;
        }
        let mut made = lock(&self.made);
        let entry = made.entry(platform.clone());
        change(entry.or_insert_with(|| LockedPlatform::new(platform.clone())));
    }

    /// What was recorded, for these platforms.
    pub fn finish(&self, name: &str, declared: Vec<String>, platforms: &[Platform]) -> LockedImage {
        let made = lock(&self.made);
        let all = platforms.iter().map(|platform| {
            made.get(platform).cloned().unwrap_or_else(|| LockedPlatform::new(platform.clone()))
        });
        let mut platforms: Vec<LockedPlatform> = all.collect();
        platforms.sort_by(|a, b| a.platform.cmp(&b.platform));
        LockedImage { name: name.to_owned(), declared, platforms }
    }
}

/// Names of packages are compared as indexes compare them (PEP 503), for all kinds alike.
fn same_name(a: &str, b: &str) -> bool {
    let normal = |name: &str| name.to_lowercase().replace(['_', '.'], "-");
    a == b || normal(a) == normal(b)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
