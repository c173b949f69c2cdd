//! Python for images whose base has none: CPython as the python-build-standalone project builds
//! it, which is what `uv python install` takes.
//!
//! [`Catalog`] says which builds there are, with their hashes, [`fetch_standalone`] brings one into
//! the store, and [`write_standalone_layer`] makes a layer of it, without running anything.

mod archive;
mod catalog;
mod error;
mod fetch;
mod sysconfig;

pub use archive::{
    PROGRAM_DIRECTORY, STANDALONE_PREFIX, STANDALONE_VERSION, standalone_program,
    write_standalone_layer,
};
pub use catalog::{ArchiveLayout, BuildLibc, Catalog, StandaloneBuild};
pub use error::{ArchiveProblem, StandaloneError};
pub use fetch::{StandaloneSettings, StoredBuild, fetch_standalone};
