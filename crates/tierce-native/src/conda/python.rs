//! The Python that conda brings, and the packages that are installed next to conda's.

use super::error::CondaError;
use super::layers::CondaLayers;
use super::provided::Provided;
use super::wanted::Wanted;
use crate::error::NativeError;
use crate::installed::{Installed, names_of};
use crate::planner::{Foundation, Planner};
use crate::python::Interpreter;
use crate::standalone::fits;
use std::collections::BTreeMap;
use std::sync::Arc;
use tierce_spec::{Labels, PipOptions, PythonEnvironment, Step};
use tierce_wheel::{InstallTarget, Lock, LockedPackage, PackageName, PythonVersion, Target};

/// The conda environment that Python packages are installed into.
#[derive(Clone, Debug)]
pub struct CondaPython {
    /// Where it is.
    pub prefix: String,
    /// Requirements that files for conda have for pip.
    requirements: Vec<String>,
    options: PipOptions,
    /// Exact packages of locks, each lock as a `pylock.toml` (PEP 751).
    locks: Vec<String>,
}

impl CondaPython {
    /// One that an image below this one has.
    pub fn of_base(prefix: &str) -> Self {
        CondaPython {
            prefix: prefix.to_owned(),
            requirements: vec![],
            options: PipOptions::default(),
            locks: vec![],
        }
    }

    /// Adds what conda's files ask for to what the steps ask for.
    pub fn join<'a>(&'a self, environment: &PythonEnvironment<'a>) -> PythonEnvironment<'a> {
        let mut all = environment.clone();
        all.packages.extend(self.requirements.iter().map(String::as_str));
        let PipOptions { index, extra_indexes, pre, extra_args, secrets } = &self.options;
        let options = &mut all.options;
        if options.index.is_none() {
            options.index.clone_from(index);
        }
        for extra in extra_indexes {
            if !options.extra_indexes.contains(extra) {
                options.extra_indexes.push(extra.clone());
            }
        }
        options.pre |= pre;
        options.extra_args.extend(extra_args.iter().cloned());
        for secret in secrets {
            if !options.secrets.contains(secret) {
                options.secrets.push(secret.clone());
            }
        }
        all
    }

    /// The exact packages of all locks.
    pub fn exact(&self, target: &Target) -> Result<Vec<LockedPackage>, NativeError> {
        let mut all: Vec<LockedPackage> = vec![];
        for lock in &self.locks {
            for package in Lock::parse(lock.as_bytes(), target)?.packages() {
                match all.iter().find(|known| known.name == package.name) {
                    None => all.push(package.clone()),
                    Some(known) if known.source == package.source => {}
                    Some(known) => {
                        let shown = |p: &LockedPackage| {
                            p.version.as_ref().map(ToString::to_string).unwrap_or_default()
                        };
                        return Err(CondaError::Disagree {
                            prefix: self.prefix.clone(),
                            package: package.name.to_string(),
                            one: shown(known),
                            other: shown(package),
                        }
                        .into());
                    }
                }
            }
        }
        Ok(all)
    }

    /// What is resolved for, the likeliest first: conda's packages stay as they are; those that
    /// are asked for by name may be others.
    pub fn attempts(
        &self,
        installed: &Installed,
        wanted: &[&str],
        exact: &[LockedPackage],
    ) -> Vec<Provided> {
        let version = |p: &LockedPackage| Some((p.name.clone(), p.version.as_ref()?.to_string()));
        let exact: BTreeMap<PackageName, String> = exact.iter().filter_map(version).collect();
        let strict = Provided::of(installed, &[]).with_exact(exact.clone());
        let lenient = Provided::of(installed, &names_of(wanted)).with_exact(exact);
        match strict == lenient {
            true => vec![strict],
            false => vec![strict, lenient],
        }
    }

    fn is_empty(&self) -> bool {
        self.requirements.is_empty() && self.locks.is_empty()
    }
}

impl Planner<'_> {
    /// Takes the environment's Python for the image's, if it brings one, and installs what only
    /// conda's files ask for.
    pub(super) async fn conda_python(
        &mut self,
        index: usize,
        layers: &Arc<CondaLayers>,
        wanted: Wanted,
    ) -> Result<(), NativeError> {
        let prefix = layers.place.prefix().to_owned();
        let locks = wanted.locks.iter().filter(|lock| !lock.pypi.is_empty());
        let locks: Result<Vec<String>, String> = locks.map(|lock| lock.pylock()).collect();
        let python = CondaPython {
            prefix: prefix.clone(),
            requirements: wanted.pip,
            options: PipOptions { secrets: wanted.secrets, ..wanted.options },
            locks: locks.map_err(CondaError::NoDigest)?,
        };
        let (Some(package), Some(path), None) =
            (layers.lock.python(), layers.place.interpreter(), &self.conda.python)
        else {
            return match python.is_empty() {
                true => Ok(()),
                false => Err(CondaError::NoPython { prefix }.into()),
            };
        };
        let version = version(&package.version)?;
        self.check_python(version, layers)?;
        self.tell_other_python(version);
        let interpreter = Interpreter { path, version, libc: self.libc };
        let labels = [(crate::PYTHON_LABEL.to_owned(), interpreter.label())].into();
        self.builder.configure(&Step::Labels(Labels { labels }));
        self.builder.installed(Some(layers.installed().to_string()));
        let foundation = Foundation { nodes: self.builder.len(), stack: self.builder.stack() };
        self.interpreter = Some(interpreter.clone());
        self.found = Some((interpreter, foundation));
        let asks = !python.is_empty();
        self.conda.python = Some(python);
        let steps = self.gathered.resolved.python_environment();
        match steps.filter(|environment| !environment.is_empty()) {
            // They are installed together with what the steps ask for.
            Some(_) => Ok(()),
            None if asks => {
                let empty = PythonEnvironment {
                    position: index,
                    skeleton: None,
                    packages: vec![],
                    requirements: vec![],
                    wheels: vec![],
                    projects: vec![],
                    options: PipOptions::default(),
                };
                self.install_python(&empty).await
            }
            None => Ok(()),
        }
    }

    fn check_python(
        &self,
        version: PythonVersion,
        layers: &CondaLayers,
    ) -> Result<(), NativeError> {
        let target =
            InstallTarget::new(layers.place.prefix(), version).map_err(CondaError::from)?;
        match layers.place.python() {
            Some(python) if python.site_packages != target.site_packages() => {
                Err(CondaError::SitePackages {
                    prefix: layers.place.prefix().to_owned(),
                    site_packages: python.site_packages.clone(),
                }
                .into())
            }
            _ => Ok(()),
        }
    }

    /// What the image says of its Python may be of the base's.
    fn tell_other_python(&self, version: PythonVersion) {
        let request = self.gathered.resolved.image().python();
        let wanted = request.and_then(|request| request.version);
        if let Some(wanted) = wanted.filter(|wanted| !fits(version, Some(*wanted))) {
            let text = format!("python {wanted} is asked for, and conda brings {version}");
            self.events.warn("conda/other-python", text);
        }
    }

    /// An image below this one may have its Python from conda: packages go there, too.
    pub fn conda_of_base(&mut self) {
        let prefix = self.builder.config().env("CONDA_PREFIX");
        let (Some(prefix), Some(python)) = (prefix, &self.interpreter) else { return };
        if python.path.strip_prefix(&prefix).is_some_and(|rest| rest.starts_with("/bin/")) {
            self.conda.python = Some(CondaPython::of_base(&prefix));
        }
    }
}

/// A pre-release (3.14.0rc2) is its release for all that markers and tags ask.
fn version(text: &str) -> Result<PythonVersion, NativeError> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Ok(text[..end].trim_end_matches('.').parse()?)
}
