//! What has to be read before an image can be lowered.

use crate::environment::pylock;
use crate::{FlyteImage, Layer, Prelude};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tierce_oci::Digest;
use tierce_spec::{digest_word, locked::is_workspace_root};
use toml::Table;

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
                Layer::PixiProject { manifest, lock, .. } => {
                    all.insert(manifest.clone());
                    all.insert(beside(lock.as_deref(), manifest, "pixi.lock"));
                }
                Layer::UvScript { script, .. } => {
                    all.insert(script.clone());
                    all.insert(super::script::lock(script));
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
                | Layer::LocalPackages { .. }
                | Layer::PoetryProject { .. }
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

impl FlyteImage {
    /// The files that have to be in [`crate::Surroundings::written`]: their names, which say what
    /// is in them, and their texts.
    pub fn written(&self) -> BTreeMap<String, String> {
        let text = |layer: &Layer| match layer {
            Layer::LocalPackages { packages } => Some(pylock(packages)),
            _ => None,
        };
        self.layers.iter().filter_map(text).map(|text| (pylock_name(&text), text)).collect()
    }
}

/// What a `pylock.toml` of this text is called (PEP 751: `pylock.NAME.toml`).
pub(super) fn pylock_name(text: &str) -> String {
    format!("pylock.{}.toml", digest_word('e', &Digest::of(text)))
}

impl FlyteImage {
    /// Whether commands of the user may call uv, so that it is wanted in
    /// [`crate::Surroundings::uv`].
    pub fn wants_uv(&self) -> bool {
        !self.is_unmodified()
            && self.dockerfile.is_none()
            && self.prelude() == Prelude::Flyte
            && self.calls_programs()
    }
}

/// The manifest and the lock of a project of uv's, and of the workspaces that it may be in.
fn uv_project(pyproject: &Path, lock: Option<&Path>) -> Vec<PathBuf> {
    let mut all = vec![pyproject.to_owned(), beside(lock, pyproject, "uv.lock")];
    if lock.is_none() {
        all.extend(above(pyproject).flatten());
    }
    all
}

/// The manifests and locks of the folders above that of a project.
fn above(pyproject: &Path) -> impl Iterator<Item = [PathBuf; 2]> {
    const HIGHEST: usize = 4;
    let folder = pyproject.parent().unwrap_or(Path::new("")).to_owned();
    (1..=HIGHEST).map(move |levels| {
        let up: PathBuf = folder.iter().chain(std::iter::repeat_n("..".as_ref(), levels)).collect();
        ["pyproject.toml", "uv.lock"].map(|name| up.join(name))
    })
}

/// The lock of the workspace that a project of uv's is in.
pub(super) fn workspace_lock(pyproject: &Path, texts: &Texts) -> Option<PathBuf> {
    above(pyproject).find_map(|[manifest, lock]| {
        let is_root = texts.get(&manifest).is_some_and(|text| is_workspace_root(text));
        (is_root && texts.contains_key(&lock)).then_some(lock)
    })
}

fn beside(named: Option<&Path>, file: &Path, name: &str) -> PathBuf {
    named.map_or_else(|| file.with_file_name(name), Path::to_owned)
}

/// Whether a manifest has the group that uv has words of its own for.
pub(super) fn has_dev_group(pyproject: &Path, texts: &Texts) -> bool {
    let manifest = texts.get(pyproject).and_then(|text| text.parse::<Table>().ok());
    let Some(manifest) = manifest else { return false };
    let at = |path: &[&str]| {
        let mut found = manifest.get(path[0])?;
        for key in &path[1..] {
            found = found.get(key)?;
        }
        Some(found)
    };
    at(&["dependency-groups", "dev"]).or_else(|| at(&["tool", "uv", "dev-dependencies"])).is_some()
}
