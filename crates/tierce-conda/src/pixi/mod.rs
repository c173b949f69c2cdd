//! pixi's projects: manifests, environments and lock files.

mod environment;
mod error;
mod header;
mod lock;
mod manifest;
mod pypi;
mod pyproject;
mod spec;
mod stale;
mod stale_pypi;

pub use environment::{PixiRequirements, PypiRequirement};
pub use error::{PixiError, PixiLockError};
pub use header::{HeaderError, script_header};
pub use manifest::{PixiFile, PixiManifest};
pub use pypi::PypiOptions;
pub use stale::StaleLock;

#[cfg(test)]
mod tests;
