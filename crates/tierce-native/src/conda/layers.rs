//! The layers of a conda environment.

use crate::assembled::COMPRESSION;
use crate::context::Context;
use crate::error::NativeError;
use crate::installed::Installed;
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::LayerOutcome;
use crate::plan::Node;
use crate::planner::Planner;
use crate::work::Work;
use std::sync::Arc;
use tierce_conda::{
    BucketPolicy, CondaLayerPlan, CondaLock, CondaPrefix, INSTALL_VERSION, PostLinkScript,
    StoredPackage, clobbers, plan_layers, post_link_scripts, write_history, write_layer,
};
use tierce_engine::StepHandle;

/// How many files that packages disagree about, or links of a layer, are told of.
const MOST_WARNINGS: usize = 10;

/// A conda environment with its packages in the store, grouped into layers.
pub struct CondaLayers {
    /// The packages.
    pub lock: CondaLock,
    /// Where they go.
    pub place: CondaPrefix,
    plans: Vec<CondaLayerPlan>,
    asked: Vec<String>,
    scripts: Vec<PostLinkScript>,
    activation_scripts: Vec<String>,
    installed: Installed,
    conflicts: Vec<String>,
}

impl CondaLayers {
    fn new(
        lock: CondaLock,
        asked: Vec<String>,
        place: CondaPrefix,
        stored: &[StoredPackage],
    ) -> Result<Self, NativeError> {
        let plans =
            plan_layers(stored, &BucketPolicy { max_layers: 40, ..BucketPolicy::default() });
        let scripts = post_link_scripts(&lock, stored, &place);
        let conflicts = clobbers(&plans, &place)?;
        let told = conflicts.iter().take(MOST_WARNINGS).map(|clobber| {
            let losers = clobber.losers.join(", ");
            format!(
                "{}/{} is {}'s, and {losers} has it too",
                place.prefix(),
                clobber.path,
                clobber.winner
            )
        });
        let mut told: Vec<String> = told.collect();
        if conflicts.len() > MOST_WARNINGS {
            told.push(format!("and {} further files", conflicts.len() - MOST_WARNINGS));
        }
        let mut activation_scripts: Vec<String> = stored
            .iter()
            .flat_map(|stored| &stored.info.paths)
            .filter_map(|path| path.path.strip_prefix("etc/conda/activate.d/"))
            .filter(|name| name.ends_with(".sh"))
            .map(str::to_owned)
            .collect();
        activation_scripts.sort();
        let installed = Installed::parse(&distributions(stored).join(" "));
        Ok(CondaLayers {
            lock,
            place,
            plans,
            asked,
            scripts,
            activation_scripts,
            installed,
            conflicts: told,
        })
    }

    /// Files that packages disagree about.
    pub fn warnings(&self) -> Vec<String> {
        self.conflicts.clone()
    }

    /// Scripts that conda's activation would run.
    pub fn activation_scripts(&self) -> &[String] {
        &self.activation_scripts
    }

    /// What has to run once all is there.
    pub fn scripts(&self) -> &[PostLinkScript] {
        &self.scripts
    }

    /// The Python packages among them.
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    fn history_key(&self) -> LayerKey {
        KeyEncoder::new("conda-history")
            .digest("lock", &self.lock.digest())
            .list("asked", &self.asked)
            .text("prefix", self.place.prefix())
            .text("version", &INSTALL_VERSION.to_string())
            .text("compression", COMPRESSION.media_type().as_str())
            .text("format", &tierce_layer::FORMAT_VERSION.to_string())
            .finish()
    }
}

/// The Python packages that conda packages bring, by what their metadata (PEP 376) is called:
/// conda's own names need not be Python's.
fn distributions(stored: &[StoredPackage]) -> Vec<String> {
    let name = |path: &str| {
        let (folder, file) = path.rsplit_once('/')?;
        let (above, info) = folder.rsplit_once('/').unwrap_or(("", folder));
        let package = match file {
            "METADATA" => info.strip_suffix(".dist-info")?,
            "PKG-INFO" => info.strip_suffix(".egg-info")?,
            _ => return None,
        };
        // What is deeper is a package's own copy of another.
        if above.rsplit('/').next() != Some("site-packages") {
            return None;
        }
        let (name, version) = package.split_once('-')?;
        // Old metadata names the interpreter, too: `six-1.16.0-py3.11`.
        let version = version.split_once("-py").map_or(version, |(version, _)| version);
        Some(format!("{name}=={version}"))
    };
    let paths = stored.iter().flat_map(|stored| &stored.info.paths);
    let mut all: Vec<String> = paths.filter_map(|path| name(&path.path)).collect();
    all.sort();
    all.dedup();
    all
}

impl Planner<'_> {
    /// Adds an environment's layers.
    pub(super) fn place_conda(&mut self, layers: &Arc<CondaLayers>) {
        for (index, plan) in layers.plans.iter().enumerate() {
            let names: Vec<String> = plan
                .packages
                .iter()
                .map(|stored| format!("{}={}", stored.package.name, stored.package.version))
                .collect();
            self.builder.layer(Node {
                key: LayerKey(plan.key(&layers.place, COMPRESSION)),
                title: format!("conda {}", plan.title()),
                created_by: format!("conda {}", names.join(" ")),
                work: Work::Conda(layers.clone(), index),
            });
        }
        let prefix = layers.place.prefix();
        self.builder.layer(Node {
            key: layers.history_key(),
            title: format!("conda environment {prefix}"),
            created_by: format!("conda {prefix}: {} packages", layers.lock.packages.len()),
            work: Work::CondaHistory(layers.clone()),
        });
    }
}

impl Context {
    /// Groups packages into layers, on a thread of its own.
    pub(super) async fn conda_layers(
        &self,
        lock: CondaLock,
        asked: Vec<String>,
        place: CondaPrefix,
        stored: Vec<StoredPackage>,
    ) -> Result<CondaLayers, NativeError> {
        let make = move || CondaLayers::new(lock, asked, place, &stored);
        tokio::task::spawn_blocking(make).await?
    }

    /// A layer of packages.
    pub async fn conda_layer(
        &self,
        layers: &Arc<CondaLayers>,
        index: usize,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        let (layers, reporter) = (layers.clone(), step.reporter());
        let write = move |writer: &mut _| {
            let outside = write_layer(&layers.plans[index], &layers.place, writer)?;
            for link in outside.iter().take(MOST_WARNINGS) {
                reporter.warn("conda/outside-link", link.to_string());
            }
            if outside.len() > MOST_WARNINGS {
                let more = outside.len() - MOST_WARNINGS;
                reporter.warn("conda/outside-link", format!("and {more} further links"));
            }
            Ok(())
        };
        self.assemble(write).await
    }

    /// What makes the environment one for conda.
    pub async fn conda_history(
        &self,
        layers: &Arc<CondaLayers>,
    ) -> Result<LayerOutcome, NativeError> {
        let layers = layers.clone();
        self.assemble(move |writer| {
            Ok(write_history(&layers.lock, &layers.asked, &layers.place, writer)?)
        })
        .await
    }
}
