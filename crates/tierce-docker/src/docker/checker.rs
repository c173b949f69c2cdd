//! Whether the daemon has an image.

use super::DockerSettings;
use super::api::Api;
use super::endpoint::Daemon;
use crate::error::DockerError;
use async_trait::async_trait;
use std::sync::Arc;
use tierce_engine::{ImageChecker, Presence, Question, TagKind};
use tierce_oci::{Descriptor, MediaType, Reference};

/// Asks a Docker daemon.
pub(crate) struct EngineChecker {
    settings: DockerSettings,
}

impl EngineChecker {
    pub(crate) fn new(settings: DockerSettings) -> Self {
        EngineChecker { settings }
    }

    async fn look(&self, question: Question<'_>) -> Result<Presence, DockerError> {
        let Question { reference, platforms, tag } = question;
        let Daemon::At(endpoint) = Daemon::find(&self.settings)? else {
            // Asking by the command costs more than a build whose layers are all there.
            return Ok(Presence::Absent);
        };
        // A tag of the user's own says nothing of what is behind it.
        if tag != TagKind::OfKey {
            return Ok(Presence::Absent);
        }
        let found = Api::new(endpoint).inspect(&local_name(reference)).await?;
        Ok(match (found, platforms) {
            (Some(image), [wanted]) if image.platform().serves(wanted) => {
                let kind = MediaType::DockerConfig;
                Presence::Present(Descriptor::new(kind, image.id, image.size))
            }
            _ => Presence::Absent,
        })
    }
}

/// What images without a registry are called by a daemon: the engine asks for them under
/// `localhost`.
fn local_name(reference: &Reference) -> String {
    let full = reference.to_string();
    full.strip_prefix("localhost/").unwrap_or(&full).to_owned()
}

#[async_trait]
impl ImageChecker for EngineChecker {
    fn name(&self) -> &str {
        "docker"
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        match self.look(question).await {
            Ok(presence) => presence,
            Err(error) => Presence::Unknown(Arc::new(error)),
        }
    }
}
