//! The order of work: validate, gather, name, check, build.

use crate::builder::{BuildRequest, ImageBuild, ImageBuilder, Status};
use crate::checker::{Presence, UnknownPolicy, first_answer};
use crate::error::BuildError;
use crate::event::{BuildEvent, Events, Outcome, StepKind};
use crate::export::Export;
use crate::gather::{GatherCache, Gathered, gather};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tierce_oci::{Descriptor, Platform, Reference};
use tierce_secret::Secrets;
use tierce_spec::{Image, ImageKey, ImageName};

/// What to do with an image, besides what the image itself says.
#[derive(Clone, Debug, Default)]
pub struct BuildOptions {
    /// The directory that the image's source paths are relative to.
    pub root: PathBuf,
    /// The registry of images that name none.
    pub default_registry: Option<String>,
    /// Platforms instead of the image's own; empty to keep those.
    pub platforms: Vec<Platform>,
    /// Push to the image's registry.
    pub push: bool,
    /// Where else the result goes.
    pub exports: Vec<Export>,
    /// Build even if the image is there, and look everything up anew.
    pub force: bool,
    /// Check, but build nothing.
    pub dry_run: bool,
    /// What to do when nobody can tell whether the image is there.
    pub unknown: UnknownPolicy,
    /// The builder to use instead of the default one.
    pub builder: Option<String>,
}

/// An image with its inputs read and its name known.
pub struct Prepared {
    /// The image and its inputs.
    pub gathered: Gathered,
    /// The key.
    pub key: ImageKey,
    /// The name.
    pub name: ImageName,
}

/// Knows the builders and the order of work.
pub struct ImageBuildEngine {
    builders: Vec<(i32, Arc<dyn ImageBuilder>)>,
    default: Option<String>,
    cache: GatherCache,
}

impl ImageBuildEngine {
    /// An engine without builders. `cache` remembers the digests of files between builds.
    pub fn new(cache: GatherCache) -> Self {
        ImageBuildEngine { builders: vec![], default: None, cache }
    }

    /// Adds a builder. The one with the highest priority is the default.
    pub fn register(&mut self, builder: Arc<dyn ImageBuilder>, priority: i32) {
        self.builders.push((priority, builder));
        // Stable: of equals, the first registered.
        self.builders.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    }

    /// Names the builder to use where a build names none.
    pub fn set_default(&mut self, name: Option<String>) {
        self.default = name;
    }

    /// The builder called `name`, or the default one.
    pub fn builder(&self, name: Option<&str>) -> Result<&Arc<dyn ImageBuilder>, BuildError> {
        let found = match name.or(self.default.as_deref()) {
            Some(name) => self.builders.iter().find(|(_, b)| b.name() == name),
            None => self.builders.first(),
        };
        found.map(|(_, builder)| builder).ok_or_else(|| BuildError::UnknownBuilder {
            name: name.or(self.default.as_deref()).unwrap_or_default().to_owned(),
            known: self.builders.iter().map(|(_, b)| b.name().to_owned()).collect(),
        })
    }

    /// Validates the image, reads its inputs and names it. Nothing is built or asked for.
    pub fn prepare(&self, image: &Image, options: &BuildOptions) -> Result<Prepared, BuildError> {
        let image = match options.platforms.as_slice() {
            [] => image.clone(),
            platforms => image.with_platforms(platforms.iter().cloned()),
        };
        image.validate()?;
        let gathered = gather(&image, &options.root, &self.cache)?;
        let key = gathered.resolved.key();
        let name = image.reference(&key, options.default_registry.as_deref())?;
        Ok(Prepared { gathered, key, name })
    }

    /// Builds `image` unless it is there already, and delivers it.
    pub async fn build(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<ImageBuild, BuildError> {
        let started = Instant::now();
        let builder = self.builder(options.builder.as_deref())?.clone();
        let prepared = self.prepare(image, options)?;
        let uri = prepared.name.to_string();
        let exports = exports(&prepared.name, options)?;
        if !options.force && prepared.name.tag() != "latest" {
            let found = check(&*builder, &prepared, &exports, options.unknown, events).await?;
            if let Some((status, root)) = found {
                return Ok(ImageBuild {
                    digest: root.as_ref().map(|r| r.digest),
                    root,
                    ..nothing_built(uri, status, started)
                });
            }
        }
        if options.dry_run {
            return Ok(nothing_built(uri, Status::WouldBuild, started));
        }
        events.emit(BuildEvent::BuildStarted { uri: uri.clone(), builder: builder.name().into() });
        let request = BuildRequest {
            platforms: prepared.gathered.resolved.platforms().to_vec(),
            gathered: prepared.gathered,
            uri: uri.clone(),
            exports,
            refresh: options.force,
            base: None,
            secrets: Secrets::default(),
        };
        let mut build =
            builder.build(&request, events).await.map_err(|e| BuildError::Builder(e.0))?;
        build.millis = elapsed(started);
        events.emit(BuildEvent::BuildFinished {
            uri,
            digest: build.digest.map(|d| d.to_string()),
            millis: build.millis,
        });
        Ok(build)
    }
}

fn elapsed(since: Instant) -> u64 {
    since.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}

fn nothing_built(uri: String, status: Status, started: Instant) -> ImageBuild {
    ImageBuild {
        uri,
        status,
        digest: None,
        platforms: vec![],
        bytes_uploaded: 0,
        requests: 0,
        millis: elapsed(started),
        root: None,
    }
}

/// The destinations: those named, and the image's own registry if it is to be pushed.
fn exports(name: &ImageName, options: &BuildOptions) -> Result<Vec<Export>, BuildError> {
    let mut exports = options.exports.clone();
    if options.push {
        let reference =
            name.reference().ok_or_else(|| BuildError::NoRegistry { name: name.to_string() })?;
        exports.insert(0, Export::Push(reference.clone()));
    }
    Ok(exports)
}

/// Asks whether the image is where it should go. Files and engines are always written: what they
/// hold cannot be told from their name.
async fn check(
    builder: &dyn ImageBuilder,
    prepared: &Prepared,
    exports: &[Export],
    policy: UnknownPolicy,
    events: &Events,
) -> Result<Option<(Status, Option<Descriptor>)>, BuildError> {
    if !exports.iter().all(|e| matches!(e, Export::Push(_))) {
        return Ok(None);
    }
    let reference = reference_of(&prepared.name);
    let checkers = builder.checkers(exports);
    let step = events.step(StepKind::Check, format!("check {}", prepared.name));
    let answer = first_answer(&checkers, &reference, prepared.gathered.resolved.platforms()).await;
    step.finish(Outcome::Made, None);
    let failures = match answer {
        Ok(Presence::Present(root)) => return Ok(Some((Status::Present, Some(root)))),
        Ok(_) => return Ok(None),
        Err(failures) => failures,
    };
    let Some((_, first)) = failures.first().cloned() else { return Ok(None) };
    for (checker, error) in &failures {
        events.warn("engine/unknown-presence", format!("{checker} cannot tell: {error}"));
    }
    match policy {
        UnknownPolicy::Build => Ok(None),
        UnknownPolicy::Fail => {
            Err(BuildError::Unknown { reference: prepared.name.to_string(), source: first })
        }
        UnknownPolicy::AssumePresent => {
            events.warn("engine/assumed-present", format!("taking {} for present", prepared.name));
            Ok(Some((Status::AssumedPresent, None)))
        }
    }
}

/// What checkers are asked for: images without a registry live under `localhost` in the store.
pub fn reference_of(name: &ImageName) -> Reference {
    name.reference().cloned().unwrap_or_else(|| {
        Reference::new("localhost", name.name(), Some(name.tag()))
            .expect("an image name was checked under localhost when it was made")
    })
}
