//! Credentials that are in memory alone.

use super::{Delivery, RegistryUser};
use async_trait::async_trait;
use std::sync::Arc;
use tierce_secret::{ProviderError, SecretProvider, SecretValue};
use tierce_spec::{Image, Secret, SecretId};

/// The credentials of the registry that an image is pushed to, as its registry secret: hidden in
/// all that is shown of the build.
pub(super) struct Login {
    secret: Secret,
    value: SecretValue,
}

impl Login {
    pub(super) fn of(delivery: &Delivery) -> Option<Self> {
        let Delivery::Push(Some(RegistryUser { user, password })) = delivery else { return None };
        let value = [user.as_bytes(), b":", password.expose()].concat();
        Some(Login { secret: Secret::new("registry-login"), value: SecretValue::new(value) })
    }

    pub(super) fn image(&self, image: Image) -> Image {
        image.with_registry_secret(self.secret.clone())
    }

    pub(super) fn provider(self) -> Arc<dyn SecretProvider> {
        Arc::new(self)
    }
}

#[async_trait]
impl SecretProvider for Login {
    fn places(&self, _: &SecretId) -> Vec<String> {
        vec![]
    }

    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError> {
        Ok((*id == self.secret.id()).then(|| self.value.clone()))
    }
}
