//! Conda environments.

use crate::step::{host_path, optional_host_path};
use crate::{ProjectInstall, Secret};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Packages from conda channels. All conda steps of one prefix make one environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Conda {
    /// What says which packages.
    pub source: CondaSource,
    /// Channels in the order of their priority: names, as `conda-forge`, or URLs. Where there are
    /// none, those that the source names, or conda-forge.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// Where the environment is in the image; `None` for [`Conda::PREFIX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// What the machines that run the image have, by virtual package: `__cuda` to `12.4`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub virtual_packages: BTreeMap<String, String>,
    /// What solving and fetching need to see.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
}

impl Conda {
    /// Where a conda environment is in an image that does not say.
    pub const PREFIX: &'static str = "/opt/conda";

    /// What this source says, from the channels that it names.
    pub fn new(source: CondaSource) -> Self {
        Conda {
            source,
            channels: vec![],
            prefix: None,
            virtual_packages: BTreeMap::new(),
            secrets: vec![],
        }
    }

    /// From these channels.
    pub fn with_channels(self, channels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Conda { channels: channels.into_iter().map(Into::into).collect(), ..self }
    }

    /// At this place in the image.
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        Conda { prefix: Some(prefix.into()), ..self }
    }

    /// Where the environment is in the image.
    pub fn prefix(&self) -> &str {
        self.prefix.as_deref().unwrap_or(Conda::PREFIX)
    }
}

/// What says which conda packages are installed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CondaSource {
    /// Specifications of packages (conda's `MatchSpec`): `numpy`, `numpy >=2,<3`,
    /// `conda-forge::numpy`.
    Packages(Vec<String>),
    /// An `environment.yml`.
    Environment {
        /// The file on the host.
        #[serde(with = "host_path")]
        file: PathBuf,
    },
    /// An environment of a pixi project.
    Pixi(PixiEnvironment),
    /// A lock file: that of conda-lock, or a list that begins with `@EXPLICIT`.
    Lock {
        /// The file on the host.
        #[serde(with = "host_path")]
        file: PathBuf,
    },
}

impl CondaSource {
    /// The file on the host that says it, and the one that locks it; none where it is said here.
    pub fn files(&self) -> Option<(&Path, Option<PathBuf>)> {
        match self {
            CondaSource::Packages(_) => None,
            CondaSource::Environment { file } | CondaSource::Lock { file } => Some((file, None)),
            CondaSource::Pixi(pixi) => Some((&pixi.manifest, Some(pixi.lock_file()))),
        }
    }
}

/// An environment of a pixi project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PixiEnvironment {
    /// The `pixi.toml`, or the `pyproject.toml` with `[tool.pixi]`; a script with either in its
    /// header (PEP 723).
    #[serde(with = "host_path")]
    pub manifest: PathBuf,
    /// The lock file; `None` for `pixi.lock` beside the manifest (`SCRIPT.pixi.lock` beside a
    /// script), which need not be there.
    #[serde(default, with = "optional_host_path", skip_serializing_if = "Option::is_none")]
    pub lock: Option<PathBuf>,
    /// The environment's name.
    pub environment: String,
    /// Whether packages that the manifest has in folders of the host are installed, and the
    /// project among them.
    #[serde(default)]
    pub install: ProjectInstall,
}

impl PixiEnvironment {
    /// The environment that pixi activates where none is named.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        PixiEnvironment {
            manifest: manifest.into(),
            lock: None,
            environment: "default".to_owned(),
            install: ProjectInstall::default(),
        }
    }

    /// The lock file: the one that is named, or the one beside the manifest.
    pub fn lock_file(&self) -> PathBuf {
        let is_script = self.manifest.extension().is_some_and(|extension| extension != "toml");
        match (&self.lock, is_script) {
            (Some(lock), _) => lock.clone(),
            (None, true) => {
                let mut lock = self.manifest.clone().into_os_string();
                lock.push(".pixi.lock");
                lock.into()
            }
            (None, false) => self.manifest.with_file_name("pixi.lock"),
        }
    }
}
