//! Builders that others write: programs that speak a protocol over standard input and output,
//! flavors, and the builders that users register.
//!
//! * An **external builder** is a program called `tierce-builder-NAME`, driven through the
//!   protocol of `docs/builder-protocol.md` ([`protocol`], [`ExternalBuilder`]).
//! * A **flavor** is a kind of builder: a name, the [`ConfigSchema`] of its settings, and an
//!   implementation that is loaded when it is used ([`Flavor`], [`Flavors`]).
//! * A **registered builder** is a name, a flavor and a checked configuration, kept in a
//!   configuration file ([`Registered`], [`Builders`], [`ConfigDocument`]).
//!
//! This crate must not know which flavors there are, where configuration files lie, or any
//! registry, store or engine: all of that comes in as values.

mod builders;
mod built_in;
mod config;
mod discover;
mod error;
mod external;
mod flavor;
mod process;
pub mod protocol;
mod rename;
mod schema;

pub use builders::{BuilderEntry, Builders, OpenBuilderError, Origin};
pub use built_in::BuiltInFlavor;
pub use config::{ConfigDocument, ConfigFileError, Registered, RegisteredError, Section};
pub use discover::{PROGRAM_PREFIX, SearchPath, valid_name};
pub use error::{PluginError, Tail};
pub use external::{
    ExternalBuilder, ExternalFlavor, ExternalSettings, RegistryChecker, Scratch, ScratchDirectory,
};
pub use flavor::{Config, Flavor, FlavorDescription, FlavorOrigin, Flavors, UnknownFlavor};
pub use process::Limits;
pub use rename::Renamed;
pub use schema::{ConfigErrors, ConfigProblem, ConfigSchema, Property, SchemaError, ValueKind};
