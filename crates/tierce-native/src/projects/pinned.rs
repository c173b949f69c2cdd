//! What a resolution has to go with: wheels that are in the store already.

use super::flat::FlatRequirements;
use crate::context::Context;
use crate::error::NativeError;
use crate::local_wheels::link;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_oci::Digest;
use tierce_sandbox::Mount;
use tierce_store::{ScratchDir, Store};
use tierce_wheel::{LockRequest, PackageName, StoredWheel};
use url::Url;

/// What a resolution has to go with.
#[derive(Clone, Debug, Default)]
pub struct Pinned {
    /// The wheels of projects: as constraints, so that nothing else comes in under their names,
    /// and no index is asked for them.
    pub wheels: Vec<PinnedWheel>,
    /// Requirements files with what they install of the host, instead of the host's own.
    pub requirements: Option<Arc<FlatRequirements>>,
}

/// An archive in the store, under its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinnedWheel {
    /// The package; for archives that are only offered, none.
    pub package: Option<PackageName>,
    /// The file name.
    pub filename: String,
    /// Its digest.
    pub digest: Digest,
}

impl PinnedWheel {
    /// The wheel of a package.
    pub fn of(wheel: &StoredWheel) -> Self {
        PinnedWheel {
            package: Some(wheel.package.clone()),
            filename: wheel.filename.to_string(),
            digest: wheel.digest,
        }
    }

    /// The wheel at a place, as a URL.
    pub fn url(&self, place: &dyn Fn(&PinnedWheel) -> PathBuf) -> String {
        Url::from_file_path(place(self)).map(|url| url.to_string()).unwrap_or_default()
    }
}

impl Pinned {
    /// These wheels.
    pub fn of(wheels: &[StoredWheel]) -> Self {
        Pinned { wheels: wheels.iter().map(PinnedWheel::of).collect(), requirements: None }
    }

    /// All that a resolution depends on: names and contents, not places.
    pub fn key_parts(&self) -> Vec<String> {
        self.archives().map(|wheel| format!("{} {}", wheel.filename, wheel.digest)).collect()
    }

    /// All archives.
    fn archives(&self) -> impl Iterator<Item = &PinnedWheel> {
        self.wheels.iter().chain(self.requirements.iter().flat_map(|flat| flat.archives()))
    }

    /// The constraints, as the text of a requirements file.
    fn constraints(&self, place: &dyn Fn(&PinnedWheel) -> PathBuf) -> String {
        let line = |wheel: &PinnedWheel| {
            Some(format!("{} @ {}\n", wheel.package.as_ref()?, wheel.url(place)))
        };
        self.wheels.iter().filter_map(line).collect()
    }

    /// Writes what says it into a directory that is `shown` as another one to whoever reads it,
    /// and puts that into `wanted`.
    fn write(
        &self,
        directory: &Path,
        shown: &Path,
        place: &dyn Fn(&PinnedWheel) -> PathBuf,
        wanted: &mut LockRequest,
    ) -> Result<(), NativeError> {
        if !self.wheels.is_empty() {
            let file = directory.join("constraints.txt");
            std::fs::write(&file, self.constraints(place)).map_err(NativeError::io(&file))?;
            wanted.constraint_files.push(shown.join("constraints.txt"));
        }
        let Some(flat) = &self.requirements else { return Ok(()) };
        for (name, text) in flat.texts(place, &shown.join("links")) {
            let file = directory.join(&name);
            std::fs::write(&file, text).map_err(NativeError::io(&file))?;
        }
        wanted.requirement_files = flat.roots().map(|name| shown.join(name)).collect();
        Ok(())
    }
}

/// Where archives of the store are, for this machine's resolver: under their names, and always at
/// the same place.
pub fn place_in(store: &Store) -> Result<impl Fn(&PinnedWheel) -> PathBuf + use<>, NativeError> {
    let directory = store.cache_dir("local-wheels")?;
    Ok(move |wheel: &PinnedWheel| directory.join(wheel.digest.hex()).join(&wheel.filename))
}

impl Context {
    /// Makes a request of this machine's resolver go with what is pinned. What is returned has to
    /// live as long as it.
    pub fn pin(
        &self,
        pinned: &Pinned,
        wanted: &mut LockRequest,
    ) -> Result<Option<ScratchDir>, NativeError> {
        if pinned.archives().next().is_none() && pinned.requirements.is_none() {
            return Ok(None);
        }
        let place = place_in(&self.store)?;
        for wheel in pinned.archives() {
            let (blob, place) = (self.store.blob_path(&wheel.digest), place(wheel));
            link(&blob, &place).map_err(NativeError::io(&place))?;
        }
        let scratch = self.store.scratch_dir("pins")?;
        pinned.write(scratch.path(), scratch.path(), &place, wanted)?;
        for wheel in pinned.requirements.iter().flat_map(|flat| flat.offered()) {
            let offered = scratch.path().join("links").join(&wheel.filename);
            link(&self.store.blob_path(&wheel.digest), &offered)
                .map_err(NativeError::io(&offered))?;
        }
        Ok(Some(scratch))
    }

    /// The same for a resolver inside an image: `directory` is seen there as `shown`.
    pub fn pin_inside(
        &self,
        pinned: &Pinned,
        directory: &Path,
        shown: &str,
        wanted: &mut LockRequest,
    ) -> Result<Vec<Mount>, NativeError> {
        let at = |wheel: &PinnedWheel| {
            format!("{shown}/pinned/{}/{}", wheel.digest.hex(), wheel.filename)
        };
        pinned.write(directory, Path::new(shown), &|wheel| PathBuf::from(at(wheel)), wanted)?;
        let mount = |wheel: &PinnedWheel, target: String| Mount::Bind {
            source: self.store.blob_path(&wheel.digest),
            target,
            read_only: true,
        };
        let offered = pinned.requirements.iter().flat_map(|flat| flat.offered());
        let offered =
            offered.map(|wheel| mount(&wheel, format!("{shown}/links/{}", wheel.filename)));
        let mut mounts: Vec<Mount> = offered.collect();
        let mut seen = std::collections::BTreeSet::new();
        for wheel in pinned.archives() {
            if seen.insert(wheel.digest) {
                mounts.push(mount(wheel, at(wheel)));
            }
        }
        Ok(mounts)
    }
}
