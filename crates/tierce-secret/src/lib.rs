//! The values of secrets: where they are found, and how they are kept out of everything that is
//! written.
//!
//! [`SecretResolver`] asks its [`SecretProvider`]s for every secret of a build before anything is
//! built. [`Secrets`] holds the values for as long as the build lasts, hides them in texts
//! ([`Secrets::redact`]) and finds them in what was made ([`Secrets::scanner`]). This crate must
//! not know who needs a secret, or how a step gets it.

mod provider;
mod resolver;
mod scan;
mod value;

pub use provider::{ProviderError, SecretProvider};
pub use resolver::{MissingSecret, SecretError, SecretResolver};
pub use scan::Scanner;
pub use value::{SecretValue, Secrets};
