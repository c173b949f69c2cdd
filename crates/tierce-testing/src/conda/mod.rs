//! conda packages and channels of them, made by tests: on disk, and over loopback HTTP.

mod archive;
mod channel;
mod msgpack;
mod package;
mod python;
mod server;

pub use channel::{AddedPackage, CondaChannel, CondaIndex};
pub use package::{CondaFile, CondaFormat, CondaPackageSpec, PLACEHOLDER};
pub use python::{conda_python, debian_python_version};
pub use server::ServedChannel;
