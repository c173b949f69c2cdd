//! From settings to an engine.

use crate::SANDBOX_HELPER_ARGUMENT;
use crate::builders::builders;
use crate::checks::StoredChecks;
use crate::connect::registry_client;
use crate::error::Error;
use crate::options::execution;
use crate::secrets::secret_resolver;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_config::Settings;
use tierce_engine::{
    BuildOptions, Events, GatherCache, ImageBuild, ImageBuildEngine, ImageBuilder, NoopBuilder,
    PlanReport,
};
use tierce_fetch::{Fetcher, HttpSettings};
use tierce_native::{
    Context, IndexCredentialFiles, NativeBuilder, NativeError, NativeSettings, RunOptions,
};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_plugin::Builders;
use tierce_registry::ClientSettings;
use tierce_sandbox::{Cancel, Helper};
use tierce_secret::SecretProvider;
use tierce_spec::Image;
use tierce_store::Store;
use tierce_wheel::{StandaloneSettings, UvSettings};

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] tierce_store::OpenError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Client(#[from] tierce_fetch::ClientError),
    /// The program cannot find itself, and so cannot start its sandbox.
    #[error("cannot find the running program")]
    Program(#[source] std::io::Error),
    /// A builder is registered in a way that makes no sense.
    #[error(transparent)]
    Builder(#[from] tierce_plugin::RegisteredError),
}

impl Diagnostic for OpenError {
    fn code(&self) -> &'static str {
        match self {
            OpenError::Store(e) => e.code(),
            OpenError::Client(e) => e.code(),
            OpenError::Program(_) => "sandbox/program",
            OpenError::Builder(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            OpenError::Store(e) => e.kind(),
            OpenError::Client(e) => e.kind(),
            OpenError::Program(_) => ErrorKind::Environment,
            OpenError::Builder(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            OpenError::Store(e) => e.hint(),
            OpenError::Client(e) => e.hint(),
            OpenError::Program(_) => None,
            OpenError::Builder(e) => e.hint(),
        }
    }
}

/// An engine with the builders of this machine.
pub struct Tierce {
    engine: ImageBuildEngine,
    native: NativeBuilder,
    builders: Builders,
}

/// An engine that can name images, and nothing else: it needs no store and no network.
pub fn offline(settings: &Settings) -> ImageBuildEngine {
    let mut engine = ImageBuildEngine::new(index(settings));
    engine.set_execution(execution(settings));
    engine
}

/// What is remembered of sources between builds.
fn index(settings: &Settings) -> GatherCache {
    GatherCache::in_directory(settings.store.join("index"))
}

/// How the sandbox starts this program again.
pub(crate) fn helper() -> Result<Helper, OpenError> {
    Ok(helper_of(&std::env::current_exe().map_err(OpenError::Program)?))
}

/// How the sandbox starts `program` as its helper.
fn helper_of(program: &Path) -> Helper {
    let mut helper = Helper::new(program.to_owned());
    helper.args.push(SANDBOX_HELPER_ARGUMENT.into());
    helper
}

impl Tierce {
    /// Opens the store and registers the builders. `cancel` stops whatever runs in a sandbox.
    ///
    /// The running program starts itself as the sandbox's helper: see
    /// [`crate::sandbox_helper_main`].
    pub fn open(settings: Settings, cancel: &Cancel) -> Result<Self, OpenError> {
        let program = std::env::current_exe().map_err(OpenError::Program)?;
        Self::open_with(settings, cancel, &program)
    }

    /// The same for libraries inside of other programs: `program` is a `tierce`, which is started
    /// as the sandbox's helper.
    pub fn open_with(
        settings: Settings,
        cancel: &Cancel,
        program: &Path,
    ) -> Result<Self, OpenError> {
        let index = index(&settings);
        Self::open_remembering(settings, cancel, program, index)
    }

    /// The same, with another memory of sources.
    pub(crate) fn open_remembering(
        settings: Settings,
        cancel: &Cancel,
        program: &Path,
        sources: GatherCache,
    ) -> Result<Self, OpenError> {
        let store = Store::open(&settings.store)?;
        let http = tierce_fetch::client(&HttpSettings::default())?;
        let registry = registry_client(&settings, ClientSettings::new(http.clone()))?;
        let native = NativeSettings {
            helper: helper_of(program),
            ca_bundle: settings.ca_bundle.clone(),
            network_variables: settings.network_variables.clone(),
            uv: UvSettings { search_path: uv_path(&settings, program), ..UvSettings::default() },
            uv_variables: settings.uv_variables.clone(),
            index: settings.index.clone(),
            index_credentials: index_credentials(&settings),
            standalone: StandaloneSettings {
                mirror: settings.python_install_mirror.clone(),
                list: settings.python_downloads.clone(),
            },
            conda_channel_alias: settings.conda_channel_alias.clone(),
            debian_mirror: settings.debian.mirror.clone(),
            debian_security_mirror: settings.debian.security_mirror.clone(),
            debian_snapshot: settings.debian.snapshot.clone(),
            debian_keyring: settings.debian.keyring.clone(),
            search_path: settings.search_path.clone(),
        };
        let checks = StoredChecks::new(store.clone(), settings.check_cache_ttl);
        let context = Context::new(native, store, Fetcher::new(http), registry, cancel.clone());
        let native = NativeBuilder::new(context);
        let mut engine = ImageBuildEngine::new(sources);
        engine.set_secrets(secret_resolver(&settings, []));
        engine.set_check_records(Some(Arc::new(checks)));
        engine.register(Arc::new(native.clone()), 0);
        engine.register(Arc::new(NoopBuilder), -10);
        let builders = builders(&settings, &native, &native.context().registry)?;
        engine.add_source(Arc::new(builders.clone()));
        engine.set_default(settings.builder);
        Ok(Tierce { engine, native, builders })
    }

    /// The engine.
    pub fn engine(&self) -> &ImageBuildEngine {
        &self.engine
    }

    /// The engine, for those who bring builders of their own.
    pub fn engine_mut(&mut self) -> &mut ImageBuildEngine {
        &mut self.engine
    }

    /// The builders that are loaded when they are used, and their flavors.
    pub fn builders(&self) -> &Builders {
        &self.builders
    }

    /// The native builder.
    pub fn native(&self) -> &NativeBuilder {
        &self.native
    }

    /// Adds a builder, in place of one of that name.
    pub(crate) fn register_as(
        &mut self,
        name: &str,
        builder: Arc<dyn ImageBuilder>,
        priority: i32,
    ) {
        self.engine.register_as(name, builder, priority);
    }

    /// Looks for secrets in `first`, before all other places.
    pub(crate) fn look_for_secrets_in(
        &mut self,
        settings: &Settings,
        first: impl IntoIterator<Item = Arc<dyn SecretProvider>>,
    ) {
        self.engine.set_secrets(secret_resolver(settings, first));
    }

    /// Builds an image unless it is there already, and delivers it.
    pub async fn build(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<ImageBuild, Error> {
        let before = self.native.context().registry.requests();
        let mut build = self.engine.build(image, options, events).await?;
        // With those that asked whether the image is there.
        build.requests = self.native.context().registry.requests() - before;
        Ok(build)
    }

    /// Builds several images, some at once; what they have in common is built once. Results are
    /// in the order of `images`.
    pub async fn build_all(
        &self,
        images: &[(Image, BuildOptions)],
        events: &Events,
    ) -> Vec<Result<ImageBuild, Error>> {
        let builds = self.engine.build_all(images, events).await;
        builds.into_iter().map(|build| Ok(build?)).collect()
    }

    /// What a build by the native builder would do.
    pub async fn plan(
        &self,
        image: &Image,
        options: &BuildOptions,
        events: &Events,
    ) -> Result<PlanReport, Error> {
        let native = Some(self.native.name().to_owned());
        let options = BuildOptions { builder: native, ..options.clone() };
        let ImageBuild { uri, rendering, .. } = self.engine.render(image, &options, events).await?;
        let plan = rendering.and_then(|rendering| rendering.plan);
        Ok(plan.unwrap_or(PlanReport { uri, platforms: vec![] }))
    }

    /// Builds the image if need be, and runs it; gives the exit code.
    pub async fn run_spec(
        &self,
        image: &Image,
        options: &BuildOptions,
        run: &RunOptions,
        events: &Events,
    ) -> Result<u8, Error> {
        // What was built must not be collected before it runs.
        let _session = self.native.context().store.session().map_err(NativeError::from)?;
        let build = self.engine.build(image, options, events).await?;
        self.run_image(&build.uri, run, events).await
    }

    /// Runs an image: `oci:DIR[:NAME]`, `oci-archive:FILE[:NAME]`, or a name that the store or a
    /// registry knows. Gives the exit code.
    pub async fn run_image(
        &self,
        name: &str,
        run: &RunOptions,
        events: &Events,
    ) -> Result<u8, Error> {
        let image = self.find(name).await?;
        Ok(self.native.context().run_image(&image, name, run, events).await?)
    }

    /// The image of this name, wherever it is.
    pub(crate) async fn find(&self, name: &str) -> Result<tierce_oci::Artifact, Error> {
        let context = self.native.context();
        if let Some(location) = name.strip_prefix("oci-archive:") {
            let (file, image) = split_name(location);
            let read = tierce_store::oci_archive::read(file.as_ref(), &context.store, image);
            return Ok(read.map_err(Arc::new)?);
        }
        if let Some(location) = name.strip_prefix("oci:") {
            let (directory, image) = split_name(location);
            let verify = tierce_store::Verify::Documents;
            let read = tierce_store::oci_layout::read(directory.as_ref(), image, verify);
            return Ok(read.map_err(Arc::new)?);
        }
        if let Some(image) = context.recall(&tierce_native::local_name(name)) {
            return Ok(image);
        }
        let reference = name.parse().map_err(|_| NativeError::NoImage(name.to_owned()))?;
        let found = context.remote_image(&reference).await;
        if found.as_ref().is_err_and(|error| error.code() == "registry/not-found") {
            // Whoever saw it there a while ago must look again.
            self.engine.forget(&reference);
        }
        Ok(found?)
    }
}

/// Where uv may be: on the search path, or beside `program`, where an environment has both.
fn uv_path(settings: &Settings, program: &Path) -> Vec<PathBuf> {
    let beside = program.parent().filter(|directory| directory.is_absolute());
    settings.search_path.iter().cloned().chain(beside.map(Path::to_owned)).collect()
}

fn index_credentials(settings: &Settings) -> IndexCredentialFiles {
    let found = settings.index_credentials.clone();
    IndexCredentialFiles { netrc: found.netrc, uv: found.uv, names: found.names }
}

/// `PATH[:NAME]`; a path that exists with its colon is a path.
fn split_name(location: &str) -> (&str, Option<&str>) {
    match location.rsplit_once(':') {
        Some((path, name)) if !std::path::Path::new(location).exists() => (path, Some(name)),
        _ => (location, None),
    }
}
