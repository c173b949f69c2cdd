//! Source trees: ignore rules, walking, digesting, the stat index; reads files, never writes the tree.
//!
//! [`scan`] turns a directory into a [`Tree`]: what of it ships, each file with its digest. The
//! tree's own [`Tree::digest`] goes into the image's key, and [`Tree::write_layer`] ships exactly
//! what was digested, or fails. This crate must not know what a tree is for, and writes nothing
//! but the [`StatIndex`] that it is asked to save.
//!
//! Of a file's metadata only the owner's executable bit counts: modes become 0755 or 0644, owners
//! and times those that the layer's author names. So a tree is the same on two machines, whatever
//! their umask, and whatever the order in which their file systems list directories.

mod defaults;
mod error;
mod hash;
mod ignore;
mod index;
mod only;
mod parts;
mod read;
mod scan;
mod ship;
mod tree;
mod walk;

pub use defaults::DefaultExcludes;
pub use error::{Difference, IgnoreError, PatternProblem, ScanError, ShipError};
pub use ignore::{IgnoreRules, RulesAbove};
pub use index::{SaveError, StatIndex};
pub use read::read_file;
pub use scan::{ScanOptions, scan, scan_file, scan_file_indexed};
pub use tree::{Node, Skipped, SkippedKind, Tree, TreeEntry};
