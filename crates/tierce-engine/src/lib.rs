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
mod job;
mod lock;
mod lower;
mod noop;
mod options;
mod plan;
mod redact;
mod select;
mod session;

pub use builder::{
    BuildRequest, BuilderError, Capabilities, ImageBuild, ImageBuilder, LayerFact, PlatformBuild,
    RegistryLogin, Rendering, Status, Unsupported,
};
pub use checker::{
    AnyDiagnostic, CheckFailures, CheckRecords, Existence, ImageChecker, NotChecked, Presence,
    Question, TagKind, UnknownPolicy, first_answer,
};
pub use engine::{ImageBuildEngine, Prepared, reference_of};
pub use error::{Ability, BuildError};
pub use event::{
    BuildEvent, EventSink, Events, NoEvents, Outcome, OutputStream, StepHandle, StepId, StepKind,
    StepReporter,
};
pub use export::{Export, ExportError, ExportKind};
pub use gather::{
    Change, GatherCache, GatherError, Gathered, GatheredBase, GatheredDockerfile, GatheredFile,
    GatheredLocal, GatheredProject, LocalTarget, LocalWheel, Source, VerifyError, gather,
};
pub use lock::{LockError, LockRequest, LockUse, Locked, Locking, declared};
pub use noop::{NoReference, NoopBuilder};
pub use options::{BuildOptions, CheckCache, CodeSource, Execution};
pub use plan::{Action, PlanReport, PlannedLayer, PlatformPlan};
pub use select::{BuilderSource, KnownBuilder, Selected};
