//! The values of secrets: where they are found, and how they are kept out of everything that is
//! written.
//!
//! [`SecretResolver`] asks its [`SecretProvider`]s for every secret of a build before anything is
//! built: [`EnvironmentProvider`], [`FileProvider`], [`CommandProvider`], [`DirectoryProvider`],
//! in this order by custom. [`Secrets`] holds the values for as long as the build lasts, hides
//! them in texts ([`Secrets::redact`]) and finds them in what was made ([`Secrets::scanner`]);
//! while there is one that is not empty, the process leaves no core dump. This crate must not
//! know who needs a secret, or how a step gets it.
//!
//! # What is found
//!
//! A value is found as it is, percent-encoded (RFC 3986 and the form encoding of HTML), escaped
//! as in JSON, and in base64 of both alphabets (RFC 4648) wherever it starts in what was encoded,
//! also where the encoded text was broken into lines of 64 characters or more (values of 16 bytes
//! and more). Of values with
//! several lines, as private keys, each long line is found by itself. What is not: values that
//! were compressed or encrypted, and values shorter than [`SHORTEST`] bytes, which would be found
//! everywhere ([`Secrets::too_short`]).

mod command;
mod file;
mod forms;
mod protect;
mod provider;
mod resolver;
mod scan;
mod value;

pub use command::CommandProvider;
pub use file::{DirectoryProvider, FileProvider};
pub use forms::SHORTEST;
pub use provider::{EnvironmentProvider, MAX_SIZE, ProviderError, SecretProvider};
pub use resolver::{MissingSecret, SecretError, SecretResolver};
pub use scan::Scanner;
pub use tierce_spec::SecretId;
pub use value::{SecretValue, Secrets};
