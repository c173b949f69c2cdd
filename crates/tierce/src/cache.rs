//! The store, seen from outside a build.

use crate::open::{OpenError, helper};
use tierce_config::Settings;
use tierce_sandbox::Sandbox;
use tierce_store::{PruneError, PrunePolicy, PruneReport, Store, StoreInfo};

/// The store, seen from outside a build.
pub struct Cache {
    store: Store,
    helper: tierce_sandbox::Helper,
}

impl Cache {
    /// Opens the store.
    pub fn open(settings: &Settings) -> Result<Self, OpenError> {
        Ok(Cache { store: Store::open(&settings.store)?, helper: helper()? })
    }

    /// What it holds.
    pub fn info(&self) -> StoreInfo {
        self.store.info()
    }

    /// Removes what `policy` does not keep. Files that belong to other ids are removed by the
    /// sandbox.
    pub fn prune(&self, policy: &PrunePolicy) -> Result<PruneReport, PruneError> {
        let sandbox = Sandbox::new(self.helper.clone(), &self.store.root().join("tmp")).ok();
        self.store.prune(policy, &|directory| match &sandbox {
            Some(sandbox) => sandbox.remove(directory),
            None => std::fs::remove_dir_all(directory),
        })
    }
}
