//! What an environment of a manifest asks for on one platform.

use super::error::PixiError;
use super::manifest::{Channel, DEFAULT, Feature, LibcRequirement, PixiManifest, Target};
use super::pyproject::split;
use super::{PypiOptions, spec::CondaSpec};
use std::collections::BTreeMap;

/// What an environment of a pixi manifest asks for on one platform.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PixiRequirements {
    /// Channels in the order of their priority.
    pub channels: Vec<String>,
    /// Match specs.
    pub specs: Vec<String>,
    /// Python packages.
    pub pypi: Vec<PypiRequirement>,
    /// Where these come from.
    pub pypi_options: PypiOptions,
    /// What machines must have, by virtual package: `__cuda` to `12.4`.
    pub virtual_packages: BTreeMap<String, String>,
    /// Variables that are set where the environment is active.
    pub variables: BTreeMap<String, String>,
    /// conda packages in folders of the host whose dependencies are installed (`[dev]`): what these
    /// are, a lock says, or pixi, which builds them.
    pub dev: Vec<String>,
    /// Scripts that pixi would run when somebody activates the environment. Nothing activates
    /// the one of an image.
    pub activation_scripts: Vec<String>,
}

/// A Python package that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PypiRequirement {
    /// A requirement (PEP 508).
    Requirement(String),
    /// A project in a folder of the host.
    Folder {
        /// Its name, with extras.
        name: String,
        /// The folder, relative to the manifest's.
        path: String,
    },
}

impl PixiManifest {
    /// What the environment asks for on the platform that conda calls `subdir`.
    pub fn environment(&self, name: &str, subdir: &str) -> Result<PixiRequirements, PixiError> {
        let features = self.features(name)?;
        self.check_platform(name, subdir, &features)?;
        let mut all = PixiRequirements {
            channels: self.channels(&features),
            pypi_options: self.pypi_options(&features),
            ..PixiRequirements::default()
        };
        for feature in &features {
            let targets = targets(feature, subdir);
            for (name, spec) in conda(&targets) {
                let spec = spec
                    .match_spec(&name)
                    .map_err(|problem| PixiError::Dependency { name: name.clone(), problem })?;
                push_new(&mut all.specs, spec);
            }
            for name in targets.iter().flat_map(|target| target.dev.keys()) {
                push_new(&mut all.dev, name.clone());
            }
            all.add_pypi(feature, &targets)?;
            for (name, value) in targets.iter().flat_map(|target| &target.activation.env) {
                all.variables.entry(name.clone()).or_insert_with(|| value.clone());
            }
            let scripts = targets.iter().flat_map(|target| &target.activation.scripts);
            all.activation_scripts.extend(scripts.cloned());
            all.add_system(feature);
        }
        Ok(all)
    }

    /// The features of an environment, the default one last.
    fn features(&self, name: &str) -> Result<Vec<&Feature>, PixiError> {
        let environment = self.environments.get(name).ok_or_else(|| PixiError::Environment {
            wanted: name.to_owned(),
            there: self.environments(),
        })?;
        let mut names: Vec<&str> = environment.features.iter().map(String::as_str).collect();
        if !environment.no_default_feature && !names.contains(&DEFAULT) {
            names.push(DEFAULT);
        }
        let feature = |wanted: &&str| {
            self.features.get(*wanted).ok_or_else(|| PixiError::Feature {
                environment: name.to_owned(),
                wanted: (*wanted).to_owned(),
                there: self.features.keys().filter(|f| *f != DEFAULT).cloned().collect(),
            })
        };
        names.iter().map(feature).collect()
    }

    /// An environment is for the platforms that all its features are for. A manifest that names
    /// none is for all.
    fn check_platform(
        &self,
        name: &str,
        subdir: &str,
        features: &[&Feature],
    ) -> Result<(), PixiError> {
        let declared = features.iter().filter_map(|feature| feature.platforms.as_ref());
        let lists: Vec<&Vec<String>> = match declared.collect::<Vec<_>>() {
            declared if declared.is_empty() => self.platforms.iter().collect(),
            declared => declared,
        };
        if lists.iter().all(|list| list.iter().any(|platform| platform == subdir)) {
            return Ok(());
        }
        let there = lists.first().map(|list| list.to_vec()).unwrap_or_default();
        let there = there.into_iter().filter(|p| lists.iter().all(|list| list.contains(p)));
        Err(PixiError::Platform {
            environment: name.to_owned(),
            wanted: subdir.to_owned(),
            there: there.collect(),
        })
    }

    /// The channels of all features; a feature that names none has the workspace's.
    fn channels(&self, features: &[&Feature]) -> Vec<String> {
        let mut all: Vec<&Channel> = vec![];
        for feature in features {
            let channels = feature.channels.as_ref().or(self.channels.as_ref());
            for channel in channels.into_iter().flatten() {
                if !all.iter().any(|known| known.name() == channel.name()) {
                    all.push(channel);
                }
            }
        }
        all.sort_by_key(|channel| std::cmp::Reverse(channel.priority()));
        all.into_iter().map(|channel| channel.name().to_owned()).collect()
    }

    fn pypi_options(&self, features: &[&Feature]) -> PypiOptions {
        let all = features.iter().map(|feature| &feature.pypi_options);
        all.chain([&self.pypi_options]).fold(PypiOptions::default(), PypiOptions::and)
    }
}

impl PixiRequirements {
    fn add_pypi(&mut self, feature: &Feature, targets: &[&Target]) -> Result<(), PixiError> {
        let mut declared: BTreeMap<&String, &super::pypi::PypiSpec> = BTreeMap::new();
        for (name, spec) in targets.iter().flat_map(|target| &target.pypi_dependencies) {
            declared.entry(name).or_insert(spec);
        }
        for (name, spec) in declared {
            let (requirement, index) = spec
                .requirement(name)
                .map_err(|problem| PixiError::Dependency { name: name.clone(), problem })?;
            push_new(&mut self.pypi, requirement);
            if let Some(index) = index {
                self.pypi_options.add_own(index);
            }
        }
        for requirement in &feature.requirements {
            push_new(&mut self.pypi, PypiRequirement::Requirement(requirement.clone()));
        }
        Ok(())
    }

    /// The first feature that says something counts: none knows what the others need.
    fn add_system(&mut self, feature: &Feature) {
        let system = &feature.system_requirements;
        let libc = system.libc.as_ref().and_then(|libc| match libc {
            LibcRequirement::Version(version) => Some(version.clone()),
            LibcRequirement::Family { family, version } => {
                let is_glibc = family.as_deref().is_none_or(|family| family == "glibc");
                is_glibc.then(|| version.clone())
            }
        });
        let archspec = system.archspec.as_ref().map(|name| format!("1={name}"));
        for (name, value) in [
            ("__linux", system.linux.clone()),
            ("__cuda", system.cuda.clone()),
            ("__archspec", archspec),
            ("__glibc", libc),
        ] {
            if let Some(value) = value {
                self.virtual_packages.entry(name.to_owned()).or_insert(value);
            }
        }
    }

    /// Whether all that is asked for is known without asking pixi.
    ///
    /// # Errors
    /// [`PixiError::Dependency`]
    pub fn check_solvable(&self) -> Result<(), PixiError> {
        match self.dev.first() {
            None => Ok(()),
            Some(name) => Err(PixiError::Dependency {
                name: name.clone(),
                problem: super::spec::SpecProblem::Source,
            }),
        }
    }

    /// The names of the Python packages that are asked for, as they were written.
    pub(super) fn pypi_names(&self) -> impl Iterator<Item = &str> {
        self.pypi.iter().map(|requirement| match requirement {
            PypiRequirement::Requirement(text) | PypiRequirement::Folder { name: text, .. } => {
                split(text).0
            }
        })
    }
}

/// What a feature says for the platform, the most special first.
fn targets<'a>(feature: &'a Feature, subdir: &str) -> Vec<&'a Target> {
    let family = subdir.split('-').next().unwrap_or_default();
    let unix = matches!(family, "linux" | "osx").then_some("unix");
    let names = [Some(subdir), Some(family), unix];
    let special = names.into_iter().flatten().filter_map(|name| feature.target.get(name));
    special.chain([&feature.all]).collect()
}

/// What conda packages a feature asks for: of the three tables, what is needed to run counts for
/// more than what is needed to build.
fn conda(targets: &[&Target]) -> BTreeMap<String, CondaSpec> {
    let mut all = BTreeMap::new();
    let run = targets.iter().flat_map(|target| &target.dependencies);
    let host = targets.iter().flat_map(|target| &target.host_dependencies);
    let build = targets.iter().flat_map(|target| &target.build_dependencies);
    for (name, spec) in run.chain(host).chain(build) {
        all.entry(name.clone()).or_insert_with(|| spec.clone());
    }
    all
}

fn push_new<T: PartialEq>(all: &mut Vec<T>, item: T) {
    if !all.contains(&item) {
        all.push(item);
    }
}
