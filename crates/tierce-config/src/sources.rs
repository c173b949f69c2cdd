//! Everything that settings are made from, and the files among it.

use crate::layer::Layer;
use crate::values::{PushRegistry, UnknownImage};
use crate::{ConfigError, Environment, FileKind, flyte};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tierce_oci::Reference;

/// What settings are made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The variables of the process.
    pub environment: Environment,
    /// Where the project is; its `tierce.toml` or those of the folders above may have settings.
    /// Without it no project has a say.
    pub directory: Option<PathBuf>,
    /// What the command line says.
    pub overrides: Overrides,
    /// The names of the running program's file: as it was called, and where it really is. An
    /// environment of Python's that it lies in may be the project's.
    pub programs: Vec<PathBuf>,
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--registry`
    pub registry: Option<PushRegistry>,
    /// `--builder`
    pub builder: Option<String>,
    /// `--unknown`
    pub unknown: Option<UnknownImage>,
    /// `--image NAME=URI`
    pub images: BTreeMap<String, Reference>,
    /// `--python`
    pub python: Option<PathBuf>,
}

/// A file that has settings, or would have if it were there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigPath {
    /// What kind of file.
    pub kind: FileKind,
    /// Where.
    pub path: PathBuf,
    /// Whether it is there.
    pub exists: bool,
}

/// The files that were read.
#[derive(Clone, Default)]
pub(crate) struct Files {
    /// Those with more to say first.
    pub layers: Vec<Layer>,
    pub paths: Vec<ConfigPath>,
    pub warnings: Vec<String>,
}

impl Sources {
    /// This process, in its current directory.
    pub fn of_process() -> Self {
        let environment = Environment::of_process();
        Sources {
            directory: std::env::current_dir().ok(),
            overrides: Overrides::default(),
            programs: programs(&environment),
            environment,
        }
    }

    /// Where the user's `config.toml` is: `TIERCE_CONFIG`, else in the config directory.
    pub fn user_config(&self) -> Option<PathBuf> {
        let env = &self.environment;
        env.path("TIERCE_CONFIG").or_else(|| Some(env.config_home()?.join("tierce/config.toml")))
    }

    /// The `tierce.toml` with a `[workspace]` table that is nearest to the directory.
    pub fn workspace_config(&self) -> Result<Option<PathBuf>, ConfigError> {
        Ok(self.workspace(&mut vec![])?.map(|layer| layer.path))
    }

    pub(crate) fn files(&self) -> Result<Files, ConfigError> {
        let mut files = Files::default();
        let mut add = |kind, path: Option<PathBuf>, layer: Option<Layer>| {
            let exists = layer.is_some();
            let path = path.or_else(|| layer.as_ref().map(|layer| layer.path.clone()));
            files.paths.extend(path.map(|path| ConfigPath { kind, path, exists }));
            files.layers.extend(layer);
        };
        let mut warnings = vec![];
        let home = self.environment.home();
        add(FileKind::Workspace, None, self.workspace(&mut warnings)?);
        let user = self.user_config().map(|path| absolute(&path));
        let layer = match &user {
            Some(path) => Layer::user(path, home.as_deref())?,
            None => None,
        };
        add(FileKind::User, user, layer);
        let directory = self.directory.as_deref().map(canonical);
        let layer = flyte::layer(&self.environment, directory.as_deref(), &mut warnings);
        add(FileKind::Flyte, None, layer);
        files.warnings = warnings;
        Ok(files)
    }

    fn workspace(&self, warnings: &mut Vec<String>) -> Result<Option<Layer>, ConfigError> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let directory = canonical(directory);
        let home = self.environment.home();
        let owner = owner(&directory);
        for folder in directory.ancestors() {
            let path = folder.join("tierce.toml");
            if !path.is_file() {
                continue;
            }
            // Anybody can put a file into /tmp, above the projects of others there.
            if owner.is_some() && !matches!(self::owner(&path), o if o == owner || o == Some(ROOT))
            {
                warnings.push(format!(
                    "{} is ignored: it belongs to somebody else than {}",
                    path.display(),
                    directory.display()
                ));
                continue;
            }
            if let Some(layer) = Layer::workspace(&path, home.as_deref())? {
                return Ok(Some(layer));
            }
        }
        Ok(None)
    }
}

/// The names of the running program's file.
fn programs(environment: &Environment) -> Vec<PathBuf> {
    let called = std::env::args_os().next().map(PathBuf::from);
    let called = called.and_then(|name| match name.components().count() {
        1 => {
            environment.search_path().iter().map(|folder| folder.join(&name)).find(|p| p.is_file())
        }
        _ => Some(absolute(&name)),
    });
    called.into_iter().chain(std::env::current_exe().ok()).collect()
}

const ROOT: u32 = 0;

fn owner(path: &Path) -> Option<u32> {
    path.metadata().ok().map(|metadata| metadata.uid())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| absolute(path))
}
