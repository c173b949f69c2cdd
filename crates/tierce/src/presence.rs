//! Whether a registry has an image that somebody named.

use crate::open::Tierce;
use std::sync::Arc;
use tierce_checkers::RegistryChecker;
use tierce_engine::{ImageChecker, Presence, Question, TagKind};
use tierce_oci::{Platform, Reference};

impl Tierce {
    /// Who knows whether registries have images, for builders of others that push.
    pub fn registries(&self) -> tierce_plugin::RegistryChecker {
        let client = self.native().context().registry.clone();
        Arc::new(move |login| Arc::new(RegistryChecker::with_login(client.clone(), login)))
    }

    /// Asks the registry whether it has what `reference` names, for all of `platforms`; what was
    /// seen a while ago does not count. For programs that have names of images and no
    /// [`Image`](tierce_spec::Image).
    pub async fn presence(&self, reference: &Reference, platforms: &[Platform]) -> Presence {
        let checker = RegistryChecker::new(self.native().context().registry.clone());
        checker.check(Question { reference, platforms, tag: TagKind::Chosen }).await
    }
}
