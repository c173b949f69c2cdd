//! Documents into memory.

use crate::{FetchError, Redacted, RetryPolicy, local};
use bytes::{Bytes, BytesMut};
use reqwest::header::{ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use reqwest::{Client, Response, StatusCode};
use serde::{Deserialize, Serialize};
use url::Url;

/// Fetches documents and files over `https:`, `http:` and `file:` URLs. Cheap to clone.
///
/// User information in a URL becomes basic authentication for that URL's host alone.
#[derive(Clone, Debug)]
pub struct Fetcher {
    pub(crate) client: Client,
    pub(crate) retry: RetryPolicy,
}

/// What a server said identifies a document's version; kept to ask whether it changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The `ETag` header (RFC 9110, 8.8.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The `Last-Modified` header (RFC 9110, 8.8.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// The answer to [`Fetcher::get_if_changed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The document is still what the validators stand for.
    NotModified,
    /// The document as it is now.
    Body {
        /// Its bytes.
        bytes: Bytes,
        /// What to ask with next time.
        validators: Validators,
    },
}

impl Fetcher {
    /// A fetcher that uses `client` and the default [`RetryPolicy`].
    pub fn new(client: Client) -> Self {
        Fetcher { client, retry: RetryPolicy::default() }
    }

    /// The same fetcher with another policy.
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Fetcher { retry, ..self }
    }

    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A document of at most `max_bytes`.
    pub async fn get(&self, url: &Url, max_bytes: u64) -> Result<Bytes, FetchError> {
        match self.get_if_changed(url, &Validators::default(), max_bytes).await? {
            Fetched::Body { bytes, .. } => Ok(bytes),
            Fetched::NotModified => unreachable!("nothing was known to compare with"),
        }
    }

    /// A document of at most `max_bytes`, unless it is still the one that `known` came with.
    pub async fn get_if_changed(
        &self,
        url: &Url,
        known: &Validators,
        max_bytes: u64,
    ) -> Result<Fetched, FetchError> {
        if url.scheme() == "file" {
            return local::get_if_changed(url, known, max_bytes).await;
        }
        let mut failures = 0;
        loop {
            match self.try_get(url, known, max_bytes).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => {
                    failures += 1;
                    tracing::debug!(url = %Redacted(url), failures, %error, "request failed");
                    if !self.retry.pause(failures, error.retry()).await {
                        return Err(error);
                    }
                }
            }
        }
    }

    async fn try_get(
        &self,
        url: &Url,
        known: &Validators,
        max_bytes: u64,
    ) -> Result<Fetched, FetchError> {
        let mut headers = HeaderMap::new();
        for (name, value) in
            [(IF_NONE_MATCH, &known.etag), (IF_MODIFIED_SINCE, &known.last_modified)]
        {
            // A stored validator that is no header value (any more) is no validator.
            if let Some(value) = value.as_ref().and_then(|v| v.parse().ok()) {
                headers.insert(name, value);
            }
        }
        let mut response = self.send(url, headers).await?;
        if response.status() == StatusCode::NOT_MODIFIED && *known != Validators::default() {
            return Ok(Fetched::NotModified);
        }
        if response.status() != StatusCode::OK {
            return Err(FetchError::status(url, &response));
        }
        let too_large =
            || FetchError::TooLarge { url: Redacted(url).to_string(), limit: max_bytes };
        if response.content_length().is_some_and(|length| length > max_bytes) {
            return Err(too_large());
        }
        let validators = Validators::of(response.headers());
        let mut body = BytesMut::new();
        while let Some(chunk) =
            self.retry.timely(response.chunk()).await.map_err(|e| FetchError::transport(url, e))?
        {
            if (body.len() + chunk.len()) as u64 > max_bytes {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Fetched::Body { bytes: body.freeze(), validators })
    }

    /// Sends a GET, once; the answer's status is the caller's to judge.
    pub(crate) async fn send(&self, url: &Url, headers: HeaderMap) -> Result<Response, FetchError> {
        check_scheme(url)?;
        let request = self.client.get(url.clone()).headers(headers);
        self.retry.timely(request.send()).await.map_err(|e| FetchError::transport(url, e))
    }
}

fn check_scheme(url: &Url) -> Result<(), FetchError> {
    match url.scheme() {
        "https" | "http" => Ok(()),
        other => {
            Err(FetchError::Scheme { url: Redacted(url).to_string(), scheme: other.to_owned() })
        }
    }
}

impl Validators {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
    }

    /// What a range request may be made conditional on: a strong ETag, else the date
    /// (RFC 9110, 13.1.5).
    pub(crate) fn for_range(&self) -> Option<&String> {
        self.etag.as_ref().filter(|tag| !tag.starts_with("W/")).or(self.last_modified.as_ref())
    }
}
