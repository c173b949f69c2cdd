//! What a build of one platform consists of: layers to make, in their order in the image, each
//! with a key that says all it depends on.

use crate::draft::Draft;
use crate::key::{KeyEncoder, LayerKey};
use crate::layer::{Layer, Stack};
use crate::work::Work;
use tierce_oci::Platform;
use tierce_spec::Step;

/// A layer to make.
#[derive(Clone)]
pub struct Node {
    /// All that the layer's bytes depend on.
    pub key: LayerKey,
    /// What it is called, for people.
    pub title: String,
    /// What made it, for the image's history.
    pub created_by: String,
    /// What to do.
    pub work: Work,
}

/// What happens to the image, in order.
#[derive(Clone)]
pub enum Operation {
    /// A step edits the configuration.
    Configure(Box<Step>),
    /// The Python environment comes into the search path.
    ActivateVenv(String),
    /// What is in the Python environment is known from here on, or not any more.
    Installed(Option<String>),
    /// The node of this index becomes a layer.
    Layer(usize),
}

/// A build of one platform.
#[derive(Clone)]
pub struct Plan {
    /// The platform.
    pub platform: Platform,
    /// The base: its configuration and its layers.
    pub base: Draft,
    /// The layers to make. A node may depend only on nodes before it.
    pub nodes: Vec<Node>,
    /// How they come together.
    pub operations: Vec<Operation>,
}

/// Collects nodes and operations, and knows what is below the next layer.
pub struct PlanBuilder {
    plan: Plan,
    /// The configuration as it is at this point; its layers and history are of no account.
    config: Draft,
    stack: Stack,
}

impl PlanBuilder {
    /// A plan that starts from `base`.
    pub fn new(platform: Platform, base: Draft) -> Self {
        let diff_ids = base.layers().iter().map(|l| *l.record.diff_id.0.as_bytes());
        let stack = KeyEncoder::new("stack").list("diff-ids", diff_ids).finish();
        PlanBuilder {
            config: base.clone(),
            plan: Plan { platform, base, nodes: vec![], operations: vec![] },
            stack: Stack(stack),
        }
    }

    /// The image as it is configured at this point.
    pub fn config(&self) -> &Draft {
        &self.config
    }

    /// The platform.
    pub fn platform(&self) -> &Platform {
        &self.plan.platform
    }

    /// Everything below the next layer.
    pub fn stack(&self) -> Stack {
        self.stack
    }

    /// How many layers are planned so far.
    pub fn len(&self) -> usize {
        self.plan.nodes.len()
    }

    /// Adds a layer; gives its index.
    pub fn layer(&mut self, node: Node) -> usize {
        let below = self.stack.0.0;
        let stack = KeyEncoder::new("stack").digest("below", &below).digest("layer", &node.key.0);
        self.stack = Stack(stack.finish());
        self.plan.nodes.push(node);
        let index = self.plan.nodes.len() - 1;
        self.plan.operations.push(Operation::Layer(index));
        index
    }

    /// Applies a step that edits the configuration only.
    pub fn configure(&mut self, step: &Step) {
        self.config.apply(step);
        self.plan.operations.push(Operation::Configure(Box::new(step.clone())));
    }

    /// Brings a Python environment into the search path.
    pub fn activate_venv(&mut self, prefix: &str) {
        self.config.activate_venv(prefix);
        self.plan.operations.push(Operation::ActivateVenv(prefix.to_owned()));
    }

    /// Says what is in the Python environment from here on; `None` where that is not known.
    pub fn installed(&mut self, packages: Option<String>) {
        self.config.label(crate::PACKAGES_LABEL, packages.clone());
        self.plan.operations.push(Operation::Installed(packages));
    }

    /// The plan as it is at this point.
    pub fn snapshot(&self) -> Plan {
        self.plan.clone()
    }

    /// The finished plan.
    pub fn finish(self) -> Plan {
        self.plan
    }
}

impl Plan {
    /// The image, once every layer is there. A node that changed nothing made no layer.
    pub fn assemble(&self, layers: &[Option<Layer>]) -> Draft {
        let mut draft = self.base.clone();
        for operation in &self.operations {
            match operation {
                Operation::Configure(step) => {
                    draft.apply(step);
                }
                Operation::ActivateVenv(prefix) => draft.activate_venv(prefix),
                Operation::Installed(packages) => {
                    draft.label(crate::PACKAGES_LABEL, packages.clone());
                }
                Operation::Layer(index) => match &layers[*index] {
                    Some(layer) => draft.push(layer.clone()),
                    None => draft.note(&self.nodes[*index].created_by),
                },
            }
        }
        draft
    }
}
