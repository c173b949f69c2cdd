//! The checker that asks the registry itself.

use async_trait::async_trait;
use std::sync::Arc;
use tierce_engine::{ImageChecker, Presence, Question, RegistryLogin, TagKind};
use tierce_oci::{Index, Manifest, Platform, Reference};
use tierce_registry::{Client, InlineCredentials, RegistryError};

/// Asks the registry for the manifest: one request for an image whose tag is made of its own key,
/// and for one that is not there.
///
/// What any other tag points to is looked at: an index must have every platform asked for, and a
/// single manifest's own configuration must be for the one platform asked for.
#[derive(Clone, Debug)]
pub struct RegistryChecker {
    client: Client,
    /// The image's own credentials could not be read.
    unusable: Option<Arc<RegistryError>>,
}

impl RegistryChecker {
    /// Asks as `client` does.
    pub fn new(client: Client) -> Self {
        RegistryChecker { client, unusable: None }
    }

    /// Asks with the credentials that the image brings, where it does. If they can't be read,
    /// every answer is [`Presence::Unknown`], for that reason.
    pub fn with_login(client: Client, login: Option<&RegistryLogin>) -> Self {
        match client_for(&client, login) {
            Ok(client) => RegistryChecker { client, unusable: None },
            Err(error) => RegistryChecker { client, unusable: Some(error) },
        }
    }

    /// Whether what the tag points to is there for all platforms.
    async fn covers(
        &self,
        reference: &Reference,
        platforms: &[Platform],
    ) -> Result<bool, RegistryError> {
        let (root, bytes) = self.client.manifest(reference).await?;
        if root.media_type.is_index() {
            let index = Index::parse(&bytes, &root.media_type).ok();
            return Ok(index.is_some_and(|i| platforms.iter().all(|p| i.select(p).is_some())));
        }
        let [platform] = platforms else { return Ok(false) };
        if Manifest::parse(&bytes, &root.media_type).is_err() {
            return Ok(false);
        }
        match self.client.resolve(&reference.with_digest(root.digest), platform).await {
            Ok(_) => Ok(true),
            // It is there, and it is something else: not what was asked for.
            Err(
                RegistryError::NoPlatform { .. }
                | RegistryError::Image { .. }
                | RegistryError::NotFound { .. },
            ) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The client that has the image's own credentials for its registry, besides all others.
pub fn client_for(
    client: &Client,
    login: Option<&RegistryLogin>,
) -> Result<Client, Arc<RegistryError>> {
    let Some(RegistryLogin { registry, value }) = login else { return Ok(client.clone()) };
    let text = String::from_utf8_lossy(value.expose());
    let credentials = InlineCredentials::parse(registry, text.trim()).map_err(|source| {
        let (registry, source) = (registry.clone(), Box::new(source));
        Arc::new(RegistryError::Credentials { registry, source })
    })?;
    Ok(client.with_credentials(Arc::new(credentials)))
}

#[async_trait]
impl ImageChecker for RegistryChecker {
    fn name(&self) -> &str {
        "registry"
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        let Question { reference, platforms, tag } = question;
        if let Some(error) = &self.unusable {
            return Presence::Unknown(error.clone());
        }
        let found = match self.client.head_manifest(reference).await {
            Ok(None) => return Presence::Absent,
            Ok(Some(found)) => found,
            Err(error) => return Presence::Unknown(Arc::new(error)),
        };
        if tag == TagKind::OfKey {
            return Presence::Present(found);
        }
        match self.covers(reference, platforms).await {
            Ok(true) => Presence::Present(found),
            Ok(false) | Err(RegistryError::NotFound { .. }) => Presence::Absent,
            Err(error) => Presence::Unknown(Arc::new(error)),
        }
    }
}
