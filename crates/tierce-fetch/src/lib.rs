//! Downloads by hash over HTTP(S) with retries; must not know what it downloads.
//!
//! [`client()`] makes the one HTTP client that tierce uses everywhere (roots of trust, proxies,
//! timeouts), [`Fetcher`] gets documents into memory and files onto disk with it, and
//! [`RetryPolicy`] says when to try again; the registry client shares all three.

mod cause;
mod client;
mod download;
mod error;
mod fetcher;
mod local;
mod redact;
mod retry;
#[cfg(feature = "testing")]
pub mod testing;
mod trust;

pub use client::{ClientError, ClientIdentity, HttpSettings, Verification, client};
pub use download::{Download, Source, download_from};
pub use error::{FetchError, Transport, TransportError};
pub use fetcher::{Fetched, Fetcher, Validators};
pub use redact::Redacted;
pub use retry::{Retry, RetryPolicy, retry_after};

pub use bytes::Bytes;
pub use reqwest::Client;
pub use url::Url;
