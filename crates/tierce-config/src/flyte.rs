//! Flyte's `config.yaml`, as far as it is about images.
//!
//! Where it is looked for, and in which order, is what Flyte's own SDK does, with one difference:
//! a `./config.yaml` counts only if it has the `admin` section that says where Flyte is. The name
//! is too common to take any file for Flyte's.

use crate::layer::Layer;
use crate::values::{ImageName, PushRegistry};
use crate::{ConfigFile, Environment};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Deserialize)]
struct FlyteFile {
    admin: Option<IgnoredAny>,
    image: Option<FlyteImage>,
}

#[derive(Default, Deserialize)]
struct FlyteImage {
    builder: Option<Spanned<String>>,
    registry: Option<Spanned<String>>,
    image_refs: Option<BTreeMap<String, Spanned<String>>>,
}

/// What Flyte's name of a builder means here: its `local` builds on this machine with whatever
/// does that, `local-podman` with podman. Others are plug-ins' names in both; `tierce` says nothing
/// about which of the builders here.
pub(crate) fn builder(name: &str) -> Option<&str> {
    match name {
        "" | "tierce" => None,
        "local" => Some("native"),
        "local-podman" => Some("podman"),
        other => Some(other),
    }
}

/// The settings of Flyte's file, if there is one, and what is wrong with it.
pub(crate) fn layer(
    env: &Environment,
    directory: Option<&Path>,
    warnings: &mut Vec<String>,
) -> Option<Layer> {
    for Candidate { path, needs_admin } in candidates(env, directory) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        match serde_saphyr::from_str::<Option<FlyteFile>>(&text) {
            Ok(Some(file)) if file.admin.is_some() || !needs_admin => {
                return Some(image_settings(&path, file.image.unwrap_or_default(), warnings));
            }
            Ok(_) if needs_admin => {}
            Ok(_) => return None,
            // It may well be another program's.
            Err(_) if needs_admin => {}
            // Neither does Flyte's SDK fail.
            Err(error) => {
                let line = error.location().map_or(1, |l| l.line());
                warnings.push(format!(
                    "{}:{line}: ignored: not YAML that Flyte writes",
                    path.display()
                ));
                return None;
            }
        }
    }
    None
}

struct Candidate {
    path: PathBuf,
    needs_admin: bool,
}

fn candidates(env: &Environment, directory: Option<&Path>) -> Vec<Candidate> {
    let sure = |path| Candidate { path, needs_admin: false };
    let mut all = vec![];
    if let Some(directory) = directory {
        all.push(Candidate { path: directory.join("config.yaml"), needs_admin: true });
        all.push(sure(directory.join(".flyte/config.yaml")));
        let root = directory.ancestors().find(|folder| folder.join(".git").exists());
        if let Some(root) = root.filter(|root| *root != directory) {
            all.push(sure(root.join(".flyte/config.yaml")));
        }
    }
    let named = env.path("UCTL_CONFIG").or_else(|| env.path("FLYTECTL_CONFIG"));
    all.extend(named.map(sure));
    if let Some(home) = env.home() {
        all.push(sure(home.join(".union/config.yaml")));
        all.push(sure(home.join(".flyte/config.yaml")));
    }
    all
}

fn image_settings(path: &Path, image: FlyteImage, warnings: &mut Vec<String>) -> Layer {
    let FlyteImage { builder: name, registry, image_refs } = image;
    let mut file = ConfigFile::default();
    let mut lines = BTreeMap::new();
    let mut at = |key: &[&str], spanned: &Spanned<String>| {
        let key: Vec<String> = key.iter().map(|part| (*part).to_owned()).collect();
        let line = spanned.referenced.line() as usize;
        lines.insert(crate::layer::show(&key), line);
        line
    };
    if let Some((name, meant)) = name.as_ref().and_then(|name| Some((name, builder(&name.value)?)))
    {
        at(&["builder"], name);
        file.builder = Some(meant.to_owned());
    }
    if let Some(text) = registry.filter(|text| !text.value.is_empty()) {
        let line = at(&["registry"], &text);
        match text.value.parse::<PushRegistry>() {
            Ok(registry) => file.registry = Some(registry),
            Err(error) => {
                warnings
                    .push(format!("{}:{line}: image.registry ignored: {error}", path.display()));
            }
        }
    }
    for (name, text) in image_refs.unwrap_or_default() {
        let line = at(&["images", &name], &text);
        match text.value.parse() {
            Ok(reference) => {
                file.images.insert(name, ImageName(reference));
            }
            Err(error) => warnings.push(format!(
                "{}:{line}: image.image_refs.{name} ignored: {error}",
                path.display()
            )),
        }
    }
    Layer::flyte(path, file, lines)
}
