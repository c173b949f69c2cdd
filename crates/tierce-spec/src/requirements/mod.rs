//! Requirements files: pip's format, taken apart and digested with all that they include.

mod gather;
mod line;
mod local;

pub use gather::{GatherError, Gathered, IncludedAs, RequirementsFile, gather, included_path};
pub use line::{Line, LineKind, parse};
pub use local::{LocalKind, LocalRequirement};
