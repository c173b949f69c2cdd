//! The contract between the engine and whoever builds an image.

use crate::checker::{AnyDiagnostic, ImageChecker};
use crate::event::Events;
use crate::export::{Export, ExportKind};
use crate::gather::{GatherCache, Gathered, VerifyError};
use crate::plan::PlanReport;
use async_trait::async_trait;
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;
use tierce_lock::Toolchain;
use tierce_oci::{Descriptor, Digest, Platform};
use tierce_secret::{SecretValue, Secrets};
use tierce_spec::Image;

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
    /// The credentials of the registry that the image is pushed to, where it brings its own.
    pub login: Option<RegistryLogin>,
    /// What the sources were read with.
    pub cache: GatherCache,
}

impl BuildRequest {
    /// Fails where a source is another one than it was when the image got its key. Builders call
    /// this when they have read their last input, before anything is tagged, pushed or written.
    pub async fn verify(&self) -> Result<(), VerifyError> {
        let (gathered, cache) = (self.gathered.clone(), self.cache.clone());
        match tokio::task::spawn_blocking(move || gathered.verify(&cache)).await {
            Ok(verified) => verified,
            // It was not cancelled: a runtime that shuts down drops this future first.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }

    /// Whether the image that is the base is there to be built on: not in a dry run.
    pub fn has_base(&self) -> bool {
        self.base.as_ref().is_some_and(|base| base.status != Status::WouldBuild)
    }
}

/// The credentials that an image brings for its registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryLogin {
    /// The registry's host, with the port if any; they are for no other one.
    pub registry: String,
    /// `user:password`, or a `config.json` as Docker has it.
    pub value: SecretValue,
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
    /// The layers, where the builder makes them itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
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
    /// It is an image of a registry to which nothing is added: nothing was asked or built.
    Unmodified,
    /// This is the inside of an execution, where nothing is built.
    Skipped,
    /// A run was started that builds it; nobody waited for its end.
    Started,
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
    /// The run that built it or still does, where the builder's work goes on elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What came of the image that is the base, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<Arc<ImageBuild>>,
    /// What a dry run would have given to the builder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rendering: Option<Box<Rendering>>,
    /// The root descriptor, for those who go on working with the result.
    #[serde(skip)]
    pub root: Option<Descriptor>,
}

impl ImageBuild {
    /// An image of which nothing is known but its name and how it came to be there.
    pub fn new(uri: impl Into<String>, status: Status) -> Self {
        ImageBuild {
            uri: uri.into(),
            status,
            digest: None,
            platforms: vec![],
            bytes_uploaded: 0,
            requests: 0,
            millis: 0,
            run: None,
            base: None,
            rendering: None,
            root: None,
        }
    }

    /// The same, with its manifest or index.
    pub fn with_root(self, root: Descriptor) -> Self {
        ImageBuild { digest: Some(root.digest), root: Some(root), ..self }
    }
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

    /// Why it can't build `image` at all, besides what [`ImageBuilder::capabilities`] says. Asked
    /// before anything is built, the image's base included.
    fn refuses(&self, _image: &Image) -> Option<AnyDiagnostic> {
        None
    }

    /// What `request` asks for and this builder leaves out; each is a warning.
    fn unsupported(&self, _request: &BuildRequest) -> Vec<Unsupported> {
        vec![]
    }

    /// What would be run for `request`; nothing is changed anywhere.
    async fn render(
        &self,
        _request: &BuildRequest,
        _events: &Events,
    ) -> Result<Rendering, BuilderError> {
        Ok(Rendering::default())
    }

    /// Builds `request` and delivers it to every export.
    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError>;

    /// Whether it can make locks, and build from them.
    fn locks(&self) -> bool {
        false
    }

    /// Finds out what exactly `request` is built from, and records it in the ledger of its
    /// [`Gathered::locking`]. Builds what that takes and no more. Asked only where
    /// [`ImageBuilder::locks`].
    async fn lock(
        &self,
        _request: &BuildRequest,
        _events: &Events,
    ) -> Result<Toolchain, BuilderError> {
        Ok(Toolchain::default())
    }

    /// Whether an image counts as present where somebody saw it in its registry a while ago. If
    /// not, the checkers are asked each time: they know of other places.
    fn trusts_records(&self) -> bool {
        true
    }

    /// The checkers that know whether results are at `exports` (in the local store when there are
    /// none); asked in this order. `login` is what the image brings to its registry.
    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>>;
}
