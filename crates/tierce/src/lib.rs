//! The library people depend on: settings in, an engine with its builders out.
//!
//! ```no_run
//! use tierce::{BuildOptions, Cancel, Events, Image, Settings, Tierce};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let image = Image::from_debian("bookworm")
//!     .with_debian_python(true)
//!     .with_name("hello")
//!     .with_pip_packages(["requests"], Default::default());
//! let tierce = Tierce::open(Settings::load()?, &Cancel::new())?;
//! let build = tierce.build(&image, &BuildOptions::default(), &Events::none()).await?;
//! println!("{}", build.uri);
//! # Ok(())
//! # }
//! ```
//!
//! A program that uses this must call [`sandbox_helper_main`] first thing when its first argument
//! is [`SANDBOX_HELPER_ARGUMENT`]: the sandbox re-executes it.

mod builders;
mod cache;
mod checks;
mod connect;
pub mod contexts;
mod doctor;
mod engines;
mod error;
pub mod fronts;
mod inspect;
mod locks;
mod open;
mod options;
mod presence;
mod render;
pub mod runs;
mod secrets;

pub use cache::Cache;
pub use doctor::{DoctorReport, Finding, doctor};
pub use error::Error;
pub use inspect::{ImageReport, LayerReport, PlatformReport};
pub use locks::{LockReadError, lock_for, read_lock};
pub use open::{OpenError, Tierce, offline};
pub use options::build_options;
pub use render::{RenderWishes, render};

pub use tierce_config as config;
pub use tierce_config::{ConfigError, DebianBase, Settings};
pub use tierce_dockerfile as dockerfile;
pub use tierce_engine as engine;
pub use tierce_engine::ExportError as ExportFormatError;
pub use tierce_engine::{Action, PlanReport, PlannedLayer, PlatformPlan};
pub use tierce_engine::{
    BuildError, BuildEvent, BuildOptions, BuilderSource, Capabilities, CheckCache, CodeSource,
    EventSink, Events, Existence, Export, ImageBuild, ImageBuildEngine, KnownBuilder, LockRequest,
    LockUse, Locked, NoEvents, NotChecked, Outcome, OutputStream, Prepared, Presence, Rendering,
    Status, StepId, StepKind, UnknownPolicy,
};
pub use tierce_flyte as flyte;
pub use tierce_imagespec as imagespec;
pub use tierce_lock as lock;
pub use tierce_native::{NativeError, RunOptions};
pub use tierce_oci::{
    Descriptor, Diagnostic, Digest, ErrorKind, MediaType, Platform, Reference, ReferenceError,
};
pub use tierce_plugin as plugin;
pub use tierce_sandbox::Cancel;
pub use tierce_spec as spec;
pub use tierce_spec::{Image, PipOptions, PythonRequest, SourceOptions, manifest};
pub use tierce_store::{Effect, Keep, PrunePolicy, PruneReport, StoreInfo, Usage};

/// The first argument with which the sandbox re-executes a program.
pub const SANDBOX_HELPER_ARGUMENT: &str = "__tierce-sandbox-helper";

/// What a re-executed program does instead of its own work. Never returns.
pub fn sandbox_helper_main() -> ! {
    tierce_sandbox::helper_main()
}
