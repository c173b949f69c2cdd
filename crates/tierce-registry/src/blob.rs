//! Blobs: looking and reading.

use crate::RegistryError;
use crate::client::Client;
use crate::manifest::read;
use crate::request::{Repository, Request};
use crate::scope::Scopes;
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, HeaderMap};
use reqwest::{Method, Response, StatusCode};
use std::fmt;
use std::path::Path;
use tierce_fetch::{Download, FetchError, Retry, Source, download_from};
use tierce_oci::{Descriptor, Digest, Reference};

impl Client {
    /// The size of a blob, or `None` where the repository has no such blob.
    pub async fn blob_exists(
        &self,
        repository: &Reference,
        digest: &Digest,
    ) -> Result<Option<u64>, RegistryError> {
        let repository = self.repository(repository)?;
        let scopes = Scopes::pull(&repository.name);
        self.look_for_blob(&repository, &scopes, digest).await
    }

    /// As [`blob_exists`](Self::blob_exists), with a token of the caller's choice.
    pub(crate) async fn look_for_blob(
        &self,
        repository: &Repository,
        scopes: &Scopes,
        digest: &Digest,
    ) -> Result<Option<u64>, RegistryError> {
        let url = repository.url(&format!("blobs/{digest}"));
        let action = format!("look for {}", object(repository, digest));
        let request = Request::new(repository, scopes, Method::HEAD, url, action);
        let response = self.send(&request).await?;
        match response.status() {
            StatusCode::OK => {
                let length = response.headers().get(CONTENT_LENGTH);
                let length = length.and_then(|v| v.to_str().ok()?.trim().parse().ok());
                Ok(Some(length.unwrap_or_default()))
            }
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(request.unexpected(response).await),
        }
    }

    /// Downloads a blob to `dest`, a path that belongs to the caller. Resumes where the
    /// connection breaks, and follows redirects to object storage without the credential.
    ///
    /// `on_bytes` hears how many bytes are there by now. When this returns `Ok` the file has the
    /// descriptor's size and digest; otherwise it is empty or gone.
    pub async fn download_blob(
        &self,
        repository: &Reference,
        descriptor: &Descriptor,
        dest: &Path,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), RegistryError> {
        let mut places = self.places(repository)?;
        loop {
            let (client, repository) = places.current();
            match client.download_at(repository, descriptor, dest, on_bytes).await {
                Ok(()) => return Ok(()),
                Err(error) => places.failed(error)?,
            }
        }
    }

    async fn download_at(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
        dest: &Path,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), RegistryError> {
        let scopes = Scopes::pull(&repository.name);
        let source = BlobDownload { client: self, repository, scopes, descriptor };
        let item = Download {
            url: repository.url(&format!("blobs/{}", descriptor.digest)),
            digest: Some(descriptor.digest),
            size: Some(descriptor.size),
        };
        let done = download_from(&source, &self.retry(), &item, dest, on_bytes).await;
        done.map_err(|error| match error {
            BlobError::Registry(error) => error,
            BlobError::Transfer(error) => {
                let object = object(repository, &descriptor.digest);
                RegistryError::of_download(error, repository.registry(), object)
            }
        })
    }

    /// A small blob, into memory; the caller has looked at the descriptor's size.
    pub(crate) async fn read_blob(
        &self,
        repository: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Bytes, RegistryError> {
        let mut places = self.places(repository)?;
        loop {
            let (client, repository) = places.current();
            match client.read_at(repository, descriptor).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => places.failed(error)?,
            }
        }
    }

    async fn read_at(
        &self,
        repository: &Repository,
        descriptor: &Descriptor,
    ) -> Result<Bytes, RegistryError> {
        let scopes = Scopes::pull(&repository.name);
        let source = BlobDownload { client: self, repository, scopes, descriptor };
        let request = source.request();
        let limit = descriptor.size as usize;
        let bytes = self
            .retrying(|| async {
                let response = source.get_whole(&request).await?;
                read(response, limit, &self.retry()).await.map_err(|source| request.broken(source))
            })
            .await?;
        let object = object(repository, &descriptor.digest);
        let wrong_size = |actual: usize| RegistryError::SizeMismatch {
            object: object.clone(),
            expected: descriptor.size,
            actual: actual as u64,
        };
        let bytes = bytes.map_err(wrong_size)?;
        if bytes.len() != limit {
            return Err(wrong_size(bytes.len()));
        }
        let (actual, expected) = (Digest::of(&bytes), descriptor.digest);
        match actual == expected {
            true => Ok(bytes),
            false => Err(RegistryError::DigestMismatch { object, expected, actual }),
        }
    }
}

pub(crate) fn object(repository: &Repository, digest: &Digest) -> String {
    format!("blob {digest} in {}", repository.full_name())
}

struct BlobDownload<'a> {
    client: &'a Client,
    repository: &'a Repository,
    scopes: Scopes,
    descriptor: &'a Descriptor,
}

impl BlobDownload<'_> {
    fn request(&self) -> Request<'_> {
        let url = self.repository.url(&format!("blobs/{}", self.descriptor.digest));
        let action = format!("download {}", object(self.repository, &self.descriptor.digest));
        Request::new(self.repository, &self.scopes, Method::GET, url, action)
    }

    async fn get_whole(&self, request: &Request<'_>) -> Result<Response, RegistryError> {
        let response = self.client.send_once(request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Err(RegistryError::NotFound {
                object: object(self.repository, &self.descriptor.digest),
            }),
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            status if status.is_success() => Ok(response),
            _ => Err(request.unexpected(response).await),
        }
    }
}

impl Source for BlobDownload<'_> {
    type Error = BlobError;

    async fn get(&self, headers: HeaderMap) -> Result<Response, BlobError> {
        let mut request = self.request();
        request.headers = headers;
        Ok(self.get_whole(&request).await?)
    }

    fn retry(error: &BlobError) -> Retry {
        match error {
            BlobError::Registry(error) => error.retry(),
            BlobError::Transfer(error) => error.retry(),
        }
    }
}

/// A download's error before it is known which blob it is about.
enum BlobError {
    Registry(RegistryError),
    Transfer(FetchError),
}

impl From<RegistryError> for BlobError {
    fn from(error: RegistryError) -> Self {
        BlobError::Registry(error)
    }
}

impl From<FetchError> for BlobError {
    fn from(error: FetchError) -> Self {
        BlobError::Transfer(error)
    }
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobError::Registry(error) => error.fmt(f),
            BlobError::Transfer(error) => error.fmt(f),
        }
    }
}
