//! The image configuration: how a container of the image starts, and what it is made of.

use crate::{DiffId, Platform};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// An image configuration (image specification, "Image Configuration").
///
/// Fields that the specification does not name are kept in `extra`, so that a base's settings
/// (Docker's `docker_version`, say) survive an edit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// RFC 3339 date of creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Processor and system.
    #[serde(flatten)]
    pub platform: Platform,
    /// How a container starts.
    #[serde(default)]
    pub config: ContainerConfig,
    /// The layers' uncompressed digests.
    pub rootfs: RootFs,
    /// Where each layer came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Everything else.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The execution parameters of a container. Unset fields stay absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group` or `uid:gid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `port/protocol` to an empty object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_ports: Option<BTreeMap<String, Value>>,
    /// `NAME=value` entries, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// What always runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its default arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths that hold data of the container's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volumes: Option<BTreeMap<String, Value>>,
    /// The starting directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that asks the program to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Docker's extensions (`Healthcheck`, `Shell`, `OnBuild`, ...).
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The layers that make the root file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Base first.
    pub diff_ids: Vec<DiffId>,
}

/// Where a layer came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// RFC 3339 date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// What was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A remark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// True for entries that made no layer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// The configuration of an image with no layers.
    pub fn scratch(platform: Platform) -> Self {
        ImageConfig {
            created: None,
            author: None,
            platform,
            config: ContainerConfig::default(),
            rootfs: RootFs { kind: "layers".into(), diff_ids: vec![] },
            history: vec![],
            extra: Map::new(),
        }
    }

    /// Reads a configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a configuration has only string keys")
    }

    /// The environment as pairs, the last of equal names only, in the order of first appearance.
    pub fn env(&self) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = vec![];
        for entry in self.config.env.iter().flatten() {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            match out.iter_mut().find(|(n, _)| n == name) {
                Some(slot) => slot.1 = value.to_owned(),
                None => out.push((name.to_owned(), value.to_owned())),
            }
        }
        out
    }

    /// Sets one environment variable, in place where it exists and at the end where it does not.
    /// Where it exists more than once, the others go: the last of them would count.
    pub fn set_env(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let env = self.config.env.get_or_insert_default();
        let same = |e: &String| e.split('=').next() == Some(name);
        let at = env.iter().position(same).unwrap_or(env.len());
        env.retain(|e| !same(e));
        env.insert(at, entry);
    }
}
