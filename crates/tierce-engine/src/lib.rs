//! Plans, checks, selects builders, builds and exports.
//!
//! The engine owns the order of work and the policies; how an image is built is a builder's
//! business, behind [`ImageBuilder`]. This crate must not know any driver: no registry, no
//! sandbox, no store.

mod builder;
mod checker;
mod engine;
mod error;
mod event;
mod export;
mod gather;

pub use builder::{
    BuildRequest, BuilderError, Capabilities, ImageBuild, ImageBuilder, LayerFact, PlatformBuild,
    Rendering, Status, Unsupported,
};
pub use checker::{AnyDiagnostic, ImageChecker, Presence, UnknownPolicy, first_answer};
pub use engine::{BuildOptions, ImageBuildEngine, Prepared, reference_of};
pub use error::BuildError;
pub use event::{
    BuildEvent, EventSink, Events, NoEvents, Outcome, OutputStream, StepHandle, StepId, StepKind,
    StepReporter,
};
pub use export::{Export, ExportError, ExportKind};
pub use gather::{
    Change, GatherCache, GatherError, Gathered, GatheredBase, GatheredDockerfile, LocalWheel,
    Source, VerifyError, gather,
};
