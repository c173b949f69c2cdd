//! The builders that hand a Dockerfile to somebody else's engine: docker, podman, buildkit.

use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tierce_buildkit::{BuildkitBuilder, BuildkitSettings};
use tierce_buildkit_client::TlsFiles;
use tierce_config::Settings;
use tierce_docker::{DockerBuilder, DockerSettings, PodmanBuilder, PodmanSettings};
use tierce_dockerfile::{PythonText, UvSource};
use tierce_engine::{AnyDiagnostic, BuildRequest, Events, ImageBuilder};
use tierce_frontend::{BuildNetwork, Frontend, PythonSource};
use tierce_native::{Context, NativeBuilder};
use tierce_oci::{Platform, Reference};
use tierce_plugin::{BuiltInFlavor, Config};
use tierce_registry::{Client, Credentials, InsecurePolicy};
use tierce_store::{ScratchDir, Store};

/// What all of them are made of.
#[derive(Clone)]
struct Parts {
    frontend: Frontend,
    registry: Client,
    credentials: Arc<dyn Credentials>,
    store: Store,
    /// Where contexts are while they are built: on the store's disk, as `/tmp` is often small, or
    /// memory; and held, so that no other process sweeps it away.
    scratch: Arc<OnceLock<ScratchDir>>,
}

impl Parts {
    fn temporary(&self) -> Result<PathBuf, AnyDiagnostic> {
        if self.scratch.get().is_none() {
            let made = self.store.scratch_dir("engine");
            let made = made.map_err(|error| Arc::new(error) as AnyDiagnostic)?;
            // Whoever was faster has made one that does as well.
            let _ = self.scratch.set(made);
        }
        Ok(self.scratch.get().map(|scratch| scratch.path().to_owned()).unwrap_or_default())
    }
}

/// The flavors docker, podman and buildkit. A registered builder's configuration stands in for
/// the settings of the same name.
pub(crate) fn flavors(settings: &Settings, native: &NativeBuilder) -> [BuiltInFlavor; 3] {
    let context = native.context().clone();
    let parts = Parts {
        store: context.store.clone(),
        scratch: Arc::default(),
        registry: context.registry.clone(),
        credentials: crate::connect::credentials(settings),
        frontend: Frontend {
            python: Some(Arc::new(Uv {
                context,
                index: settings.index.clone(),
                ca_bundle: settings.ca_bundle.clone(),
            })),
        },
    };
    let (docker, podman, buildkit) = (docker(settings), podman(settings), buildkit(settings));
    let (of_docker, of_podman, of_buildkit) = (parts.clone(), parts.clone(), parts);
    [
        BuiltInFlavor::new("docker", "builds with a Docker daemon", move |config| {
            let mut settings = docker_with(docker.clone(), config);
            settings.temporary = of_docker.temporary()?;
            let Parts { frontend, registry, credentials, .. } = of_docker.clone();
            let builder = DockerBuilder::new(settings, frontend, registry, credentials);
            Ok(Arc::new(builder) as Arc<dyn ImageBuilder>)
        })
        .with_schema(&schema(&[
            ("host", TEXT, "The daemon's address: unix:///path, tcp://host:port."),
            ("context", TEXT, "The context to use, as `docker context ls` lists them."),
            ("cert-path", TEXT, "A folder with ca.pem, cert.pem and key.pem."),
            ("builder", TEXT, "The buildx builder to use, as `docker buildx ls` lists them."),
            ("cache-from", LIST, "Caches to read: type=registry,ref=ghcr.io/me/cache."),
            ("cache-to", LIST, "Caches to write."),
            ("extra-args", LIST, "Further arguments of `docker buildx build`."),
            ("network", NETWORK, "The network of build steps."),
        ])),
        BuiltInFlavor::new("podman", "builds with podman", move |config| {
            let mut settings = podman_with(podman.clone(), config);
            settings.temporary = of_podman.temporary()?;
            let Parts { frontend, registry, credentials, .. } = of_podman.clone();
            let builder = PodmanBuilder::new(settings, frontend, registry, credentials);
            Ok(Arc::new(builder) as Arc<dyn ImageBuilder>)
        })
        .with_schema(&schema(&[
            ("host", TEXT, "The service's address, where podman runs on another machine."),
            ("cache-from", LIST, "Repositories to read cached layers from."),
            ("cache-to", LIST, "Repositories to write cached layers to."),
            ("extra-args", LIST, "Further arguments of `podman build`."),
            ("network", NETWORK, "The network of build steps."),
        ])),
        BuiltInFlavor::new("buildkit", "builds with a buildkitd", move |config| {
            let settings = buildkit_with(buildkit.clone(), config);
            let Parts { frontend, registry, credentials, .. } = of_buildkit.clone();
            let builder = BuildkitBuilder::new(settings, frontend, registry, credentials);
            Ok(Arc::new(builder) as Arc<dyn ImageBuilder>)
        })
        .with_schema(&schema(&[
            ("address", TEXT, "The daemon's address: unix:///path, tcp://host:port."),
            ("ca", TEXT, "A PEM file with the certificate authority of the daemon."),
            ("client-cert", TEXT, "A PEM file with the certificate to show."),
            ("client-key", TEXT, "A PEM file with its key."),
            ("server-name", TEXT, "The name in the daemon's certificate."),
            ("cache-from", LIST, "Caches to read: type=registry,ref=ghcr.io/me/cache."),
            ("cache-to", LIST, "Caches to write."),
            ("network", NETWORK, "The network of build steps."),
            ("options", LIST, "Further options of its frontend: label:KEY=VALUE, shm-size=BYTES."),
        ])),
    ]
}

const TEXT: Kind = Kind::Text;
const LIST: Kind = Kind::List;
const NETWORK: Kind = Kind::Network;

/// The kinds of values in a configuration.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    List,
    Network,
}

fn schema(keys: &[(&str, Kind, &str)]) -> Value {
    let property = |(key, kind, description): &(&str, Kind, &str)| {
        let value = match kind {
            Kind::Text => json!({ "type": "string", "description": description }),
            Kind::List => json!({
                "type": "array", "items": { "type": "string" }, "description": description,
            }),
            Kind::Network => json!({
                "type": "string", "enum": ["default", "host", "none"], "description": description,
            }),
        };
        ((*key).to_owned(), value)
    };
    let properties: serde_json::Map<String, Value> = keys.iter().map(property).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// What a configuration says of `key`, else what is there.
fn text(config: &Config, key: &str, or: Option<String>) -> Option<String> {
    config.get(key).and_then(Value::as_str).map(str::to_owned).or(or)
}

fn path(config: &Config, key: &str, or: Option<PathBuf>) -> Option<PathBuf> {
    text(config, key, None).map(PathBuf::from).or(or)
}

fn list(config: &Config, key: &str, or: Vec<String>) -> Vec<String> {
    match config.get(key).and_then(Value::as_array) {
        Some(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => or,
    }
}

/// What a configuration says in `options`, each `NAME=VALUE` or a name alone.
fn options(config: &Config, or: BTreeMap<String, String>) -> BTreeMap<String, String> {
    if !config.contains_key("options") {
        return or;
    }
    let options = list(config, "options", vec![]);
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    options.iter().map(pair).collect()
}

/// The arguments with the network that a configuration names.
fn arguments(config: &Config, or: Vec<String>) -> Vec<String> {
    let mut all = list(config, "extra-args", or);
    let network = text(config, "network", None).filter(|network| network != "default");
    all.extend(network.map(|network| format!("--network={network}")));
    all
}

fn docker(settings: &Settings) -> DockerSettings {
    let tierce_config::DockerSettings {
        host,
        context,
        cert_path,
        // It is always checked.
        tls_verify: _,
        builder,
        cache_from,
        cache_to,
        extra_args,
        config_dir,
    } = settings.docker.clone();
    DockerSettings {
        host,
        context,
        cert_path,
        config_dir,
        runtime_dir: settings.environment.runtime_dir(),
        temporary: PathBuf::new(),
        search_path: settings.search_path.clone(),
        builder,
        cache_from,
        cache_to,
        extra_args,
    }
}

fn docker_with(settings: DockerSettings, config: &Config) -> DockerSettings {
    DockerSettings {
        // An address stands in for a context, and the other way round.
        host: match config.contains_key("context") {
            true => text(config, "host", None),
            false => text(config, "host", settings.host),
        },
        context: text(config, "context", settings.context),
        cert_path: path(config, "cert-path", settings.cert_path),
        builder: text(config, "builder", settings.builder),
        cache_from: list(config, "cache-from", settings.cache_from),
        cache_to: list(config, "cache-to", settings.cache_to),
        extra_args: arguments(config, settings.extra_args),
        ..settings
    }
}

fn podman(settings: &Settings) -> PodmanSettings {
    let tierce_config::PodmanSettings { host, cache_from, cache_to, extra_args } =
        settings.podman.clone();
    PodmanSettings {
        host,
        cache_from,
        cache_to,
        extra_args,
        variables: vec![],
        search_path: settings.search_path.clone(),
        runtime_dir: settings.environment.runtime_dir(),
        temporary: PathBuf::new(),
        insecure: insecure(settings),
    }
}

fn podman_with(settings: PodmanSettings, config: &Config) -> PodmanSettings {
    PodmanSettings {
        host: text(config, "host", settings.host),
        cache_from: list(config, "cache-from", settings.cache_from),
        cache_to: list(config, "cache-to", settings.cache_to),
        extra_args: arguments(config, settings.extra_args),
        ..settings
    }
}

fn buildkit(settings: &Settings) -> BuildkitSettings {
    let tierce_config::BuildkitSettings {
        address,
        ca,
        client_cert,
        client_key,
        server_name,
        cache_from,
        cache_to,
    } = settings.buildkit.clone();
    BuildkitSettings {
        address,
        tls: tls(TlsFiles { ca, certificate: client_cert, key: client_key, server_name }),
        runtime_dir: settings.environment.runtime_dir(),
        cache_from,
        cache_to,
        network: BuildNetwork::Default,
        insecure: insecure(settings),
        attributes: BTreeMap::new(),
    }
}

fn buildkit_with(settings: BuildkitSettings, config: &Config) -> BuildkitSettings {
    let files = settings.tls.clone().unwrap_or_default();
    let network = text(config, "network", None).and_then(|network| network.parse().ok());
    BuildkitSettings {
        address: text(config, "address", settings.address),
        tls: tls(TlsFiles {
            ca: path(config, "ca", files.ca),
            certificate: path(config, "client-cert", files.certificate),
            key: path(config, "client-key", files.key),
            server_name: text(config, "server-name", files.server_name),
        }),
        cache_from: list(config, "cache-from", settings.cache_from),
        cache_to: list(config, "cache-to", settings.cache_to),
        network: network.unwrap_or(settings.network),
        attributes: options(config, settings.attributes),
        ..settings
    }
}

/// A connection has TLS when some file for it is named.
fn tls(files: TlsFiles) -> Option<TlsFiles> {
    (files != TlsFiles::default()).then_some(files)
}

fn insecure(settings: &Settings) -> InsecurePolicy {
    crate::connect::insecure(settings)
}

/// Where Astral publishes `uv`.
const UV_IMAGE: &str = "ghcr.io/astral-sh/uv";

/// Astral's image with the `uv` that tierce itself resolves with.
pub(crate) fn uv_image() -> Reference {
    format!("{UV_IMAGE}:{}", tierce_wheel::PINNED_VERSION).parse().expect("a reference")
}

/// Installs Python packages with the `uv` that tierce itself uses.
struct Uv {
    context: Arc<Context>,
    index: Option<url::Url>,
    ca_bundle: Option<PathBuf>,
}

#[async_trait]
impl PythonSource for Uv {
    async fn python(
        &self,
        request: &BuildRequest,
        _: &Events,
    ) -> Result<PythonText, AnyDiagnostic> {
        let host = Platform::host();
        let uv = match request.platforms.as_slice() {
            [only] if only.serves(&host) => {
                let Context { fetcher, store, .. } = &*self.context;
                let index = self.context.uv_index();
                // The static one: that on the search path may need libraries that the image lacks.
                let uv = tierce_wheel::Uv::fetch(fetcher, store, &index).await;
                let uv = uv.map_err(|error| Arc::new(error) as AnyDiagnostic)?;
                UvSource::Files(BTreeMap::from([(host, uv.program().to_owned())]))
            }
            // The wheels of other processors are not fetched here.
            _ => UvSource::Image(uv_image()),
        };
        let (index, ca_bundle) = (self.index.clone(), self.ca_bundle.clone());
        Ok(PythonText { uv: Some(uv), lock: None, index, ca_bundle })
    }
}
