//! Flyte's `Image`: a second way to say what an image is, over [`tierce_spec`].
//!
//! A [`FlyteImage`] has the constructors, the methods, the defaults and the guards that Flyte's
//! users know. It is one of two things: an image that a user of tierce wrote, whose name tierce
//! makes; or one that Flyte's SDK wrote and named ([`FlyteImage::uri`]), which then gets what
//! Flyte's own builder gives it: a virtual environment, variables, a user ([`Prelude`]). Either is
//! built by being lowered ([`FlyteImage::lower`]) to an [`Image`](tierce_spec::Image).
//!
//! This crate must not know any file system, network, environment, clock, builder or Python: what
//! has to be looked at is handed in as [`Host`] and [`Surroundings`].

mod construct;
mod describe;
mod environment;
mod error;
mod extend;
mod host;
mod image;
mod layer;
mod lower;
mod release;
mod surroundings;

pub use construct::{DEFAULT_REF_NAME, DebianOptions, PixiOptions, ScriptOptions};
pub use environment::{Distribution, Environment};
pub use error::FlyteError;
pub use extend::CloneOptions;
pub use host::Host;
pub use image::{FlyteImage, Prelude};
pub use layer::{InstallMode, InstallOptions, Layer, LocalPackage, SourceKind};
pub use lower::{Lowered, Warning};
pub use surroundings::{DefaultBase, Surroundings};
