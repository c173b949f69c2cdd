//! Runs programs in a root file system made of unpacked layers, isolated from the host, and turns
//! what they changed into a layer; the only crate with unsafe code.
//!
//! This crate must not know what a build, a store, an image or a registry is: it gets directories
//! and files, and gives back layers.
//!
//! # One layer, three mappings
//!
//! Whoever builds (root, a user with subordinate ids, a user without), the layer has the same
//! bytes. See [`IdMapping`]. With [`IdMapping::Single`] a supervisor answers the system calls that
//! need ids that the user doesn't have, and records owners as extended attributes.
//!
//! The supervisor answers `chown`, `stat`, and whatever sets or asks for a process's own ids. What
//! it can't do: a file that a process creates after it has dropped root's rights belongs to root in
//! the layer, or to the group of its set-group-id directory, until somebody calls `chown`; links
//! and pipes of lower layers lose a recorded owner when they are renamed; access is not denied to
//! who has dropped root's rights.
//!
//! # The helper
//!
//! Each operation runs in a process of its own, the [`Helper`]: a program that calls
//! [`helper_main`]. A process can't enter a user namespace once it has threads, and what is done in
//! a hostile tree should not be done in the process that holds credentials.

mod cancel;
mod client;
mod error;
mod helper;
mod mapping;
mod options;
mod probe;
mod process;
mod protocol;
mod sandbox;
mod secret;
mod sys;
mod wire;

pub use cancel::{Cancel, CancelOnDrop};
pub use client::Helper;
pub use error::{DiffError, Errno, Failure, HelperError, ProbeError, RunError, UnpackError};
pub use helper::helper_main;
pub use mapping::{IdMapping, IdRange, SubordinateError};
pub use options::{DiffOptions, Unpacked, tree};
pub use probe::{Check, Report, probe};
pub use process::{Exit, Mount, Network, Process, Stdio, Stream};
pub use sandbox::Sandbox;
pub use secret::{SecretFile, SecretVariable};

/// The directory of files in a layer directory or scratch directory.
pub(crate) const TREE: &str = "tree";
/// The file beside it that says what the tree itself can't.
pub(crate) const FACTS: &str = "facts.json";
/// The user and group that a file really has, as `uid:gid`, where the sandbox has one id only.
pub(crate) const OWNER_XATTR: &str = "user.tierce.owner";
