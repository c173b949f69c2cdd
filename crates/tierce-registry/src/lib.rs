//! The OCI distribution client (distribution specification 1.1); must know no store.
//!
//! [`Client`] reads and pushes images and is given everything it uses: the HTTP client, where
//! credentials come from, which registries speak plain HTTP. It tries a request before it
//! authenticates, so that looking at a public image costs one request, and it never sends a
//! credential to a host that is not exactly the registry (or the token server that the registry
//! names).

mod auth;
mod blob;
mod challenge;
mod client;
mod credentials;
pub mod docker_config;
mod endpoint;
mod error;
mod image;
mod inline;
mod manifest;
mod payload;
mod push;
mod request;
mod routing;
mod scope;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod upload;

pub use client::Client;
pub use credentials::{
    Anonymous, Credential, CredentialChain, CredentialError, Credentials, Secret,
};
pub use docker_config::DockerConfigCredentials;
pub use error::{Identity, ImageProblem, RegistryError};
pub use image::ResolvedImage;
pub use inline::InlineCredentials;
pub use push::{BlobEvent, BlobOutcome, BlobReport, PushObserver, PushOptions, PushReport, Silent};
pub use routing::{Route, Routing};
pub use settings::{ClientSettings, InsecurePolicy, UploadLimits};
