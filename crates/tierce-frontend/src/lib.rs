//! What the drivers of Dockerfile builders share: a request as their input.
//!
//! A [`Frontend`] renders a request and collects the values of its secrets: an [`Input`]. Of that
//! BuildKit gets a `Solve` ([`Input::solve`]), other programs a directory. This crate must not
//! know any driver.

mod base;
mod credentials;
mod error;
mod found;
mod input;
mod registries;
mod solve;

pub use base::{registry_base, registry_reference};
pub use credentials::{credential_chain, lookup};
pub use error::InputError;
pub use found::Found;
pub use input::{Frontend, Input, PythonSource};
pub use registries::dockerfile_registries;
pub use solve::{BuildNetwork, BuildNetworkError, SolveSettings};
