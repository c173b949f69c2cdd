//! `config.toml`: the user's standing choices.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind};
use url::Url;

/// The contents of `config.toml`. Every key is optional.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConfigFile {
    /// Where images without a registry of their own are pushed: `ghcr.io/me`.
    pub registry: Option<String>,
    /// The builder to use: `native` unless set.
    pub builder: Option<String>,
    /// Where the store is.
    pub store: Option<PathBuf>,
    /// The Python package index.
    pub index: Option<Url>,
    /// Settings for single registries, by `host[:port]`.
    #[serde(default)]
    pub registries: BTreeMap<String, RegistryConfig>,
    /// The Debian archive.
    #[serde(default)]
    pub debian: DebianConfig,
    /// The builders that the user registered, by name: a `flavor`, and that flavor's settings.
    #[serde(default)]
    pub builders: BTreeMap<String, toml::Table>,
    /// The flavors of builders that the user registered, by name.
    #[serde(default)]
    pub flavors: BTreeMap<String, FlavorEntry>,
}

/// A flavor of builders that the user registered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FlavorEntry {
    /// The program that builds.
    pub program: PathBuf,
}

/// What is particular about one registry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryConfig {
    /// Speak plain HTTP. Loopback hosts need no such entry.
    #[serde(default)]
    pub insecure: bool,
}

/// Where Debian packages come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DebianConfig {
    /// The archive's mirror, instead of `deb.debian.org`.
    pub mirror: Option<Url>,
    /// The mirror of the security archive.
    pub security_mirror: Option<Url>,
    /// A keyring that signs the archive, beside the keys that tierce ships.
    pub keyring: Option<PathBuf>,
}

/// Why a `config.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is there but cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// It is not what a `config.toml` may hold.
    #[error("{path} is not a valid tierce configuration")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// The index that a variable names is no URL. The URL may hold a password and is not shown.
    #[error("the package index set in the environment is not a URL")]
    Index {
        /// What is wrong with it.
        source: url::ParseError,
    },
    /// There is nowhere to keep the store.
    #[error("cannot tell where to keep the store: neither HOME nor XDG_CACHE_HOME is set")]
    NoHome,
}

impl Diagnostic for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            ConfigError::Read { .. } => "config/unreadable",
            ConfigError::Parse { .. } => "config/invalid",
            ConfigError::Index { .. } => "config/invalid-index",
            ConfigError::NoHome => "config/no-home",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ConfigError::Parse { .. } | ConfigError::Index { .. } => ErrorKind::User,
            ConfigError::Read { .. } | ConfigError::NoHome => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ConfigError::NoHome => Some("Set TIERCE_STORE to a directory for the store.".into()),
            ConfigError::Parse { .. } => {
                Some("docs/configuration.md lists every key with an example.".into())
            }
            ConfigError::Index { .. } => {
                Some("Set TIERCE_INDEX, UV_DEFAULT_INDEX or UV_INDEX_URL to a whole URL.".into())
            }
            ConfigError::Read { .. } => None,
        }
    }
}

impl ConfigFile {
    /// Reads `path`; a file that is not there is an empty configuration.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Read { path: path.to_owned(), source }),
        };
        toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }
}
