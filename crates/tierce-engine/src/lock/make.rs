//! Making a lock.

use super::{LockError, LockUse, Locking, below_of, declared};
use crate::builder::{ImageBuild, Status};
use crate::engine::ImageBuildEngine;
use crate::error::BuildError;
use crate::event::Events;
use crate::gather::GatheredBase;
use crate::job::{Below, Job, Plan, Planner};
use crate::options::{BuildOptions, CheckCache};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::collections::BTreeSet;
use std::sync::Arc;
use tierce_lock::{Ledger, LockFile, LockedImage, Toolchain, Update};
use tierce_secret::Secrets;
use tierce_spec::{Base, Image};

/// What lock to make.
#[derive(Clone, Debug)]
pub struct LockRequest {
    /// How the lock calls the image.
    pub image: String,
    /// The lock that there is.
    pub before: Option<Arc<LockFile>>,
    /// What is looked for anew; all else stays where what the image declares still allows it.
    pub update: Update,
}

/// What an image, and those below it, were resolved to.
#[derive(Clone, Debug, Default)]
pub struct Locked {
    /// What resolved them.
    pub toolchain: Toolchain,
    /// The images.
    pub images: Vec<LockedImage>,
    /// Those of [`Update::Packages`] that none of the images has.
    pub not_found: Vec<String>,
}

impl ImageBuildEngine {
    /// Finds out what exactly `image` is built from now, for [`BuildOptions::lock`] of later
    /// builds. Images below it are built, from what was found out about them; of the image itself
    /// no more is made than it takes.
    pub async fn lock(
        &self,
        image: &Image,
        options: &BuildOptions,
        request: &LockRequest,
        events: &Events,
    ) -> Result<Locked, BuildError> {
        let options = BuildOptions {
            lock: None,
            push: false,
            exports: vec![],
            force: false,
            dry_run: false,
            check_cache: CheckCache::Bypass,
            ..options.clone()
        };
        let mut locked = Locked::default();
        let not_found = match &request.update {
            Update::Packages(names) => names.iter().cloned().collect(),
            Update::All => BTreeSet::new(),
        };
        let keeps_others = !options.platforms.is_empty();
        let mut maker =
            Maker { engine: self, request, events, locked: &mut locked, not_found, keeps_others };
        maker.image(image.clone(), options, request.image.clone()).await?;
        let not_found = maker.not_found;
        locked.not_found = not_found.into_iter().collect();
        locked.images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(locked)
    }
}

struct Maker<'a> {
    engine: &'a ImageBuildEngine,
    request: &'a LockRequest,
    events: &'a Events,
    locked: &'a mut Locked,
    not_found: BTreeSet<String>,
    /// Whether it is made for some platforms only, and says the same of others as before.
    keeps_others: bool,
}

impl Maker<'_> {
    /// Locks the image, those below it first.
    fn image(
        &mut self,
        image: Image,
        mut options: BuildOptions,
        name: String,
    ) -> BoxFuture<'_, Result<(), BuildError>> {
        async move {
            let before = self.request.before.as_ref().and_then(|file| file.image(&name));
            if let (true, true, Some(before)) =
                (options.platforms.is_empty(), image.platforms().is_empty(), before)
            {
                // A lock stays for the platforms that it was made for.
                options.platforms = before.platforms.iter().map(|p| p.platform.clone()).collect();
            }
            let job = match Planner::new(self.engine, &options).plan(&image).await? {
                Plan::Job(job) => job,
                // There is nothing to resolve in an image that is another one as it is.
                Plan::Nothing(..) => {
                    self.locked.images.push(LockedImage { name, ..LockedImage::default() });
                    return Ok(());
                }
            };
            if !job.builder.builder.locks() {
                return Err(LockError::Builder { builder: job.builder.name.clone() }.into());
            }
            let below = self.below(&job, &options, &name).await?;
            self.job(&job, below, name).await
        }
        .boxed()
    }

    /// Locks and builds the image below that of the job.
    async fn below(
        &mut self,
        job: &Job,
        options: &BuildOptions,
        name: &str,
    ) -> Result<Option<Arc<ImageBuild>>, BuildError> {
        let gathered = &job.prepared.gathered;
        let (Some(GatheredBase::Image(nested)), Base::Image(image)) =
            (&gathered.base, job.image().base())
        else {
            return Ok(None);
        };
        if let Some(Below::Unmodified(uri)) = &job.base {
            return Ok(Some(Arc::new(ImageBuild::new(uri, Status::Unmodified))));
        }
        let below = below_of(name);
        let options = BuildOptions {
            root: gathered.root.clone(),
            platforms: nested.resolved.platforms().to_vec(),
            ..options.clone()
        };
        let image = match image.name() {
            Some(_) => (**image).clone(),
            None => image.with_name(format!("{}-base", job.prepared.name.name())),
        };
        self.image(image.clone(), options.clone(), below.clone()).await?;
        let file = LockFile {
            toolchain: self.locked.toolchain.clone(),
            images: self.locked.images.clone(),
        };
        let lock = Some(LockUse { file: Arc::new(file), image: below });
        let options = BuildOptions { lock, ..options };
        Ok(Some(Arc::new(self.engine.build(&image, &options, self.events).await?)))
    }

    /// Keeps what is locked for other platforms, where nothing else is asked for by now, of the
    /// image and of those below it.
    fn keep_others(&self, image: &mut LockedImage, before: &LockedImage) {
        if before.declared != image.declared {
            return;
        }
        let prefix = below_of(&image.name);
        let file = self.request.before.as_ref();
        for kept in &before.platforms {
            let below = self.locked.images.iter().filter(|i| i.name.starts_with(&prefix));
            let mut pairs = below.map(|now| (file.and_then(|file| file.image(&now.name)), now));
            let is_same = |(before, now): (Option<&LockedImage>, &LockedImage)| {
                now.platform(&kept.platform)
                    == before.and_then(|before| before.platform(&kept.platform))
            };
            if image.platform(&kept.platform).is_none() && pairs.all(is_same) {
                image.platforms.push(kept.clone());
            }
        }
        image.platforms.sort_by(|a, b| a.platform.cmp(&b.platform));
    }

    /// Whether the images below one, which are locked by now, are what they were.
    fn is_on_same(&self, name: &str) -> bool {
        let prefix = below_of(name);
        let is_below = |image: &&LockedImage| image.name.starts_with(&prefix);
        let before = self.request.before.iter().flat_map(|file| &file.images);
        let mut before: Vec<&LockedImage> = before.filter(is_below).collect();
        let mut now: Vec<&LockedImage> = self.locked.images.iter().filter(is_below).collect();
        before.sort_by(|a, b| a.name.cmp(&b.name));
        now.sort_by(|a, b| a.name.cmp(&b.name));
        before == now
    }

    /// Locks the image of one job.
    async fn job(
        &mut self,
        job: &Job,
        below: Option<Arc<ImageBuild>>,
        name: String,
    ) -> Result<(), BuildError> {
        job.check_able()?;
        let wanted = job.image().secrets();
        let secrets = match wanted.is_empty() {
            true => Secrets::default(),
            false => self.engine.secrets.resolve(&wanted).await?,
        };
        let mut request = job.request(below, secrets.clone(), None);
        let declared = declared(&request.gathered)?;
        let before = self.request.before.as_ref().and_then(|file| file.image(&name));
        let is_on_same = self.is_on_same(&name);
        let ledger = match before {
            Some(before) => {
                let before = still_holds(before, &declared, is_on_same);
                Ledger::updating(before, self.request.update.clone())
            }
            None => Ledger::recording(),
        };
        let ledger = Arc::new(ledger);
        request.gathered.locking = Locking::Record(ledger.clone());
        let events = self.events.redacted(&secrets);
        let toolchain = job.builder.builder.lock(&request, &events).await;
        self.locked.toolchain =
            toolchain.map_err(|e| BuildError::Builder(crate::redact::redacted(e.0, &secrets)))?;
        let mut image = ledger.finish(&name, declared, &request.platforms);
        if let (true, Some(before)) = (self.keeps_others, before) {
            self.keep_others(&mut image, before);
        }
        let missing: BTreeSet<String> = ledger.not_found().into_iter().collect();
        // Without an earlier lock all is new, and so is what was asked for.
        if before.is_some() {
            self.not_found = self.not_found.intersection(&missing).cloned().collect();
        }
        self.locked.images.push(image);
        Ok(())
    }
}

/// What of an earlier lock may stay: packages of Debian are chosen for what is below them.
fn still_holds(before: &LockedImage, declared: &[String], is_on_same: bool) -> LockedImage {
    let mut image = before.clone();
    let lines = |of: &[String], kinds: &[&str]| -> Vec<String> {
        let is_one = |line: &&String| kinds.iter().any(|kind| line.starts_with(kind));
        of.iter().filter(is_one).cloned().collect()
    };
    let same = |kinds: &[&str]| lines(&before.declared, kinds) == lines(declared, kinds);
    for platform in &mut image.platforms {
        if !same(&["base "]) {
            platform.base = None;
        }
        if !is_on_same || !same(&["base ", "run ", "source "]) {
            platform.apt.clear();
        }
        if !is_on_same || !same(&["base ", "python", "run ", "apt ", "conda "]) {
            platform.interpreter = None;
        }
    }
    image
}
