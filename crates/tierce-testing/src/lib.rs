//! Real engines and registries for tests: started for one test, on their own directories and
//! sockets, and gone when they are dropped.
//!
//! Nothing of the machine's own Docker or podman is touched. What a machine can't run is `None`,
//! with the reason printed as `skipped: ...`. For tests only; must not know tierce.

mod bridge;
mod dockerd;
mod path;
mod podman;
mod process;
mod registry;
mod rootfs;

pub use bridge::BuildkitBridge;
pub use dockerd::Dockerd;
pub use path::program;
pub use podman::Podman;
pub use registry::Registry;
pub use rootfs::{busybox_rootfs, busybox_tar};

/// Prints why a test can't run here.
pub fn skip(why: impl std::fmt::Display) {
    eprintln!("skipped: {why}");
}
