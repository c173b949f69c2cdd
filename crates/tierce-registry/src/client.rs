//! The client.

use crate::auth::Authenticator;
use crate::settings::ClientSettings;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client of registries. Cheap to clone; clones share tokens and connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    settings: ClientSettings,
    authenticator: Authenticator,
    requests: AtomicU64,
}

impl Client {
    /// A client with these settings.
    pub fn new(settings: ClientSettings) -> Self {
        let authenticator = Authenticator::default();
        Client { inner: Arc::new(Inner { settings, authenticator, requests: AtomicU64::new(0) }) }
    }

    /// How many requests were sent so far, those to token servers included.
    pub fn requests(&self) -> u64 {
        self.inner.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self) {
        self.inner.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn settings(&self) -> &ClientSettings {
        &self.inner.settings
    }

    pub(crate) fn authenticator(&self) -> &Authenticator {
        &self.inner.authenticator
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("requests", &self.requests()).finish_non_exhaustive()
    }
}
