//! Manifests and indexes: looking, reading, writing; and the tags of a repository.

use crate::RegistryError;
use crate::client::Client;
use crate::error::ImageProblem;
use crate::payload::Payload;
use crate::request::{Repository, Request};
use crate::scope::Scopes;
use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LINK};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;
use tierce_fetch::{RetryPolicy, TransportError};
use tierce_oci::{
    Descriptor, Digest, MAX_MANIFEST_SIZE, ManifestError, MediaType, Reference, Selector,
};

/// Every type of document that tierce understands. Registries convert or refuse what is not asked
/// for.
const ACCEPTED: HeaderValue = HeaderValue::from_static(
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json",
);

const CONTENT_DIGEST: &str = "docker-content-digest";

/// How much of a list of tags is read.
const MAX_TAG_PAGE: usize = 4 * 1024 * 1024;
const MAX_TAG_PAGES: usize = 1000;

impl Client {
    /// Whether there is such an image, in one request where the registry asks for no
    /// authentication (distribution specification, "Checking if content exists in the registry").
    /// Mirrors are not asked: what they do not have may be there, and what they still have not.
    pub async fn head_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, RegistryError> {
        self.head_manifest_at(&self.repository(reference)?, reference).await
    }

    /// What the reference is, to whoever pulls it: as the first of its mirrors has it, or else
    /// the registry itself.
    pub async fn locate_manifest(
        &self,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, RegistryError> {
        let mut places = self.places(reference)?;
        loop {
            let (client, repository) = places.current();
            let absent = || RegistryError::NotFound { object: format!("image {reference}") };
            let found = client.head_manifest_at(repository, reference).await;
            let error = match found {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => absent(),
                Err(error) => error,
            };
            match places.failed(error) {
                Err(RegistryError::NotFound { .. }) => return Ok(None),
                other => other?,
            }
        }
    }

    async fn head_manifest_at(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, RegistryError> {
        let scopes = Scopes::pull(&repository.name);
        let request = manifest_request(repository, &scopes, Method::HEAD, reference, "look for");
        let response = self.send(&request).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Ok(None),
            // Not every registry (or proxy before one) knows HEAD; the bytes say it all too.
            StatusCode::METHOD_NOT_ALLOWED => {
                return self.find_manifest(repository, reference).await;
            }
            _ => return Err(request.unexpected(response).await),
        }
        let headers = response.headers();
        let digest = match (content_digest(headers), reference.digest()) {
            (Some(actual), Some(expected)) if actual != *expected => {
                return Err(mismatch(reference, *expected, actual));
            }
            (Some(digest), _) => Some(digest),
            (None, asked) => asked.copied(),
        };
        match (media_type(headers), digest, content_length(headers)) {
            (Some(media_type), Some(digest), Some(size)) => {
                Ok(Some(Descriptor::new(media_type, digest, size)))
            }
            _ => self.find_manifest(repository, reference).await,
        }
    }

    async fn find_manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<Option<Descriptor>, RegistryError> {
        match self.manifest_at(repository, reference).await {
            Ok((descriptor, _)) => Ok(Some(descriptor)),
            Err(RegistryError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A manifest or index, its bytes checked against every digest that is known of it.
    pub async fn manifest(
        &self,
        reference: &Reference,
    ) -> Result<(Descriptor, Bytes), RegistryError> {
        let mut places = self.places(reference)?;
        loop {
            let (client, repository) = places.current();
            match client.manifest_at(repository, reference).await {
                Ok(found) => return Ok(found),
                Err(error) => places.failed(error)?,
            }
        }
    }

    async fn manifest_at(
        &self,
        repository: &Repository,
        reference: &Reference,
    ) -> Result<(Descriptor, Bytes), RegistryError> {
        let scopes = Scopes::pull(&repository.name);
        let request = manifest_request(repository, &scopes, Method::GET, reference, "read");
        let (headers, bytes) = self.retrying(|| self.document(&request, reference)).await?;
        let actual = Digest::of(&bytes);
        let promises = [reference.digest().copied(), content_digest(&headers)];
        if let Some(expected) = promises.into_iter().flatten().find(|p| *p != actual) {
            return Err(mismatch(reference, expected, actual));
        }
        let media_type = media_type(&headers)
            .filter(|m| m.is_index() || m.is_manifest())
            .or_else(|| own_media_type(&bytes))
            .ok_or_else(|| request.protocol("it does not say of what type the manifest is"))?;
        Ok((Descriptor::new(media_type, actual, bytes.len() as u64), bytes))
    }

    async fn document(
        &self,
        request: &Request<'_>,
        reference: &Reference,
    ) -> Result<(HeaderMap, Bytes), RegistryError> {
        let response = self.send_once(request).await?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => {
                return Err(RegistryError::NotFound { object: format!("image {reference}") });
            }
            _ => return Err(request.unexpected(response).await),
        }
        let headers = response.headers().clone();
        match read(response, MAX_MANIFEST_SIZE, &self.retry()).await {
            Ok(Ok(bytes)) => Ok((headers, bytes)),
            Ok(Err(too_large)) => Err(RegistryError::Image {
                reference: reference.to_string(),
                source: ImageProblem::Manifest(ManifestError::TooLarge(too_large)),
            }),
            Err(error) => Err(request.broken(error)),
        }
    }

    /// Stores a manifest or index under the reference's tag or digest.
    pub(crate) async fn put_manifest(
        &self,
        repository: &Repository,
        selector: Selector<'_>,
        descriptor: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let scopes = Scopes::push(&repository.name);
        let url = repository.url(&format!("manifests/{selector}"));
        let action = format!("push {selector} to {}", repository.full_name());
        let content_type = descriptor.media_type.as_str().parse();
        let request = Request::new(repository, &scopes, Method::PUT, url, action)
            .payload(Payload::Document(bytes.clone()));
        let Ok(content_type) = content_type else {
            return Err(request.protocol("the manifest's type is not a media type"));
        };
        let request = request.header(CONTENT_TYPE, content_type);
        let response = self.send(&request).await?;
        // 201 is what the specification asks for; some answer with other successes.
        if !response.status().is_success() {
            return Err(request.unexpected(response).await);
        }
        match content_digest(response.headers()) {
            Some(actual) if actual != descriptor.digest => Err(RegistryError::DigestMismatch {
                object: format!("{selector} as {} stored it", repository.full_name()),
                expected: descriptor.digest,
                actual,
            }),
            _ => Ok(()),
        }
    }

    /// The repository's tags, in the registry's order (distribution specification, "Listing
    /// Tags").
    pub async fn tags(&self, repository: &Reference) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let repository = self.repository(repository)?;
        let scopes = Scopes::pull(&repository.name);
        let action = format!("list the tags of {}", repository.full_name());
        let mut url = repository.url("tags/list");
        let mut tags = vec![];
        for _ in 0..MAX_TAG_PAGES {
            let request =
                Request::new(&repository, &scopes, Method::GET, url.clone(), action.clone());
            let response = self.send(&request).await?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => {
                    let object = format!("repository {}", repository.full_name());
                    return Err(RegistryError::NotFound { object });
                }
                _ => return Err(request.unexpected(response).await),
            }
            let next = next_page(response.headers())
                .and_then(|target| repository.endpoint.location(&url, &target))
                .filter(|next| repository.endpoint.owns(next));
            let page = match read(response, MAX_TAG_PAGE, &self.retry()).await {
                Ok(Ok(bytes)) => serde_json::from_slice::<Page>(&bytes).ok(),
                Ok(Err(_)) => None,
                Err(error) => return Err(request.broken(error)),
            };
            let page = page.ok_or_else(|| request.protocol("its list of tags is not one"))?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) if next != url => url = next,
                _ => break,
            }
        }
        Ok(tags)
    }

    /// Deletes the manifest or the tag that `reference` picks (distribution specification,
    /// "Content Management").
    pub async fn delete_manifest(&self, reference: &Reference) -> Result<(), RegistryError> {
        let repository = self.repository(reference)?;
        let scopes = Scopes::delete(&repository.name);
        let request = manifest_request(&repository, &scopes, Method::DELETE, reference, "delete");
        let response = self.send(&request).await?;
        match response.status() {
            StatusCode::NOT_FOUND => {
                Err(RegistryError::NotFound { object: format!("image {reference}") })
            }
            status if status.is_success() => Ok(()),
            _ => Err(request.unexpected(response).await),
        }
    }
}

fn manifest_request<'a>(
    repository: &'a Repository,
    scopes: &'a Scopes,
    method: Method,
    reference: &Reference,
    verb: &str,
) -> Request<'a> {
    let url = repository.url(&format!("manifests/{}", reference.selector()));
    Request::new(repository, scopes, method, url, format!("{verb} image {reference}"))
        .header(ACCEPT, ACCEPTED)
}

/// At most `limit` bytes of a body; the inner error is how many there are at least.
pub(crate) async fn read(
    mut response: Response,
    limit: usize,
    retry: &RetryPolicy,
) -> Result<Result<Bytes, usize>, TransportError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = retry.timely(response.chunk()).await? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            return Ok(Err(body.len()));
        }
    }
    Ok(Ok(body.freeze()))
}

fn mismatch(reference: &Reference, expected: Digest, actual: Digest) -> RegistryError {
    RegistryError::DigestMismatch { object: format!("image {reference}"), expected, actual }
}

/// The digest that a registry says, where it is one that can be checked.
pub(crate) fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.trim().parse().ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn media_type(headers: &HeaderMap) -> Option<MediaType> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(MediaType::from(text.split(';').next()?.trim()))
}

/// What the document says that it is, for registries that serve it as plain JSON.
fn own_media_type(bytes: &[u8]) -> Option<MediaType> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        media_type: MediaType,
    }
    let typed: Typed = serde_json::from_slice(bytes).ok()?;
    Some(typed.media_type)
}

/// The target of `Link: <target>; rel="next"` (RFC 8288).
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (target, params) = link.trim().strip_prefix('<')?.split_once('>')?;
    params.contains("next").then(|| target.to_owned())
}
