//! One suite that every builder passes, as far as its capabilities go.
//!
//! Each case is a small image: it is built, delivered in a way that the builder says it can, and
//! read back with readers of tierce's own. What a builder says it cannot do is skipped, with the
//! reason. This crate must not know any builder.
//!
//! ```no_run
//! use std::sync::Arc;
//! use tierce_conformance::{Outcome, SuiteOptions, run};
//! # async fn example(
//! #     builder: Arc<dyn tierce_engine::ImageBuilder>,
//! #     registry: tierce_registry::Client,
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let options = SuiteOptions::new("/var/tmp".into())
//!     .with_base("registry.example/busybox:1".parse()?)
//!     .with_registry("registry.example/conformance".into(), registry);
//! let report = run(builder, &options, &mut |case| println!("{}", case.name)).await?;
//! assert!(report.cases.iter().all(|case| !matches!(case.outcome, Outcome::Failed { .. })));
//! # Ok(())
//! # }
//! ```

mod bench;
mod cases;
mod filesystem;
mod read;
mod recorder;
mod suite;

pub use cases::{Case, cases};
pub use filesystem::{FileSystem, Node, NodeKind};
pub use read::{ReadError, ReadImage, ReadPlatform};
pub use suite::{CaseReport, Outcome, SuiteError, SuiteOptions, SuiteReport, run};
