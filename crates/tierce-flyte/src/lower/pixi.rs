//! Projects and scripts that pixi manages: their environment becomes the one that runs.

use super::credentials::has_credentials;
use super::options::{arguments, line, words};
use super::script::{header, strings};
use super::tools::titled;
use super::{Environment, Lowering};
use crate::{FlyteError, InstallMode, InstallOptions};
use std::path::{Path, PathBuf};
use tierce_oci::Platform;
use tierce_spec::{Secret, SourceOptions, without_credentials};
use toml::{Table, Value};

/// Where the project is in the image; environments are below it. Further projects come into the
/// same place, so that they add to what is there.
const PROJECT: &str = "/opt/pixi-project";
const PIXI: &str = "/usr/local/bin/pixi";

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
        self.pixi("with_pixi_project")?;
        self.refuse_credentials(manifest)?;
        let name = manifest.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if mode == InstallMode::InstallProject {
            let folder = match manifest.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                Some(_) | None => Path::new("."),
            };
            // Environments of the host are of no use there.
            let options = SourceOptions::new().with_ignore([".pixi"]);
            self.image = self.image.with_source_folder(folder, PROJECT, options);
        }
        // Ignore files may have left them out.
        self.image = self.image.with_source_file(manifest, format!("{PROJECT}/{name}"));
        self.pixi_lock(lock)?;
        self.pixi_install(&name, lock.is_some(), install, None)
    }

    pub(super) fn pixi_script(
        &mut self,
        script: &Path,
        install: &Install<'_>,
    ) -> Result<(), FlyteError> {
        self.pixi("from_pixi_script")?;
        let header = header(script, &self.surroundings.texts)?;
        let platforms = self.conda_platforms()?;
        let manifest = manifest_of(script, &header, &platforms)?;
        if has_credentials(&manifest) {
            return Err(FlyteError::CredentialsIn { file: script.to_owned() });
        }
        let lock = script_lock(script);
        let lock = self.surroundings.texts.contains_key(&lock).then_some(lock);
        self.pixi_lock(lock.as_deref())?;
        let path = format!("{PROJECT}/pixi.toml");
        let write =
            format!("mkdir -p {PROJECT} && {} > {path}", line(["printf", "%s", manifest.as_str()]));
        self.pixi_install("pixi.toml", lock.is_some(), install, Some(write))
    }

    fn pixi(&mut self, layer: &'static str) -> Result<(), FlyteError> {
        let pixi = self.surroundings.tools.pixi.clone();
        self.tool(layer, "pixi", pixi, PIXI)
    }

    fn pixi_lock(&mut self, lock: Option<&Path>) -> Result<(), FlyteError> {
        if let Some(lock) = lock {
            self.refuse_credentials(lock)?;
            self.image = self.image.with_source_file(lock, format!("{PROJECT}/pixi.lock"));
        }
        Ok(())
    }

    fn pixi_install(
        &mut self,
        manifest: &str,
        is_locked: bool,
        install: &Install<'_>,
        before: Option<String>,
    ) -> Result<(), FlyteError> {
        let Install { environment, extra_args, secrets } = install;
        let manifest = format!("{PROJECT}/{manifest}");
        let given = words(*extra_args)?;
        let mut command =
            [PIXI, "install", "--manifest-path", &manifest, "--environment", environment]
                .map(str::to_owned)
                .to_vec();
        // Both together are refused.
        if is_locked && !given.iter().any(|arg| arg == "--frozen" || arg == "--locked") {
            command.push("--locked".to_owned());
        }
        command.extend(given);
        let scratch = self.scratch();
        let settings = format!("export PIXI_CACHE_DIR={scratch} RATTLER_CACHE_DIR={scratch}");
        let install = format!("{settings} && {} && rm -rf {scratch}", line(command));
        let all = before.into_iter().chain([install]).collect::<Vec<_>>().join(" && ");
        self.run(vec![titled(&format!("pixi install {manifest}"), &all)], secrets);
        let folder = format!("{PROJECT}/.pixi/envs/{environment}");
        let vars = [
            ("VIRTUAL_ENV", folder.clone()),
            ("UV_PYTHON", format!("{folder}/bin/python")),
            ("PIXI_PROJECT_MANIFEST", manifest),
        ];
        for (name, value) in &vars {
            self.variables.set(name, value);
        }
        let bin = vec![format!("{folder}/bin")];
        self.variables.lead(&bin);
        let path = tierce_spec::SearchPath { before: bin, after: vec![] };
        self.image = self.image.with_env_vars(vars).with_search_path("PATH", path);
        self.environment = Environment::Pixi;
        Ok(())
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

    /// Packages into pixi's environment, which uv installs there.
    pub(super) fn pip_by_uv(
        &mut self,
        packages: &[String],
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        self.uv("with_pip_packages")?;
        if packages.iter().any(|package| without_credentials(package) != *package) {
            return Err(FlyteError::Credentials { parameter: "packages" });
        }
        if packages.iter().any(|package| has_credentials(package)) {
            return Err(FlyteError::Credentials { parameter: "packages" });
        }
        let packages = ["--".to_owned()].into_iter().chain(packages.iter().cloned());
        self.install_by_uv(packages.collect(), options, None)
    }

    pub(super) fn requirements_by_uv(
        &mut self,
        file: &Path,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        self.uv("with_requirements")?;
        self.refuse_credentials(file)?;
        let scratch = self.scratch();
        let place = format!("{scratch}/requirements.txt");
        self.image = self.image.with_source_file(file, &place);
        self.install_by_uv(vec!["--requirement".to_owned(), place], options, Some(scratch))
    }

    pub(super) fn wheels_by_uv(
        &mut self,
        dir: &Path,
        package: &str,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        self.uv("with_local_v2")?;
        let scratch = self.scratch();
        self.image = self.image.with_source_folder(dir, &scratch, SourceOptions::new());
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        // What it requires first, and then the very wheel, whatever an index has.
        self.install_by_uv(words(&["--find-links", &scratch, package]), options, None)?;
        let forced = ["--find-links", &scratch, "--no-deps", "--no-index", "--reinstall", package];
        self.install_by_uv(words(&forced), &InstallOptions::default(), Some(scratch))
    }

    fn install_by_uv(
        &mut self,
        what: Vec<String>,
        options: &InstallOptions,
        scratch: Option<String>,
    ) -> Result<(), FlyteError> {
        let given = arguments(options)?;
        let install = line(given.into_iter().chain(what));
        let settings = "export UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1";
        let remove = scratch.map(|scratch| format!(" && rm -rf {scratch}")).unwrap_or_default();
        let command =
            format!("{settings} && uv pip install --python \"$UV_PYTHON\" {install}{remove}");
        self.run(vec![titled(&format!("uv pip install {install}"), &command)], &options.secrets);
        Ok(())
    }
}

/// The manifest that says what the header of a script says: pixi installs no script without
/// running it.
fn manifest_of(script: &Path, header: &Table, platforms: &[&str]) -> Result<String, FlyteError> {
    let wrong = |reason: String| FlyteError::Header { script: script.to_owned(), reason };
    let pixi = header.get("tool").and_then(|tool| tool.get("pixi"));
    let mut manifest = pixi.and_then(Value::as_table).cloned().unwrap_or_default();
    let strings_of = |all: &[&str]| {
        Value::Array(all.iter().map(|item| Value::String((*item).to_owned())).collect())
    };

    let workspace = table_of(&mut manifest, "workspace").map_err(wrong)?;
    workspace.entry("channels").or_insert_with(|| strings_of(&["conda-forge"]));
    match workspace.get("platforms").and_then(Value::as_array) {
        None => {
            workspace.insert("platforms".to_owned(), strings_of(platforms));
        }
        Some(declared) => {
            let declared: Vec<String> =
                declared.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let missing = |platform: &&&str| !declared.iter().any(|d| d == *platform);
            let missing: Vec<String> =
                platforms.iter().filter(missing).map(|p| (*p).to_owned()).collect();
            if !missing.is_empty() {
                let script = script.to_owned();
                return Err(FlyteError::PixiPlatforms { script, declared, missing });
            }
        }
    }

    if let Some(python) = header.get("requires-python") {
        let dependencies = table_of(&mut manifest, "dependencies").map_err(wrong)?;
        dependencies.entry("python").or_insert_with(|| python.clone());
    }

    for requirement in strings(script, header, "dependencies")? {
        let (name, spec) = pypi(&requirement).map_err(wrong)?;
        let packages = table_of(&mut manifest, "pypi-dependencies").map_err(wrong)?;
        packages.entry(name).or_insert(spec);
    }
    toml::to_string(&manifest).map_err(|error| wrong(error.to_string()))
}

fn table_of<'a>(manifest: &'a mut Table, key: &str) -> Result<&'a mut Table, String> {
    let entry = manifest.entry(key).or_insert_with(|| Value::Table(Table::new()));
    entry.as_table_mut().ok_or_else(|| format!("tool.pixi.{key} is not a table"))
}

/// A requirement (PEP 508) as an entry of `[pypi-dependencies]`.
fn pypi(requirement: &str) -> Result<(String, Value), String> {
    let requirement = requirement.trim();
    let is_url = requirement.contains(" @ ") || requirement.contains("@ ");
    if !is_url && requirement.contains(';') || requirement.contains(" ;") {
        return Err(format!(
            "{requirement:?} has a marker: say it in [tool.pixi.target.linux-64.pypi-dependencies]"
        ));
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = requirement.find(|c| !is_word(c)).unwrap_or(requirement.len());
    let (name, rest) = (&requirement[..end], requirement[end..].trim());
    if name.is_empty() {
        return Err(format!("{requirement:?} is not a requirement"));
    }
    let (extras, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((extras, rest)) => (extras, rest.trim()),
        None => ("", rest),
    };
    let mut extras: Vec<&str> =
        extras.split(',').map(str::trim).filter(|e| !e.is_empty()).collect();
    extras.sort_unstable();
    let mut spec = Table::new();
    let mut say =
        |key: &str, value: &str| spec.insert(key.to_owned(), Value::String(value.to_owned()));
    match rest.strip_prefix('@').map(str::trim) {
        Some(url) => match url.strip_prefix("git+") {
            Some(git) => {
                // What comes before a host may have an @ in it, too.
                let path = git.find("://").map_or(0, |at| at + 3);
                let slash = git[path..].find('/').map_or(git.len(), |at| path + at);
                let (url, revision) = match git[slash..].rsplit_once('@') {
                    Some((tail, revision)) => (&git[..slash + tail.len()], Some(revision)),
                    None => (git, None),
                };
                say("git", url);
                revision.map(|revision| say("rev", revision));
            }
            None => {
                say("url", url);
            }
        },
        None => {
            let version = rest.trim_start_matches('(').trim_end_matches(')').trim();
            say("version", if version.is_empty() { "*" } else { version });
        }
    }
    if !extras.is_empty() {
        let extras = extras.iter().map(|extra| Value::String((*extra).to_owned())).collect();
        spec.insert("extras".to_owned(), Value::Array(extras));
    }
    let only_version = (spec.len() == 1).then(|| spec.remove("version")).flatten();
    Ok((name.to_owned(), only_version.unwrap_or(Value::Table(spec))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_become_entries() {
        for (requirement, expected) in [
            ("httpx", "httpx = \"*\"\n"),
            ("httpx>=0.2,<1", "httpx = \">=0.2,<1\"\n"),
            ("httpx (>=1)", "httpx = \">=1\"\n"),
            ("a[y,x]==1", "[a]\nextras = [\"x\", \"y\"]\nversion = \"==1\"\n"),
            ("a @ https://h/a.whl", "[a]\nurl = \"https://h/a.whl\"\n"),
            ("a @ git+https://me@h/a.git@v1", "[a]\ngit = \"https://me@h/a.git\"\nrev = \"v1\"\n"),
        ] {
            let (name, spec) = pypi(requirement).unwrap();
            let table = Table::from_iter([(name, spec)]);
            assert_eq!(toml::to_string(&table).unwrap(), expected, "{requirement}");
        }
        assert!(pypi("a; python_version < '3.12'").is_err());
        assert!(pypi(">=1").is_err());
    }
}
