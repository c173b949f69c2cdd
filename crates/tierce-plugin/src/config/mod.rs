//! Builders and flavors in configuration files.
//!
//! ```toml
//! builder = "ci"                                  # the default
//!
//! [builders.ci]
//! flavor = "buildkit"
//! address = "tcp://buildkitd:1234"                # a key of the flavor's
//! limits = { idle = 600 }
//!
//! [flavors.kaniko]
//! program = "/opt/kaniko/tierce-builder-kaniko"
//! ```

mod document;
mod registered;

pub use document::{ConfigDocument, ConfigFileError, Section};
pub use registered::{Registered, RegisteredError};
