//! What the tests share.
#![allow(dead_code, reason = "each test uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tierce_config::{ConfigError, Entry, Environment, Overrides, Settings, Sources};

/// A user's home and a project, both empty at first.
pub struct World {
    scratch: TempDir,
    variables: Vec<(String, String)>,
    pub overrides: Overrides,
    pub programs: Vec<PathBuf>,
}

impl World {
    pub fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        fs::create_dir_all(scratch.path().join("home/.config/tierce")).unwrap();
        fs::create_dir_all(scratch.path().join("work/project")).unwrap();
        World { scratch, variables: vec![], overrides: Overrides::default(), programs: vec![] }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.scratch.path().canonicalize().unwrap().join(path)
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// The user's `config.toml`.
    pub fn user(self, text: &str) -> Self {
        self.file("home/.config/tierce/config.toml", text)
    }

    /// The project's `tierce.toml`.
    pub fn project(self, text: &str) -> Self {
        self.file("work/project/tierce.toml", text)
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn variables(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |world, (name, value)| world.variable(name, value))
    }

    pub fn environment(&self) -> Environment {
        let home = ("HOME".to_owned(), self.path("home").to_str().unwrap().to_owned());
        Environment::from_variables([home].into_iter().chain(self.variables.clone()))
    }

    pub fn load(&self) -> Result<Settings, ConfigError> {
        self.load_in(&self.path("work/project"))
    }

    pub fn load_in(&self, directory: &Path) -> Result<Settings, ConfigError> {
        Settings::resolve(&Sources {
            environment: self.environment(),
            directory: Some(directory.to_owned()),
            overrides: self.overrides.clone(),
            programs: self.programs.clone(),
        })
    }

    #[track_caller]
    pub fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// A setting as `value from origin`, paths without the scratch directory.
    #[track_caller]
    pub fn entry(&self, key: &str) -> String {
        let entries = self.settings().entries();
        let Some(Entry { value, origin, .. }) = entries.into_iter().find(|e| e.key == key) else {
            panic!("no setting {key}");
        };
        let value = value.map_or("nothing".to_owned(), |value| value.to_string());
        self.shown(&format!("{value} from {origin}"))
    }

    /// A text without the scratch directory.
    pub fn shown(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.path("").to_str().unwrap().trim_end_matches('/')), "")
    }
}
