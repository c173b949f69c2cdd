//! Documents of channels, kept with what their server said of their version.

use crate::credentials::ChannelCredentials;
use crate::error::SolveError;
use crate::repodata::RepodataSettings;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use tierce_fetch::{FetchError, Fetched, Fetcher, Validators};
use tierce_oci::Digest;
use tierce_store::{RecordKind, Store};
use url::Url;

const DOCUMENT: RecordKind = RecordKind::new("conda-repodata");

#[derive(Serialize, Deserialize)]
struct Known {
    validators: Validators,
    blob: Digest,
}

/// Gets documents: from the server if they changed, else from the store.
pub(crate) struct Documents<'a> {
    pub(crate) fetcher: &'a Fetcher,
    pub(crate) store: &'a Store,
    pub(crate) credentials: &'a ChannelCredentials,
    pub(crate) settings: &'a RepodataSettings,
}

impl Documents<'_> {
    /// The document, or `None` if there is none. It is asked for each time, with the validators
    /// that the last answer came with; the key of what is kept has no credentials in it.
    pub(crate) async fn get(&self, url: &Url) -> Result<Option<Bytes>, SolveError> {
        let key = Digest::of(url.as_str());
        let limit = self.settings.download_limit;
        let known: Option<(Validators, Vec<u8>)> =
            self.store.record(DOCUMENT, &key).and_then(|known: Known| {
                let bytes = self.store.read_up_to(&known.blob, limit).ok()?;
                Some((known.validators, bytes))
            });
        let (validators, kept) = match known {
            Some((validators, bytes)) => (validators, Some(bytes)),
            None => (Validators::default(), None),
        };
        let asked = self.credentials.apply(url);
        let (bytes, validators) =
            match self.fetcher.get_if_changed(&asked, &validators, limit).await {
                Ok(Fetched::NotModified) => return Ok(kept.map(Bytes::from)),
                Ok(Fetched::Body { bytes, validators }) => (bytes, validators),
                Err(error) if absent(&error) => return Ok(None),
                Err(error) => return Err(self.failed(error)),
            };
        // Of files nothing is gained by a copy.
        if validators != Validators::default() && url.scheme() != "file" {
            let blob = self.store.put(&bytes)?;
            self.store.put_record(DOCUMENT, &key, &Known { validators, blob })?;
        }
        Ok(Some(bytes))
    }

    /// A document that is known by its digest, and so never changes.
    pub(crate) async fn get_exactly(
        &self,
        url: &Url,
        digest: &Digest,
    ) -> Result<Bytes, SolveError> {
        if let Ok(bytes) = self.store.read_up_to(digest, self.settings.download_limit) {
            return Ok(bytes.into());
        }
        let asked = self.credentials.apply(url);
        let bytes = self
            .fetcher
            .get(&asked, self.settings.download_limit)
            .await
            .map_err(|error| self.failed(error))?;
        let actual = Digest::of(&bytes);
        if actual != *digest {
            return Err(self.failed(FetchError::DigestMismatch {
                url: tierce_fetch::Redacted(&asked).to_string(),
                expected: *digest,
                actual,
            }));
        }
        self.store.put(&bytes)?;
        Ok(bytes)
    }

    fn failed(&self, error: FetchError) -> SolveError {
        SolveError::Fetch(hidden(error, self.credentials))
    }
}

/// Servers without an index say 404; object storages without the right to list say 403, which
/// stays an error, since it is also what a wrong token gets.
fn absent(error: &FetchError) -> bool {
    error.is_not_found()
        || matches!(error, FetchError::Status { status, .. } if status.as_u16() == 501)
}

/// The same error with no token in its URL.
pub(crate) fn hidden(mut error: FetchError, credentials: &ChannelCredentials) -> FetchError {
    match &mut error {
        FetchError::Scheme { url, .. }
        | FetchError::Status { url, .. }
        | FetchError::Transport { url, .. }
        | FetchError::TooLarge { url, .. }
        | FetchError::SizeMismatch { url, .. }
        | FetchError::DigestMismatch { url, .. }
        | FetchError::Read { url, .. } => *url = credentials.hide(url),
        FetchError::Write { .. } => {}
    }
    error
}

/// Unpacks a whole document; more than `limit` bytes are an error.
pub(crate) fn unpack(reader: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(limit.saturating_add(1)).read_to_end(&mut out)?;
    if out.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it unpacks to more than the {limit} bytes allowed"),
        ));
    }
    Ok(out)
}
