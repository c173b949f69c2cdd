//! The engine, as those who build images see it.

use crate::builder::{ImageBuild, ImageBuilder};
use crate::checker::{CheckRecords, Existence};
use crate::error::BuildError;
use crate::event::Events;
use crate::gather::{GatherCache, Gathered};
use crate::job::Planner;
use crate::lock::gather_locked;
use crate::lower::lower;
use crate::options::{BuildOptions, Execution};
use crate::select::{BuilderSource, Builders, KnownBuilder, Selected};
use crate::session::Session;
use std::sync::Arc;
use tierce_oci::Reference;
use tierce_secret::SecretResolver;
use tierce_spec::{Image, ImageKey, ImageName};

/// How many images are built at once unless something else is said.
const PARALLELISM: usize = 4;

/// An image with its inputs read and its name known.
#[derive(Clone)]
pub struct Prepared {
    /// The image and its inputs.
    pub gathered: Gathered,
    /// The key.
    pub key: ImageKey,
    /// The name.
    pub name: ImageName,
}

/// Knows the builders and the order of work: validate, gather, name, check, build.
pub struct ImageBuildEngine {
    pub(crate) builders: Builders,
    pub(crate) default: Option<String>,
    pub(crate) cache: GatherCache,
    pub(crate) records: Option<Arc<dyn CheckRecords>>,
    pub(crate) secrets: SecretResolver,
    pub(crate) execution: Execution,
    pub(crate) parallelism: usize,
}

impl ImageBuildEngine {
    /// An engine without builders. `cache` remembers the digests of files between builds.
    pub fn new(cache: GatherCache) -> Self {
        ImageBuildEngine {
            builders: Builders::default(),
            default: None,
            cache,
            records: None,
            secrets: SecretResolver::default(),
            execution: Execution::Local,
            parallelism: PARALLELISM,
        }
    }

    /// Adds a builder under its own name, in place of one of that name.
    pub fn register(&mut self, builder: Arc<dyn ImageBuilder>, priority: i32) {
        let name = builder.name().to_owned();
        self.builders.register(name, builder, priority);
    }

    /// Adds a builder under a name that need not be its own, in place of one of that name.
    pub fn register_as(
        &mut self,
        name: impl Into<String>,
        builder: Arc<dyn ImageBuilder>,
        priority: i32,
    ) {
        self.builders.register(name.into(), builder, priority);
    }

    /// Adds builders that are loaded when they are chosen. They are looked for after those that
    /// are registered, and never chosen by priority.
    pub fn add_source(&mut self, source: Arc<dyn BuilderSource>) {
        self.builders.add_source(source);
    }

    /// Names the builder to use where neither a build nor an image names one.
    pub fn set_default(&mut self, name: Option<String>) {
        self.default = name;
    }

    /// Remembers where images were seen.
    pub fn set_check_records(&mut self, records: Option<Arc<dyn CheckRecords>>) {
        self.records = records;
    }

    /// Says where the values of secrets are found.
    pub fn set_secrets(&mut self, secrets: SecretResolver) {
        self.secrets = secrets;
    }

    /// Says where this program runs.
    pub fn set_execution(&mut self, execution: Execution) {
        self.execution = execution;
    }

    /// Builds this many images at once, at least one.
    pub fn set_parallelism(&mut self, images: usize) {
        self.parallelism = images.max(1);
    }

    /// Every builder that could be chosen.
    pub fn known_builders(&self) -> Vec<KnownBuilder> {
        self.builders.known()
    }

    /// The builder called `name`, loaded if need be; without a name the default one, or the one
    /// with the highest priority.
    pub async fn builder(&self, name: Option<&str>) -> Result<Selected, BuildError> {
        self.builders.select(name.or(self.default.as_deref())).await
    }

    /// Forgets that the image was seen: it is not there after all.
    pub fn forget(&self, reference: &Reference) {
        if let Some(records) = &self.records {
            records.forget(reference);
        }
    }

    /// Validates the image, reads its inputs and names it. Nothing is built or asked for.
    pub fn prepare(&self, image: &Image, options: &BuildOptions) -> Result<Prepared, BuildError> {
        let image = self.validated(image, options)?;
        let gathered = gather_locked(&image, options, &self.cache)?;
        let key = gathered.resolved.key();
        let name = image.reference(&key, options.default_registry.as_deref())?;
        Ok(Prepared { gathered, key, name })
    }

    /// What a build calls the image: an image to which nothing is done is its base, and inside of
    /// an execution one whose sources are not there is the one that runs. Nobody is asked.
    pub fn name(&self, image: &Image, options: &BuildOptions) -> Result<String, BuildError> {
        Planner::new(self, options).name(image)
    }

    /// The image for the platforms asked for, checked, with all decided that it leaves open.
    pub fn validated(&self, image: &Image, options: &BuildOptions) -> Result<Image, BuildError> {
        let image = match options.platforms.as_slice() {
            [] => image.clone(),
            platforms => image.with_platforms(platforms.iter().cloned()),
        };
        image.validate()?;
        Ok(lower(&image, options)?)
    }

    /// Whether the image is where it should be, as a build would find out.
    pub async fn image_exists(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<Existence, BuildError> {
        let (_, existence) = self.look_for(image, options, events).await?;
        Ok(existence)
    }

    /// The image's name, and whether it is where it should be.
    pub async fn look_for(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<(String, Existence), BuildError> {
        let plan = Planner::new(self, options).plan(image).await?;
        let existence = Session::new(self, events).existence(&plan).await?;
        Ok((plan.uri(), existence))
    }

    /// Fails as a build would before the first builder starts to work: where the specification, a
    /// source, the builder or a secret is not as it must be, or nobody can tell whether the image
    /// is there and that is to be a failure. Gives the image's name.
    pub async fn check_ready(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<String, BuildError> {
        let plan = Planner::new(self, options).plan(image).await?;
        Session::new(self, events).check_ready(&plan).await
    }

    /// What would be given to the builder, whether the image is there or not; nothing is built.
    pub async fn render(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<ImageBuild, BuildError> {
        let options = BuildOptions { dry_run: true, ..options.clone() };
        let plan = Planner::new(self, &options).plan(image).await?;
        Session::new(self, events).render(&plan).await
    }

    /// Builds `image` unless it is there already, and delivers it. An image that is its base is
    /// built first.
    pub async fn build(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<ImageBuild, BuildError> {
        let session = Session::new(self, events);
        self.build_in(&session, image, options).await
    }

    /// Builds several images, some at once. What two of them have in common, an image that is
    /// their base or the image itself, is built once. The failure of one stops only those that
    /// need it. Results are in the order of `images`.
    pub async fn build_all(
        &self,
        images: &[(Image, BuildOptions)],
        events: &Events,
    ) -> Vec<Result<ImageBuild, BuildError>> {
        let session = Session::new(self, events);
        let builds = images.iter().map(|(image, options)| self.build_in(&session, image, options));
        futures::future::join_all(builds).await
    }

    async fn build_in(
        &self,
        session: &Session,
        image: &Image,
        options: &BuildOptions,
    ) -> Result<ImageBuild, BuildError> {
        let plan = Planner::new(self, options).plan(image).await?;
        session.build(&plan).await
    }
}

/// What checkers are asked for: images without a registry live under `localhost` in the store.
pub fn reference_of(name: &ImageName) -> Reference {
    name.reference().cloned().unwrap_or_else(|| {
        Reference::new("localhost", name.name(), Some(name.tag()))
            .expect("an image name was checked under localhost when it was made")
    })
}
