//! Makes the layers of a plan, as many at a time as their dependencies allow.

use crate::context::Context;
use crate::error::NativeError;
use crate::key::LayerKey;
use crate::layer::{Layer, LayerOutcome, LayerRecord};
use crate::plan::{Node, Plan};
use crate::work::Work;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, try_join_all};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use tierce_engine::{Events, Outcome, StepHandle, StepKind};
use tierce_oci::BlobLocation;
use tierce_store::{LockMode, RecordKind};

/// What a node came to, shared by all that depend on it. `None`: nothing changed, no layer.
type Made = Result<Option<Layer>, Arc<NativeError>>;
type Slot = Shared<BoxFuture<'static, Made>>;

/// The records of layers, by layer key.
pub const LAYER: RecordKind = RecordKind::new("layer");

/// Makes one plan.
pub struct Maker {
    context: Arc<Context>,
    plan: Arc<Plan>,
    events: Events,
    refresh: Refresh,
}

/// Whether to execute again what is in the store, once in a build. Assembled layers are pure
/// functions of their keys: there is nothing to gain from making them again.
#[derive(Clone, Debug, Default)]
pub struct Refresh(Option<Arc<Mutex<HashSet<LayerKey>>>>);

impl Refresh {
    /// For one build: execute everything again, or nothing.
    pub fn new(refresh: bool) -> Self {
        Refresh(refresh.then(Arc::default))
    }

    /// Whether this build looks everything up again.
    pub fn is_wanted(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this node has still to be executed again.
    fn is_due(&self, node: &Node) -> bool {
        let due = |done: &Arc<Mutex<HashSet<LayerKey>>>| {
            !done.lock().unwrap_or_else(PoisonError::into_inner).contains(&node.key)
        };
        node.work.is_executed() && self.0.as_ref().is_some_and(due)
    }

    fn done(&self, node: &Node) {
        if let Some(done) = &self.0 {
            done.lock().unwrap_or_else(PoisonError::into_inner).insert(node.key);
        }
    }
}

/// A task that ends with its handle, so that a failing build stops the rest of itself.
struct Task(tokio::task::JoinHandle<Made>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Maker {
    /// Will make `plan`.
    pub fn new(context: Arc<Context>, plan: Arc<Plan>, events: Events, refresh: Refresh) -> Self {
        Maker { context, plan, events, refresh }
    }

    /// Makes every layer; gives one for each node.
    pub async fn run(self) -> Result<Vec<Option<Layer>>, Arc<NativeError>> {
        let me = Arc::new(self);
        let mut slots: Vec<Slot> = vec![];
        for index in 0..me.plan.nodes.len() {
            let below = slots.clone();
            let me = me.clone();
            slots.push(async move { me.node(index, below).await }.boxed().shared());
        }
        // Each slot is a task of its own, so that independent layers are made at once.
        let tasks: Vec<Task> = slots.into_iter().map(|s| Task(tokio::spawn(s))).collect();
        try_join_all(tasks.into_iter().map(|mut task| async move {
            match (&mut task.0).await {
                Ok(made) => made,
                Err(join) => Err(Arc::new(NativeError::from(join))),
            }
        }))
        .await
    }

    async fn node(&self, index: usize, below: Vec<Slot>) -> Made {
        let node = &self.plan.nodes[index];
        let may_reuse = !self.refresh.is_due(node);
        if may_reuse && let Some(outcome) = self.recorded(node) {
            let size = size_of(&outcome);
            self.events.step(kind(&node.work), &node.title).finish(Outcome::Cached, size);
            return Ok(self.layer(node, outcome, true));
        }
        let _turn = self.context.turns.take(node.key).await;
        // Processes that make the same layer at once take turns, and the later ones find it done.
        let lock = format!("layer-{}", node.key.0.hex());
        let store = self.context.store.clone();
        let _guard = tokio::task::spawn_blocking(move || store.lock(&lock, LockMode::Exclusive))
            .await
            .map_err(|e| Arc::new(e.into()))?
            .map_err(|e| Arc::new(e.into()))?;
        if may_reuse && let Some(outcome) = self.recorded(node) {
            return Ok(self.layer(node, outcome, true));
        }
        // What an executed step needs comes first, so that its own line counts its own time.
        let needs = self.needs(index, below).await?;
        let step = self.events.step(kind(&node.work), &node.title);
        let outcome = self.work(node, needs, &step).await.map_err(Arc::new)?;
        self.context
            .store
            .put_record(LAYER, &node.key.0, &outcome)
            .map_err(|e| Arc::new(e.into()))?;
        self.refresh.done(node);
        step.finish(Outcome::Made, size_of(&outcome));
        Ok(self.layer(node, outcome, false))
    }

    /// The record of a layer whose blob is in the store.
    fn recorded(&self, node: &Node) -> Option<LayerOutcome> {
        recorded(&self.context, node)
    }

    /// The layers that the node's program runs on; none for assembled layers.
    async fn needs(&self, index: usize, below: Vec<Slot>) -> Result<Vec<Layer>, Arc<NativeError>> {
        let wanted: Vec<usize> = match &self.plan.nodes[index].work {
            Work::Bytecode { needs, .. } => needs.clone(),
            work if work.is_executed() => (0..index).collect(),
            _ => return Ok(vec![]),
        };
        let made = try_join_all(wanted.into_iter().map(|i| below[i].clone())).await?;
        let base = self.plan.base.layers().iter().cloned();
        Ok(base.chain(made.into_iter().flatten()).collect())
    }

    async fn work(
        &self,
        node: &Node,
        lowers: Vec<Layer>,
        step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        let context = &self.context;
        match &node.work {
            Work::DebianRoot(base) => context.debian_root(base, step).await,
            Work::DebianConfigure(base) => context.debian_configure(base, lowers, step).await,
            Work::Execute(execution) => context.execute(execution, &node.title, lowers, step).await,
            Work::LockedApt(install) => {
                context.install_locked(install, &node.title, lowers, step).await
            }
            Work::Standalone(build) => context.standalone(build, step).await,
            Work::Conda(layers, index) => context.conda_layer(layers, *index, step).await,
            Work::CondaHistory(layers) => context.conda_history(layers).await,
            Work::Venv(python) => context.venv(python).await,
            Work::Wheels(python, group) => context.wheels(python, *group, step).await,
            Work::Environment(python) => context.environment(python).await,
            Work::Bytecode { python, group, .. } => {
                context.bytecode(python, *group, lowers, step).await
            }
            Work::Source { source, destination } => context.source(source, destination).await,
            Work::Directory(path) => context.directory(path).await,
        }
    }

    fn layer(&self, node: &Node, outcome: LayerOutcome, cached: bool) -> Option<Layer> {
        match outcome {
            LayerOutcome::Empty => None,
            LayerOutcome::Layer(record) => {
                let path = self.context.store.blob_path(&record.descriptor.digest);
                let location = BlobLocation::File(path);
                Some(Layer {
                    record: *record,
                    location,
                    created_by: node.created_by.clone(),
                    cached,
                })
            }
        }
    }
}

/// The record of a node whose layer's blob is in the store.
pub fn recorded(context: &Context, node: &Node) -> Option<LayerOutcome> {
    let outcome: LayerOutcome = context.store.record(LAYER, &node.key.0)?;
    match &outcome {
        LayerOutcome::Layer(record) => {
            let LayerRecord { descriptor, .. } = &**record;
            (context.store.has(&descriptor.digest) == Some(descriptor.size)).then_some(outcome)
        }
        LayerOutcome::Empty => Some(outcome),
    }
}

fn kind(work: &Work) -> StepKind {
    if work.is_executed() { StepKind::Execute } else { StepKind::Assemble }
}

fn size_of(outcome: &LayerOutcome) -> Option<String> {
    match outcome {
        LayerOutcome::Layer(record) => Some(crate::size(record.descriptor.size)),
        LayerOutcome::Empty => Some("nothing changed".to_owned()),
    }
}
