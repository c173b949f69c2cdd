//! The client.

use crate::auth::Authenticator;
use crate::credentials::{CredentialChain, Credentials};
use crate::settings::ClientSettings;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tierce_fetch::RetryPolicy;

/// A client of registries. Cheap to clone; clones share tokens and connections.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    /// Fewer attempts than the settings say, for whom there is an alternative.
    attempts: u32,
}

struct Inner {
    settings: ClientSettings,
    authenticator: Authenticator,
    /// Shared with the clients that were made of this one.
    requests: Arc<AtomicU64>,
    /// Mirrors that could not be reached, and so need not be tried again.
    out_of_reach: Mutex<BTreeSet<String>>,
}

impl Inner {
    fn new(settings: ClientSettings, requests: Arc<AtomicU64>) -> Arc<Self> {
        let authenticator = Authenticator::default();
        Arc::new(Inner { settings, authenticator, requests, out_of_reach: Mutex::default() })
    }
}

impl Client {
    /// A client with these settings.
    pub fn new(settings: ClientSettings) -> Self {
        Client { inner: Inner::new(settings, Arc::default()), attempts: u32::MAX }
    }

    /// A client that asks `first` for credentials, and then whomever this one asks. Requests of
    /// both are counted together; tokens are not shared.
    pub fn with_credentials(&self, first: Arc<dyn Credentials>) -> Client {
        let mut settings = self.inner.settings.clone();
        settings.credentials = Arc::new(CredentialChain(vec![first, settings.credentials]));
        Client { inner: Inner::new(settings, self.inner.requests.clone()), ..self.clone() }
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

    /// When to try again.
    pub(crate) fn retry(&self) -> RetryPolicy {
        let retry = self.inner.settings.retry;
        RetryPolicy { attempts: retry.attempts.min(self.attempts), ..retry }
    }

    /// The same client, giving up after so many attempts.
    pub(crate) fn with_attempts(&self, attempts: u32) -> Self {
        Client { attempts, ..self.clone() }
    }

    /// The HTTP client for a registry and its token server.
    pub(crate) fn http(&self, registry: &str) -> &reqwest::Client {
        let settings = &self.inner.settings;
        settings.http_by_registry.get(registry).unwrap_or(&settings.http)
    }

    pub(crate) fn is_out_of_reach(&self, mirror: &str) -> bool {
        self.out_of_reach().contains(mirror)
    }

    pub(crate) fn mark_out_of_reach(&self, mirror: &str) {
        self.out_of_reach().insert(mirror.to_owned());
    }

    fn out_of_reach(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.inner.out_of_reach.lock().unwrap_or_else(PoisonError::into_inner)
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
