//! The contract between the engine and whoever builds an image.

use crate::checker::{AnyDiagnostic, ImageChecker};
use crate::event::Events;
use crate::export::{Export, ExportKind};
use crate::gather::Gathered;
use async_trait::async_trait;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use tierce_oci::{Descriptor, Digest, Platform};
use tierce_secret::Secrets;

/// One image to build.
#[derive(Clone)]
pub struct BuildRequest {
    /// What to build, with every input digested.
    pub gathered: Gathered,
    /// The platforms to build for, never empty.
    pub platforms: Vec<Platform>,
    /// The image's name with its tag, as users see it.
    pub uri: String,
    /// Where the result goes.
    pub exports: Vec<Export>,
    /// Look everything up anew (base tags, package versions) and make every layer again.
    pub refresh: bool,
    /// The image that is the base, already built and delivered; where the base is an image.
    pub base: Option<Arc<ImageBuild>>,
    /// The values of every secret that the image names.
    pub secrets: Secrets,
}

/// What a builder can do. A build that needs more is refused before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Capabilities {
    /// The kinds of export it can write to.
    pub exports: BTreeSet<ExportKind>,
    /// Whether one build can be for several platforms.
    pub multi_platform: bool,
    /// Whether steps can have secrets.
    pub secrets: bool,
    /// Whether it can build what a Dockerfile makes.
    pub dockerfiles: bool,
    /// Whether equal images have equal digests, wherever and whenever they are built.
    pub reproducible: bool,
}

/// Something that an image asks for and a builder leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The parameter, as users write it: `bytecode`, `run.network`.
    pub parameter: String,
    /// What happens instead, or why it is left out.
    pub reason: String,
}

/// What a builder would be given, or would run: shown by a dry run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rendering {
    /// The Dockerfile, where the builder takes one.
    pub dockerfile: Option<String>,
    /// The files of the build context, sorted.
    pub context: Vec<String>,
    /// The command line or request, without any secret.
    pub command: Option<String>,
}

/// A fact about one layer of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerFact {
    /// What made it, as the image's history says it.
    pub created_by: String,
    /// The compressed blob's digest.
    pub digest: Digest,
    /// The compressed blob's size in bytes.
    pub size: u64,
    /// Whether it was there before this build.
    pub cached: bool,
}

/// The result for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformBuild {
    /// Which platform.
    #[serde(serialize_with = "as_text")]
    pub platform: Platform,
    /// The image's manifest.
    pub digest: Digest,
    /// The layers, base first.
    pub layers: Vec<LayerFact>,
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(value: &T, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(value)
}

/// How an image came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It was there: nothing was built.
    Present,
    /// No checker could tell, and the policy took it for present.
    AssumedPresent,
    /// It was built.
    Built,
    /// A dry run: it would have been built.
    WouldBuild,
}

/// What came of a build.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageBuild {
    /// `<registry>/<name>:<tag>`.
    pub uri: String,
    /// How it came to be there.
    pub status: Status,
    /// The manifest or index.
    pub digest: Option<Digest>,
    /// Per platform; empty when nothing was built.
    pub platforms: Vec<PlatformBuild>,
    /// Bytes sent to the registry.
    pub bytes_uploaded: u64,
    /// Requests made to registries, in all.
    pub requests: u64,
    /// Wall time in milliseconds.
    pub millis: u64,
    /// The root descriptor, for those who go on working with the result.
    #[serde(skip)]
    pub root: Option<Descriptor>,
}

/// A builder failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub struct BuilderError(#[from] pub AnyDiagnostic);

/// Builds images. One implementation per way of building.
#[async_trait]
pub trait ImageBuilder: Send + Sync {
    /// The builder's name, as users select it.
    fn name(&self) -> &str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// What `request` asks for and this builder leaves out; each is a warning.
    fn unsupported(&self, _request: &BuildRequest) -> Vec<Unsupported> {
        vec![]
    }

    /// What would be run for `request`; nothing is changed anywhere.
    fn render(&self, _request: &BuildRequest) -> Result<Rendering, BuilderError> {
        Ok(Rendering::default())
    }

    /// Builds `request` and delivers it to every export.
    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError>;

    /// The checkers that know whether results are at `exports` (in the local store when there are
    /// none); asked in this order.
    fn checkers(&self, exports: &[Export]) -> Vec<Arc<dyn ImageChecker>>;
}
