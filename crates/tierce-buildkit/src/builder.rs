//! The builder.

use crate::error::BuildkitError;
use crate::export::{Delivery, root_of};
use async_trait::async_trait;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use tierce_buildkit_client::{CacheEntry, Client as Daemon, Endpoint, TlsFiles};
use tierce_checkers::{RegistryChecker, client_for};
use tierce_dockerfile::{BaseText, Dialect};
use tierce_engine::{
    BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind, ImageBuild, ImageBuilder,
    ImageChecker, RegistryLogin, Rendering, Status,
};
use tierce_frontend::{
    BuildNetwork, Found, Frontend, InputError, SolveSettings, credential_chain, registry_base,
};
use tierce_oci::Descriptor;
use tierce_registry::{Client, Credentials, InsecurePolicy};

/// Where `buildkitd` listens unless told otherwise.
const SYSTEM: &str = "/run/buildkit/buildkitd.sock";

/// What the builder `buildkit` is told.
#[derive(Clone, Debug, Default)]
pub struct BuildkitSettings {
    /// The daemon's address: `unix:///path` or `tcp://host:port`; the usual socket unless set.
    pub address: Option<String>,
    /// The files for TLS; `None` for TCP in the clear.
    pub tls: Option<TlsFiles>,
    /// The user's runtime directory, where a daemon without root has its socket.
    pub runtime_dir: Option<PathBuf>,
    /// Caches to read, as `--cache-from` takes them.
    pub cache_from: Vec<String>,
    /// Caches to write, as `--cache-to` takes them.
    pub cache_to: Vec<String>,
    /// The network that build steps have; the host's needs the entitlement of the daemon.
    pub network: BuildNetwork,
    /// The registries that are spoken to in plain HTTP.
    pub insecure: InsecurePolicy,
    /// Further attributes of the frontend (`label:KEY`, `shm-size`, ...); they win.
    pub attributes: BTreeMap<String, String>,
}

impl BuildkitSettings {
    fn endpoint(&self) -> Result<Endpoint, BuildkitError> {
        if let Some(address) = &self.address {
            return Ok(Endpoint::parse(address, None, self.tls.clone())?);
        }
        let own = self.runtime_dir.as_ref().map(|dir| dir.join("buildkit/buildkitd.sock"));
        let own = own.filter(|socket| socket.exists() && !PathBuf::from(SYSTEM).exists());
        Ok(Endpoint::Unix(own.unwrap_or_else(|| PathBuf::from(SYSTEM))))
    }
}

/// Builds with a `buildkitd`.
#[derive(Clone)]
pub struct BuildkitBuilder {
    settings: BuildkitSettings,
    frontend: Frontend,
    registry: Client,
    credentials: Arc<dyn Credentials>,
}

impl BuildkitBuilder {
    /// A builder with these settings. `registry` looks at what was pushed; `credentials` are those
    /// that the daemon is given for pulling and pushing.
    pub fn new(
        settings: BuildkitSettings,
        frontend: Frontend,
        registry: Client,
        credentials: Arc<dyn Credentials>,
    ) -> Self {
        BuildkitBuilder { settings, frontend, registry, credentials }
    }

    async fn connect(&self) -> Result<Daemon, BuildkitError> {
        Ok(Daemon::connect(Arc::new(self.settings.endpoint()?)).await?)
    }

    async fn deliver(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuildkitError> {
        let deliveries = Delivery::all(request, &self.settings.insecure)?;
        let settings = self.solve_settings(request)?;
        let daemon = self.connect().await?;
        let dialect = dialect(&daemon).await?;
        let base = self.base(request).await?;
        let input = self.frontend.input("buildkit", request, base, dialect, events).await?;
        // Once for nobody, so that the sources are compared before anybody gets the result.
        daemon.solve(input.solve(request, &request.platforms, None, &settings), events).await?;
        request.verify().await.map_err(InputError::from)?;
        let mut result = ImageBuild::new(&request.uri, Status::Built);
        // One solve for each destination: every one but the first is from the cache. Daemons
        // before BuildKit 0.13 know no other way.
        for delivery in deliveries {
            let exporter = Some(delivery.exporter());
            let solve = input.solve(request, &request.platforms, exporter, &settings);
            let solved = daemon.solve(solve, events).await?;
            let root = root_of(&solved).ok_or(BuildkitError::NoResult)?;
            delivery.finish(events).await?;
            // What a registry has counts most, whatever is written beside it.
            let is_push = matches!(delivery.export, Export::Push(_));
            if result.root.is_none() || is_push {
                let found = self.found(request, &delivery.export, &root).await?;
                found.unwrap_or_else(|| Found::single(root, &request.platforms)).tell(&mut result);
            }
        }
        Ok(result)
    }

    /// What is where `export` says, with its platforms.
    async fn found(
        &self,
        request: &BuildRequest,
        export: &Export,
        root: &Descriptor,
    ) -> Result<Option<Found>, BuildkitError> {
        let platforms = &request.platforms;
        Ok(match export {
            Export::Push(to) => {
                let client = client_for(&self.registry, request.login.as_ref())?;
                // The daemon's word does: it may reach a registry that this machine does not.
                let found = Found::in_registry(&client, to, root.digest, platforms).await;
                found.unwrap_or_default()
            }
            Export::OciLayout(path) => Found::in_layout(path, platforms),
            Export::OciArchive(path) => Found::in_archive(path, platforms),
            Export::DockerArchive(_) | Export::Load => None,
        })
    }

    fn solve_settings(&self, request: &BuildRequest) -> Result<SolveSettings, BuildkitError> {
        let read = |texts: &[String]| -> Result<Vec<CacheEntry>, BuildkitError> {
            let entry = |text: &String| {
                let entry: CacheEntry = text.parse()?;
                match entry.is_daemons() {
                    true => Ok(entry),
                    false => Err(BuildkitError::LocalCache(text.clone())),
                }
            };
            texts.iter().map(entry).collect()
        };
        Ok(SolveSettings {
            credentials: credential_chain(request.login.as_ref(), &self.credentials)?,
            cache_from: read(&self.settings.cache_from)?,
            cache_to: read(&self.settings.cache_to)?,
            network: self.settings.network,
            attributes: self.settings.attributes.clone(),
        })
    }

    /// What `FROM` says: an image of ours is only seen where a registry has it.
    async fn base(&self, request: &BuildRequest) -> Result<BaseText, BuildkitError> {
        let Some(build) = request.base.as_deref() else { return Ok(BaseText::Own) };
        let client = client_for(&self.registry, request.login.as_ref())?;
        let found = registry_base(request, &client).await?;
        let missing = || BuildkitError::NoBase { reference: build.uri.clone() };
        found.map(BaseText::reference).ok_or_else(missing)
    }

    async fn show(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Rendering, BuildkitError> {
        // Without a daemon there is still something to show: what a new one would be given.
        let dialect = match self.connect().await {
            Ok(daemon) => dialect(&daemon).await.unwrap_or(Dialect::BUILDKIT),
            Err(_) => Dialect::BUILDKIT,
        };
        let base = match &request.base {
            None => BaseText::Own,
            Some(build) => build.uri.parse().map_or(BaseText::Own, BaseText::reference),
        };
        let input = self.frontend.input("buildkit", request, base, dialect, events).await?;
        let settings = self.solve_settings(request)?;
        let exporters = match Delivery::all(request, &self.settings.insecure) {
            Ok(deliveries) => deliveries.iter().map(|d| Some(d.exporter())).collect(),
            Err(_) => vec![None],
        };
        let mut lines = vec![];
        for exporter in exporters {
            let solve = input.solve(request, &request.platforms, exporter.clone(), &settings);
            lines.push(format!("solve dockerfile.v0 at {}", self.settings.endpoint()?));
            lines.extend(solve.attributes.iter().map(|(name, value)| format!("  {name}={value}")));
            lines.extend(input.secrets.keys().map(|id| format!("  secret {id}")));
            if let Some(exporter) = exporter {
                lines.push(format!("  export {}", exporter.kind));
                let attributes = exporter.attributes.iter();
                lines.extend(attributes.map(|(name, value)| format!("    {name}={value}")));
            }
        }
        Ok(input.rendering(lines.join("\n")))
    }
}

/// What the frontend inside the daemon understands. Daemons that do not say their version are
/// older than BuildKit 0.11, and as old as Docker 20.10's for all that is known.
async fn dialect(daemon: &Daemon) -> Result<Dialect, BuildkitError> {
    let workers = daemon.workers().await?;
    let version = workers.iter().find_map(|worker| worker.version.as_deref());
    let minor = version.and_then(|v| v.trim_start_matches('v').split('.').nth(1)?.parse().ok());
    Ok(match (version, minor) {
        (None, _) => Dialect::DOCKER_20,
        (Some(version), Some(0..16)) if version.trim_start_matches('v').starts_with("0.") => {
            Dialect { secret_env: false, ..Dialect::BUILDKIT }
        }
        (Some(_), _) => Dialect::BUILDKIT,
    })
}

#[async_trait]
impl ImageBuilder for BuildkitBuilder {
    fn name(&self) -> &str {
        "buildkit"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: BTreeSet::from([
                ExportKind::Push,
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
            false => vec![],
        }
    }
}
