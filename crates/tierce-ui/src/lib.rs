//! What people see of a build, before it and while it runs: plans and events in, lines out. The command and the Python
//! package show the same.
//!
//! This crate must not know how a build works, any command line, or Python.

mod explain;
mod lines;
mod live;
mod plain;
pub mod plan;
mod steps;
pub mod text;
pub mod units;

pub use explain::explain;
pub use lines::Lines;
pub use live::Live;
pub use plain::Plain;
pub use steps::Steps;
