//! Python files as specifications: they are run, by the project's own Python, and the images in
//! them are built.

mod error;
pub mod files;
mod load;
mod loader;
mod lower;
mod protocol;
mod select;

pub use error::{InImage, PythonError};
pub use load::{Handover, load};
pub use protocol::BuildRequest;
