//! The native builder: images without Docker, a daemon or root.
//!
//! A build is a plan ([`PlanReport`] describes one), whose nodes are layers with keys; each comes
//! from the store, is assembled, or is executed in the sandbox. This crate must not know any
//! other builder.

mod apt;
mod assembled;
mod base;
mod builder;
mod conda;
mod context;
mod credentials;
mod draft;
mod error;
mod execute;
mod export;
mod image_base;
mod images;
mod installed;
mod key;
mod layer;
mod local_wheels;
mod lock;
mod lock_inside;
mod make;
mod pip;
mod plan;
mod planner;
mod probe;
mod projects;
mod python;
mod python_steps;
mod rootfs;
mod run;
mod secret;
mod standalone;
mod turns;
mod work;

pub use builder::{NativeBuilder, local_name};
pub use context::{Context, IndexCredentialFiles, NativeSettings, runs_here};
pub use error::NativeError;
pub use key::LayerKey;
pub use run::{Foreground, PlatformImage, RunOptions, platform_image};

/// The label of images whose Python is known, `<version>@<path>@<libc>`, so that images built on them
/// need not look inside.
pub const PYTHON_LABEL: &str = "dev.tierce.python";

/// The label of images whose Python environment is known, distribution by distribution: what is
/// added on top of it has to fit.
pub const PACKAGES_LABEL: &str = "dev.tierce.python.packages";

/// Bytes for people, in powers of 1000.
fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
