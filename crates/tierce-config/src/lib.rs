//! The only reader of the environment, config files and the home directory.
//!
//! Every other crate takes its settings as values. This one turns what a process was given
//! (the command line's wishes, variables, the project's `[workspace]`, `config.toml`, Flyte's
//! configuration, the user's directories) into one [`Settings`] that can say of each value where
//! it comes from, and must not know what any setting is used for.

mod environment;
mod error;
mod file;
mod flyte;
mod layer;
mod origin;
mod project;
mod python;
mod redact;
mod resolve;
mod settings;
mod sources;
mod tables;
mod values;

pub use environment::{Environment, Execution, IndexCredentialSettings};
pub use error::{BuilderProblem, ConfigError};
pub use file::{
    BuildkitConfig, CheckCacheConfig, ConfigFile, DebianConfig, DockerConfig, FlavorEntry,
    ImageSpecConfig, PodmanConfig, RegistryConfig, SecretsConfig, schema,
};
pub use origin::{FileKind, Origin};
pub use resolve::Entry;
pub use settings::Settings;
pub use sources::{ConfigPath, Overrides, Sources};
pub use tables::{
    BuildkitSettings, ClientIdentity, DebianSettings, DockerSettings, ImageSpecSettings,
    PodmanSettings, RegistrySettings, SecretsSettings,
};
pub use values::{
    Address, DebianBase, ImageName, ImageTemplate, PushRegistry, RegistryKey, TimeSpan,
    UnknownImage, ValueError,
};
