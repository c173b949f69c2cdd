//! What people see of a build while it runs: events in, lines out. The command and the Python
//! package show the same.
//!
//! This crate must not know how a build works, any command line, or Python.

mod live;
mod plain;
pub mod text;
pub mod units;

pub use live::Live;
pub use plain::Plain;
