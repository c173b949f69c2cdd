//! Images of ours as bases.

use crate::base::ResolvedBase;
use crate::context::Context;
use crate::draft::Draft;
use crate::error::NativeError;
use crate::plan::PlanBuilder;
use crate::run::{PlatformImage, layers, platform_image};
use tierce_engine::{BuildRequest, Events, Export, ImageBuild, Outcome, Status, StepKind};
use tierce_oci::{Artifact, BlobLocation, Platform, Reference};

/// An image that was built, or found, to be built on.
#[derive(Clone, Copy)]
pub struct Below<'a> {
    /// The image.
    pub build: &'a ImageBuild,
    /// Where what is built on it is pushed, if it is; the image below was pushed, too, then.
    pub push: Option<&'a Reference>,
}

impl<'a> Below<'a> {
    /// The image that is the base of what `request` builds.
    pub fn of(request: &'a BuildRequest) -> Option<Self> {
        let push = request.exports.iter().find_map(|export| match export {
            Export::Push(reference) => Some(reference),
            _ => None,
        });
        Some(Below { build: request.base.as_deref()?, push })
    }

    /// The image below this one.
    pub fn next(self) -> Option<Self> {
        Some(Below { build: self.build.base.as_deref()?, ..self })
    }

    /// Its repository, where that is in the registry that is pushed to: layers are mounted from
    /// there, and not sent again.
    fn neighbour(self) -> Option<Reference> {
        let own = reference(&self.build.uri).ok()?;
        (own.registry() == self.push?.registry()).then_some(own)
    }
}

impl Context {
    /// The image that was built, or found, to be built on.
    ///
    /// It comes from the store where that has this very image, and else from its registry: what
    /// is built on it is the same either way.
    pub async fn image_base(
        &self,
        below: Below<'_>,
        platform: &Platform,
        events: &Events,
    ) -> Result<ResolvedBase, NativeError> {
        let base = below.build;
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
        let neighbour = below.neighbour();
        let mut below = layers(&image, &manifest, &config, &base.uri)?;
        let mut made_by = config.history.iter().filter(|h| !h.empty_layer);
        for layer in &mut below {
            let made_by = made_by.next().and_then(|h| h.created_by.clone());
            layer.created_by = made_by.unwrap_or_else(|| "base".to_owned());
            if let Some(repository) = &neighbour {
                layer.location = BlobLocation::Registry(repository.clone());
            }
        }
        step.finish(Outcome::Cached, image.root.digest.short());
        let interpreter = crate::base::interpreter_of(&config)?;
        let libc = crate::base::libc_of(&config);
        let mut draft = Draft::new(config, below);
        draft.annotate("org.opencontainers.image.base.digest", image.root.digest.to_string());
        draft.annotate("org.opencontainers.image.base.name", &base.uri);
        let plan = PlanBuilder::new(platform.clone(), draft);
        Ok(ResolvedBase { plan, links: &[], interpreter, libc })
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
