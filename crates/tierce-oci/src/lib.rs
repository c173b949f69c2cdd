//! What an OCI image is made of: references, digests, descriptors, manifests and configs.
//!
//! This crate must not know any file system, network, store or registry: it turns bytes and
//! strings into checked values and back. Everything follows the OCI image specification 1.1 and,
//! where images in the field need it, Docker's image manifest version 2, schema 2.

mod artifact;
mod config;
mod credentials;
mod descriptor;
mod diagnostic;
mod digest;
mod manifest;
mod media_type;
mod platform;
mod reference;
mod registry_path;

pub use artifact::{Artifact, Blob, BlobLocation};
pub use config::{ContainerConfig, History, ImageConfig, RootFs};
pub use credentials::{hide_address, hide_credentials, without_credentials};
pub use descriptor::Descriptor;
pub use diagnostic::{Diagnostic, ErrorKind};
pub use digest::{Algorithm, DiffId, Digest, DigestError, Hasher, chain_id};
pub use manifest::{Index, MAX_MANIFEST_SIZE, Manifest, ManifestError};
pub use media_type::MediaType;
pub use platform::{Platform, PlatformError};
pub use reference::{Reference, ReferenceError, Selector};
pub use registry_path::{RegistryPath, RegistryPathError};
