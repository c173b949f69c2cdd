//! Bodies of requests, from memory, files and other registries; opened anew for each attempt.

use crate::RegistryError;
use crate::client::Client;
use crate::request::{Repository, Request};
use crate::scope::Scopes;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use reqwest::header::RANGE;
use reqwest::{Body, Method, Response, StatusCode};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use tierce_oci::{Digest, Hasher, Reference};
use tokio::sync::mpsc::UnboundedSender;

/// Files are read in blocks of this size: memory stays flat however large they are.
const BLOCK: u64 = 256 * 1024;

/// Where a blob's bytes come from.
#[derive(Clone)]
pub(crate) enum BlobSource {
    Memory(Bytes),
    File(Arc<Path>),
    Registry(Reference),
}

/// Which blob, and how large it is as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Blob {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// What a request sends.
pub(crate) enum Payload {
    Empty,
    Document(Bytes),
    /// `length` bytes of a blob from `offset` on; `sent` hears of each piece that is on its way.
    Part {
        source: BlobSource,
        blob: Blob,
        offset: u64,
        length: u64,
        sent: UnboundedSender<u64>,
    },
}

impl Payload {
    /// The length of the body; `None` where there is none.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Payload::Empty => None,
            Payload::Document(bytes) => Some(bytes.len() as u64),
            Payload::Part { length, .. } => Some(*length),
        }
    }
}

impl Client {
    /// Boxed, because to read from a registry is to send a request.
    pub(crate) fn open<'a>(
        &'a self,
        payload: &'a Payload,
    ) -> BoxFuture<'a, Result<Body, RegistryError>> {
        async move {
            let Payload::Part { source, blob, offset, length, sent } = payload else {
                return Ok(match payload {
                    Payload::Document(bytes) => Body::from(bytes.clone()),
                    _ => Body::from(Bytes::new()),
                });
            };
            let part = Part { blob: *blob, offset: *offset, length: *length, sent: sent.clone() };
            match source {
                BlobSource::Memory(bytes) => part.of_memory(bytes),
                BlobSource::File(path) => part.of_file(path.clone()).await,
                BlobSource::Registry(from) => part.of_registry(self, from).await,
            }
        }
        .boxed()
    }
}

struct Part {
    blob: Blob,
    offset: u64,
    length: u64,
    sent: UnboundedSender<u64>,
}

impl Part {
    fn of_memory(self, bytes: &Bytes) -> Result<Body, RegistryError> {
        if bytes.len() as u64 != self.blob.size {
            return Err(self.wrong_size(bytes.len() as u64));
        }
        let _ = self.sent.send(self.length);
        let start = self.offset as usize;
        Ok(Body::from(bytes.slice(start..start + self.length as usize)))
    }

    async fn of_file(self, path: Arc<Path>) -> Result<Body, RegistryError> {
        let (offset, opened) = (self.offset, path.clone());
        let file = blocking(move || {
            let mut file = File::open(&opened)?;
            let size = file.metadata()?.len();
            file.seek(SeekFrom::Start(offset))?;
            Ok((file, size))
        });
        let failed = |source| RegistryError::File { path: path.to_path_buf(), source };
        let (file, size) = file.await.map_err(failed)?;
        if size != self.blob.size {
            return Err(self.wrong_size(size));
        }
        let sent = self.sent;
        let blocks = stream::try_unfold((file, self.length), move |(file, left)| {
            let sent = sent.clone();
            async move {
                if left == 0 {
                    return Ok::<_, io::Error>(None);
                }
                let (file, block) = blocking(move || {
                    let mut block = vec![0; left.min(BLOCK) as usize];
                    (&file).read_exact(&mut block)?;
                    Ok((file, block))
                })
                .await?;
                let _ = sent.send(block.len() as u64);
                let left = left - block.len() as u64;
                Ok(Some((Bytes::from(block), (file, left))))
            }
        });
        Ok(Body::wrap_stream(blocks))
    }

    async fn of_registry(self, client: &Client, from: &Reference) -> Result<Body, RegistryError> {
        let mut places = client.places(from)?;
        let response = loop {
            let (client, repository) = places.current();
            match self.response(client, repository).await {
                Ok(response) => break response,
                Err(error) => places.failed(error)?,
            }
        };
        let expected = (self.length == self.blob.size).then_some(self.blob.digest);
        Ok(Body::wrap_stream(verified(response, expected, self.sent)))
    }

    /// The answer of a registry whose body is this part.
    async fn response(
        &self,
        client: &Client,
        repository: &Repository,
    ) -> Result<Response, RegistryError> {
        let Blob { digest, size } = self.blob;
        let whole = self.length == size;
        let scopes = Scopes::pull(&repository.name);
        let url = repository.url(&format!("blobs/{digest}"));
        let action = format!("copy blob {digest} from {}", repository.full_name());
        let mut request = Request::new(repository, &scopes, Method::GET, url, action);
        if !whole {
            let range = format!("bytes={}-{}", self.offset, self.offset + self.length - 1);
            request = request.header(RANGE, range.parse().expect("digits are a header value"));
        }
        let response = client.send(&request).await?;
        match (response.status(), whole) {
            (StatusCode::OK, true) | (StatusCode::PARTIAL_CONTENT, false) => {}
            (StatusCode::NOT_FOUND, _) => {
                let object = format!("blob {digest} in {}", repository.full_name());
                return Err(RegistryError::NotFound { object });
            }
            (StatusCode::OK, false) => {
                return Err(request.protocol("it sent the whole where a part was asked for"));
            }
            _ => return Err(request.unexpected(response).await),
        }
        if response.content_length().is_some_and(|length| length != self.length) {
            return Err(request.protocol("it announces another length than the blob's"));
        }
        Ok(response)
    }

    fn wrong_size(&self, actual: u64) -> RegistryError {
        RegistryError::SizeMismatch {
            object: format!("blob {}", self.blob.digest),
            expected: self.blob.size,
            actual,
        }
    }
}

/// A body as a stream that fails at its end if it is not what was expected.
fn verified(
    response: reqwest::Response,
    expected: Option<Digest>,
    sent: UnboundedSender<u64>,
) -> impl stream::Stream<Item = io::Result<Bytes>> {
    let mut hasher = Hasher::new();
    // Its upload is watched for progress, and with it this.
    let pieces = response.bytes_stream().map(Some).chain(stream::once(async { None }));
    pieces.filter_map(move |piece| {
        let checked = match piece {
            Some(Ok(bytes)) => {
                if expected.is_some() {
                    hasher.update(&bytes);
                }
                let _ = sent.send(bytes.len() as u64);
                Some(Ok(bytes))
            }
            Some(Err(error)) => Some(Err(io::Error::other(error.without_url()))),
            None => {
                let actual = std::mem::take(&mut hasher).finish();
                let wrong = expected.filter(|expected| *expected != actual);
                wrong.map(|_| Err(io::Error::other("the blob's bytes do not have its digest")))
            }
        };
        std::future::ready(checked)
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(io::Error::other(stopped)),
    }
}
