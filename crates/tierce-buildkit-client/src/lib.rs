//! A client of BuildKit's control API (`moby.buildkit.v1.Control`): it solves, and serves the
//! session that a solve asks things of; must know no builder and no Dockerfile.
//!
//! The same API is spoken by a `buildkitd` of one's own and by the BuildKit inside Docker's
//! daemon, so [`Dial`] says only how a connection is opened. During a solve the daemon calls back
//! over the session for what stays here until it is needed:
//!
//! - the Dockerfile (`moby.filesync.v1.FileSync`), which is not in its context;
//! - the context, as a tar stream that is made while it is sent
//!   (`moby.upload.v1`), never as a whole in memory or on a disk;
//! - values of secrets, by id (`moby.buildkit.secrets.v1`): they are in no file, argument or
//!   environment of this machine;
//! - credentials of registries (`moby.filesync.v1.Auth`), of those of the build alone;
//! - and it sends a result that is to be a file here (`moby.filesync.v1.FileSend`).
//!
//! The generated message types are those of `bollard-buildkit-proto`; they stay inside. bollard's
//! own gRPC drivers are not used: they want the context in memory as a whole, and give neither
//! progress nor the digest of what was built.

mod auth;
mod cache;
mod client;
mod connect;
mod endpoint;
mod error;
mod filesync;
mod progress;
mod session;
mod solve;

pub use cache::{CacheEntry, CacheEntryError};
pub use client::{Client, Worker};
pub use connect::{Connection, Dial, Duplex};
pub use endpoint::{Endpoint, EndpointError, TlsFiles};
pub use error::{ConnectError, FailedStep, SolveError, SolveFailure};
pub use progress::short_title;
pub use session::{ContextSource, SessionSecrets};
pub use solve::{Exporter, Solve, SolveResult};
