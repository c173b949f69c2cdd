//! The builder `podman`.

mod build;
mod checker;
mod deliver;
mod engine;

use crate::error::DockerError;
use async_trait::async_trait;
use engine::Engine;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_checkers::RegistryChecker;
use tierce_dockerfile::BaseText;
use tierce_engine::{
    BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind, ImageBuild, ImageBuilder,
    ImageChecker, RegistryLogin, Rendering,
};
use tierce_frontend::Frontend;
use tierce_registry::{Client, Credentials, InsecurePolicy};

/// What the builder `podman` is told.
#[derive(Clone, Debug, Default)]
pub struct PodmanSettings {
    /// The service's address (`--url`), where podman does not run on this machine.
    pub host: Option<String>,
    /// Repositories to read cached layers from.
    pub cache_from: Vec<String>,
    /// Repositories to write cached layers to.
    pub cache_to: Vec<String>,
    /// Further arguments of `podman build`.
    pub extra_args: Vec<String>,
    /// Variables that podman sees besides those of this process.
    pub variables: Vec<(String, String)>,
    /// The directories with programs.
    pub search_path: Vec<PathBuf>,
    /// The user's runtime directory, in memory.
    pub runtime_dir: Option<PathBuf>,
    /// Where temporary files go; `/tmp` unless set.
    pub temporary: PathBuf,
    /// The registries that are spoken to in plain HTTP.
    pub insecure: InsecurePolicy,
}

impl PodmanSettings {
    fn temporary(&self) -> &Path {
        match self.temporary.as_os_str().is_empty() {
            true => Path::new("/tmp"),
            false => &self.temporary,
        }
    }
}

/// Builds with podman.
#[derive(Clone)]
pub struct PodmanBuilder {
    settings: PodmanSettings,
    frontend: Frontend,
    registry: Client,
    credentials: Arc<dyn Credentials>,
}

impl PodmanBuilder {
    /// A builder with these settings. `registry` looks at what was pushed; `credentials` are those
    /// that podman pulls and pushes with, besides its own.
    pub fn new(
        settings: PodmanSettings,
        frontend: Frontend,
        registry: Client,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        PodmanBuilder { settings, frontend, registry, credentials }
    }

    async fn show(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Rendering, DockerError> {
        let dialect = match Engine::find(&self.settings) {
            Ok(engine) => engine.dialect().await.unwrap_or(engine::OLDEST),
            Err(_) => engine::OLDEST,
        };
        let base = match &request.base {
            None => BaseText::Own,
            Some(build) => {
                engine::local_name(&build.uri).map_or(BaseText::Own, BaseText::reference)
            }
        };
        let input = self.frontend.input("podman", request, base, dialect, events).await?;
        let command = self.command_line(request, &input);
        Ok(input.rendering(command))
    }
}

#[async_trait]
impl ImageBuilder for PodmanBuilder {
    fn name(&self) -> &str {
        "podman"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: BTreeSet::from([
                ExportKind::Local,
                ExportKind::Push,
                ExportKind::Load,
                ExportKind::OciLayout,
                ExportKind::OciArchive,
                ExportKind::DockerArchive,
            ]),
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
