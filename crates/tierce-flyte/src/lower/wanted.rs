//! What has to be read before an image can be lowered.

use crate::{FlyteImage, Layer, Prelude};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// The texts that are known.
pub(super) type Texts = BTreeMap<PathBuf, String>;

impl FlyteImage {
    /// The files whose texts are wanted in [`crate::Surroundings::texts`], as far as can be told
    /// from `known`: a text may lead to others, so that this is asked until nothing new is wanted.
    /// Files that are not there are left out of the texts.
    pub fn wanted(&self, known: &BTreeMap<PathBuf, String>) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        for layer in &self.layers {
            match layer {
                Layer::UvProject { pyproject, lock, .. } => {
                    all.extend(uv_project(pyproject, lock.as_deref()));
                }
                Layer::PoetryProject { lock, .. } => {
                    all.insert(lock.clone());
                }
                Layer::PixiProject { manifest, lock, .. } => {
                    all.insert(beside(lock.as_deref(), manifest, "pixi.lock"));
                }
                Layer::UvScript { script, .. } => {
                    all.insert(script.clone());
                    // What is wrong with it is said when it is lowered.
                    let projects = super::script::projects(script, known).unwrap_or_default();
                    all.extend(projects.iter().flat_map(|pyproject| uv_project(pyproject, None)));
                }
                Layer::PixiScript { script, .. } => {
                    all.insert(script.clone());
                    all.insert(super::pixi::script_lock(script));
                }
                Layer::PipPackages { .. }
                | Layer::Requirements { .. }
                | Layer::Wheels { .. }
                | Layer::AptPackages { .. }
                | Layer::Commands { .. }
                | Layer::Env { .. }
                | Layer::Workdir { .. }
                | Layer::Source { .. }
                | Layer::CodeBundle { .. }
                | Layer::Dockerignore { .. }
                | Layer::DockerLines { .. } => {}
            }
        }
        all
    }
}

/// Which programs of the host an image needs in [`crate::Surroundings::tools`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolsWanted {
    /// uv, since it installs something in the image.
    pub uv_to_install: bool,
    /// uv, since commands of the user may call it.
    pub uv_for_commands: bool,
    /// pixi.
    pub pixi: bool,
}

impl FlyteImage {
    /// Which programs of the host the image needs, as far as can be told from the texts that it
    /// wants.
    pub fn wanted_tools(&self, known: &BTreeMap<PathBuf, String>) -> ToolsWanted {
        let mut wanted = ToolsWanted::default();
        if self.is_unmodified() || self.dockerfile.is_some() {
            return wanted;
        }
        wanted.uv_for_commands = self.prelude() == Prelude::Flyte && self.calls_programs();
        for layer in &self.layers {
            match layer {
                Layer::UvProject { .. } | Layer::PoetryProject { .. } => {
                    wanted.uv_to_install = true;
                }
                Layer::PixiProject { .. } | Layer::PixiScript { .. } => wanted.pixi = true,
                Layer::UvScript { script, .. } => {
                    let projects = super::script::projects(script, known).unwrap_or_default();
                    wanted.uv_to_install |= !projects.is_empty() || wanted.pixi;
                }
                // Into an environment of pixi's uv installs.
                Layer::PipPackages { .. } | Layer::Requirements { .. } | Layer::Wheels { .. } => {
                    wanted.uv_to_install |= wanted.pixi;
                }
                _ => {}
            }
        }
        wanted
    }
}

fn uv_project(pyproject: &Path, lock: Option<&Path>) -> [PathBuf; 2] {
    [pyproject.to_owned(), beside(lock, pyproject, "uv.lock")]
}

fn beside(named: Option<&Path>, file: &Path, name: &str) -> PathBuf {
    named.map_or_else(|| file.with_file_name(name), Path::to_owned)
}

/// What a project of uv's depends on that is a folder or file of the host, relative to it: what
/// its lock says, or else what its manifest says.
pub(super) fn local_of_uv(pyproject: &Path, lock: Option<&Path>, texts: &Texts) -> Vec<PathBuf> {
    let table = |file: &Path| texts.get(file)?.parse::<Table>().ok();
    let mut found = match lock.and_then(table) {
        Some(lock) => locked(&lock),
        None => {
            let sources = || {
                let manifest = table(pyproject)?;
                Some(manifest.get("tool")?.get("uv")?.get("sources")?.as_table()?.clone())
            };
            let sources = sources().unwrap_or_default();
            sources.values().flat_map(each).filter_map(|source| text(source, "path")).collect()
        }
    };
    found.retain(|path| !matches!(path.to_str(), Some("" | "." | "./")));
    found.sort();
    found.dedup();
    found
}

fn locked(lock: &Table) -> Vec<PathBuf> {
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let sources = packages.filter_map(|package| package.get("source"));
    let keys = ["editable", "directory", "virtual", "path"];
    sources.filter_map(|source| keys.iter().find_map(|key| text(source, key))).collect()
}

/// What a project of Poetry's depends on that is a folder or file of the host, as its lock has it.
pub(super) fn local_of_poetry(lock: &Path, texts: &Texts) -> Vec<PathBuf> {
    let Some(lock) = texts.get(lock).and_then(|text| text.parse::<Table>().ok()) else {
        return vec![];
    };
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let local = |source: &&Value| {
        matches!(source.get("type").and_then(Value::as_str), Some("directory" | "file"))
    };
    let sources = packages.filter_map(|package| package.get("source")).filter(local);
    let mut found: Vec<PathBuf> = sources.filter_map(|source| text(source, "url")).collect();
    found.sort();
    found.dedup();
    found
}

/// A value, or all values of a list.
fn each(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    }
}

fn text(table: &Value, key: &str) -> Option<PathBuf> {
    table.get(key)?.as_str().map(PathBuf::from)
}
