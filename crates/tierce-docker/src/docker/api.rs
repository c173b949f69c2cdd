//! The Docker Engine API, as far as building images needs it.
//!
//! bollard is the ready-made client. It is not used, for three things that pushes and builds need:
//! it encodes `X-Registry-Auth` in another alphabet than the API's (base64url), so that some
//! passwords are refused; it throws away the digest that a push ends with; and it has no way to
//! the daemon's `/grpc`, where BuildKit is.

use crate::error::ApiError;
use async_trait::async_trait;
use base64::Engine as _;
use futures::Stream;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io;
use std::path::Path;
use tierce_buildkit_client::{Connection, Dial, Endpoint};
use tierce_oci::{Digest, Platform, Reference};
use tierce_registry::Credential;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

/// The longest JSON document that is read.
const DOCUMENT: usize = 64 << 20;

/// A Docker daemon.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    endpoint: Endpoint,
}

/// What a daemon says of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Version {
    /// `28.2.2`, `20.10.24+dfsg1`.
    pub(crate) version: String,
}

impl Version {
    /// The first two numbers of the version: `(20, 10)`; what can't be read is new.
    pub(crate) fn numbers(&self) -> (u32, u32) {
        let mut parts = self.version.split(['.', '-', '+']).map(|part| part.parse().ok());
        match (parts.next().flatten(), parts.next().flatten()) {
            (Some(major), Some(minor)) => (major, minor),
            (Some(major), None) => (major, 0),
            _ => (u32::MAX, 0),
        }
    }
}

/// An image in the daemon's store.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Inspected {
    /// The digest of its configuration; in containerd's store, of its manifest or index.
    pub(crate) id: Digest,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) repo_digests: Vec<String>,
    #[serde(default)]
    pub(crate) architecture: String,
    #[serde(default)]
    pub(crate) os: String,
    #[serde(default)]
    pub(crate) variant: Option<String>,
    #[serde(default)]
    pub(crate) size: u64,
}

impl Inspected {
    pub(crate) fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().filter(|v| !v.is_empty()),
        }
    }

    /// The digest that the image has in the repository of `reference`, where it was pushed there
    /// or pulled from there.
    pub(crate) fn digest_in(&self, reference: &Reference) -> Option<Digest> {
        let in_repository = |text: &String| {
            let found: Reference = text.parse().ok()?;
            let same = found.name() == reference.name();
            found.digest().copied().filter(|_| same)
        };
        self.repo_digests.iter().find_map(in_repository)
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// One line of a push's progress.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PushLine {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) progress_detail: Option<ProgressDetail>,
    pub(crate) error: Option<String>,
    pub(crate) aux: Option<PushAux>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProgressDetail {
    pub(crate) current: u64,
    pub(crate) total: u64,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct PushAux {
    pub(crate) digest: Option<Digest>,
    pub(crate) size: u64,
}

/// What an error says.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    message: String,
}

impl Api {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Api { endpoint }
    }

    pub(crate) fn address(&self) -> String {
        self.endpoint.to_string()
    }

    /// What the daemon is. The first thing that is asked: that nothing answers shows here.
    pub(crate) async fn version(&self) -> Result<Version, ApiError> {
        self.json("/version").await
    }

    /// The image `name`; `None` where there is none.
    pub(crate) async fn inspect(&self, name: &str) -> Result<Option<Inspected>, ApiError> {
        match self.json(&format!("/images/{name}/json")).await {
            Ok(found) => Ok(Some(found)),
            Err(ApiError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the image `name` another name too.
    pub(crate) async fn tag(&self, name: &str, as_reference: &Reference) -> Result<(), ApiError> {
        let tag = as_reference.tag().unwrap_or("latest");
        let path = format!("/images/{name}/tag?repo={}&tag={tag}", as_reference.name());
        self.exchange(Method::POST, &path, &[], Bytes::new()).await.map(|_| ())
    }

    /// Takes the name away; the image too, where it has no other one.
    pub(crate) async fn untag(&self, name: &str) -> Result<(), ApiError> {
        let path = format!("/images/{name}?noprune=true");
        self.exchange(Method::DELETE, &path, &[], Bytes::new()).await.map(|_| ())
    }

    /// Pushes what is tagged `reference`.
    pub(crate) async fn push(
        &self,
        reference: &Reference,
        credential: Option<&Credential>,
    ) -> Result<impl Stream<Item = Result<PushLine, ApiError>> + use<>, ApiError> {
        let tag = reference.tag().unwrap_or("latest");
        let path = format!("/images/{}/push?tag={tag}", reference.name());
        let auth = registry_auth(reference.registry(), credential);
        let headers = [("X-Registry-Auth", auth.as_str())];
        let answer = self.exchange(Method::POST, &path, &headers, Bytes::new()).await?;
        Ok(lines(answer))
    }

    /// Writes the image `name` to `file`, as `docker save` does; gives the number of bytes.
    pub(crate) async fn save(&self, name: &str, file: &Path) -> Result<u64, ApiError> {
        let path = format!("/images/get?names={name}");
        let mut answer = self.exchange(Method::GET, &path, &[], Bytes::new()).await?;
        let of_file = |source| ApiError::File { path: file.to_owned(), source };
        let mut out = tokio::fs::File::create(file).await.map_err(of_file)?;
        let mut written = 0;
        while let Some(frame) = answer.body.frame().await {
            let frame = frame.map_err(|e| self.broken(e))?;
            let Ok(data) = frame.into_data() else { continue };
            written += data.len() as u64;
            out.write_all(&data).await.map_err(of_file)?;
        }
        out.sync_all().await.map_err(of_file)?;
        Ok(written)
    }

    async fn json<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        let answer = self.exchange(Method::GET, path, &[], Bytes::new()).await?;
        let bytes = self.document(answer).await?;
        serde_json::from_slice(&bytes)
            .map_err(|source| ApiError::Malformed { request: path.to_owned(), source })
    }

    async fn document(&self, answer: Answer) -> Result<Bytes, ApiError> {
        let body = http_body_util::Limited::new(answer.body, DOCUMENT);
        let body = body.collect().await.map_err(|e| self.broken(e))?;
        Ok(body.to_bytes())
    }

    /// Sends one request on a connection of its own; gives answers that are no errors.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, ApiError> {
        let mut request = Request::builder().method(method).uri(path).header("Host", "docker");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|e| self.broken(e))?;
        let what = format!("{} {}", request.method(), strip_query(request.uri()));
        let answer = self.send(request).await?;
        if answer.status.is_success() || answer.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(answer);
        }
        let status = answer.status.as_u16();
        let body = self.document(answer).await?;
        let message = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(error) => error.message,
            Err(_) => String::from_utf8_lossy(&body).trim().to_owned(),
        };
        Err(ApiError::Refused { request: what, status, message })
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, ApiError> {
        let connect = |source| ApiError::Connect { address: self.address(), source };
        let connection = self.endpoint.open(&[b"http/1.1"]).await.map_err(connect)?;
        let io = TokioIo::new(connection);
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(io).await.map_err(|e| self.broken(e))?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _ = driver.with_upgrades().await;
        });
        let response = sender.send_request(request).await.map_err(|e| self.broken(e))?;
        Ok(Answer::new(response, task))
    }

    fn broken(&self, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ApiError {
        ApiError::Broken { address: self.address(), source: error.into() }
    }
}

/// An answer, and the task that its body comes through; dropping it closes the connection, by
/// which the daemon knows that nobody waits any more.
struct Answer {
    status: StatusCode,
    upgrade: hyper::upgrade::OnUpgrade,
    body: Incoming,
    task: JoinSet<()>,
}

impl Answer {
    fn new(mut response: Response<Incoming>, task: JoinSet<()>) -> Self {
        let upgrade = hyper::upgrade::on(&mut response);
        Answer { status: response.status(), upgrade, body: response.into_body(), task }
    }
}

/// The JSON documents of a stream, one a line.
fn lines<T: DeserializeOwned>(answer: Answer) -> impl Stream<Item = Result<T, ApiError>> {
    let state = (answer, Vec::new());
    futures::stream::try_unfold(state, |(mut answer, mut buffer)| async move {
        loop {
            if let Some(end) = buffer.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let value = serde_json::from_slice(&line).map_err(|source| {
                    ApiError::Malformed { request: "the progress".to_owned(), source }
                })?;
                return Ok(Some((value, (answer, buffer))));
            }
            let broken = |e: hyper::Error| ApiError::Broken {
                address: "the daemon".to_owned(),
                source: e.into(),
            };
            match answer.body.frame().await.transpose().map_err(broken)? {
                Some(frame) => {
                    if let Ok(data) = frame.into_data() {
                        buffer.extend_from_slice(&data);
                    }
                }
                // The last line may have no end.
                None if !buffer.is_empty() => buffer.push(b'\n'),
                None => return Ok(None),
            }
            if buffer.len() > DOCUMENT {
                return Ok(None);
            }
        }
    })
}

fn strip_query(uri: &Uri) -> &str {
    uri.path()
}

/// The header that a push carries: JSON in base64url (Engine API, "Authentication").
fn registry_auth(registry: &str, credential: Option<&Credential>) -> String {
    let server = match registry {
        "docker.io" => "https://index.docker.io/v1/",
        other => other,
    };
    let document = match credential {
        Some(Credential::Basic { user, password }) => serde_json::json!({
            "username": user, "password": password.expose(), "serveraddress": server,
        }),
        Some(Credential::IdentityToken(token)) => serde_json::json!({
            "identitytoken": token.expose(), "serveraddress": server,
        }),
        Some(Credential::BearerToken(token)) => serde_json::json!({
            "registrytoken": token.expose(), "serveraddress": server,
        }),
        None => serde_json::json!({}),
    };
    base64::engine::general_purpose::URL_SAFE.encode(document.to_string())
}

/// The way to the BuildKit inside the daemon: `POST /grpc`, upgraded to HTTP/2.
#[async_trait]
impl Dial for Api {
    async fn dial(&self) -> io::Result<Connection> {
        let headers = [("Connection", "Upgrade"), ("Upgrade", "h2c")];
        let answer = self.exchange(Method::POST, "/grpc", &headers, Bytes::new()).await;
        let answer = answer.map_err(|error| match error {
            ApiError::Connect { source, .. } => source,
            other => io::Error::new(io::ErrorKind::Unsupported, other),
        })?;
        if answer.status != StatusCode::SWITCHING_PROTOCOLS {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        let upgraded = answer.upgrade.await.map_err(io::Error::other)?;
        // The connection is ours now; the task that brought it is done.
        let mut task = answer.task;
        task.detach_all();
        Ok(Box::new(TokioIo::new(upgraded)))
    }

    fn address(&self) -> String {
        self.endpoint.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_registry::Secret;

    #[test]
    fn versions() {
        for (text, numbers) in [
            ("20.10.24+dfsg1", (20, 10)),
            ("28.2.2", (28, 2)),
            ("29-rc.1", (29, 0)),
            ("dev", (u32::MAX, 0)),
        ] {
            let version = Version { version: text.into() };
            assert_eq!(version.numbers(), numbers, "{text}");
        }
    }

    #[test]
    fn credentials_are_in_the_alphabet_of_the_api() {
        let password = Secret::new("\u{fb}\u{ff}~~~???>>>");
        let credential = Credential::Basic { user: "me".into(), password };
        let header = registry_auth("docker.io", Some(&credential));
        assert!(!header.contains(['+', '/']), "{header}");
        let document = base64::engine::general_purpose::URL_SAFE.decode(header).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        assert_eq!(document["username"], "me");
        assert_eq!(document["serveraddress"], "https://index.docker.io/v1/");
        assert_eq!(registry_auth("x", None), "e30=");
    }
}
