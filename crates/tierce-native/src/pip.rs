//! Resolving, fetching and building an image's Python packages.

use crate::conda::{CondaError, Provided};
use crate::context::Context;
use crate::credentials::without_credentials;
use crate::error::NativeError;
use crate::execute::Job;
use crate::key::KeyEncoder;
use crate::layer::{Layer, LayerOutcome};
use crate::local_wheels::LocalWheels;
use crate::projects::{FOLDER, Folder, Names, Pinned, ProjectError, source_key, with_versions};
use crate::python::{Interpreter, PythonLayers, Together};
use crate::secret::{StepSecrets, key_parts};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tierce_engine::{Events, Gathered, Outcome, StepHandle, StepKind};
use tierce_oci::{Digest, Platform};
use tierce_sandbox::{Mount, Process};
use tierce_spec::PythonEnvironment;
use tierce_store::{RecordKind, ScratchDir};
use tierce_wheel::{
    BucketPolicy, BuildIndexes, BuildJob, BuildPaths, CompileJob, FetchEvent, FetchSettings,
    IndexCredentials, InstallPlan, InstallTarget, Lock, LockError, LockRequest, LockedPackage,
    Prereleases, Source, SourcePolicy, StoredWheel, Target, VcsSource, WheelFilename,
    fetch_sources, fetch_wheels, write_bytecode_layer,
};

/// What requests resolved to.
const LOCK: RecordKind = RecordKind::new("python-lock");

/// What the wheels of environments come to together.
const TOGETHER: RecordKind = RecordKind::new("environment");

/// Wheels that were built here, by source and interpreter.
const BUILT: RecordKind = RecordKind::new("built-wheel");

#[derive(Serialize, Deserialize)]
struct LockRecord {
    pylock: String,
}

#[derive(Serialize, Deserialize)]
struct BuiltRecord {
    filename: String,
    digest: Digest,
}

/// What resolving came to.
pub enum Resolution {
    /// A lock.
    Lock(Lock),
    /// Some package does not say what it requires: resolving has to go on where its build can
    /// run, inside the image.
    Inside(Box<InsideRequest>),
}

/// A request that has to be resolved inside the image.
pub struct InsideRequest {
    /// The request, with this machine's paths.
    pub request: LockRequest,
    /// The wheels of the host that come with it.
    pub local: LocalWheels,
    /// What it has to go with.
    pub pinned: Pinned,
    /// What conda installs.
    pub provided: Option<Provided>,
    /// The key to remember the answer by.
    pub key: Digest,
}

/// A request for an environment.
pub struct PipRequest<'a> {
    /// What is to be installed.
    pub environment: &'a PythonEnvironment<'a>,
    /// The image's inputs, for requirements files.
    pub gathered: &'a Gathered,
    /// The image's Python.
    pub interpreter: &'a Interpreter,
    /// The image's platform.
    pub platform: &'a Platform,
    /// Resolve again what was resolved before.
    pub refresh: bool,
    /// Whether something else is asked for where this has no solution.
    pub is_attempt: bool,
    /// Where the environment is.
    pub prefix: &'a str,
    /// What conda installs there.
    pub provided: Option<&'a Provided>,
    /// What resolving and building see.
    pub secrets: StepSecrets,
    /// Who asks indexes.
    pub credentials: IndexCredentials,
    /// What the resolution has to go with.
    pub pinned: Pinned,
}

impl Context {
    /// Brings the wheels of `lock` into the store, and groups them into layers.
    pub async fn python_layers(
        &self,
        lock: Lock,
        policy: &BucketPolicy,
        request: &PipRequest<'_>,
        below: &[Layer],
        events: &Events,
    ) -> Result<(Arc<PythonLayers>, Together), NativeError> {
        let mut settings = FetchSettings::new(&request.gathered.root);
        settings.credentials = request.credentials.clone();
        let mut wheels = self.fetch(&lock, &settings, events).await?;
        let named = (&lock, Names::Locked);
        let built = self.build_sources(named, &settings, request, below, events).await?;
        let lock = with_versions(&lock, &built);
        wheels.extend(built);
        let version = request.interpreter.version;
        let target = InstallTarget::new(request.prefix, version).map_err(CondaError::from)?;
        let interpreter = request.interpreter.clone();
        let layers = Arc::new(PythonLayers::new(lock, interpreter, target, wheels, policy)?);
        let together = self.together(&layers).await?;
        for conflict in &together.conflicts {
            events.warn("python/file-conflict", conflict.clone());
        }
        Ok((layers, together))
    }

    /// What the wheels come to together, looked at once for each lock.
    async fn together(&self, layers: &Arc<PythonLayers>) -> Result<Together, NativeError> {
        let key = layers.key();
        if let Some(known) = self.store.record(TOGETHER, &key) {
            return Ok(known);
        }
        let layers = layers.clone();
        let together = tokio::task::spawn_blocking(move || layers.together()).await??;
        self.store.put_record(TOGETHER, &key, &together)?;
        Ok(together)
    }

    /// What the environment resolves to.
    pub async fn python_lock(
        &self,
        request: &PipRequest<'_>,
        events: &Events,
    ) -> Result<Resolution, NativeError> {
        let environment = request.environment;
        let target =
            Target::new(request.interpreter.version, request.platform, request.interpreter.libc)?;
        let local = LocalWheels::choose(request, &target)?;
        self.import_local_wheels(&local).await?;
        let key = self.lock_key(request, &target, &local);
        let step = events.step(StepKind::Resolve, "resolve Python packages");
        if let Some(lock) = self.locked_python(request.platform, &target)? {
            step.finish(Outcome::Cached, format!("{} packages", lock.packages().len()));
            return Ok(Resolution::Lock(lock));
        }
        let refresh = request.refresh || self.is_recording();
        if !refresh
            && let Some(record) = self.store.record::<LockRecord>(LOCK, &key)
            && let Ok(lock) = Lock::parse(record.pylock.as_bytes(), &target)
        {
            step.finish(Outcome::Cached, format!("{} packages", lock.packages().len()));
            return Ok(Resolution::Lock(lock));
        }
        let requirements: Vec<String> =
            environment.packages.iter().map(|p| (*p).to_owned()).collect();
        let cache = self.store.cache_dir("uv")?;
        let root = &request.gathered.root;
        let preferences = self.python_preferences(request.platform, &target);
        let mut wanted = LockRequest::new(target, requirements.clone(), root, &cache);
        wanted.preferences = preferences;
        wanted.requirements.extend(self.local_requirements(&local)?);
        wanted.requirement_files = environment
            .requirements
            .iter()
            .filter_map(|(step, _)| request.gathered.requirements.get(step).cloned())
            .collect();
        let options = &environment.options;
        (wanted.index, wanted.extra_indexes) = self.index_urls(request);
        wanted.prereleases =
            if options.pre { Prereleases::Allow } else { Prereleases::IfNecessary };
        wanted.extra_args.clone_from(&options.extra_args);
        wanted.sources = SourcePolicy::Allow;
        wanted.env = self.uv_environment(request);
        wanted.secrets = self.seen_by_uv(request).hidden().clone();
        let provided = self.provided(request, &mut wanted)?;
        let _pins = self.pin(&request.pinned, &mut wanted)?;
        let answer = self.uv().await?.lock(&wanted).await;
        drop(provided);
        match answer {
            Ok(lock) => {
                let lock = lock.without_local_paths();
                // With versions that an earlier lock prefers it is not what the index says.
                if wanted.preferences.is_none() {
                    self.remember_lock(&key, &lock, &self.seen_by_uv(request))?;
                }
                step.finish(Outcome::Made, format!("{} packages", lock.packages().len()));
                Ok(Resolution::Lock(lock))
            }
            Err(LockError::NeedsBuild { .. }) => {
                step.finish(Outcome::Made, "packages must be built to know more".to_owned());
                wanted.requirements = requirements;
                wanted.constraint_files.clear();
                let provided = request.provided.cloned();
                let pinned = request.pinned.clone();
                let inside = InsideRequest { request: wanted, local, pinned, provided, key };
                Ok(Resolution::Inside(Box::new(inside)))
            }
            Err(error @ LockError::Unsatisfiable { .. }) if request.is_attempt => {
                step.finish(Outcome::Made, "what is installed does not fit".to_owned());
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Tells uv what conda installs; what is given has to live as long as uv runs.
    fn provided(
        &self,
        request: &PipRequest<'_>,
        wanted: &mut LockRequest,
    ) -> Result<Option<ScratchDir>, NativeError> {
        let Some(provided) = request.provided else { return Ok(None) };
        let directory = self.store.scratch_dir("conda-provides")?;
        let file = provided.write(directory.path(), directory.path())?;
        wanted.constraint_files.push(file);
        Ok(Some(directory))
    }

    /// Remembers what a request resolved to.
    pub fn remember_lock(
        &self,
        key: &Digest,
        lock: &Lock,
        seen: &StepSecrets,
    ) -> Result<(), NativeError> {
        seen.search_text(lock.bytes(), "what the Python packages were resolved to")?;
        let pylock = String::from_utf8_lossy(lock.bytes()).into_owned();
        Ok(self.store.put_record(LOCK, key, &LockRecord { pylock })?)
    }

    /// All that the resolution depends on but the state of the index.
    fn lock_key(&self, request: &PipRequest<'_>, target: &Target, local: &LocalWheels) -> Digest {
        let environment = request.environment;
        let options = &environment.options;
        let file = |(step, _): &(usize, &Path)| {
            request.gathered.resolved.steps().find(|s| s.index == *step).and_then(|s| s.digest)
        };
        let files: Vec<Digest> = environment.requirements.iter().filter_map(file).collect();
        let index = options.index.as_ref().map(ToString::to_string);
        let index =
            index.or_else(|| self.settings.index.as_ref().map(|i| without_credentials(i.as_str())));
        let key = KeyEncoder::new("python-lock")
            .text("target", &target.to_string())
            .list("packages", &environment.packages)
            .list("files", files.iter().map(|d| *d.as_bytes()))
            .list("wheels", local.key_parts())
            .list("pinned", request.pinned.key_parts())
            .text("index", index.as_deref().unwrap_or_default())
            .list("extra-indexes", options.extra_indexes.iter().map(ToString::to_string))
            .text("pre", if options.pre { "yes" } else { "no" })
            .list("extra-args", &options.extra_args)
            .list("secrets", key_parts(&options.secrets));
        // Not where there is none: those keys are what they always were.
        match request.provided {
            Some(provided) => key.list("provided", provided.key_parts()),
            None => key,
        }
        .finish()
        .0
    }

    /// Brings the wheels of `lock` into the store.
    pub async fn fetch(
        &self,
        lock: &Lock,
        settings: &FetchSettings,
        events: &Events,
    ) -> Result<Vec<StoredWheel>, NativeError> {
        let missing: Vec<Digest> = lock
            .wheels()
            .map(|(_, file)| file.digest)
            .filter(|digest| self.store.has(digest).is_none())
            .collect();
        let step = events.step(StepKind::Fetch, "fetch wheels");
        let so_far: Mutex<BTreeMap<String, u64>> = Mutex::default();
        let observe = |event: FetchEvent<'_>| {
            if let FetchEvent::Progress { filename, bytes } = event {
                let mut so_far = so_far.lock().unwrap_or_else(PoisonError::into_inner);
                so_far.insert(filename.to_owned(), bytes);
                step.reporter().progress(so_far.values().sum(), None);
            }
        };
        let wheels = fetch_wheels(lock, &self.fetcher, &self.store, settings, &observe).await;
        let wheels = wheels.map_err(|error| self.unfetched(error))?;
        let fetched = wheels.iter().filter(|w| missing.contains(&w.digest)).map(|w| w.size);
        match missing.len() {
            0 => step.finish(Outcome::Cached, None),
            n => {
                let size = crate::size(fetched.sum());
                step.finish(Outcome::Made, format!("{n} wheels, {size}"));
            }
        }
        Ok(wheels)
    }

    /// Builds what has no wheel, one package after the other: each has the cores to itself.
    pub async fn build_sources(
        &self,
        (lock, names): (&Lock, Names),
        settings: &FetchSettings,
        request: &PipRequest<'_>,
        below: &[Layer],
        events: &Events,
    ) -> Result<Vec<StoredWheel>, NativeError> {
        if lock.to_build().next().is_none() {
            return Ok(vec![]);
        }
        let archives = fetch_sources(lock, &self.fetcher, &self.store, settings, &|_| {}).await;
        let archives = archives.map_err(|error| self.unfetched(error))?;
        let mut wheels = vec![];
        for package in lock.to_build() {
            // Not by names, which may be guessed.
            let archive = archives.iter().find(|archive| {
                matches!(&package.source, Source::Sdist { file, .. } if file.digest == archive.digest)
            });
            let folder = self.folder_of(package, request).await?;
            let source = match (folder, &package.source, archive) {
                (Some(folder), _, _) => BuildSource::Folder(folder),
                (None, Source::Sdist { .. }, Some(archive)) => BuildSource::Archive {
                    path: archive.path.clone(),
                    name: archive.filename.clone(),
                },
                (None, Source::Vcs(vcs), _) => BuildSource::Repository(vcs.clone()),
                _ => {
                    let (package, kind) = (package.name.to_string(), "a local directory");
                    return Err(NativeError::Unbuildable { package, kind });
                }
            };
            let asked = (package, names);
            let built = self.build_source(asked, source, settings, request, below, events);
            wheels.push(built.await?);
        }
        Ok(wheels)
    }

    async fn build_source(
        &self,
        (package, names): (&LockedPackage, Names),
        source: BuildSource,
        settings: &FetchSettings,
        request: &PipRequest<'_>,
        below: &[Layer],
        events: &Events,
    ) -> Result<StoredWheel, NativeError> {
        let title = format!("build {}", package.name);
        let seen = self.seen_by_uv(request);
        let (index, extra) = self.index_urls(request);
        let indexes = index.iter().chain(&extra).map(|url| without_credentials(url));
        let key = built_key(package, &source, request, below, indexes.collect());
        let step = events.step(StepKind::Execute, &title);
        if !request.refresh
            && let Some(record) = self.store.record::<BuiltRecord>(BUILT, &key)
            && let Some(size) = self.store.has(&record.digest)
            && let Ok(filename) = record.filename.parse::<WheelFilename>()
        {
            names.check(package, filename.name())?;
            step.finish(Outcome::Cached, None);
            let path = self.store.blob_path(&record.digest);
            let (package, digest) = (filename.name().clone(), record.digest);
            return Ok(StoredWheel { package, filename, digest, path, size });
        }
        self.require_execution(request.platform, &title)?;
        let source = self.checked_out(package, source, request).await?;
        let mut layers = below.to_vec();
        if let BuildSource::Folder(folder) = &source {
            layers.extend(self.folder_layer(folder).await?);
        }
        let roots = self.materialise(&layers, &step).await?;
        let scratch = self.scratch("wheel")?;
        let host = self.store.scratch_dir("wheel-out")?;
        let paths = BuildPaths {
            uv: "/run/tierce/build/uv",
            python: &request.interpreter.path,
            source: &source.inside(),
            out: "/run/tierce/build/out",
            cache: "/run/tierce/build/cache",
        };
        let indexes = BuildIndexes { index: index.as_deref(), extra: &extra, exclude_newer: None };
        let from = match &source {
            BuildSource::Folder(folder) => folder.package(package),
            _ => package.clone(),
        };
        let Some(mut job) = BuildJob::new(&from, &paths, &indexes) else {
            let (package, kind) = (package.name.to_string(), "its version control system");
            return Err(NativeError::Unbuildable { package, kind });
        };
        if let BuildSource::Folder(folder) = &source {
            job.env.extend(folder.variables());
        }
        let out = host.path().join("out");
        std::fs::create_dir_all(&out).map_err(NativeError::io(&out))?;
        let own_cache = self.own_cache(&seen)?;
        let cache = self.build_cache(own_cache.as_ref(), below)?;
        let mounts = self.build_mounts(&paths, &source, &out, cache).await?;
        let is_inside = matches!(source, BuildSource::Repository(_));
        let asked = is_inside.then(|| vec!["git".to_owned(), "--version".to_owned()]);
        for argv in asked.iter().chain(&job.commands) {
            let mut process = Process::new(roots.clone(), scratch.path.clone(), argv.clone());
            let mut env = job.env.clone();
            env.push(("PATH".into(), crate::draft::DEFAULT_PATH.into()));
            env.push(("HOME".into(), "/root".into()));
            process.env = self.step_environment(&env);
            process.mounts.clone_from(&mounts);
            process.ca_bundle.clone_from(&self.settings.ca_bundle);
            process.time_limit = Some(crate::execute::TIME_LIMIT);
            seen.give(&mut process);
            let (title, secrets) = (title.clone(), seen.clone());
            match self.run(Job { process, title, secrets }, &step).await {
                Ok(()) => {}
                Err(NativeError::Interrupted) => return Err(NativeError::Interrupted),
                Err(_) if Some(argv) == asked.as_ref() => {
                    return Err(ProjectError::NoGit { package: package.name.to_string() }.into());
                }
                Err(error) => return Err(error),
            }
        }
        let wheel = self.import_built(package, &out, settings, &seen)?;
        names.check(package, &wheel.package)?;
        let record = BuiltRecord { filename: wheel.filename.to_string(), digest: wheel.digest };
        self.store.put_record(BUILT, &key, &record)?;
        step.finish(Outcome::Made, wheel.filename.to_string());
        Ok(wheel)
    }

    /// A repository as a folder, where this machine has a git.
    async fn checked_out(
        &self,
        package: &LockedPackage,
        source: BuildSource,
        request: &PipRequest<'_>,
    ) -> Result<BuildSource, NativeError> {
        let BuildSource::Repository(vcs) = &source else { return Ok(source) };
        Ok(match self.check_out(package, vcs, request).await? {
            Some(folder) => BuildSource::Folder(folder),
            None => source,
        })
    }

    async fn build_mounts(
        &self,
        paths: &BuildPaths<'_>,
        source: &BuildSource,
        out: &Path,
        cache: PathBuf,
    ) -> Result<Vec<Mount>, NativeError> {
        // The user's own uv may be linked against the host's libraries: the pinned one is not.
        let uv = tierce_wheel::Uv::fetch(&self.fetcher, &self.store, &self.uv_index()).await?;
        let bind = |source: &Path, target: &str, read_only: bool| Mount::Bind {
            source: source.to_owned(),
            target: target.to_owned(),
            read_only,
        };
        let mut mounts = vec![
            bind(uv.program(), paths.uv, true),
            Mount::Cache { source: cache, target: paths.cache.to_owned() },
            Mount::Cache { source: out.to_owned(), target: paths.out.to_owned() },
        ];
        if let BuildSource::Archive { path, .. } = source {
            mounts.push(bind(path, paths.source, true));
        }
        Ok(mounts)
    }

    fn import_built(
        &self,
        package: &LockedPackage,
        out: &Path,
        settings: &FetchSettings,
        seen: &StepSecrets,
    ) -> Result<StoredWheel, NativeError> {
        let entries = std::fs::read_dir(out).map_err(NativeError::io(out))?;
        let wheels: Vec<PathBuf> = entries
            .flatten()
            // What ran there is not trusted: a link may lead anywhere on the host.
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "whl"))
            .collect();
        match wheels.as_slice() {
            [wheel] => {
                seen.search_wheel(wheel)?;
                Ok(StoredWheel::import(&self.store, wheel, settings)?)
            }
            wheels => Err(NativeError::BuiltWheels {
                package: package.name.to_string(),
                count: wheels.len(),
            }),
        }
    }

    /// The bytecode of a group's modules.
    pub async fn bytecode(
        &self,
        python: &Arc<PythonLayers>,
        group: usize,
        lowers: Vec<Layer>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        const OUT: &str = "/run/tierce/bytecode";
        const LIST: &str = "/run/tierce/modules";
        let roots = self.materialise(&lowers, step).await?;
        let scratch = self.scratch("bytecode")?;
        let host = self.store.scratch_dir("bytecode-out")?;
        let plans = python.group(group)?;
        let plans: Vec<&InstallPlan> = plans.iter().collect();
        let job = CompileJob::new(&plans, &python.interpreter.path, OUT);
        let (out, list) = (host.path().join("out"), host.path().join("modules"));
        std::fs::create_dir_all(&out).map_err(NativeError::io(&out))?;
        let disputed = self.together(python).await?.disputed;
        let modules: Vec<&[u8]> = job
            .stdin
            .split_inclusive(|b| *b == b'\n')
            .filter(|line| !disputed.iter().any(|m| m.as_bytes() == line.trim_ascii_end()))
            .collect();
        std::fs::write(&list, modules.concat()).map_err(NativeError::io(&list))?;
        let mut process = Process::new(roots, scratch.path.clone(), reading(job.argv, LIST));
        process.env = job.env;
        process.network = tierce_sandbox::Network::None;
        process.mounts = vec![
            Mount::Cache { source: out.clone(), target: OUT.to_owned() },
            Mount::Bind { source: list, target: LIST.to_owned(), read_only: true },
        ];
        process.time_limit = Some(crate::execute::TIME_LIMIT);
        let (title, secrets) = ("compile Python modules".to_owned(), StepSecrets::default());
        self.run(Job { process, title, secrets }, step).await?;
        let target = python.target.clone();
        let outcome =
            self.assemble(move |writer| Ok(write_bytecode_layer(&out, &target, writer)?)).await?;
        drop(host);
        Ok(outcome)
    }
}

/// `python ... -c SCRIPT ARGUMENTS` with a file as its standard input, which programs in the
/// sandbox don't have otherwise. In Python itself: an image need not have a shell.
fn reading(argv: Vec<String>, file: &str) -> Vec<String> {
    const REDIRECT: &str = "import os, sys; os.dup2(os.open(sys.argv.pop(), os.O_RDONLY), 0)";
    let mut argv = argv;
    if let Some(script) = argv.iter().position(|a| a == "-c").and_then(|i| argv.get_mut(i + 1)) {
        script.insert_str(0, &format!("{REDIRECT}\n"));
    }
    argv.push(file.to_owned());
    argv
}

/// Where a package's source is.
enum BuildSource {
    /// An archive in the store, and its real name.
    Archive { path: PathBuf, name: String },
    /// A repository, which the build checks out where this machine can't.
    Repository(VcsSource),
    /// A folder, which is a layer below the build.
    Folder(Folder),
}

impl BuildSource {
    /// Its path in the image that builds.
    fn inside(&self) -> String {
        match self {
            BuildSource::Archive { name, .. } => format!("/run/tierce/build/{name}"),
            BuildSource::Repository(_) => "/tmp/tierce-checkout".to_owned(),
            BuildSource::Folder(_) => FOLDER.to_owned(),
        }
    }
}

/// A wheel depends on its source, on the interpreter, and on what the image offers to build with.
fn built_key(
    package: &LockedPackage,
    source: &BuildSource,
    request: &PipRequest<'_>,
    below: &[Layer],
    indexes: Vec<String>,
) -> Digest {
    let folder = match source {
        BuildSource::Folder(folder) => Some(folder),
        BuildSource::Archive { .. } | BuildSource::Repository(_) => None,
    };
    let source = source_key(package, folder);
    // What is asked for by its place says itself what it is called.
    let name = if package.source.is_direct() { "" } else { package.name.as_str() };
    KeyEncoder::new("built-wheel")
        .text("package", name)
        .text("source", &source)
        .text("python", &request.interpreter.version.to_string())
        .text("interpreter", &request.interpreter.path)
        .text("platform", &request.platform.to_string())
        // Where what builds it came from.
        .list("indexes", indexes)
        .list("secrets", key_parts(&request.environment.options.secrets))
        .list("below", below.iter().map(|l| *l.record.diff_id.0.as_bytes()))
        .finish()
        .0
}
