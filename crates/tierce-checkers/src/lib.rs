//! Asks registries whether an image is there, for every builder that pushes to them; must not
//! know any builder.

mod registry;

pub use registry::{RegistryChecker, client_for};
