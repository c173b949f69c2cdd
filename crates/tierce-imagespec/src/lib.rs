//! `ImageSpec`: flytekit's way to say what an image is, as a second front over [`tierce_spec`].
//!
//! An [`ImageSpec`] has the fields, the defaults and the methods that flytekit's users know. It is
//! built by being lowered ([`ImageSpec::lower`]) to an [`Image`](tierce_spec::Image), in the order
//! of flytekit's Dockerfile; from there on it is an image like any other. What is different from
//! flytekit is listed in `docs/imagespec.md`.
//!
//! This crate must not know any file system, network, environment, clock or builder: what has to
//! be looked at (which sources are folders, which modules are loaded, what a builder can do) is
//! handed in as [`Surroundings`].
//!
//! ```
//! use tierce_imagespec::{Fields, ImageSpec, Surroundings};
//!
//! let spec = ImageSpec::new(Fields {
//!     name: "Report".into(),
//!     registry: Some("ghcr.io/team".into()),
//!     packages: vec!["pandas".into()],
//!     ..Fields::default()
//! })?;
//! let spec = spec.with_apt_packages(["git"]).force_push();
//! let lowered = spec.lower(&Surroundings::default())?;
//! assert_eq!(lowered.image.name(), Some("report"));
//! assert!(lowered.force);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod base;
mod commands;
mod document;
mod error;
mod fields;
mod from_env;
mod id;
mod locked;
mod lower;
mod nearest;
mod options;
mod runtime;
mod spec;
mod surroundings;
mod tag;
mod validate;
mod warning;
mod words;
mod yaml;

pub use error::{ImageSpecError, Problem, Problems};
pub use fields::{BaseImage, Field, Fields, SecretMount, SourceCopyMode};
pub use from_env::{FromEnvError, InstalledPackage, from_env};
pub use id::{ID_VERSION, ImageSpecId};
pub use lower::Lowered;
pub use spec::{ImageSpec, KnownAs, Running};
pub use surroundings::{BuilderRules, DefaultBase, Surroundings, Wanted};
pub use tag::TagFormat;
pub use warning::Warning;
pub use yaml::{YamlError, YamlProblem};
