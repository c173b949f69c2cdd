//! Everything that a build takes from its surroundings, in one value.

use crate::{ConfigError, ConfigFile, Environment};
use std::path::PathBuf;

/// The effective settings: variables first, then the config file, then defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store's directory.
    pub store: PathBuf,
    /// Where images without a registry of their own are pushed.
    pub registry: Option<String>,
    /// The name of the builder to use.
    pub builder: Option<String>,
    /// Files with registry credentials, the most specific first.
    pub registry_auth_files: Vec<PathBuf>,
    /// Hosts that are spoken to in plain HTTP.
    pub insecure_registries: Vec<String>,
    /// Directories with programs.
    pub search_path: Vec<PathBuf>,
    /// The machine's certificate bundle, for use inside build steps.
    pub ca_bundle: Option<PathBuf>,
    /// Proxy variables, for use inside build steps.
    pub network_variables: Vec<(String, String)>,
    /// The environment that `uv` runs with.
    pub uv_variables: Vec<(String, String)>,
    /// The Python package index, where not PyPI.
    pub index: Option<url::Url>,
    /// The Debian archive's settings.
    pub debian: crate::DebianConfig,
    /// The Docker or podman socket's address, where one was named.
    pub docker_host: Option<String>,
}

impl Settings {
    /// The settings of this process.
    pub fn load() -> Result<Self, ConfigError> {
        Self::from_environment(&Environment::of_process())
    }

    /// The settings that `env` and the config file it points to give.
    pub fn from_environment(env: &Environment) -> Result<Self, ConfigError> {
        let file = match Self::config_path(env) {
            Some(path) => ConfigFile::read(&path)?,
            None => ConfigFile::default(),
        };
        let store = env
            .path("TIERCE_STORE")
            .or(file.store)
            .or_else(|| Some(env.cache_home()?.join("tierce")))
            .ok_or(ConfigError::NoHome)?;
        let insecure = file.registries.iter().filter(|(_, r)| r.insecure);
        Ok(Settings {
            store: std::path::absolute(&store).unwrap_or(store),
            registry: env.text("TIERCE_REGISTRY").map(str::to_owned).or(file.registry),
            builder: env
                .text("TIERCE_IMAGE_BUILDER")
                .or_else(|| env.text("FLYTE_IMAGE_BUILDER"))
                .map(str::to_owned)
                .or(file.builder),
            registry_auth_files: env.registry_auth_files(),
            insecure_registries: insecure.map(|(host, _)| host.clone()).collect(),
            search_path: env.search_path(),
            ca_bundle: env.ca_bundle(),
            network_variables: env.network_variables(),
            uv_variables: env.uv_variables(),
            index: match env.index() {
                Some(text) => Some(text.parse().map_err(|source| ConfigError::Index { source })?),
                None => file.index,
            },
            debian: file.debian,
            docker_host: env.text("DOCKER_HOST").map(str::to_owned),
        })
    }

    /// Where the user's `config.toml` is: `TIERCE_CONFIG`, else in the config directory.
    pub fn config_path(env: &Environment) -> Option<PathBuf> {
        env.path("TIERCE_CONFIG").or_else(|| Some(env.config_home()?.join("tierce/config.toml")))
    }
}
