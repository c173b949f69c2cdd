//! Building from a lock, and finding out what goes into one.

pub mod apt;
pub mod base;
pub mod debs;
mod error;
pub mod interpreter;
pub mod python;

pub use error::LockedError;

use crate::builder::NativeBuilder;
use crate::error::NativeError;
use crate::image_base::Below;
use crate::make::Refresh;
use crate::planner::PlanMode;
use std::sync::Arc;
use tierce_engine::{BuildRequest, Events};
use tierce_lock::Toolchain;

impl NativeBuilder {
    /// Finds out what `request` is built from, and records it. Makes only those layers that
    /// something has to be run on to know more.
    pub(crate) async fn record_lock(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<Toolchain, Arc<NativeError>> {
        let _session = self.context().store.session().map_err(NativeError::from)?;
        self.context().sweep();
        let context = self.context_for(request)?;
        let below = Below::of(request);
        for platform in &request.platforms {
            let mode = PlanMode::Build(Refresh::new(false));
            context.plan(&request.gathered, below, platform, mode, events).await?;
            if let Some(ledger) = request.gathered.locking.record() {
                ledger.fill_sizes(platform, &|digest| context.store.has(digest));
            }
        }
        Ok(Toolchain {
            tierce: env!("CARGO_PKG_VERSION").to_owned(),
            uv: tierce_wheel::PINNED_VERSION.to_owned(),
        })
    }
}
