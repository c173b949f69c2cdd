//! An archive opened: its releases verified, its indices at hand.

mod error;
mod pocket;

use crate::index::PackageList;
use crate::package::Package;
use crate::release::Release;
use crate::resolve::{Request, ResolveError, resolve};
use crate::root::AptSource;
use crate::settings::ArchiveSettings;
use futures::future::try_join_all;
use pocket::{Opening, open_pocket};
use std::time::SystemTime;
use tierce_fetch::Fetcher;
use tierce_store::Store;

pub use error::OpenError;

/// An archive's suite: what there is to install from.
#[derive(Clone)]
pub struct Archive {
    settings: ArchiveSettings,
    releases: Vec<Release>,
    lists: Vec<PackageList>,
}

impl Archive {
    /// Opens the suite that the settings name: fetches and verifies its release files, and the
    /// package indices that the store does not have yet. `now` is the time at which signatures
    /// and release files must be valid.
    pub async fn open(
        settings: &ArchiveSettings,
        fetcher: &Fetcher,
        store: &Store,
        now: SystemTime,
    ) -> Result<Self, OpenError> {
        let pockets = settings
            .pockets
            .iter()
            .map(|pocket| open_pocket(Opening { settings, fetcher, store, now }, *pocket));
        let mut archive =
            Archive { settings: settings.clone(), releases: Vec::new(), lists: Vec::new() };
        for (release, lists) in try_join_all(pockets).await? {
            archive.releases.push(release);
            archive.lists.extend(lists);
        }
        Ok(archive)
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &ArchiveSettings {
        &self.settings
    }

    /// The release files, one for each pocket in use.
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The package indices.
    pub fn lists(&self) -> &[PackageList] {
        &self.lists
    }

    /// The packages that meet a request; see [`resolve()`].
    pub fn resolve(&self, request: &Request) -> Result<Vec<Package>, ResolveError> {
        resolve(&self.lists, request)
    }
}

impl ArchiveSettings {
    /// This archive as the sources of an image's own apt. Credentials in the URLs stay out.
    pub fn apt_sources(&self) -> Vec<AptSource> {
        let mut sources: Vec<AptSource> = Vec::new();
        for pocket in &self.pockets {
            let (mirror, suite) = self.pocket(*pocket);
            let mut uri = mirror.clone();
            // Both only fail for URLs that cannot have either.
            let _ = uri.set_username("");
            let _ = uri.set_password(None);
            match sources.iter_mut().find(|source| source.uri == uri) {
                Some(source) => source.suites.push(suite),
                None => sources.push(AptSource {
                    uri,
                    suites: vec![suite],
                    components: self.components.clone(),
                }),
            }
        }
        sources
    }
}
