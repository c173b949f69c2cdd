//! The native builder.

use crate::context::Context;
use crate::draft;
use crate::error::NativeError;
use crate::image_base::Below;
use crate::layer::{Layer, LayerOutcome};
use crate::make::{Maker, Refresh, recorded};
use crate::plan::Operation;
use crate::planner::{PlanMode, Planned};
use async_trait::async_trait;
use std::sync::Arc;
use tierce_checkers::{RegistryChecker, client_for};
use tierce_engine::{
    Action, AnyDiagnostic, BuildRequest, BuilderError, Capabilities, Events, Export, ExportKind,
    ImageBuild, ImageBuilder, ImageChecker, LayerFact, PlanReport, PlannedLayer, PlatformBuild,
    PlatformPlan, Presence, Question, RegistryLogin, Rendering, Status, TagKind,
};
use tierce_lock::Toolchain;
use tierce_oci::{Artifact, Platform, Reference};

/// Builds images on this machine, without any engine.
#[derive(Clone)]
pub struct NativeBuilder {
    context: Arc<Context>,
}

impl NativeBuilder {
    /// A builder that works with `context`.
    pub fn new(context: Context) -> Self {
        NativeBuilder { context: Arc::new(context) }
    }

    /// What it works with.
    pub fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What a build would do.
    async fn plan(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<PlanReport, Arc<NativeError>> {
        let _session = self.context.store.session().map_err(NativeError::from)?;
        let context = self.context_for(request)?;
        let below = Below::of(request);
        let mut platforms = vec![];
        for platform in &request.platforms {
            let mode = PlanMode::Show;
            let planned = context.plan(&request.gathered, below, platform, mode, events).await?;
            platforms.push(self.describe(planned));
        }
        Ok(PlanReport { uri: request.uri.clone(), platforms })
    }

    /// The context, with the secrets and the credentials that the image brings.
    pub(crate) fn context_for(&self, request: &BuildRequest) -> Result<Arc<Context>, NativeError> {
        let context = self.context.with_secrets(request.secrets.clone());
        let context = context.with_locking(request.gathered.locking.clone());
        if request.login.is_none() {
            return Ok(Arc::new(context));
        }
        let client = client_for(&self.context.registry, request.login.as_ref());
        let client = client.map_err(|error| NativeError::Part(error))?;
        Ok(Arc::new(context.with_registry(client)))
    }

    /// Does `work` on a thread of its own: its future borrows in ways that the compiler cannot
    /// prove to be `Send`. Dropping the future that this gives stops that one, by way of `alive`.
    async fn on_a_thread<T, F>(
        &self,
        request: &BuildRequest,
        events: &Events,
        work: impl FnOnce(Self, BuildRequest, Events) -> F + Send + 'static,
    ) -> Result<T, BuilderError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Arc<NativeError>>>,
    {
        let (me, request, events) = (self.clone(), request.clone(), events.clone());
        let (alive, stopped) = tokio::sync::oneshot::channel::<()>();
        let runtime = tokio::runtime::Handle::current();
        let result = tokio::task::spawn_blocking(move || {
            runtime.block_on(async {
                tokio::select! {
                    result = work(me, request, events) => result,
                    _ = stopped => Err(Arc::new(NativeError::Interrupted)),
                }
            })
        })
        .await
        .unwrap_or_else(|e| Err(Arc::new(e.into())));
        drop(alive);
        result.map_err(|e| BuilderError(e.on_disk_of(self.context.store.root()) as AnyDiagnostic))
    }

    fn describe(&self, planned: Planned) -> PlatformPlan {
        let Planned { plan, open_end } = planned;
        let base = plan.base.layers().iter().map(|layer| PlannedLayer {
            action: Action::Base,
            title: layer.created_by.chars().take(60).collect(),
            why: "stays where it is unless a step has to run on it".to_owned(),
            key: None,
            size: Some(layer.record.descriptor.size),
        });
        let mut layers: Vec<PlannedLayer> = base.collect();
        let mut executes_below = false;
        for operation in &plan.operations {
            let Operation::Layer(index) = operation else { continue };
            let node = &plan.nodes[*index];
            let (action, why, size) = match recorded(&self.context, node) {
                Some(LayerOutcome::Layer(record)) => {
                    (Action::Cached, "its key is in the store", Some(record.descriptor.size))
                }
                Some(LayerOutcome::Empty) => {
                    (Action::Cached, "its key is in the store: it changed nothing", None)
                }
                None if node.work.is_executed() && executes_below => {
                    (Action::Execute, "a layer below it changes", None)
                }
                None if node.work.is_executed() => {
                    (Action::Execute, "nothing was run with this key yet", None)
                }
                None => (Action::Assemble, "nothing in the store has its key", None),
            };
            executes_below |= action != Action::Cached;
            layers.push(PlannedLayer {
                action,
                title: node.title.clone(),
                why: why.to_owned(),
                key: Some(node.key.to_string()),
                size,
            });
        }
        if let Some(why) = open_end {
            let title = "(more)".to_owned();
            layers.push(PlannedLayer {
                action: Action::Execute,
                title,
                why,
                key: None,
                size: None,
            });
        }
        PlatformPlan { platform: plan.platform.to_string(), layers }
    }

    async fn build_platform(
        &self,
        context: &Arc<Context>,
        request: &BuildRequest,
        platform: &Platform,
        events: &Events,
    ) -> Result<(Artifact, PlatformBuild), Arc<NativeError>> {
        let refresh = Refresh::new(request.refresh);
        let mode = PlanMode::Build(refresh.clone());
        let below = Below::of(request);
        let planned = context.plan(&request.gathered, below, platform, mode, events).await?;
        let plan = Arc::new(planned.plan);
        let maker = Maker::new(context.clone(), plan.clone(), events.clone(), refresh);
        let layers = maker.run().await?;
        let draft = plan.assemble(&layers);
        let facts = draft.layers().iter().map(fact).collect();
        let image = draft.finish();
        let build =
            PlatformBuild { platform: platform.clone(), digest: image.root.digest, layers: facts };
        Ok((image, build))
    }

    async fn build_all(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, Arc<NativeError>> {
        let _session = self.context.store.session().map_err(NativeError::from)?;
        self.context.sweep();
        let context = self.context_for(request)?;
        for id in request.secrets.too_short() {
            let what = "is too short to be found in what steps make and hidden in what they say";
            events.warn("secret/too-short", format!("the secret {id} {what}"));
        }
        let before = self.context.registry.requests();
        let mut images = vec![];
        let mut platforms = vec![];
        for platform in &request.platforms {
            let built = self.build_platform(&context, request, platform, events).await;
            let (image, build) = built?;
            images.push(image);
            platforms.push(build);
        }
        let mut image = match images.as_slice() {
            [one] => one.clone(),
            several => draft::index(several),
        };
        // All inputs are read: from here on the result has its name.
        request.verify().await.map_err(NativeError::from)?;
        self.context.remember(&local_name(&request.uri), &image)?;
        let mut bytes_uploaded = 0;
        for export in &request.exports {
            bytes_uploaded += context.export(&mut image, export, &request.uri, events).await?;
        }
        Ok(ImageBuild {
            platforms,
            bytes_uploaded,
            requests: self.context.registry.requests() - before,
            ..ImageBuild::new(&request.uri, Status::Built).with_root(image.root)
        })
    }
}

/// The name of an image in the local store: images without a registry are under `localhost`.
pub fn local_name(uri: &str) -> Reference {
    let is_local = !uri.split('/').next().is_some_and(|host| {
        uri.contains('/') && (host.contains(['.', ':']) || host == "localhost")
    });
    let full = if is_local { format!("localhost/{uri}") } else { uri.to_owned() };
    full.parse()
        .unwrap_or_else(|_| Reference::new("localhost", "image", None).expect("a valid reference"))
}

fn fact(layer: &Layer) -> LayerFact {
    LayerFact {
        created_by: layer.created_by.clone(),
        digest: layer.record.descriptor.digest,
        size: layer.record.descriptor.size,
        cached: layer.cached,
    }
}

#[async_trait]
impl ImageBuilder for NativeBuilder {
    fn name(&self) -> &str {
        "native"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: [
                ExportKind::Local,
                ExportKind::Push,
                ExportKind::OciLayout,
                ExportKind::OciArchive,
                ExportKind::DockerArchive,
                ExportKind::Load,
            ]
            .into(),
            multi_platform: true,
            secrets: true,
            dockerfiles: false,
            reproducible: true,
        }
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError> {
        let work = async move |me: Self, request: BuildRequest, events: Events| {
            me.build_all(&request, &events).await
        };
        self.on_a_thread(request, events, work).await
    }

    async fn render(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Rendering, BuilderError> {
        let work = async move |me: Self, request: BuildRequest, events: Events| {
            me.plan(&request, &events).await
        };
        let plan = self.on_a_thread(request, events, work).await?;
        Ok(Rendering { plan: Some(plan), ..Rendering::default() })
    }

    fn locks(&self) -> bool {
        true
    }

    async fn lock(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Toolchain, BuilderError> {
        let work = async move |me: Self, request: BuildRequest, events: Events| {
            me.record_lock(&request, &events).await
        };
        self.on_a_thread(request, events, work).await
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        match exports {
            [] => vec![Arc::new(StoreChecker { context: self.context.clone() })],
            _ => {
                let client = self.context.registry.clone();
                vec![Arc::new(RegistryChecker::with_login(client, login))]
            }
        }
    }
}

/// Asks the local store.
struct StoreChecker {
    context: Arc<Context>,
}

#[async_trait]
impl ImageChecker for StoreChecker {
    fn name(&self) -> &str {
        "store"
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        // The platforms are part of the key, and so of the tag; a tag of the user's own says
        // nothing of what is behind it, so it is built, which the cached layers make quick.
        match self.context.recall(question.reference) {
            Some(image) if question.tag == TagKind::OfKey => Presence::Present(image.root),
            _ => Presence::Absent,
        }
    }
}
