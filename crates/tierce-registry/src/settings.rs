//! What the client is made from.

use crate::credentials::{Anonymous, Credentials};
use crate::routing::Routing;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use tierce_fetch::RetryPolicy;

/// What a [`Client`](crate::Client) is made from.
#[derive(Clone)]
pub struct ClientSettings {
    /// The HTTP client, as [`tierce_fetch::client()`] makes it.
    pub http: reqwest::Client,
    /// Other HTTP clients for single registries, as references name them (`host` or
    /// `host:port`): those that have an authority or want a certificate of their own.
    pub http_by_registry: BTreeMap<String, reqwest::Client>,
    /// Which registries, or parts of them, are read and written elsewhere.
    pub routing: Routing,
    /// Who asks.
    pub credentials: Arc<dyn Credentials>,
    /// Which registries speak plain HTTP.
    pub insecure: InsecurePolicy,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How many blobs are transferred at once.
    pub parallelism: usize,
    /// How blobs are cut for uploading.
    pub upload: UploadLimits,
}

impl ClientSettings {
    /// The defaults: nobody in particular asks, loopback registries speak plain HTTP, four blobs
    /// are transferred at once.
    pub fn new(http: reqwest::Client) -> Self {
        ClientSettings {
            http,
            http_by_registry: BTreeMap::new(),
            routing: Routing::default(),
            credentials: Arc::new(Anonymous),
            insecure: InsecurePolicy::default(),
            retry: RetryPolicy::default(),
            parallelism: 4,
            upload: UploadLimits::default(),
        }
    }
}

/// Which registries are spoken to over plain HTTP rather than TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InsecurePolicy {
    /// Whether those on this machine are; nobody can listen in there.
    pub loopback: bool,
    /// The others, as references name them: `host` or `host:port`.
    pub hosts: BTreeSet<String>,
    /// Those that are not, wherever they are.
    pub encrypted: BTreeSet<String>,
}

impl Default for InsecurePolicy {
    fn default() -> Self {
        InsecurePolicy { loopback: true, hosts: BTreeSet::new(), encrypted: BTreeSet::new() }
    }
}

impl InsecurePolicy {
    /// Loopback hosts and these.
    pub fn with_hosts(hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let hosts = hosts.into_iter().map(Into::into).collect();
        InsecurePolicy { hosts, ..InsecurePolicy::default() }
    }

    /// Whether `registry` (`host` or `host:port`) is spoken to over plain HTTP.
    pub fn is_plain(&self, registry: &str) -> bool {
        !self.encrypted.contains(registry)
            && (self.hosts.contains(registry) || (self.loopback && is_loopback(registry)))
    }
}

fn is_loopback(registry: &str) -> bool {
    if let Some(address) = registry.strip_prefix('[').and_then(|r| r.split(']').next()) {
        return address.parse::<Ipv6Addr>().is_ok_and(|ip| ip.is_loopback());
    }
    let host = registry.split(':').next().unwrap_or(registry);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

/// How blobs are cut for uploading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UploadLimits {
    /// Blobs up to this size are sent in one request.
    pub monolithic: u64,
    /// Larger ones in requests of this size, so that a break loses no more than that.
    pub chunk: u64,
}

impl Default for UploadLimits {
    fn default() -> Self {
        UploadLimits { monolithic: 64 << 20, chunk: 32 << 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_named_hosts_are_plain() {
        let policy = InsecurePolicy::with_hosts(["plain.example:5000"]);
        for (registry, plain) in [
            ("localhost", true),
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.8.0.1", true),
            ("[::1]:5000", true),
            ("plain.example:5000", true),
            ("plain.example", false),
            ("plain.example:5001", false),
            ("localhost.example", false),
            ("127.0.0.1.example:5000", false),
            ("128.0.0.1", false),
            ("docker.io", false),
        ] {
            assert_eq!(policy.is_plain(registry), plain, "{registry}");
        }
        let encrypted = BTreeSet::from(["localhost:5000".to_owned()]);
        let policy = InsecurePolicy { encrypted, ..policy };
        assert!(!policy.is_plain("localhost:5000") && policy.is_plain("localhost:5001"));
        assert!(!InsecurePolicy { loopback: false, ..policy }.is_plain("localhost"));
    }
}
