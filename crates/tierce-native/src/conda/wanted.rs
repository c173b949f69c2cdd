//! What all steps of one prefix ask for together.

use super::error::CondaError;
use super::host;
use crate::error::NativeError;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tierce_conda::{
    EnvironmentFile, ForeignLock, PixiFile, PixiManifest, PixiRequirements, PypiRequirement,
};
use tierce_engine::{Gathered, GatheredProject};
use tierce_oci::Diagnostic;
use tierce_spec::{
    Conda, CondaSource, PipOptions, PixiEnvironment, ProjectInstall, Secret, ServiceUrl, Step,
};
use tierce_wheel::Libc;

/// The channel of those who name none.
const DEFAULT_CHANNEL: &str = "conda-forge";

/// What all steps of one prefix ask for together.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Match specs that have to be solved.
    pub specs: Vec<String>,
    /// Channels in the order of their priority.
    pub channels: Vec<String>,
    /// What lock files say.
    pub locks: Vec<ForeignLock>,
    /// Requirements for pip (PEP 508).
    pub pip: Vec<String>,
    /// Where these come from.
    pub options: PipOptions,
    /// Variables that the environment sets.
    pub variables: BTreeMap<String, String>,
    /// The same as a shell reads them between double quotes.
    pub shell_variables: BTreeMap<String, String>,
    /// What the machines that run the image have.
    pub virtual_packages: BTreeMap<String, String>,
    /// What solving and fetching see.
    pub secrets: Vec<Secret>,
    /// What was asked for, lock or not, for conda's history.
    declared: Vec<String>,
    /// What is worth saying: code and text.
    pub warnings: Vec<(&'static str, String)>,
}

impl Wanted {
    /// Reads all steps of `prefix`.
    pub fn read(
        gathered: &Gathered,
        prefix: &str,
        subdir: &str,
        libc: Libc,
    ) -> Result<Self, NativeError> {
        let mut all = Wanted::default();
        for (index, step) in gathered.resolved.image().steps().iter().enumerate() {
            let Step::Conda(conda) = step else { continue };
            if conda.prefix().trim_end_matches('/') == prefix {
                all.add(conda, gathered.conda.get(&index), subdir, libc)?;
            }
        }
        if all.channels.is_empty() {
            all.channels.push(DEFAULT_CHANNEL.to_owned());
        }
        Ok(all)
    }

    /// Everything that was asked for by name.
    pub fn asked(&self) -> Vec<String> {
        let mut asked = self.declared.clone();
        asked.sort();
        asked.dedup();
        asked
    }

    fn add(
        &mut self,
        conda: &Conda,
        read: Option<&GatheredProject>,
        subdir: &str,
        libc: Libc,
    ) -> Result<(), NativeError> {
        let Conda { source, channels, prefix: _, virtual_packages, secrets } = conda;
        for secret in secrets {
            push_new(&mut self.secrets, secret.clone());
        }
        let own = match (source, read) {
            (CondaSource::Packages(packages), _) => {
                self.ask(packages);
                vec![]
            }
            (CondaSource::Environment { .. }, Some(read)) => self.environment(read)?,
            (CondaSource::Pixi(pixi), Some(read)) => self.pixi(pixi, read, subdir, libc)?,
            (CondaSource::Lock { .. }, Some(read)) => {
                let lock = ForeignLock::parse_conda_lock(&read.manifest.content, subdir);
                self.locked(lock.map_err(in_file(&read.manifest.path))?)
            }
            // The engine reads a file for each.
            (_, None) => vec![],
        };
        let chosen = if channels.is_empty() { own } else { channels.clone() };
        for channel in chosen {
            push_new(&mut self.channels, channel);
        }
        // What the step says counts for more than what a file says.
        self.virtual_packages.extend(virtual_packages.clone());
        Ok(())
    }

    fn ask(&mut self, specs: &[String]) {
        for spec in specs {
            push_new(&mut self.specs, spec.clone());
            self.declared.push(spec.clone());
        }
    }

    fn locked(&mut self, lock: ForeignLock) -> Vec<String> {
        let channels = lock.channels.clone();
        self.locks.push(lock);
        channels
    }

    fn environment(&mut self, read: &GatheredProject) -> Result<Vec<String>, NativeError> {
        let file = EnvironmentFile::parse(&read.manifest.content);
        let file = file.map_err(in_file(&read.manifest.path))?;
        self.ask(&file.specs);
        let EnvironmentFile { pip, variables, channels, .. } = file;
        self.pip.extend(pip.requirements);
        self.index(pip.index.as_deref(), &pip.extra_indexes)?;
        self.options.pre |= pip.pre;
        self.variables.extend(variables);
        Ok(channels)
    }

    fn index(&mut self, index: Option<&str>, extra: &[String]) -> Result<(), CondaError> {
        let url = |text: &str| {
            let shown = || tierce_oci::hide_credentials(text);
            text.parse::<ServiceUrl>().map_err(|_| CondaError::Index(shown()))
        };
        if let (None, Some(index)) = (&self.options.index, index) {
            self.options.index = Some(url(index)?);
        }
        for extra in extra {
            push_new(&mut self.options.extra_indexes, url(extra)?);
        }
        Ok(())
    }

    fn pixi(
        &mut self,
        pixi: &PixiEnvironment,
        read: &GatheredProject,
        subdir: &str,
        libc: Libc,
    ) -> Result<Vec<String>, NativeError> {
        let path = &read.manifest.path;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let manifest = PixiManifest::parse(&read.manifest.content, PixiFile::of_name(&name));
        let manifest = manifest.map_err(in_file(path))?;
        let asked = manifest.environment(&pixi.environment, subdir).map_err(in_file(path))?;
        self.shell_variables.extend(asked.variables.clone());
        for (name, value) in virtual_packages(&asked, libc) {
            self.virtual_packages.entry(name).or_insert(value);
        }
        if !asked.activation_scripts.is_empty() {
            self.warnings.push((
                "conda/activation-scripts",
                format!(
                    "nothing activates a pixi environment in a container, so these scripts are not run: {}",
                    asked.activation_scripts.join(", ")
                ),
            ));
        }
        let Some(lock) = &read.lock else {
            return self.pixi_unlocked(pixi, asked, read);
        };
        let parsed = ForeignLock::parse_pixi(&lock.content, &pixi.environment, subdir);
        let mut parsed = parsed.map_err(in_file(&lock.path))?;
        parsed.check(&pixi.environment, &asked).map_err(in_file(&lock.path))?;
        host::of_lock(&mut parsed, pixi, read);
        self.declared.extend(asked.specs);
        Ok(self.locked(parsed))
    }

    fn pixi_unlocked(
        &mut self,
        pixi: &PixiEnvironment,
        asked: PixiRequirements,
        read: &GatheredProject,
    ) -> Result<Vec<String>, NativeError> {
        let path = &read.manifest.path;
        asked.check_solvable().map_err(in_file(path))?;
        self.ask(&asked.specs);
        let mut host = host::Unlocked::default();
        for requirement in &asked.pypi {
            match (requirement, pixi.install) {
                (PypiRequirement::Requirement(text), _) => self.pip.push(text.clone()),
                // Its code comes into the image by other steps.
                (PypiRequirement::Folder { .. }, ProjectInstall::DependenciesOnly) => {}
                (PypiRequirement::Folder { name, path }, ProjectInstall::InstallProject) => {
                    host.add(name, path, pixi, read)?;
                }
            }
        }
        let (lock, requirements) = host.finish();
        self.pip.extend(requirements);
        self.locks.push(lock);
        let options = &asked.pypi_options;
        self.index(options.index_url.as_deref(), &options.extra_index_urls)?;
        self.options.extra_args.extend(options.arguments().map_err(in_file(path))?);
        Ok(asked.channels)
    }
}

/// The virtual packages that a manifest asks for. Of the C library's version the lower counts: no
/// package may need more than the image has, and none more than the manifest allows.
fn virtual_packages(asked: &PixiRequirements, libc: Libc) -> BTreeMap<String, String> {
    let mut all = asked.virtual_packages.clone();
    if let (Some(wanted), Libc::Glibc { minor }) = (all.get("__glibc"), libc) {
        let number = wanted.strip_prefix("2.").and_then(|rest| rest.split('.').next());
        let is_newer =
            number.and_then(|n| n.parse::<u64>().ok()).is_some_and(|n| n > u64::from(minor));
        if is_newer {
            all.remove("__glibc");
        }
    }
    all
}

/// An error about this file.
fn in_file<E: Diagnostic + Send + Sync + 'static>(path: &Path) -> impl Fn(E) -> CondaError {
    let path = path.to_owned();
    move |error| CondaError::File { path: path.clone(), source: Arc::new(error) }
}

fn push_new<T: PartialEq>(all: &mut Vec<T>, item: T) {
    if !all.contains(&item) {
        all.push(item);
    }
}
