//! Images as Dockerfiles with build contexts, for builders that take those.
//!
//! [`render`] turns an image and what was read for it into a [`Rendered`]: the text, the
//! [`BuildContext`] with exactly the files that were digested, the secrets to hand over, and what
//! the text can't say. What the builder's frontend understands is a [`Dialect`]; how a context is
//! laid out and packed, a [`ContextLayout`].
//!
//! This crate must not know any builder: it reads the sources when a context is written, and runs
//! nothing.

mod apt;
mod base;
mod context;
mod dialect;
mod dockerfile;
mod error;
mod projects;
mod python;
mod quote;
mod render;
mod run;
mod secret;
mod state;
mod text;

pub use base::BaseText;
pub use context::{
    Archive, BuildContext, ContextEntry, ContextError, ContextLayout, ContextSource, DockerLayout,
    LargeContext, WARNING_SIZE,
};
pub use dialect::Dialect;
pub use error::RenderError;
pub use python::{PythonText, UvSource};
pub use render::{RenderOptions, Rendered, render};
pub use secret::{RenderedSecret, SecretSource};
