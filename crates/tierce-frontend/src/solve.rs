//! An input as BuildKit takes it.

use crate::input::Input;
use crate::registries::{dockerfile_registries, solve_registries};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use tierce_buildkit_client::{CacheEntry, Exporter, SessionSecrets, Solve};
use tierce_engine::BuildRequest;
use tierce_oci::Platform;
use tierce_registry::Credentials;

/// The network that build steps have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuildNetwork {
    /// The builder's own.
    #[default]
    Default,
    /// The machine's.
    Host,
    /// None.
    None,
}

/// Not a network that build steps can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network of build steps: expected default, host or none")]
pub struct BuildNetworkError(String);

impl FromStr for BuildNetwork {
    type Err = BuildNetworkError;

    fn from_str(text: &str) -> Result<Self, BuildNetworkError> {
        match text {
            "default" | "bridge" => Ok(BuildNetwork::Default),
            "host" => Ok(BuildNetwork::Host),
            "none" => Ok(BuildNetwork::None),
            other => Err(BuildNetworkError(other.to_owned())),
        }
    }
}

impl fmt::Display for BuildNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BuildNetwork::Default => "default",
            BuildNetwork::Host => "host",
            BuildNetwork::None => "none",
        })
    }
}

/// What a solve needs besides its input.
#[derive(Clone)]
pub struct SolveSettings {
    /// Who pulls and pushes.
    pub credentials: Arc<dyn Credentials>,
    /// Caches to read.
    pub cache_from: Vec<CacheEntry>,
    /// Caches to write.
    pub cache_to: Vec<CacheEntry>,
    /// The network that build steps have.
    pub network: BuildNetwork,
    /// More of the frontend's attributes; they win.
    pub attributes: BTreeMap<String, String>,
}

impl Input {
    /// The solve of `request` for `platforms`.
    pub fn solve(
        &self,
        request: &BuildRequest,
        platforms: &[Platform],
        exporter: Option<Exporter>,
        settings: &SolveSettings,
    ) -> Solve {
        let network = if self.offline { BuildNetwork::None } else { settings.network };
        let attributes = self.attributes(request, platforms, network, settings);
        let caches = settings.cache_from.iter().chain(&settings.cache_to).cloned();
        let mut registries = solve_registries(&attributes, exporter.as_ref(), caches);
        let arguments = attributes.iter().filter_map(|(name, value)| {
            Some((name.strip_prefix("build-arg:")?.to_owned(), value.clone()))
        });
        let text = &self.rendered.dockerfile;
        registries.extend(dockerfile_registries(text, &arguments.collect()));
        Solve {
            dockerfile: self.rendered.dockerfile.as_bytes().into(),
            context: self.context(),
            attributes,
            secrets: SessionSecrets {
                values: self.secrets.clone(),
                hidden: request.secrets.clone(),
            },
            credentials: settings.credentials.clone(),
            registries,
            exporter,
            cache_from: settings.cache_from.clone(),
            cache_to: settings.cache_to.clone(),
            entitlements: match network {
                BuildNetwork::Host => vec!["network.host".to_owned()],
                BuildNetwork::Default | BuildNetwork::None => vec![],
            },
        }
    }

    fn attributes(
        &self,
        request: &BuildRequest,
        platforms: &[Platform],
        network: BuildNetwork,
        settings: &SolveSettings,
    ) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        let names: Vec<String> = platforms.iter().map(Platform::to_string).collect();
        if !names.is_empty() {
            all.insert("platform".to_owned(), names.join(","));
        }
        if let Some(target) = &self.rendered.target {
            all.insert("target".to_owned(), target.clone());
        }
        for (name, value) in &self.rendered.build_args {
            all.insert(format!("build-arg:{name}"), value.clone());
        }
        if request.refresh {
            all.insert("no-cache".to_owned(), String::new());
            all.insert("image-resolve-mode".to_owned(), "pull".to_owned());
        }
        match network {
            BuildNetwork::Default => {}
            network => {
                all.insert("force-network-mode".to_owned(), network.to_string());
            }
        }
        // BuildKit keeps its cache in the image itself only when it is told so in two places.
        if settings.cache_to.iter().any(|cache| cache.kind() == "inline") {
            all.insert("build-arg:BUILDKIT_INLINE_CACHE".to_owned(), "1".to_owned());
        }
        all.extend(settings.attributes.clone());
        all
    }
}
