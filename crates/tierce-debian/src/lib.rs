//! The Debian archive: Release, Packages, .deb; knows no builder.

mod control;
mod index;
mod keyring;
mod package;
mod relation;
mod release;
mod resolve;
mod settings;
mod signature;
mod version;

pub use control::{ControlError, Paragraph, Paragraphs};
pub use index::PackageList;
pub use keyring::{Keyring, KeyringError};
pub use package::{
    Architecture, ArchitectureError, MultiArch, Package, PackageError, PackageName,
    PackageNameError, PackageSpec, PackageSpecError, Priority,
};
pub use relation::{Alternatives, Comparison, Constraint, Relation, RelationError};
pub use release::{Release, ReleaseError};
pub use resolve::{Request, ResolveError, resolve};
pub use settings::{ArchiveSettings, Pocket};
pub use signature::{
    KeyFault, Rejection, SignatureError, SignatureFault, verify_clearsigned, verify_detached,
};
pub use version::{Version, VersionError};
