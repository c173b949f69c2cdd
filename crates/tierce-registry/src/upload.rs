//! Uploading one blob (distribution specification, "Pushing blobs").

use crate::RegistryError;
use crate::client::Client;
use crate::manifest::content_digest;
use crate::payload::{Blob, BlobSource, Payload};
use crate::request::{Repository, Request};
use crate::scope::Scopes;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, Response, StatusCode};
use std::time::Duration;
use tierce_fetch::{Retry, TransportError};
use tierce_oci::Descriptor;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use url::Url;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");
const COMMIT_TIMEOUT: Duration = Duration::from_secs(600);
const CHUNK_MIN_LENGTH: &str = "oci-chunk-min-length";

/// An upload session that the registry has opened.
pub(crate) struct Session {
    location: Url,
    /// The least that a chunk, other than the last, must have.
    min_chunk: u64,
}

/// What became of an attempt to mount.
pub(crate) enum Mount {
    /// The blob is there.
    Mounted,
    /// The registry would rather have the bytes, in this session.
    Session(Session),
    /// It would not.
    Refused,
}

/// One blob on its way into a repository.
pub(crate) struct Upload<'a> {
    pub(crate) client: &'a Client,
    pub(crate) repository: &'a Repository,
    pub(crate) scopes: &'a Scopes,
    pub(crate) descriptor: &'a Descriptor,
    /// Hears how many of the blob's bytes are on their way or there.
    pub(crate) on_bytes: &'a (dyn Fn(u64) + Send + Sync),
}

impl Upload<'_> {
    /// Asks the registry to take the blob from another of its repositories.
    pub(crate) async fn mount(&self, from: &Repository) -> Result<Mount, RegistryError> {
        let scopes = Scopes::mount(&self.repository.name, &from.name);
        let mut url = self.repository.url("blobs/uploads/");
        url.query_pairs_mut()
            .append_pair("mount", &self.descriptor.digest.to_string())
            .append_pair("from", &from.name);
        let mut request = self.request(Method::POST, url);
        request.scopes = &scopes;
        let response = match self.client.send(&request).await {
            Ok(response) => response,
            // Without a token for the source there is no mounting, but there may be a push.
            Err(RegistryError::Denied { .. }) => return Ok(Mount::Refused),
            Err(error) => return Err(error),
        };
        match response.status() {
            StatusCode::CREATED => Ok(Mount::Mounted),
            StatusCode::ACCEPTED => Ok(match self.session(&request, &response) {
                Ok(session) => Mount::Session(session),
                Err(_) => Mount::Refused,
            }),
            _ => Ok(Mount::Refused),
        }
    }

    /// Sends the blob's bytes, in `session` if there is one already.
    pub(crate) async fn run(
        &self,
        source: &BlobSource,
        session: Option<Session>,
    ) -> Result<(), RegistryError> {
        if self.descriptor.size <= self.client.settings().upload.monolithic {
            return self.monolithic(source, session).await;
        }
        match self.chunked(source, session).await {
            // Not every registry takes blobs in pieces (Google's never did).
            Err(error) if refuses_chunks(&error) => {
                tracing::debug!(%error, "no chunked uploads here: sending the blob as a whole");
                self.monolithic(source, None).await
            }
            done => done,
        }
    }

    fn request(&self, method: Method, url: Url) -> Request<'_> {
        let action =
            format!("push blob {} to {}", self.descriptor.digest, self.repository.full_name());
        Request::new(self.repository, self.scopes, method, url, action)
    }

    async fn begin(&self) -> Result<Session, RegistryError> {
        let request = self.request(Method::POST, self.repository.url("blobs/uploads/"));
        let response = self.client.send(&request).await?;
        match response.status() {
            StatusCode::ACCEPTED => self.session(&request, &response),
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound {
                object: format!("repository {}", self.repository.full_name()),
            }),
            _ => Err(request.unexpected(response).await),
        }
    }

    /// The session that an answer's `Location` names.
    fn session(
        &self,
        request: &Request<'_>,
        response: &Response,
    ) -> Result<Session, RegistryError> {
        let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
        let location = location
            .and_then(|l| self.repository.endpoint.location(response.url(), l))
            .ok_or_else(|| request.protocol("it does not say where to upload to"))?;
        let min_chunk = response.headers().get(CHUNK_MIN_LENGTH);
        let min_chunk = min_chunk.and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
        Ok(Session { location, min_chunk })
    }

    /// One PUT with everything; a new session for each attempt.
    async fn monolithic(
        &self,
        source: &BlobSource,
        mut session: Option<Session>,
    ) -> Result<(), RegistryError> {
        let mut failures = 0;
        loop {
            let current = match session.take() {
                Some(session) => session,
                None => self.begin().await?,
            };
            let Err(error) = self.put(current, source, 0).await else { return Ok(()) };
            failures += 1;
            tracing::debug!(failures, %error, digest = %self.descriptor.digest, "upload failed");
            if !self.client.retry().pause(failures, upload_retry(&error)).await {
                return Err(error);
            }
        }
    }

    /// Closes `session`, sending what is left from `offset` on.
    async fn put(
        &self,
        session: Session,
        source: &BlobSource,
        offset: u64,
    ) -> Result<(), RegistryError> {
        let mut url = session.location;
        url.query_pairs_mut().append_pair("digest", &self.descriptor.digest.to_string());
        let (sent, received) = unbounded_channel();
        let mut request = self.request(Method::PUT, url).header(CONTENT_TYPE, OCTETS);
        if offset < self.descriptor.size || self.descriptor.size == 0 {
            request.payload = self.part(source, offset, self.descriptor.size - offset, sent);
        }
        let response = self.send(&request, offset, received).await?;
        // 201 is what the specification asks for; some answer with other successes.
        if !response.status().is_success() {
            return Err(request.unexpected(response).await);
        }
        match content_digest(response.headers()) {
            Some(actual) if actual != self.descriptor.digest => {
                Err(RegistryError::DigestMismatch {
                    object: format!("a blob as {} stored it", self.repository.full_name()),
                    expected: self.descriptor.digest,
                    actual,
                })
            }
            _ => Ok(()),
        }
    }

    /// PATCHes of a fixed size and an empty PUT; goes on after a break from where the registry
    /// says that it is.
    async fn chunked(
        &self,
        source: &BlobSource,
        session: Option<Session>,
    ) -> Result<(), RegistryError> {
        let size = self.descriptor.size;
        let mut session = match session {
            Some(session) => session,
            None => self.begin().await?,
        };
        let mut offset = 0;
        let mut furthest = 0;
        let mut failures = 0;
        loop {
            let error = if offset < size {
                match self.patch(&session, source, offset).await {
                    Ok((next, reached)) => {
                        session = next;
                        offset = reached;
                        if offset > furthest {
                            (furthest, failures) = (offset, 0);
                        }
                        continue;
                    }
                    Err(error) => error,
                }
            } else {
                let closing = Session { location: session.location.clone(), ..session };
                match self.put(closing, source, offset).await {
                    Ok(()) => return Ok(()),
                    Err(error) => error,
                }
            };
            failures += 1;
            tracing::debug!(failures, %error, digest = %self.descriptor.digest, "upload failed");
            if !self.client.retry().pause(failures, upload_retry(&error)).await {
                return Err(error);
            }
            (session, offset) = match self.progress(&session).await? {
                Some(progress) => progress,
                None => (self.begin().await?, 0),
            };
        }
    }

    /// Sends one chunk; the next session and how far the upload is.
    async fn patch(
        &self,
        session: &Session,
        source: &BlobSource,
        offset: u64,
    ) -> Result<(Session, u64), RegistryError> {
        let chunk = self.client.settings().upload.chunk.max(session.min_chunk).max(1);
        let length = chunk.min(self.descriptor.size - offset);
        let range = format!("{offset}-{}", offset + length - 1);
        let (sent, received) = unbounded_channel();
        let request = self
            .request(Method::PATCH, session.location.clone())
            .header(CONTENT_TYPE, OCTETS)
            .header(CONTENT_RANGE, range.parse().expect("digits are a header value"))
            .payload(self.part(source, offset, length, sent));
        let response = self.send(&request, offset, received).await?;
        if !response.status().is_success() {
            return Err(request.unexpected(response).await);
        }
        let next = Session { min_chunk: session.min_chunk, ..self.session(&request, &response)? };
        let reached = received_up_to(response.headers()).unwrap_or(offset + length);
        if reached <= offset || reached > offset + length {
            return Err(request.protocol("it has other bytes of the blob than were sent"));
        }
        Ok((next, reached))
    }

    /// Where an upload stands; `None` if its session is gone.
    async fn progress(&self, session: &Session) -> Result<Option<(Session, u64)>, RegistryError> {
        let request = self.request(Method::GET, session.location.clone());
        let response = self.client.send(&request).await?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let offset = received_up_to(response.headers()).unwrap_or(0);
        if offset > self.descriptor.size {
            return Ok(None);
        }
        // A registry may leave out a location that does not change.
        let location = match response.headers().contains_key(LOCATION) {
            true => self.session(&request, &response)?.location,
            false => session.location.clone(),
        };
        Ok(Some((Session { location, min_chunk: session.min_chunk }, offset)))
    }

    fn part(
        &self,
        source: &BlobSource,
        offset: u64,
        length: u64,
        sent: UnboundedSender<u64>,
    ) -> Payload {
        let blob = Blob { digest: self.descriptor.digest, size: self.descriptor.size };
        Payload::Part { source: source.clone(), blob, offset, length, sent }
    }

    /// Sends a request, reports meanwhile what is on its way, and gives up when nothing moves.
    async fn send(
        &self,
        request: &Request<'_>,
        offset: u64,
        mut sent: UnboundedReceiver<u64>,
    ) -> Result<Response, RegistryError> {
        let mut response = std::pin::pin!(self.client.send_once(request));
        let end = offset + request.payload.length().unwrap_or(0);
        let idle = self.client.retry().idle_timeout;
        let mut reached = offset;
        loop {
            // Once it has everything, a registry may have to copy it into a storage of its own.
            let patience = if reached < end { idle } else { idle.max(COMMIT_TIMEOUT) };
            tokio::select! {
                biased;
                Some(bytes) = sent.recv() => {
                    // A request that is sent again after 401 starts over.
                    reached = (reached + bytes).min(end);
                    (self.on_bytes)(reached);
                }
                result = &mut response => return result,
                () = tokio::time::sleep(patience) => {
                    return Err(request.broken(TransportError::timed_out()));
                }
            }
        }
    }
}

/// How many bytes `Range: 0-<last>` stands for. `0-0` means none: registries write it for a
/// session that has just begun, and nobody uploads single bytes.
fn received_up_to(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(RANGE)?.to_str().ok()?.trim();
    let value = value.strip_prefix("bytes=").unwrap_or(value);
    match value.split_once('-')?.1.parse::<u64>().ok()? {
        0 => Some(0),
        last => last.checked_add(1),
    }
}

/// What may work in a new session, besides what may work in a while.
fn upload_retry(error: &RegistryError) -> Retry {
    match error {
        RegistryError::Answer { status, code, .. } => match (status.as_u16(), code.as_deref()) {
            (404, _) | (416, _) | (_, Some("BLOB_UPLOAD_UNKNOWN")) => Retry::Backoff,
            _ => error.retry(),
        },
        _ => error.retry(),
    }
}

fn refuses_chunks(error: &RegistryError) -> bool {
    match error {
        RegistryError::Answer { status, code, .. } => {
            matches!(status.as_u16(), 400 | 404 | 405 | 411 | 413 | 415 | 416 | 501)
                && code.as_deref() != Some("DIGEST_INVALID")
        }
        RegistryError::Protocol { .. } => true,
        _ => false,
    }
}
