//! The store, seen from outside a build.

use crate::open::{OpenError, helper};
use crate::runs::Runs;
use std::time::Duration;
use tierce_config::Settings;
use tierce_sandbox::Sandbox;
use tierce_store::{Keep, PruneError, PrunePolicy, PruneReport, Store, StoreInfo};

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
        let mut report = self.store.prune(policy, &|directory| match &sandbox {
            Some(sandbox) => sandbox.remove(directory),
            None => std::fs::remove_dir_all(directory),
        })?;
        let age = match policy.keep {
            Keep::Nothing => Some(Duration::ZERO),
            Keep::Recent { max_age, max_size: _ } => max_age,
        };
        if let Some(age) = age {
            // Records of runs are small: those that can't be read may stay.
            let gone = Runs::open(self.store.root()).prune(age, policy.effect).unwrap_or_default();
            if !gone.is_empty() {
                report.removed.insert("runs", gone.into_iter().map(|(_, usage)| usage).sum());
            }
        }
        Ok(report)
    }
}
