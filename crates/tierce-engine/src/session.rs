//! One call of the engine's: what several images have in common is checked and built once.

use crate::builder::{ImageBuild, RegistryLogin, Status};
use crate::checker::{
    CheckFailures, CheckRecords, Existence, NotChecked, Presence, Question, TagKind, UnknownPolicy,
    first_answer,
};
use crate::engine::ImageBuildEngine;
use crate::error::BuildError;
use crate::event::{BuildEvent, Events, Outcome, StepKind};
use crate::export::Export;
use crate::job::{Below, Job, Plan};
use crate::options::CheckCache;
use crate::redact::redacted;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tierce_secret::{SecretResolver, Secrets};
use tierce_spec::Secret;
use tokio::sync::Semaphore;

type Flight<T> = Shared<BoxFuture<'static, Result<T, BuildError>>>;

/// Work by what it is: who asks for the same waits for the same.
struct Flights<T>(Mutex<BTreeMap<String, Flight<T>>>);

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Flights(Mutex::default())
    }
}

impl<T: Clone> Flights<T> {
    fn join<F>(&self, identity: String, work: impl FnOnce() -> F) -> Flight<T>
    where
        F: Future<Output = Result<T, BuildError>> + Send + 'static,
    {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.entry(identity).or_insert_with(|| work().boxed().shared()).clone()
    }

    fn has(&self, identity: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(identity)
    }
}

/// One call of the engine's. Cheap to clone. Work ends with the last clone: the work itself knows
/// nothing of whoever may join it, or it would keep itself alive.
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
    checks: Arc<Flights<Checked>>,
    builds: Arc<Flights<Arc<ImageBuild>>>,
}

struct Inner {
    events: Events,
    records: Option<Arc<dyn CheckRecords>>,
    resolver: SecretResolver,
    /// How many builders may work at once.
    permits: Semaphore,
}

/// What was found out about a job before anything is built.
#[derive(Clone)]
struct Checked {
    existence: Existence,
    login: Option<RegistryLogin>,
}

impl Session {
    /// A session that reports to `events`.
    pub fn new(engine: &ImageBuildEngine, events: &Events) -> Self {
        let inner = Inner {
            events: events.clone(),
            records: engine.records.clone(),
            resolver: engine.secrets.clone(),
            permits: Semaphore::new(engine.parallelism),
        };
        Session { inner: Arc::new(inner), checks: Arc::default(), builds: Arc::default() }
    }

    /// Whether the image is where it should be.
    pub async fn existence(&self, plan: &Plan) -> Result<Existence, BuildError> {
        match plan {
            Plan::Nothing(_, why) => Ok(Existence::NotChecked(*why)),
            Plan::Job(job) => Ok(self.checked(job).await?.existence),
        }
    }

    /// Does what the plan says.
    pub async fn build(&self, plan: &Plan) -> Result<ImageBuild, BuildError> {
        let started = Instant::now();
        let build = match plan {
            Plan::Nothing(uri, NotChecked::Inside) => ImageBuild::new(uri, Status::Skipped),
            Plan::Nothing(uri, _) => ImageBuild::new(uri, Status::Unmodified),
            Plan::Job(job) => self.run(job).await?,
        };
        Ok(ImageBuild { millis: elapsed(started), ..build })
    }

    /// Fails as [`Session::build`] would before the first builder starts to work. Gives the name.
    pub async fn check_ready(&self, plan: &Plan) -> Result<String, BuildError> {
        let job = match plan {
            Plan::Nothing(uri, _) => return Ok(uri.clone()),
            Plan::Job(job) => job,
        };
        let (missing, _) = self.missing(Below::Job(job.clone())).await?;
        self.ready(&missing).await?;
        Ok(job.uri())
    }

    /// Shows what the plan would be done with, as if the image were nowhere.
    pub async fn render(&self, plan: &Plan) -> Result<ImageBuild, BuildError> {
        let job = match plan {
            Plan::Job(job) => job,
            Plan::Nothing(..) => return self.build(plan).await,
        };
        let (missing, found) = match &job.base {
            Some(below) => self.missing(below.clone()).await?,
            None => (vec![], None),
        };
        let existence = Existence::NotChecked(NotChecked::Forced);
        let mut all = vec![(job.clone(), Checked { existence, login: None })];
        all.extend(missing);
        let result = self.make_all(all, found, true).await?;
        Ok((*result).clone())
    }

    /// Looks for the image, and as far down as need be for those below; then builds those that
    /// are not there, from the bottom up.
    async fn run(&self, job: &Arc<Job>) -> Result<ImageBuild, BuildError> {
        let (missing, found) = self.missing(Below::Job(job.clone())).await?;
        let result = self.make_all(missing, found, job.dry_run).await?;
        Ok((*result).clone())
    }

    /// Builds `missing`, or shows what would be built, from the last to the first, on what was
    /// `found`.
    async fn make_all(
        &self,
        missing: Vec<(Arc<Job>, Checked)>,
        mut found: Option<Arc<ImageBuild>>,
        dry_run: bool,
    ) -> Result<Arc<ImageBuild>, BuildError> {
        let secrets = match dry_run {
            true => {
                able(&missing)?;
                Secrets::default()
            }
            false => self.ready(&missing).await?,
        };
        for (index, (job, checked)) in missing.into_iter().enumerate().rev() {
            let wrap = in_base(index, &job);
            let build = match dry_run {
                true => self.rendered(&job, checked, found).await,
                false => self.made(job, checked, found, secrets.clone()).await,
            };
            found = Some(build.map_err(wrap)?);
        }
        Ok(found.expect("an image that is not missing was found"))
    }

    /// The jobs that have to be done, that of `from` first, and what the last of them is built
    /// on; where there is nothing to do, what was found instead.
    async fn missing(
        &self,
        from: Below,
    ) -> Result<(Vec<(Arc<Job>, Checked)>, Option<Arc<ImageBuild>>), BuildError> {
        let mut missing = vec![];
        let mut next = Some(from);
        while let Some(below) = next {
            let job = match below {
                Below::Unmodified(uri) => {
                    let base = ImageBuild::new(uri, Status::Unmodified);
                    return Ok((missing, Some(Arc::new(base))));
                }
                Below::Job(job) => job,
            };
            let checked = self.checked(&job).await?;
            let there = match &checked.existence {
                // Built here, for another image on top of it, while this one was asked for: the
                // result is that of the build, whoever was faster.
                Existence::Present(_) | Existence::Vouched(_)
                    if self.builds.has(&job.identity()) =>
                {
                    None
                }
                Existence::Present(root) => {
                    Some(ImageBuild::new(job.uri(), Status::Present).with_root(root.clone()))
                }
                Existence::Vouched(uri) => Some(ImageBuild::new(uri, Status::Present)),
                Existence::Assumed(_) => Some(ImageBuild::new(job.uri(), Status::AssumedPresent)),
                Existence::Absent | Existence::Unknown(_) | Existence::NotChecked(_) => None,
            };
            if let Some(build) = there {
                return Ok((missing, Some(Arc::new(build))));
            }
            next = job.base.clone();
            missing.push((job, checked));
        }
        Ok((missing, None))
    }

    /// Fails where one of these jobs cannot be done; gives all that they need.
    async fn ready(&self, jobs: &[(Arc<Job>, Checked)]) -> Result<Secrets, BuildError> {
        able(jobs)?;
        self.secrets(jobs).await
    }

    /// The values of every secret of these jobs, before anything is built.
    async fn secrets(&self, jobs: &[(Arc<Job>, Checked)]) -> Result<Secrets, BuildError> {
        let mut wanted: Vec<&Secret> = vec![];
        for (job, _) in jobs {
            wanted.extend(job.image().secrets());
            wanted.extend(job.registry_secret().map(|(_, secret)| secret));
        }
        match wanted.is_empty() {
            true => Ok(Secrets::default()),
            false => Ok(self.inner.resolver.resolve(&wanted).await?),
        }
    }

    async fn checked(&self, job: &Arc<Job>) -> Result<Checked, BuildError> {
        let (inner, job) = (self.inner.clone(), job.clone());
        self.checks.join(job.question(), move || async move { inner.check(&job).await }).await
    }

    async fn made(
        &self,
        job: Arc<Job>,
        checked: Checked,
        base: Option<Arc<ImageBuild>>,
        secrets: Secrets,
    ) -> Result<Arc<ImageBuild>, BuildError> {
        let inner = self.inner.clone();
        let work = async move |inner: Arc<Inner>, job: Arc<Job>| {
            inner.make(&job, checked.login, base, secrets).await
        };
        self.builds.join(job.identity(), move || work(inner, job)).await
    }

    async fn rendered(
        &self,
        job: &Job,
        checked: Checked,
        base: Option<Arc<ImageBuild>>,
    ) -> Result<Arc<ImageBuild>, BuildError> {
        let events = &self.inner.events;
        let request = job.request(base.clone(), Secrets::default(), checked.login);
        job.warn_of_unsupported(&request, events);
        let rendering = job.builder.builder.render(&request, events).await;
        Ok(Arc::new(ImageBuild {
            base,
            rendering: Some(Box::new(rendering.map_err(|e| BuildError::Builder(e.0))?)),
            ..ImageBuild::new(job.uri(), Status::WouldBuild)
        }))
    }
}

/// Fails where the builder of one of these jobs, the image's own first, cannot do it.
fn able(jobs: &[(Arc<Job>, Checked)]) -> Result<(), BuildError> {
    let mut jobs = jobs.iter().enumerate();
    jobs.try_for_each(|(index, (job, _))| job.check_able().map_err(in_base(index, job)))
}

/// Says of a failure which image below it was, if it was not that of the image itself.
fn in_base(index: usize, job: &Job) -> impl FnOnce(BuildError) -> BuildError + use<> {
    let name = job.uri();
    move |error| match index {
        0 => error,
        _ => BuildError::Base { name, source: Box::new(error) },
    }
}

impl Inner {
    async fn check(&self, job: &Job) -> Result<Checked, BuildError> {
        let (mut events, mut login) = (self.events.clone(), None);
        if let Some((reference, secret)) = job.registry_secret() {
            let secrets = self.resolver.resolve(&[secret]).await?;
            login = secrets.get(&secret.id()).map(|value| RegistryLogin {
                registry: reference.registry().to_owned(),
                value: value.clone(),
            });
            events = events.redacted(&secrets);
        }
        let existence = self.existence(job, login.as_ref(), &events).await?;
        Ok(Checked { existence, login })
    }

    /// Asks whether the image is where it should go. Files and engines are always written: what
    /// they hold cannot be told from their name.
    async fn existence(
        &self,
        job: &Job,
        login: Option<&RegistryLogin>,
        events: &Events,
    ) -> Result<Existence, BuildError> {
        let pushed_only = job.exports.iter().all(|export| matches!(export, Export::Push(_)));
        for (holds, why) in [
            (job.force || job.check_cache == CheckCache::Rebuild, NotChecked::Forced),
            (job.prepared.name.tag() == "latest", NotChecked::Latest),
            (!pushed_only, NotChecked::Written),
        ] {
            if holds {
                return Ok(Existence::NotChecked(why));
            }
        }
        let (uri, reference) = (job.uri(), job.reference());
        let platforms = job.prepared.gathered.resolved.platforms();
        // Only what registries have is remembered: asking for the rest costs nothing.
        let trusted = !job.exports.is_empty() && job.builder.builder.trusts_records();
        let records = self.records.as_deref().filter(|_| trusted);
        let step = events.step(StepKind::Check, format!("check {uri}"));
        if job.check_cache == CheckCache::Use
            && let Some(root) = records.and_then(|r| r.get(&reference, platforms))
        {
            step.finish(Outcome::Cached, None);
            return Ok(Existence::Present(root));
        }
        let checkers = job.builder.builder.checkers(&job.exports, login);
        let tag = TagKind::of(job.prepared.name.tag(), &job.prepared.key);
        let question = Question { reference: &reference, platforms, tag };
        let answer = first_answer(&checkers, question).await;
        step.finish(Outcome::Made, None);
        match answer {
            Ok(Presence::Present(root)) => {
                if let Some(records) = records.filter(|_| !job.dry_run) {
                    records.put(&reference, platforms, &root);
                }
                Ok(Existence::Present(root))
            }
            // Without a digest there is nothing to remember.
            Ok(Presence::Vouched(uri)) => Ok(Existence::Vouched(uri)),
            Ok(Presence::Absent | Presence::Unknown(_)) => Ok(Existence::Absent),
            Err(failures) if failures.0.is_empty() => {
                Ok(Existence::NotChecked(NotChecked::NoCheckers))
            }
            Err(failures) => nobody_knows(uri, failures, job.unknown, events),
        }
    }

    async fn make(
        &self,
        job: &Job,
        login: Option<RegistryLogin>,
        base: Option<Arc<ImageBuild>>,
        secrets: Secrets,
    ) -> Result<Arc<ImageBuild>, BuildError> {
        let _permit = self.permits.acquire().await.expect("it is never closed");
        let started = Instant::now();
        let uri = job.uri();
        let events = self.events.redacted(&secrets);
        let builder = job.builder.name.clone();
        events.emit(BuildEvent::BuildStarted { uri: uri.clone(), builder });
        let request = job.request(base.clone(), secrets.clone(), login);
        job.warn_of_unsupported(&request, &events);
        // From here on the tag may be anything; when all is done, nobody has looked at it yet.
        self.forget(job);
        let built = job.builder.builder.build(&request, &events).await;
        self.forget(job);
        let build = built.map_err(|e| BuildError::Builder(redacted(e.0, &secrets)))?;
        let build =
            ImageBuild { base: build.base.clone().or(base), millis: elapsed(started), ..build };
        events.emit(BuildEvent::BuildFinished {
            uri,
            digest: build.digest.map(|d| d.to_string()),
            millis: build.millis,
        });
        Ok(Arc::new(build))
    }

    fn forget(&self, job: &Job) {
        if let Some(records) = &self.records {
            records.forget(&job.reference());
        }
    }
}

impl Job {
    fn warn_of_unsupported(&self, request: &crate::builder::BuildRequest, events: &Events) {
        for unsupported in self.builder.builder.unsupported(request) {
            let name = &self.builder.name;
            let (parameter, reason) = (unsupported.parameter, unsupported.reason);
            let message = format!("{name} leaves out {parameter}: {reason}");
            events.warn("builder/unsupported-parameter", message);
        }
    }
}

fn nobody_knows(
    reference: String,
    failures: CheckFailures,
    policy: UnknownPolicy,
    events: &Events,
) -> Result<Existence, BuildError> {
    match policy {
        UnknownPolicy::Build => {
            let message =
                format!("building {reference} without knowing whether it exists: {failures}");
            events.warn("engine/unknown-presence", message);
            Ok(Existence::Unknown(failures))
        }
        UnknownPolicy::AssumePresent => {
            let message = format!("taking {reference} for present: {failures}");
            events.warn("engine/assumed-present", message);
            Ok(Existence::Assumed(failures))
        }
        UnknownPolicy::Fail => Err(BuildError::Unknown { reference, failures }),
    }
}

fn elapsed(since: Instant) -> u64 {
    since.elapsed().as_millis().try_into().unwrap_or(u64::MAX)
}
