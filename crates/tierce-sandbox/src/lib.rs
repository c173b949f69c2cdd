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
//! What it can't do: files that a process creates after it has dropped root's rights belong to
//! root in the layer, unless it lies in a set-group-id directory, or `chown` is called on it;
//! `stat` inside the sandbox shows root as the owner of everything.
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
mod sys;
mod wire;

pub use cancel::Cancel;
pub use client::Helper;
pub use error::{DiffError, Errno, Failure, HelperError, ProbeError, RunError, UnpackError};
pub use helper::helper_main;
pub use mapping::{IdMapping, IdRange, SubordinateError};
pub use options::{DiffOptions, Unpacked, tree};
pub use probe::{Check, Report, probe};
pub use process::{Exit, Mount, Network, Process, Stdio, Stream};
pub use sandbox::Sandbox;

/// The directory of files in a layer directory or scratch directory.
pub(crate) const TREE: &str = "tree";
/// The file beside it that says what the tree itself can't.
pub(crate) const FACTS: &str = "facts.json";
/// The user and group that a file really has, as `uid:gid`, where the sandbox has one id only.
pub(crate) const OWNER_XATTR: &str = "user.tierce.owner";
