//! The Debian archive: Release, Packages, `.deb`, and a root file system made of them; must not
//! know any builder or sandbox.
//!
//! From a suite's name to a base image's layer, with no debootstrap and nothing run:
//!
//! 1. [`Archive::open`] fetches `InRelease`, verifies its signature against a [`Keyring`] and its
//!    dates, and fetches the package indices by hash.
//! 2. [`Archive::resolve`] finds the packages that a [`Request`] needs.
//! 3. [`fetch_packages`] fetches them by hash, [`unpack_packages`] reads them.
//! 4. [`write_root_layer`] writes them as one layer, as dpkg would have unpacked them.
//! 5. [`configure_plan`] says what a sandbox then has to run in it, and
//!    [`NONDETERMINISTIC_PATHS`] what to leave out of the layer which that gives.
//!
//! [`BaseKey`] stands for the layer of step 4 before anything is fetched, and [`interpreter()`]
//! says which Python is in it.

mod ar;
mod archive;
mod base_key;
mod configure;
mod control;
mod deb;
mod index;
mod interpreter;
mod keyring;
mod package;
mod packages;
mod relation;
mod release;
mod resolve;
mod root;
mod settings;
mod signature;
mod spool;
mod version;

pub use ar::ArError;
pub use archive::{Archive, OpenError};
pub use base_key::BaseKey;
pub use configure::{
    ConfigurePlan, ConfigureStep, NONDETERMINISTIC_PATHS, configure_plan, package_environment,
};
pub use control::{ControlError, Paragraph, Paragraphs};
pub use deb::{ControlFile, DebError, UnpackedDeb, read_deb_control};
pub use index::PackageList;
pub use interpreter::{Interpreter, interpreter};
pub use keyring::{Keyring, KeyringError};
pub use package::{
    Architecture, ArchitectureError, MultiArch, Package, PackageError, PackageName,
    PackageNameError, PackageSpec, PackageSpecError, Priority,
};
pub use packages::{PackagesError, fetch_packages, unpack_packages};
pub use relation::{Alternatives, Comparison, Constraint, Relation, RelationError};
pub use release::{Release, ReleaseError, parse_snapshot_date, release_date, snapshot_date};
pub use resolve::{Request, ResolveError, resolve};
pub use root::{AptSource, Documentation, RootError, RootOptions, write_root_layer};
pub use settings::{ArchiveSettings, Pocket};
pub use signature::{
    KeyFault, Rejection, SignatureError, SignatureFault, verify_clearsigned, verify_detached,
};
pub use spool::Spool;
pub use version::{Version, VersionError};
