//! Images that are built from a lock, and locks that are made of images.

mod declared;
mod error;
mod make;
mod manifest;

pub use declared::declared;
pub use error::LockError;
pub use make::{LockRequest, Locked};

use crate::error::BuildError;
use crate::gather::{GatherCache, Gathered, GatheredBase, gather};
use crate::job::unmodified;
use crate::options::BuildOptions;
use crate::select::Selected;
use std::sync::Arc;
use tierce_lock::{Change, ChangeKind, Ledger, LockFile, StaleLock, declaration_changes};
use tierce_spec::Image;

/// Whether what an image is built from is locked.
#[derive(Clone, Debug, Default)]
pub enum Locking {
    /// Names are looked up.
    #[default]
    Off,
    /// What names stand for is recorded.
    Record(Arc<Ledger>),
    /// Nothing but what is recorded is used.
    Locked(Arc<Ledger>),
}

impl Locking {
    /// What to read from and to record to.
    pub fn ledger(&self) -> Option<&Arc<Ledger>> {
        match self {
            Locking::Off => None,
            Locking::Record(ledger) | Locking::Locked(ledger) => Some(ledger),
        }
    }

    /// What nothing else may be used than.
    pub fn locked(&self) -> Option<&Arc<Ledger>> {
        match self {
            Locking::Locked(ledger) => Some(ledger),
            Locking::Off | Locking::Record(_) => None,
        }
    }

    /// What is recorded to.
    pub fn record(&self) -> Option<&Arc<Ledger>> {
        match self {
            Locking::Record(ledger) => Some(ledger),
            Locking::Off | Locking::Locked(_) => None,
        }
    }
}

/// A lock that an image is built from.
#[derive(Clone, Debug)]
pub struct LockUse {
    /// The lock.
    pub file: Arc<LockFile>,
    /// Which of its images.
    pub image: String,
}

/// Reads the inputs of `image`, and pins it to the lock of the options, if they have one.
pub(crate) fn gather_locked(
    image: &Image,
    options: &BuildOptions,
    cache: &GatherCache,
) -> Result<Gathered, BuildError> {
    let mut gathered = gather(image, &options.root, cache)?;
    if let Some(lock) = &options.lock {
        apply(&mut gathered, lock)?;
    }
    Ok(gathered)
}

/// Pins an image, and those below it, to a lock.
fn apply(gathered: &mut Gathered, lock: &LockUse) -> Result<(), LockError> {
    let Some(image) = lock.file.image(&lock.image) else {
        let names = lock.file.images.iter().map(|image| image.name.clone()).collect();
        return Err(LockError::NoImage { image: lock.image.clone(), names });
    };
    let declared = declared(gathered)?;
    let mut changes = declaration_changes(&image.declared, &declared);
    let platforms = gathered.resolved.platforms().to_vec();
    let missing = platforms.iter().filter(|platform| image.platform(platform).is_none());
    changes.extend(missing.map(|platform| Change {
        place: String::new(),
        kind: ChangeKind::Added,
        what: format!("platform {platform}"),
    }));
    if !changes.is_empty() {
        return Err(StaleLock { changes }.into());
    }
    // One that is in a registry as it is, is locked with what is built on it.
    if let Some(GatheredBase::Image(below)) = &mut gathered.base
        && unmodified(below.resolved.image()).is_none()
    {
        let image = below_of(&lock.image);
        apply(below, &LockUse { file: lock.file.clone(), image })?;
    }
    gathered.locking = Locking::Locked(Arc::new(Ledger::locked(image.clone())));
    gathered.resolved = gathered.resolved.clone().with_lock(image.digest(&platforms));
    if let Some(GatheredBase::Image(below)) = &gathered.base
        && let Some(base) = below.resolved.lock()
    {
        // What is below is a part of what the image holds.
        let own = image.digest(&platforms);
        let both = tierce_oci::Digest::of([*own.as_bytes(), *base.as_bytes()].concat());
        gathered.resolved = gathered.resolved.clone().with_lock(both);
    }
    Ok(())
}

/// How a lock calls the image below the one that it calls `name`.
fn below_of(name: &str) -> String {
    format!("{name}/base")
}

/// Fails where a builder is to build from a lock, and can't.
pub(crate) fn check_locks(builder: &Selected, gathered: &Gathered) -> Result<(), LockError> {
    match gathered.locking {
        Locking::Off => Ok(()),
        _ if builder.builder.locks() => Ok(()),
        _ => Err(LockError::Builder { builder: builder.name.clone() }),
    }
}
