//! Images of ours as bases.

use crate::base::ResolvedBase;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::NativeError;
use crate::plan::PlanBuilder;
use crate::run::{PlatformImage, layers, platform_image};
use tierce_engine::{Events, ImageBuild, Outcome, Status, StepKind};
use tierce_oci::{Artifact, Platform, Reference};

impl Context {
    /// The image that was built, or found, to be built on.
    ///
    /// It comes from the store where that has this very image, and else from its registry: what
    /// is built on it is the same either way.
    pub async fn image_base(
        &self,
        base: &ImageBuild,
        platform: &Platform,
        events: &Events,
    ) -> Result<ResolvedBase, NativeError> {
        if base.status == Status::Unmodified {
            let reference = reference(&base.uri)?;
            return self.registry_base(&reference, platform, events).await;
        }
        let step = events.step(StepKind::Resolve, format!("resolve {}", base.uri));
        let image = match self.stored(base) {
            Some(image) => image,
            None => {
                let reference = reference(&base.uri)?;
                let reference = match base.digest {
                    Some(digest) => reference.with_digest(digest),
                    None => reference,
                };
                self.remote_image(&reference).await?
            }
        };
        let missing = || NativeError::NoImage(format!("{} for {platform}", base.uri));
        let PlatformImage { manifest, config } =
            platform_image(&image, platform).ok_or_else(missing)?;
        let mut below = layers(&image, &manifest, &config, &base.uri)?;
        let mut made_by = config.history.iter().filter(|h| !h.empty_layer);
        for layer in &mut below {
            let made_by = made_by.next().and_then(|h| h.created_by.clone());
            layer.created_by = made_by.unwrap_or_else(|| "base".to_owned());
        }
        step.finish(Outcome::Cached, image.root.digest.short());
        let interpreter = crate::base::interpreter_of(&config)?;
        let mut draft = Draft::new(config, below);
        draft.annotate("org.opencontainers.image.base.digest", image.root.digest.to_string());
        draft.annotate("org.opencontainers.image.base.name", &base.uri);
        let plan = PlanBuilder::new(platform.clone(), draft);
        Ok(ResolvedBase { plan, links: &[], interpreter })
    }

    /// The image in the store, if it is the one that is meant.
    fn stored(&self, base: &ImageBuild) -> Option<Artifact> {
        let image = self.recall(&crate::local_name(&base.uri))?;
        base.digest.is_none_or(|digest| digest == image.root.digest).then_some(image)
    }
}

fn reference(uri: &str) -> Result<Reference, NativeError> {
    let local = !uri.contains('/');
    match uri.parse() {
        // It has no registry, so it can be in none.
        Ok(reference) if !local => Ok(reference),
        _ => Err(NativeError::NoImage(uri.to_owned())),
    }
}
