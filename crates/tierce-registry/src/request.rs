//! One request: authorised, counted, repeated.

use crate::challenge::Challenge;
use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::Complaint;
use crate::payload::Payload;
use crate::scope::Scopes;
use crate::{Identity, RegistryError};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use tierce_fetch::TransportError;
use url::Url;

/// A repository and the registry it is in.
#[derive(Clone, Debug)]
pub(crate) struct Repository {
    pub(crate) endpoint: Endpoint,
    pub(crate) name: String,
}

impl Repository {
    pub(crate) fn registry(&self) -> &str {
        &self.endpoint.registry
    }

    pub(crate) fn url(&self, rest: &str) -> Url {
        self.endpoint.url(&self.name, rest)
    }

    pub(crate) fn full_name(&self) -> String {
        format!("{}/{}", self.endpoint.registry, self.name)
    }

    pub(crate) fn denied(&self, identity: Identity, message: Option<String>) -> RegistryError {
        RegistryError::Denied {
            registry: self.registry().to_owned(),
            repository: self.name.clone(),
            identity,
            message,
        }
    }
}

/// A request to a repository, to be sent as often as needed.
pub(crate) struct Request<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) scopes: &'a Scopes,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
    /// What is tried, for errors: "push blob x to y".
    pub(crate) action: String,
}

impl<'a> Request<'a> {
    pub(crate) fn new(
        repository: &'a Repository,
        scopes: &'a Scopes,
        method: Method,
        url: Url,
        action: impl Into<String>,
    ) -> Self {
        Request {
            repository,
            scopes,
            method,
            url,
            headers: HeaderMap::new(),
            payload: Payload::Empty,
            action: action.into(),
        }
    }

    pub(crate) fn header(
        mut self,
        name: impl reqwest::header::IntoHeaderName,
        value: HeaderValue,
    ) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The error for an answer that is not one of those expected.
    pub(crate) async fn unexpected(&self, response: Response) -> RegistryError {
        let status = response.status();
        let Complaint { code, message, retry_after } = Complaint::of(response).await;
        let registry = self.repository.registry().to_owned();
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                RegistryError::RateLimited { registry, retry_after, message }
            }
            _ => {
                let action = self.action.clone();
                RegistryError::Answer { action, registry, status, code, message, retry_after }
            }
        }
    }

    pub(crate) fn broken(&self, source: TransportError) -> RegistryError {
        RegistryError::Unreachable { registry: self.repository.registry().to_owned(), source }
    }

    pub(crate) fn protocol(&self, problem: &'static str) -> RegistryError {
        RegistryError::Protocol {
            action: self.action.clone(),
            registry: self.repository.registry().to_owned(),
            problem,
        }
    }
}

impl Client {
    /// Repeats `operation` as the retry policy says.
    pub(crate) async fn retrying<T, F>(
        &self,
        mut operation: impl FnMut() -> F,
    ) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, RegistryError>>,
    {
        let mut failures = 0;
        loop {
            let error = match operation().await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            failures += 1;
            tracing::debug!(failures, %error, "registry request failed");
            if !self.retry().pause(failures, error.retry()).await {
                return Err(error);
            }
        }
    }

    /// Sends a request until it gets an answer that another attempt would not change.
    pub(crate) async fn send(&self, request: &Request<'_>) -> Result<Response, RegistryError> {
        self.retrying(|| self.send_once(request)).await
    }

    /// Sends a request once, and once more where the registry asks for authentication or a
    /// token has expired. 401 and 403 are errors, and so is what may pass (429, 5xx, ...);
    /// other answers are the caller's to judge.
    pub(crate) async fn send_once(&self, request: &Request<'_>) -> Result<Response, RegistryError> {
        let trusted = request.repository.endpoint.owns(&request.url);
        let authorization = match trusted {
            true => self.authorization(request.repository, request.scopes).await?,
            false => None,
        };
        let response = self.execute(request, authorization.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !trusted {
            return self.judge(request, response).await;
        }
        // After a redirect it is not the registry that asks: it is not to be told anything.
        let asker_is_registry = request.repository.endpoint.owns(response.url());
        let Some(challenge) = Challenge::of(response.headers()).filter(|_| asker_is_registry)
        else {
            return self.judge(request, response).await;
        };
        let message = Complaint::of(response).await.message;
        let fresh = self
            .authenticate(request.repository, request.scopes, challenge, authorization.as_ref())
            .await?;
        match fresh {
            Some(authorization) => {
                let response = self.execute(request, Some(&authorization)).await?;
                self.judge(request, response).await
            }
            None => {
                let identity = self.identity(request.repository).await;
                Err(request.repository.denied(identity, message))
            }
        }
    }

    async fn judge(
        &self,
        request: &Request<'_>,
        response: Response,
    ) -> Result<Response, RegistryError> {
        match response.status() {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let message = Complaint::of(response).await.message;
                let identity = self.identity(request.repository).await;
                Err(request.repository.denied(identity, message))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Err(request.unexpected(response).await)
            }
            status if status.is_server_error() => Err(request.unexpected(response).await),
            _ => Ok(response),
        }
    }

    async fn execute(
        &self,
        request: &Request<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut headers = request.headers.clone();
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        // An open body must not wait: it is opened when all else is ready.
        let http = self.http(request.repository.registry());
        let mut builder = http.request(request.method.clone(), request.url.clone());
        match request.payload.length() {
            Some(length) => {
                headers.insert(CONTENT_LENGTH, length.into());
                builder = builder.body(self.open(&request.payload).await?);
            }
            // Some servers insist on a length for requests that could have a body.
            None if matches!(request.method, Method::POST | Method::PUT) => {
                headers.insert(CONTENT_LENGTH, 0.into());
            }
            None => {}
        }
        self.count();
        tracing::trace!(method = %request.method, url = %tierce_fetch::Redacted(&request.url), "request");
        let response = builder.headers(headers).send();
        match request.payload {
            // A long body takes its time: whoever sends it watches it move.
            Payload::Part { .. } => response.await.map_err(TransportError::from),
            Payload::Empty | Payload::Document(_) => self.retry().timely(response).await,
        }
        .map_err(|source| request.broken(source))
    }
}
