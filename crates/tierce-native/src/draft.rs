//! An image under construction: the base's configuration, edited step by step.

use crate::layer::Layer;
use std::collections::BTreeMap;
use tierce_oci::{
    Artifact, Blob, BlobLocation, Descriptor, History, ImageConfig, Manifest, MediaType, Platform,
};
use tierce_spec::Step;

/// The date of everything: the same inputs give the same bytes on any day. 1980 is the first
/// year that zip files, and so Python's `zipfile`, can represent.
const CREATED: &str = "1980-01-01T00:00:00Z";

/// The search path of images whose configuration has none: Docker's default.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration and the layers so far.
#[derive(Clone, Debug)]
pub struct Draft {
    config: ImageConfig,
    layers: Vec<Layer>,
    annotations: BTreeMap<String, String>,
}

impl Draft {
    /// An image that starts as a base with this configuration. The base's layers and history
    /// are kept as they are.
    pub fn new(mut config: ImageConfig, layers: Vec<Layer>) -> Self {
        config.created = Some(CREATED.to_owned());
        config.rootfs.diff_ids = layers.iter().map(|l| l.record.diff_id).collect();
        Draft { config, layers, annotations: BTreeMap::new() }
    }

    /// An image that starts from nothing.
    pub fn scratch(platform: Platform) -> Self {
        Draft::new(ImageConfig::scratch(platform), vec![])
    }

    /// Records an annotation of the manifest.
    pub fn annotate(&mut self, name: &str, value: impl Into<String>) {
        self.annotations.insert(name.to_owned(), value.into());
    }

    /// Adds a layer on top.
    pub fn push(&mut self, layer: Layer) {
        self.config.rootfs.diff_ids.push(layer.record.diff_id);
        self.config.history.push(history(&layer.created_by, false));
        self.layers.push(layer);
    }

    /// Records a step that made no layer.
    pub fn note(&mut self, created_by: &str) {
        self.config.history.push(history(created_by, true));
    }

    /// Applies a step that only edits the configuration; `false` for steps that make layers.
    pub fn apply(&mut self, step: &Step) -> bool {
        match step {
            Step::Env(env) => {
                for (name, value) in &env.vars {
                    self.config.set_env(name, value);
                    self.note(&format!("ENV {name}={value}"));
                }
                for (name, path) in &env.paths {
                    let default = (name == "PATH").then(|| DEFAULT_PATH.to_owned());
                    let value = path.around(self.env(name).or(default).as_deref());
                    self.config.set_env(name, &value);
                    self.note(&format!("ENV {name}={value}"));
                }
            }
            Step::Workdir(workdir) => {
                self.config.config.working_dir = Some(workdir.path.clone());
                self.note(&format!("WORKDIR {}", workdir.path));
            }
            Step::User(user) => {
                self.config.config.user = Some(user.user.clone());
                self.note(&format!("USER {}", user.user));
            }
            Step::Entrypoint(entrypoint) => {
                self.config.config.entrypoint = some(&entrypoint.argv);
                // The base's arguments were meant for the base's program.
                self.config.config.cmd = None;
                self.note(&format!("ENTRYPOINT {:?}", entrypoint.argv));
            }
            Step::Cmd(cmd) => {
                self.config.config.cmd = some(&cmd.argv);
                self.note(&format!("CMD {:?}", cmd.argv));
            }
            Step::Labels(labels) => {
                let all = self.config.config.labels.get_or_insert_default();
                all.extend(labels.labels.clone());
                for (name, value) in &labels.labels {
                    self.note(&format!("LABEL {name}={value}"));
                }
            }
            Step::Apt(_)
            | Step::Pip(_)
            | Step::Requirements(_)
            | Step::Wheels(_)
            | Step::Project(_)
            | Step::Conda(_)
            | Step::CodeBundle(_)
            | Step::SourceFolder(_)
            | Step::SourceFile(_)
            | Step::Commands(_) => return false,
        }
        true
    }

    /// Puts a directory in front of the search path and sets a variable for it.
    pub fn activate_venv(&mut self, prefix: &str) {
        let path = self.env("PATH").unwrap_or_else(|| DEFAULT_PATH.to_owned());
        let bin = format!("{prefix}/bin");
        if path.split(':').next() != Some(bin.as_str()) {
            self.config.set_env("PATH", &format!("{bin}:{path}"));
        }
        self.config.set_env("VIRTUAL_ENV", prefix);
    }

    /// Sets a label, or removes it. It is no step of anybody's and so not in the history.
    pub fn label(&mut self, name: &str, value: Option<String>) {
        let labels = &mut self.config.config.labels;
        match value {
            Some(value) => {
                labels.get_or_insert_default().insert(name.to_owned(), value);
            }
            None => {
                if let Some(all) = labels.as_mut() {
                    all.remove(name);
                }
                if labels.as_ref().is_some_and(|all| all.is_empty()) {
                    *labels = None;
                }
            }
        }
    }

    /// The value of a label.
    pub fn labelled(&self, name: &str) -> Option<&str> {
        self.config.config.labels.as_ref()?.get(name).map(String::as_str)
    }

    /// The value of a variable.
    pub fn env(&self, name: &str) -> Option<String> {
        self.config.env().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// The configuration so far.
    pub fn config(&self) -> &ImageConfig {
        &self.config
    }

    /// The layers so far.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The directory that relative paths are relative to.
    pub fn workdir(&self) -> &str {
        match self.config.config.working_dir.as_deref() {
            None | Some("") => "/",
            Some(dir) => dir,
        }
    }

    /// The user that commands run as; empty for root.
    pub fn user(&self) -> &str {
        self.config.config.user.as_deref().unwrap_or_default()
    }

    /// The finished image: an OCI manifest, its configuration and its layers.
    pub fn finish(self) -> Artifact {
        let config = self.config.to_bytes();
        let descriptor = Descriptor::of(MediaType::OciConfig, &config);
        let layers: Vec<Descriptor> =
            self.layers.iter().map(|l| oci_layer(&l.record.descriptor)).collect();
        let mut manifest = Manifest::new(descriptor.clone(), layers.clone());
        manifest.annotations = self.annotations;
        let bytes = manifest.to_bytes();
        let root = Descriptor::of(MediaType::OciManifest, &bytes)
            .with_platform(self.config.platform.clone());
        let mut artifact = Artifact::new(root, bytes);
        artifact.insert(descriptor, BlobLocation::Memory(config.into()));
        for (layer, descriptor) in self.layers.into_iter().zip(layers) {
            artifact.insert(descriptor, layer.location);
        }
        artifact
    }
}

/// The index of several platforms' images.
pub fn index(images: &[Artifact]) -> Artifact {
    let index = tierce_oci::Index::new(images.iter().map(|i| i.root.clone()).collect());
    let bytes = index.to_bytes();
    let mut all = Artifact::new(Descriptor::of(MediaType::OciIndex, &bytes), bytes);
    for Blob { descriptor, location } in images.iter().flat_map(|i| i.blobs.values()) {
        all.insert(descriptor.clone(), location.clone());
    }
    all
}

/// A base from Docker Hub may have Docker's media types: an OCI manifest names OCI's, which mean
/// the same bytes.
fn oci_layer(descriptor: &Descriptor) -> Descriptor {
    Descriptor { media_type: descriptor.media_type.to_oci(), ..descriptor.clone() }
}

fn history(created_by: &str, empty_layer: bool) -> History {
    History {
        created: Some(CREATED.to_owned()),
        created_by: Some(created_by.to_owned()),
        comment: Some("tierce".to_owned()),
        empty_layer,
        author: None,
    }
}

fn some(argv: &[String]) -> Option<Vec<String>> {
    (!argv.is_empty()).then(|| argv.to_vec())
}
