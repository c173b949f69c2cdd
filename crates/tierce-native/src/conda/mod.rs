//! Conda environments: from what the steps say to layers, and the image's Python where one of them
//! brings it.

mod activation;
mod error;
mod host;
mod layers;
mod link;
mod provided;
mod python;
mod solve;
mod wanted;

pub use error::CondaError;
pub use host::folders;
pub use layers::CondaLayers;
pub use provided::Provided;
pub use python::CondaPython;

use crate::draft::DEFAULT_PATH;
use crate::error::NativeError;
use crate::planner::Planner;
use std::collections::{BTreeMap, BTreeSet};
use tierce_conda::{CondaPrefix, CondaTarget};
use tierce_spec::{Conda, Env, SearchPath, Step};
use wanted::Wanted;

/// What planning knows of an image's conda environments.
#[derive(Debug, Default)]
pub struct CondaState {
    /// The prefixes of environments that are planned.
    planned: BTreeSet<String>,
    /// The one with the image's Python.
    pub python: Option<CondaPython>,
}

impl Planner<'_> {
    /// Plans the environment that the step `index` is for, unless an earlier step of its prefix
    /// did: they all make one.
    pub async fn conda(&mut self, index: usize) -> Result<(), NativeError> {
        let resolved = &self.gathered.resolved;
        let Some(Step::Conda(first)) = resolved.image().steps().get(index) else { return Ok(()) };
        let prefix = first.prefix().trim_end_matches('/').to_owned();
        if !self.conda.planned.insert(prefix.clone()) {
            return Ok(());
        }
        let platform = self.builder.platform().clone();
        let target = CondaTarget::new(&platform, self.libc)?;
        let mut wanted = Wanted::read(self.gathered, &prefix, target.subdir(), self.libc)?;
        for (code, warning) in std::mem::take(&mut wanted.warnings) {
            self.events.warn(code, warning);
        }
        let target = target.with_overrides(&wanted.virtual_packages)?;
        let seen = self.conda_secrets(&wanted)?;
        let locking = &self.gathered.locking;
        let refresh = self.mode.refresh().is_wanted();
        let sources = self.context.conda_sources(&wanted, &seen)?;
        let events = self.events;
        let request = solve::Request { wanted: &wanted, target: &target, prefix: &prefix, refresh };
        let lock = self.context.conda_lock(&request, &sources, locking, &seen, events).await?;
        let place = CondaPrefix::new(&prefix, &lock)?;
        let stored = self.context.conda_packages(&lock, &sources, events).await?;
        let layers = self.context.conda_layers(lock, wanted.asked(), place, stored).await?;
        for warning in layers.warnings() {
            events.warn("conda/file-conflict", warning);
        }
        let layers = std::sync::Arc::new(layers);
        self.place_conda(&layers);
        self.activate_conda(&prefix, &wanted);
        self.post_link(&layers)?;
        if !layers.activation_scripts().is_empty() {
            events.warn(
                "conda/activation-scripts",
                format!(
                    "nothing activates {prefix} in a container, so these scripts are not run: {}",
                    layers.activation_scripts().join(", ")
                ),
            );
        }
        self.conda_python(index, &layers, wanted).await
    }

    /// Plans the environments of steps that come later, since one may bring the Python that
    /// packages are installed for now.
    pub async fn conda_ahead(&mut self) -> Result<(), NativeError> {
        let steps = self.gathered.resolved.image().steps();
        let later: Vec<usize> = steps
            .iter()
            .enumerate()
            .filter(|(_, step)| matches!(step, Step::Conda(_)))
            .map(|(index, _)| index)
            .collect();
        for index in later {
            if self.open_end.is_none() {
                Box::pin(self.conda(index)).await?;
            }
        }
        Ok(())
    }

    /// What conda's activation comes to without its scripts.
    fn activate_conda(&mut self, prefix: &str, wanted: &Wanted) {
        let config = self.builder.config();
        let known = |name: &str| match name {
            "CONDA_PREFIX" => Some(prefix.to_owned()),
            "CONDA_DEFAULT_ENV" => Some(self::name(prefix).to_owned()),
            "PIXI_PROJECT_ROOT" => activation::pixi_root(prefix).or_else(|| config.env(name)),
            "PATH" => Some(config.env(name).unwrap_or_else(|| DEFAULT_PATH.to_owned())),
            _ => None,
        };
        let mut vars = wanted.variables.clone();
        let mut left_out = vec![];
        for (name, value) in &wanted.shell_variables {
            match activation::expand(value, &known) {
                Ok(value) => drop(vars.insert(name.clone(), value)),
                Err(unknown) => left_out.push(format!("{name} ({unknown})")),
            }
        }
        // Conda's programs come before whatever else the path is set to.
        if let Some(path) = vars.remove("PATH") {
            let vars = BTreeMap::from([("PATH".to_owned(), path)]);
            self.builder.configure(&Step::Env(Env { vars, paths: BTreeMap::new() }));
        }
        vars.insert("CONDA_PREFIX".to_owned(), prefix.to_owned());
        vars.insert("CONDA_DEFAULT_ENV".to_owned(), name(prefix).to_owned());
        let path = SearchPath { before: vec![format!("{prefix}/bin")], ..SearchPath::default() };
        let paths = BTreeMap::from([("PATH".to_owned(), path)]);
        self.builder.configure(&Step::Env(Env { vars, paths }));
        if !left_out.is_empty() {
            self.events.warn(
                "conda/activation-variables",
                format!(
                    "no shell activates a pixi environment in a container, so these variables, \
                     which need one, are left out: {}",
                    left_out.join(", ")
                ),
            );
        }
    }
}

/// What conda calls the environment at a prefix.
fn name(prefix: &str) -> &str {
    match prefix.rsplit_once('/') {
        _ if prefix == Conda::PREFIX => "base",
        Some((parent, name)) if parent.ends_with("/envs") => name,
        _ => prefix,
    }
}
