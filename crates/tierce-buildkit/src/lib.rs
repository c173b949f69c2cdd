//! The builder `buildkit`: a `buildkitd` of one's own, here or elsewhere; must not know any other
//! builder.
//!
//! It speaks the daemon's control API (`tierce-buildkit-client`), over a Unix socket or TCP with
//! mutual TLS. `buildctl` is not needed. Results go to registries, where the daemon pushes them
//! itself, or come back as archives; the daemon has no store of images that one could load from.

mod builder;
mod error;
mod export;

pub use builder::{BuildkitBuilder, BuildkitSettings};
pub use error::BuildkitError;
