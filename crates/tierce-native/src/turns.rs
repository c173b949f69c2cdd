//! Turns within this process.

use crate::key::LayerKey;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::OwnedMutexGuard;

type Turn = tokio::sync::Mutex<()>;

/// Whose turn it is to make which layer, among the builds of this process. Waiting takes no
/// thread, unlike waiting for the lock between processes that is taken next: many builds that want
/// the same layers must not use up the threads that the one who makes them needs.
#[derive(Clone, Default)]
pub struct Turns(Arc<Mutex<HashMap<LayerKey, Weak<Turn>>>>);

impl Turns {
    /// Waits until nobody else makes the layer.
    pub async fn take(&self, key: LayerKey) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| turn.strong_count() > 0);
            let turn = turns.get(&key).and_then(Weak::upgrade).unwrap_or_default();
            turns.insert(key, Arc::downgrade(&turn));
            turn
        };
        turn.lock_owned().await
    }
}
