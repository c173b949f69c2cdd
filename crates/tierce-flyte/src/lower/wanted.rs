//! What has to be read before an image can be lowered.

use crate::{FlyteImage, InstallMode, Layer, Prelude};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

/// What a project's manifest is called.
const MANIFEST: &str = "pyproject.toml";

/// The texts that are known.
pub(super) type Texts = BTreeMap<PathBuf, String>;

impl FlyteImage {
    /// The files whose texts are wanted in [`crate::Surroundings::texts`], as far as can be told
    /// from `known`: a text may lead to others, so that this is asked until nothing new is wanted.
    /// Files that are not there are left out of the texts.
    pub fn wanted(&self, known: &BTreeMap<PathBuf, String>) -> BTreeSet<PathBuf> {
        let mut all = BTreeSet::new();
        let mut in_pixi = false;
        for layer in &self.layers {
            match layer {
                Layer::UvProject { pyproject, lock, mode, .. } => {
                    all.extend(uv_project(pyproject, lock.as_deref(), *mode, known));
                }
                Layer::PoetryProject { pyproject, lock, mode, .. } => {
                    let local = local_of_poetry(lock, known);
                    all.extend(read_by_tools(pyproject, Some(lock), &local, *mode));
                }
                Layer::PixiProject { manifest, lock, .. } => {
                    in_pixi = true;
                    all.insert(manifest.clone());
                    all.insert(beside(lock.as_deref(), manifest, "pixi.lock"));
                }
                Layer::UvScript { script, .. } => {
                    all.insert(script.clone());
                    // What is wrong with it is said when it is lowered.
                    let projects = super::script::projects(script, known).unwrap_or_default();
                    let mode = InstallMode::InstallProject;
                    let files = |pyproject: &PathBuf| uv_project(pyproject, None, mode, known);
                    all.extend(projects.iter().flat_map(files));
                }
                Layer::PixiScript { script, .. } => {
                    in_pixi = true;
                    all.insert(script.clone());
                    all.insert(super::pixi::script_lock(script));
                }
                // A step in the image reads it.
                Layer::Requirements { file, .. } if in_pixi => {
                    all.insert(file.clone());
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

fn uv_project(
    pyproject: &Path,
    lock: Option<&Path>,
    mode: InstallMode,
    known: &Texts,
) -> Vec<PathBuf> {
    let lock = beside(lock, pyproject, "uv.lock");
    let local = local_of_uv(pyproject, Some(&lock), known);
    read_by_tools(pyproject, Some(&lock), &local, mode)
}

/// The files of a project that uv and Poetry read in the image, and which may name indexes: the
/// project's own, and those of folders that it depends on.
pub(super) fn read_by_tools(
    manifest: &Path,
    lock: Option<&Path>,
    local: &[PathBuf],
    mode: InstallMode,
) -> Vec<PathBuf> {
    let mut all = vec![manifest.to_owned()];
    all.extend(lock.map(Path::to_owned));
    if mode == InstallMode::InstallProject {
        all.extend(["uv.toml", "poetry.toml"].map(|name| manifest.with_file_name(name)));
    }
    all.extend(local.iter().map(|path| manifest.with_file_name("").join(path).join(MANIFEST)));
    all
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
