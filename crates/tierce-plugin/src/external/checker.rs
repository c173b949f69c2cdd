//! `check` as an [`ImageChecker`].

use super::ExternalBuilder;
use crate::error::{AnswerError, PluginError};
use crate::process::Phase;
use crate::protocol::{self, Call, CheckAnswer, CheckCall, ReportedError, ReportedKind};
use async_trait::async_trait;
use std::sync::Arc;
use tierce_engine::{ImageChecker, Presence, Question};
use tierce_oci::{Descriptor, MediaType, Platform, Reference};
use tierce_secret::Secrets;

/// Asks the builder's program.
pub(super) struct ProgramChecker(pub(super) ExternalBuilder);

impl ProgramChecker {
    async fn ask(
        &self,
        reference: &Reference,
        platforms: &[Platform],
    ) -> Result<Presence, PluginError> {
        let program = &self.0.program;
        let call = Call::Check(CheckCall {
            reference: reference.to_string(),
            platforms: platforms.to_vec(),
            config: self.0.config.clone(),
        });
        let answer = program.ask(&call, &Secrets::default(), &mut |_| {}).await?;
        let wrong = |source| self.0.wrong_answer(Phase::Check, source);
        let answer: CheckAnswer = serde_json::from_value(answer)
            .map_err(|source| wrong(AnswerError::Shape(Arc::new(source))))?;
        Ok(match answer.presence {
            protocol::Presence::Absent => Presence::Absent,
            protocol::Presence::Present => {
                let digest =
                    answer.digest.ok_or_else(|| wrong(AnswerError::PresentWithoutDigest))?;
                let several = platforms.len() > 1;
                let usual = if several { MediaType::OciIndex } else { MediaType::OciManifest };
                let media_type = answer.media_type.unwrap_or(usual);
                Presence::Present(Descriptor::new(media_type, digest, answer.size.unwrap_or(0)))
            }
            protocol::Presence::Unknown => {
                let message = answer.message.unwrap_or_else(|| "it gives no reason".into());
                return Err(PluginError::Reported {
                    builder: program.builder.clone(),
                    reported: Box::new(ReportedError {
                        code: None,
                        kind: ReportedKind::Upstream,
                        message: format!("cannot tell whether {reference} exists: {message}"),
                        hint: None,
                    }),
                    tail: Default::default(),
                });
            }
        })
    }
}

#[async_trait]
impl ImageChecker for ProgramChecker {
    fn name(&self) -> &str {
        &self.0.program.builder
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        self.ask(question.reference, question.platforms)
            .await
            .unwrap_or_else(|error| Presence::Unknown(Arc::new(error)))
    }
}
