//! Projects and scripts that pixi manages: their environment becomes the one that runs. pixi itself
//! is not needed.

use super::Lowering;
use super::credentials::has_credentials;
use super::options::words;
use super::script::{header, strings};
use crate::{FlyteError, InstallMode};
use std::path::{Path, PathBuf};
use tierce_oci::Platform;
use tierce_spec::{
    Conda, CondaSource, PixiEnvironment, ProjectArgumentError, ProjectInstall, SearchPath, Secret,
    SourceOptions, Step, without_credentials,
};
use toml::{Table, Value};

/// Where the project is in the image; environments are below it. Further projects come into the
/// same place, so that they add to what is there.
const PROJECT: &str = "/opt/pixi-project";

/// The arguments of `pixi install` that are understood.
const KNOWN: [&str; 3] = ["--locked", "--frozen", "--environment"];
/// Those that change nothing that is installed, some with a value.
const SILENT: [&str; 5] = ["--quiet", "-q", "--verbose", "-v", "--no-progress"];

/// How an environment is installed.
pub(super) struct Install<'a> {
    pub environment: &'a str,
    pub extra_args: Option<&'a str>,
    pub secrets: &'a [Secret],
}

/// The lock beside a script.
pub(super) fn script_lock(script: &Path) -> PathBuf {
    let name = script.file_name().unwrap_or_default().to_string_lossy();
    script.with_file_name(format!("{name}.pixi.lock"))
}

impl Lowering<'_> {
    pub(super) fn pixi_project(
        &mut self,
        manifest: &Path,
        lock: Option<&Path>,
        mode: InstallMode,
        install: &Install<'_>,
    ) -> Result<(), FlyteError> {
        self.refuse_credentials(manifest)?;
        let installed = match mode {
            InstallMode::DependenciesOnly => ProjectInstall::DependenciesOnly,
            InstallMode::InstallProject => {
                let folder = match manifest.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    Some(_) | None => Path::new("."),
                };
                // Environments of the host are of no use there.
                let options = SourceOptions::new().with_ignore([".pixi"]);
                self.image = self.image.with_source_folder(folder, PROJECT, options);
                ProjectInstall::InstallProject
            }
        };
        let name = manifest.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let method = "with_pixi_project";
        self.pixi_environment(method, manifest, lock, installed, install)?;
        let path = format!("{PROJECT}/{name}");
        self.variables.set("PIXI_PROJECT_MANIFEST", &path);
        self.image = self.image.with_env_vars([("PIXI_PROJECT_MANIFEST", path)]);
        Ok(())
    }

    pub(super) fn pixi_script(
        &mut self,
        script: &Path,
        install: &Install<'_>,
    ) -> Result<(), FlyteError> {
        let header = header(script, &self.surroundings.texts)?;
        self.check_platforms(script, &header)?;
        let text = toml::to_string(&header).unwrap_or_default();
        let dependencies = strings(script, &header, "dependencies")?;
        if has_credentials(&text) || dependencies.iter().any(|d| without_credentials(d) != *d) {
            return Err(FlyteError::CredentialsIn { file: script.to_owned() });
        }
        let lock = script_lock(script);
        let lock = self.surroundings.texts.contains_key(&lock).then_some(lock);
        let method = "from_pixi_script";
        let only = ProjectInstall::DependenciesOnly;
        self.pixi_environment(method, script, lock.as_deref(), only, install)
    }

    /// The environment as a step, and the variables by which others find it.
    fn pixi_environment(
        &mut self,
        method: &'static str,
        manifest: &Path,
        lock: Option<&Path>,
        installed: ProjectInstall,
        install: &Install<'_>,
    ) -> Result<(), FlyteError> {
        if let Some(lock) = lock {
            self.refuse_credentials(lock)?;
        }
        let Install { environment, extra_args, secrets } = install;
        let said = arguments(&words(*extra_args)?);
        let said = said.map_err(|source| FlyteError::ExtraArg { method, source })?;
        let environment = said.unwrap_or_else(|| (*environment).to_owned());
        let folder = format!("{PROJECT}/.pixi/envs/{environment}");
        let mut pixi =
            PixiEnvironment { environment, install: installed, ..PixiEnvironment::new(manifest) };
        if let Some(lock) = lock.filter(|lock| *lock != pixi.lock_file()) {
            pixi.lock = Some(lock.to_owned());
        }
        self.add(Step::Conda(Conda {
            secrets: secrets.to_vec(),
            ..Conda::new(CondaSource::Pixi(pixi)).with_prefix(&folder)
        }));
        let vars = [("VIRTUAL_ENV", folder.clone()), ("UV_PYTHON", format!("{folder}/bin/python"))];
        for (name, value) in &vars {
            self.variables.set(name, value);
        }
        // In front of whatever else is: the step may come before others that are named earlier.
        let bin = vec![format!("{folder}/bin")];
        self.variables.lead(&bin);
        let path = SearchPath { before: bin, after: vec![] };
        self.image = self.image.with_env_vars(vars).with_search_path("PATH", path);
        Ok(())
    }

    /// What a script says it is for has to be what the image is for.
    fn check_platforms(&self, script: &Path, header: &Table) -> Result<(), FlyteError> {
        let workspace = ["workspace", "project"].iter().find_map(|name| {
            header.get("tool")?.get("pixi")?.get(name)?.get("platforms")?.as_array()
        });
        let wanted = self.conda_platforms()?;
        let Some(declared) = workspace else { return Ok(()) };
        let declared: Vec<String> =
            declared.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let missing: Vec<String> = wanted
            .into_iter()
            .filter(|platform| !declared.iter().any(|declared| declared == platform))
            .map(str::to_owned)
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => {
                Err(FlyteError::PixiPlatforms { script: script.to_owned(), declared, missing })
            }
        }
    }

    fn conda_platforms(&self) -> Result<Vec<&'static str>, FlyteError> {
        let host = || self.surroundings.runnable.iter().flatten().next().cloned();
        let wanted: Vec<Platform> = match self.image.platforms() {
            [] => vec![host().unwrap_or_else(|| Platform::linux("amd64"))],
            named => named.to_vec(),
        };
        let conda = |platform: &Platform| match platform.architecture.as_str() {
            "amd64" => Ok("linux-64"),
            "arm64" => Ok("linux-aarch64"),
            _ => Err(FlyteError::PixiPlatform { platform: platform.to_string() }),
        };
        wanted.iter().map(conda).collect()
    }
}

/// What further arguments to `pixi install` mean: the environment, if they name one. A lock that
/// is there is always followed, and never written.
fn arguments(words: &[String]) -> Result<Option<String>, ProjectArgumentError> {
    let mut environment = None;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        match name {
            "--locked" | "--frozen" => {}
            "--environment" | "-e" => {
                let value = value.or_else(|| words.next().cloned());
                let argument = name.to_owned();
                environment = Some(value.ok_or(ProjectArgumentError::NoValue { argument })?);
            }
            "--color" => {
                let _ = value.or_else(|| words.next().cloned());
            }
            name if SILENT.contains(&name) => {}
            _ => {
                let argument = without_credentials(word);
                return Err(ProjectArgumentError::Unknown { argument, known: KNOWN.to_vec() });
            }
        }
    }
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_of_pixi_are_understood() {
        let of = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            arguments(&words)
        };
        assert_eq!(of("--locked --quiet --color never").unwrap(), None);
        assert_eq!(of("--frozen -e gpu").unwrap().as_deref(), Some("gpu"));
        assert_eq!(of("--environment=gpu").unwrap().as_deref(), Some("gpu"));
        assert!(matches!(of("-e"), Err(ProjectArgumentError::NoValue { .. })));
        let error = of("--concurrent-solves 2").unwrap_err();
        assert!(matches!(error, ProjectArgumentError::Unknown { known, .. } if known == KNOWN));
    }
}
