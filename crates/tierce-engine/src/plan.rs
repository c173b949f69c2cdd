//! What a build would do, for people.

use serde::Serialize;

/// What will happen to a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// It is part of the base.
    Base,
    /// It is in the store.
    Cached,
    /// It is made without running anything.
    Assemble,
    /// Something is run in the image to make it.
    Execute,
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Action::Base => "base",
            Action::Cached => "cached",
            Action::Assemble => "assemble",
            Action::Execute => "execute",
        })
    }
}

/// One line of a plan, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlannedLayer {
    /// What will happen.
    pub action: Action,
    /// What the layer is.
    pub title: String,
    /// Why that will happen.
    pub why: String,
    /// The layer's key, but for the base's layers.
    pub key: Option<String>,
    /// The size of the layer's blob in bytes, where it is there.
    pub size: Option<u64>,
}

/// What a build of one platform would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformPlan {
    /// The platform.
    pub platform: String,
    /// The layers, base first.
    pub layers: Vec<PlannedLayer>,
}

/// What a build would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlanReport {
    /// The image's name.
    pub uri: String,
    /// Its platforms.
    pub platforms: Vec<PlatformPlan>,
}
