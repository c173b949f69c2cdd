//! The builder `docker`.

mod api;
mod build;
mod checker;
mod command;
mod deliver;
mod endpoint;
mod extra;
mod settings;

use crate::error::DockerError;
use crate::process::Program;
use api::{Api, Version};
use async_trait::async_trait;
use endpoint::Daemon;
use extra::ExtraArguments;
pub use settings::DockerSettings;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use tierce_buildkit_client::Client as Buildkit;
use tierce_checkers::{RegistryChecker, client_for};
use tierce_dockerfile::{BaseText, Dialect};
use tierce_engine::{
    BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind, ImageBuild, ImageBuilder,
    ImageChecker, RegistryLogin, Rendering,
};
use tierce_frontend::{Frontend, registry_base};
use tierce_registry::{Client, Credentials};

/// Builds with a Docker daemon.
#[derive(Clone)]
pub struct DockerBuilder {
    settings: DockerSettings,
    frontend: Frontend,
    registry: Client,
    credentials: Arc<dyn Credentials>,
    /// The `docker` command, where it is installed.
    program: Option<Program>,
    /// Whether the command has its buildx plug-in.
    buildx: bool,
}

/// How a request is built.
enum Method {
    /// By the BuildKit inside the daemon.
    Api(Box<ApiMethod>),
    /// By the `docker` command.
    Command(Program),
}

struct ApiMethod {
    api: Api,
    version: Version,
    buildkit: Buildkit,
    extra: ExtraArguments,
}

impl DockerBuilder {
    /// A builder with these settings. `registry` looks at what was pushed; `credentials` are those
    /// that the daemon pulls and pushes with.
    pub fn new(
        settings: DockerSettings,
        frontend: Frontend,
        registry: Client,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        let program = settings.program();
        let buildx = program.is_some() && settings.has_buildx();
        DockerBuilder { settings, frontend, registry, credentials, program, buildx }
    }

    /// The daemon's API first; the command where something is asked for that only it can do.
    async fn method(&self, request: &BuildRequest) -> Result<Method, DockerError> {
        let daemon = Daemon::find(&self.settings)?;
        let extra = ExtraArguments::read(&self.settings.extra_args);
        let mut caches = Self::caches(&self.settings.cache_from)?;
        caches.extend(Self::caches(&self.settings.cache_to)?);
        let several = request.platforms.len() > 1;
        let only_pushed = !request.exports.is_empty()
            && request.exports.iter().all(|e| matches!(e, Export::Push(_)));
        let layout = |e: &Export| matches!(e, Export::OciArchive(_) | Export::OciLayout(_));
        let why_command = if self.settings.builder.is_some() {
            Some("a builder of buildx's")
        } else if several && !only_pushed {
            Some("an image of several platforms that is not pushed")
        } else if request.exports.iter().any(layout) {
            Some("an OCI layout")
        } else if caches.iter().any(|c| !c.is_daemons()) {
            Some("a local cache")
        } else {
            None
        };
        if let Some(what) = why_command {
            let what = what.to_owned();
            let program = self.program.clone().filter(|_| self.buildx);
            return program.map(Method::Command).ok_or(DockerError::NoBuildx { what });
        }
        let (Daemon::At(endpoint), Some(extra)) = (daemon, extra) else {
            let missing = || DockerError::NotInstalled { program: "docker".into() };
            return self.program.clone().map(Method::Command).ok_or_else(missing);
        };
        let api = Api::new(endpoint);
        let version = api.version().await?;
        match Buildkit::connect(Arc::new(api.clone())).await {
            Ok(buildkit) => Ok(Method::Api(Box::new(ApiMethod { api, version, buildkit, extra }))),
            Err(error) if error.source.kind() == io::ErrorKind::Unsupported => {
                match (&self.program, self.buildx) {
                    (Some(program), true) => Ok(Method::Command(program.clone())),
                    _ => Err(DockerError::NoBuildkit { version: version.version }),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What `FROM` says: for an image of ours, the tag that the engine has it under, else where a
    /// registry has it. One that is in tierce's own store only is neither.
    async fn base(
        &self,
        request: &BuildRequest,
        api: Option<&Api>,
    ) -> Result<BaseText, DockerError> {
        let Some(build) = request.base.as_deref() else { return Ok(BaseText::Own) };
        let local = build.uri.parse().ok();
        if let (Some(api), Some(reference)) = (api, &local)
            && let Some(image) = api.inspect(&build.uri).await?
            && build.digest.is_none_or(|d| d == image.id || image.digest_in(reference) == Some(d))
        {
            return Ok(BaseText::reference(reference.clone()));
        }
        let client = client_for(&self.registry, request.login.as_ref())?;
        match (registry_base(request, &client).await?, local) {
            (Some(reference), _) => Ok(BaseText::reference(reference)),
            // Only the command reaches this daemon: it will see.
            (None, Some(reference)) if api.is_none() => Ok(BaseText::reference(reference)),
            (None, _) => {
                Err(DockerError::NoBase { engine: "docker", reference: build.uri.clone() })
            }
        }
    }

    async fn deliver(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, DockerError> {
        match self.method(request).await? {
            Method::Api(method) => self.build_with_api(request, *method, events).await,
            Method::Command(program) => {
                let program = program.hiding(&request.secrets);
                self.build_with_command(request, &program, events).await
            }
        }
    }

    async fn show(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Rendering, DockerError> {
        // Without a daemon there is still something to show: what a new one would be given.
        let api = match Daemon::find(&self.settings)? {
            Daemon::At(endpoint) => Some(Api::new(endpoint)),
            Daemon::Command(_) => None,
        };
        let version = match &api {
            Some(api) => api.version().await.ok(),
            None => None,
        };
        let dialect = version.as_ref().map_or(Dialect::BUILDKIT, dialect);
        let base = match &request.base {
            None => BaseText::Own,
            Some(build) => build.uri.parse().map_or(BaseText::Own, BaseText::reference),
        };
        let input = self.frontend.input("docker", request, base, dialect, events);
        let input = input.await?;
        let command = self.command_line(request, &input);
        Ok(input.rendering(command))
    }
}

/// What the frontend inside a daemon understands: Docker brings its own, of the time of its
/// release (Docker 23.0 has BuildKit 0.10 and 1.4, 27.1 has BuildKit 0.15 and 1.9, 27.3 1.10).
fn dialect(version: &Version) -> Dialect {
    match version.numbers() {
        (..23, _) => Dialect::DOCKER_20,
        (23..27, _) | (27, ..=2) => Dialect { secret_env: false, ..Dialect::BUILDKIT },
        _ => Dialect::BUILDKIT,
    }
}

#[async_trait]
impl ImageBuilder for DockerBuilder {
    fn name(&self) -> &str {
        "docker"
    }

    fn capabilities(&self) -> Capabilities {
        let mut exports = BTreeSet::from([
            ExportKind::Local,
            ExportKind::Push,
            ExportKind::Load,
            ExportKind::DockerArchive,
        ]);
        if self.buildx {
            exports.extend([ExportKind::OciArchive, ExportKind::OciLayout]);
        }
        Capabilities {
            exports,
            multi_platform: true,
            secrets: true,
            dockerfiles: true,
            reproducible: false,
        }
    }

    async fn render(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Rendering, BuilderError> {
        Ok(self.show(request, events).await?)
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError> {
        Ok(self.deliver(request, events).await?)
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        match exports.iter().any(|e| matches!(e, Export::Push(_))) {
            true => vec![Arc::new(RegistryChecker::with_login(self.registry.clone(), login))],
            false => vec![Arc::new(checker::EngineChecker::new(self.settings.clone()))],
        }
    }
}
