//! Real engines, registries, package indexes and git repositories for tests: started for one
//! test, on their own directories and sockets, and gone when they are dropped.
//!
//! Nothing of the machine's own Docker or podman is touched. What a machine can't run is `None`,
//! with the reason printed as `skipped: ...`; or a panic, where the machine is said to have it. For
//! tests only; must not know tierce.

mod bridge;
mod conda;
mod distribution;
mod dockerd;
mod encode;
mod git;
mod git_server;
mod package_index;
mod path;
mod podman;
mod process;
mod registry;
mod require;
mod rootfs;

pub use bridge::BuildkitBridge;
pub use conda::PLACEHOLDER as CONDA_PLACEHOLDER;
pub use conda::{
    AddedPackage, CondaChannel, CondaFile, CondaFormat, CondaIndex, CondaPackageSpec,
    ServedChannel, conda_python, debian_python_version,
};
pub use distribution::{BuildOutcome, ProjectSpec, WheelSpec};
pub use dockerd::Dockerd;
pub use git::GitRepository;
pub use git_server::GitServer;
pub use package_index::{AddedFile, PackageIndex};
pub use path::program;
pub use podman::Podman;
pub use registry::Registry;
pub use require::{REQUIRE, skip};
pub use rootfs::{busybox_rootfs, busybox_tar};
