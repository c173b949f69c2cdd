//! From an image to what there is to do: a chain of jobs, the image's own and its bases'.

use crate::builder::{BuildRequest, ImageBuild, RegistryLogin};
use crate::checker::{NotChecked, UnknownPolicy};
use crate::engine::{ImageBuildEngine, Prepared, reference_of};
use crate::error::{Ability, BuildError};
use crate::export::{Export, ExportKind};
use crate::gather::{GatherCache, Gathered, GatheredBase};
use crate::lock::{check_locks, gather_locked};
use crate::options::{BuildOptions, CheckCache, Execution};
use crate::select::{Loadable, Selected};
use std::sync::Arc;
use tierce_oci::Reference;
use tierce_secret::Secrets;
use tierce_spec::{Base, Image, ImageName, Secret};

/// What there is to do for an image.
pub enum Plan {
    /// Nothing: this is its name, and this is why.
    Nothing(String, NotChecked),
    /// A job.
    Job(Arc<Job>),
}

impl Plan {
    /// The image's name.
    pub fn uri(&self) -> String {
        match self {
            Plan::Nothing(uri, _) => uri.clone(),
            Plan::Job(job) => job.uri(),
        }
    }
}

/// An image that may have to be built.
pub struct Job {
    /// Who builds it.
    pub builder: Selected,
    /// The image, read and named.
    pub prepared: Prepared,
    /// Where it goes.
    pub exports: Vec<Export>,
    /// The image that is its base.
    pub base: Option<Below>,
    /// What happens when nobody can tell whether it is there.
    pub unknown: UnknownPolicy,
    /// Whether an old answer will do.
    pub check_cache: CheckCache,
    /// Build it whether it is there or not.
    pub force: bool,
    /// Build nothing.
    pub dry_run: bool,
    /// Builders that could do what this one can't.
    pub able: Vec<String>,
    /// Builders that may be able to: they were not loaded.
    pub perhaps: Loadable,
    /// What its sources were read with.
    pub cache: GatherCache,
}

/// An image below another one.
#[derive(Clone)]
pub enum Below {
    /// A registry has it: nothing is done about it.
    Unmodified(String),
    /// It may have to be built.
    Job(Arc<Job>),
}

impl Job {
    /// Its name with the tag.
    pub fn uri(&self) -> String {
        self.prepared.name.to_string()
    }

    /// What checkers are asked for.
    pub fn reference(&self) -> Reference {
        reference_of(&self.prepared.name)
    }

    /// The image as it was written.
    pub fn image(&self) -> &Image {
        self.prepared.gathered.resolved.image()
    }

    /// What makes two builds one: everything that decides what comes of them.
    pub fn identity(&self) -> String {
        let key = self.prepared.key.digest();
        format!("{:?}", (&self.builder.name, self.uri(), key, &self.exports, self.force))
    }

    /// What makes two questions one, whether the image is there.
    pub fn question(&self) -> String {
        format!("{:?}", (self.identity(), self.unknown, self.check_cache, self.dry_run))
    }

    /// The secret with the credentials of the registry that it is pushed to.
    pub fn registry_secret(&self) -> Option<(&Reference, &Secret)> {
        let secret = self.image().registry_secret()?;
        self.exports.iter().find_map(|export| match export {
            Export::Push(reference) => Some((reference, secret)),
            _ => None,
        })
    }

    /// What its builder is given.
    pub fn request(
        &self,
        base: Option<Arc<ImageBuild>>,
        secrets: Secrets,
        login: Option<RegistryLogin>,
    ) -> BuildRequest {
        BuildRequest {
            platforms: self.prepared.gathered.resolved.platforms().to_vec(),
            gathered: self.prepared.gathered.clone(),
            uri: self.uri(),
            exports: self.exports.clone(),
            refresh: self.force,
            base,
            secrets,
            login,
            cache: self.cache.clone(),
        }
    }

    /// Fails where the builder can't build this, for whatever reason that can be told in advance.
    pub fn check_able(&self) -> Result<(), BuildError> {
        if let Some(reason) = self.builder.builder.refuses(self.image()) {
            return Err(BuildError::Refused(reason));
        }
        let wanted = wanted(&self.prepared.gathered, &self.exports);
        let wanted = missing(&self.builder, &wanted);
        if wanted.is_empty() {
            return Ok(());
        }
        let (builder, able) = (self.builder.name.clone(), self.able.clone());
        Err(BuildError::Unable { builder, wanted, able, perhaps: self.perhaps.names() })
    }
}

/// Makes jobs of images.
pub struct Planner<'a> {
    engine: &'a ImageBuildEngine,
    options: &'a BuildOptions,
}

impl<'a> Planner<'a> {
    /// Plans as `options` say.
    pub fn new(engine: &'a ImageBuildEngine, options: &'a BuildOptions) -> Self {
        Planner { engine, options }
    }

    /// What there is to do for `image`.
    pub async fn plan(&self, image: &Image) -> Result<Plan, BuildError> {
        let image = self.engine.validated(image, self.options)?;
        if let (Some(reference), true) = (unmodified(&image), self.options.exports.is_empty()) {
            return Ok(Plan::Nothing(reference.to_string(), NotChecked::Unmodified));
        }
        if let Execution::Inside { image: running } = &self.engine.execution {
            let uri = self.name_inside(&image, running.as_deref())?;
            return Ok(Plan::Nothing(uri, NotChecked::Inside));
        }
        let wanted = self.options.builder.as_deref().or(image.builder());
        let builder = self.engine.builder(wanted).await?;
        let gathered = gather_locked(&image, self.options, &self.engine.cache)?;
        check_locks(&builder, &gathered)?;
        let key = gathered.resolved.key();
        let name = image.reference(&key, self.options.default_registry.as_deref())?;
        let exports = self.exports(&name)?;
        let base = self.base(&gathered, &name, &builder).await?;
        let prepared = Prepared { gathered, key, name };
        Ok(Plan::Job(Arc::new(self.job(
            builder,
            prepared,
            exports,
            base,
            self.options.check_cache,
        ))))
    }

    /// What a build calls `image`.
    pub fn name(&self, image: &Image) -> Result<String, BuildError> {
        let image = self.engine.validated(image, self.options)?;
        match (unmodified(&image), &self.engine.execution) {
            (Some(reference), _) => Ok(reference.to_string()),
            (None, Execution::Inside { image: running }) => {
                self.name_inside(&image, running.as_deref())
            }
            (None, Execution::Local) => self.name_inside(&image, None),
        }
    }

    /// The name of an image inside an execution: sources need not be there.
    fn name_inside(&self, image: &Image, running: Option<&str>) -> Result<String, BuildError> {
        let named = gather_locked(image, self.options, &self.engine.cache).and_then(|gathered| {
            let key = gathered.resolved.key();
            Ok(image.reference(&key, self.options.default_registry.as_deref())?.to_string())
        });
        match (named, running) {
            (Ok(name), _) => Ok(name),
            (Err(_), Some(running)) => Ok(running.to_owned()),
            (Err(error), None) => Err(error),
        }
    }

    fn job(
        &self,
        builder: Selected,
        prepared: Prepared,
        exports: Vec<Export>,
        base: Option<Below>,
        check_cache: CheckCache,
    ) -> Job {
        let wanted = wanted(&prepared.gathered, &exports);
        let able = self.engine.builders.registered().filter(|b| missing(b, &wanted).is_empty());
        let able = able.filter(|b| b.builder.refuses(prepared.gathered.resolved.image()).is_none());
        Job {
            able: able.map(|b| b.name.clone()).collect(),
            perhaps: self.engine.builders.loadable(&builder.name),
            builder,
            exports,
            base,
            unknown: self.options.unknown,
            // Without records to look at, or to look past, these are the same question.
            check_cache: match (self.engine.records.is_some(), check_cache) {
                (false, CheckCache::Use) => CheckCache::Bypass,
                (_, check_cache) => check_cache,
            },
            force: self.options.force,
            dry_run: self.options.dry_run,
            cache: self.engine.cache.clone(),
            prepared,
        }
    }

    /// The image below, and those below that: each is named after the one on top of it where it
    /// has no name or registry of its own, and goes to its registry where that one does.
    async fn base(
        &self,
        above: &Gathered,
        name: &ImageName,
        builder: &Selected,
    ) -> Result<Option<Below>, BuildError> {
        let mut chain = vec![];
        let (mut above, mut name, mut builder) = (above, name.clone(), builder.clone());
        while let Some(GatheredBase::Image(gathered)) = &above.base {
            let image = gathered.resolved.image();
            if let Some(reference) = unmodified(image) {
                chain.push(Err(reference.to_string()));
                break;
            }
            let wanted = self.options.builder.as_deref().or(image.builder());
            let above_builder = builder.name.clone();
            if let Some(wanted) = wanted {
                builder = self.engine.builder(Some(wanted)).await?;
            }
            check_locks(&builder, gathered)?;
            let key = gathered.resolved.key();
            let own = match image.name() {
                Some(_) => image.clone(),
                None => image.with_name(format!("{}-base", name.name())),
            };
            let registry = registry_of(&name).or_else(|| self.options.default_registry.clone());
            name = own.reference(&key, registry.as_deref())?;
            let exports = match name.reference() {
                Some(reference) if self.options.push => vec![Export::Push(reference.clone())],
                _ => vec![],
            };
            if exports.is_empty() && builder.name != above_builder {
                return Err(BuildError::BaseElsewhere {
                    builder: above_builder,
                    base: name.to_string(),
                    base_builder: builder.name,
                });
            }
            let prepared = Prepared { gathered: (**gathered).clone(), key, name: name.clone() };
            chain.push(Ok((builder.clone(), prepared, exports)));
            above = gathered;
        }
        let mut below = None;
        for link in chain.into_iter().rev() {
            below = Some(match link {
                Err(reference) => Below::Unmodified(reference),
                // What is built upon must be there: an old answer will not do.
                Ok((builder, prepared, exports)) => Below::Job(Arc::new(self.job(
                    builder,
                    prepared,
                    exports,
                    below,
                    CheckCache::Bypass,
                ))),
            });
        }
        Ok(below)
    }

    /// The destinations: those named, and the image's own registry if it is to be pushed.
    fn exports(&self, name: &ImageName) -> Result<Vec<Export>, BuildError> {
        let mut exports = self.options.exports.clone();
        if self.options.push {
            let reference = name
                .reference()
                .ok_or_else(|| BuildError::NoRegistry { name: name.to_string() })?;
            exports.insert(0, Export::Push(reference.clone()));
        }
        Ok(exports)
    }
}

/// The registry that an image is named for, with the leading path of its repositories.
fn registry_of(name: &ImageName) -> Option<String> {
    let reference = name.reference()?;
    let path = reference.repository().strip_suffix(name.name())?.trim_end_matches('/');
    Some(match path {
        "" => reference.registry().to_owned(),
        path => format!("{}/{path}", reference.registry()),
    })
}

/// The reference of an image to which nothing is added.
pub(crate) fn unmodified(image: &Image) -> Option<&Reference> {
    match image.base() {
        Base::Registry(reference) if image.is_unmodified() => Some(reference),
        _ => None,
    }
}

/// What a build asks of its builder.
fn wanted(gathered: &Gathered, exports: &[Export]) -> Vec<Ability> {
    let image = gathered.resolved.image();
    let mut wanted: Vec<Ability> = exports.iter().map(|export| ability(export.kind())).collect();
    if exports.is_empty() {
        wanted.push(Ability::Keep);
    }
    let several = gathered.resolved.platforms().len() > 1;
    let dockerfile = matches!(image.base(), Base::Dockerfile(_));
    for (is_wanted, ability) in [
        (several, Ability::SeveralPlatforms),
        (!image.secrets().is_empty(), Ability::Secrets),
        (dockerfile, Ability::Dockerfiles),
    ] {
        if is_wanted {
            wanted.push(ability);
        }
    }
    wanted
}

fn ability(kind: ExportKind) -> Ability {
    match kind {
        ExportKind::Local => Ability::Keep,
        ExportKind::Push => Ability::Push,
        ExportKind::OciLayout => Ability::OciLayout,
        ExportKind::OciArchive => Ability::OciArchive,
        ExportKind::DockerArchive => Ability::DockerArchive,
        ExportKind::Load => Ability::Load,
    }
}

/// What of `wanted` the builder can't do.
fn missing(builder: &Selected, wanted: &[Ability]) -> Vec<Ability> {
    let able = builder.builder.capabilities();
    let can = |ability: &Ability| match ability {
        Ability::Keep => able.exports.contains(&ExportKind::Local),
        Ability::Push => able.exports.contains(&ExportKind::Push),
        Ability::OciLayout => able.exports.contains(&ExportKind::OciLayout),
        Ability::OciArchive => able.exports.contains(&ExportKind::OciArchive),
        Ability::DockerArchive => able.exports.contains(&ExportKind::DockerArchive),
        Ability::Load => able.exports.contains(&ExportKind::Load),
        Ability::SeveralPlatforms => able.multi_platform,
        Ability::Secrets => able.secrets,
        Ability::Dockerfiles => able.dockerfiles,
    };
    let mut missing: Vec<Ability> = wanted.iter().copied().filter(|a| !can(a)).collect();
    missing.dedup();
    missing
}
