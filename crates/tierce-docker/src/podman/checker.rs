//! Whether podman has an image.

use super::PodmanSettings;
use super::engine::{Engine, local_name};
use crate::error::DockerError;
use async_trait::async_trait;
use std::sync::Arc;
use tierce_engine::{ImageChecker, Presence, Question, TagKind};
use tierce_oci::{Descriptor, MediaType};

/// Asks podman.
pub(crate) struct EngineChecker {
    settings: PodmanSettings,
}

impl EngineChecker {
    pub(crate) fn new(settings: PodmanSettings) -> Self {
        EngineChecker { settings }
    }

    async fn look(&self, question: Question<'_>) -> Result<Presence, DockerError> {
        let Question { reference, platforms, tag } = question;
        // A tag of the user's own says nothing of what is behind it.
        let Some(name) = local_name(&reference.to_string()).filter(|_| tag == TagKind::OfKey)
        else {
            return Ok(Presence::Absent);
        };
        let found = Engine::find(&self.settings)?.inspect(&name.to_string()).await?;
        Ok(match (found, platforms) {
            (Some(image), [wanted]) if image.platform().serves(wanted) => {
                let kind = MediaType::OciManifest;
                Presence::Present(Descriptor::new(kind, image.digest, image.size))
            }
            _ => Presence::Absent,
        })
    }
}

#[async_trait]
impl ImageChecker for EngineChecker {
    fn name(&self) -> &str {
        "podman"
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        match self.look(question).await {
            Ok(presence) => presence,
            Err(error) => Presence::Unknown(Arc::new(error)),
        }
    }
}
