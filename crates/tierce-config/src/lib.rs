//! The only reader of the environment, config files and the home directory.
//!
//! Every other crate takes its settings as values. This one turns what a process was given
//! (variables, `config.toml`, the user's directories) into one [`Settings`], and must not know
//! what any setting is used for.

mod environment;
mod file;
mod settings;

pub use environment::Environment;
pub use file::{ConfigError, ConfigFile, DebianConfig, FlavorEntry, RegistryConfig};
pub use settings::Settings;
