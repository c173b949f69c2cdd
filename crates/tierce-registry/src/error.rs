//! What can go wrong with a registry.

use crate::CredentialError;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tierce_fetch::{FetchError, Retry, Transport, TransportError, retry_after};
use tierce_oci::{Diagnostic, Digest, ErrorKind, ManifestError, Platform};
use tokio::time::timeout;

/// Who a registry was told asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// Nobody in particular.
    Anonymous,
    /// A user.
    User(String),
    /// The holder of a token.
    Token,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Anonymous => f.write_str("anonymously"),
            Identity::User(user) => write!(f, "as user {user}"),
            Identity::Token => f.write_str("with a token"),
        }
    }
}

/// Why an image can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageProblem {
    /// Its manifest or index is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Its configuration is wrong.
    #[error("its configuration is not valid JSON of its type")]
    Config(#[from] serde_json::Error),
    /// Its configuration is larger than any manifest may be.
    #[error("its configuration of {0} bytes is too large")]
    ConfigSize(u64),
    /// Manifest and configuration contradict each other.
    #[error("its manifest has {layers} layers and its configuration {diff_ids}")]
    Layers {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
    /// It is something else than an image.
    #[error("it is of type {0:?}, which is not an image")]
    NotAnImage(String),
}

/// Why a registry operation failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry part of a reference is no address.
    #[error("{registry:?} is not the address of a registry")]
    BadAddress {
        /// The registry.
        registry: String,
    },
    /// The registry or its token server says no.
    #[error("{registry} denied access to {repository} {identity}{}", colon(.message))]
    Denied {
        /// The registry.
        registry: String,
        /// The repository.
        repository: String,
        /// Who asked.
        identity: Identity,
        /// What the registry said.
        message: Option<String>,
    },
    /// Credentials could not be looked up.
    #[error("can't look up credentials for {registry}")]
    Credentials {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<CredentialError>,
    },
    /// The registry wants its credentials to be sent unencrypted to another host.
    #[error("{registry} wants credentials to be sent to {realm}, which is not encrypted")]
    InsecureRealm {
        /// The registry.
        registry: String,
        /// The token server.
        realm: String,
    },
    /// There is no such manifest, blob or repository.
    #[error("{object} does not exist")]
    NotFound {
        /// What.
        object: String,
    },
    /// Too many requests.
    #[error("{registry} limits requests{}", colon(.message))]
    RateLimited {
        /// The registry.
        registry: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
        /// What it said.
        message: Option<String>,
    },
    /// No complete answer.
    #[error("can't reach {registry}")]
    Unreachable {
        /// The registry.
        registry: String,
        /// What happened to the connection.
        source: TransportError,
    },
    /// An answer that was not expected.
    #[error("can't {action}: {registry} answered {status}{}", colon(.message))]
    Answer {
        /// What was tried.
        action: String,
        /// The registry.
        registry: String,
        /// The answer.
        status: StatusCode,
        /// The first of the specification's error codes in it.
        code: Option<String>,
        /// What it said.
        message: Option<String>,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// An answer that breaks the specification.
    #[error("can't {action}: {registry} breaks the protocol: {problem}")]
    Protocol {
        /// What was tried.
        action: String,
        /// The registry.
        registry: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// Other bytes than asked for.
    #[error("{object} has digest {actual}, expected {expected}")]
    DigestMismatch {
        /// What.
        object: String,
        /// The promise.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// More or fewer bytes than asked for.
    #[error("{object} has {actual} bytes, expected {expected}")]
    SizeMismatch {
        /// What.
        object: String,
        /// The promise.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// The image is there but unusable.
    #[error("{reference} is not a usable image")]
    Image {
        /// The image.
        reference: String,
        /// Why.
        source: ImageProblem,
    },
    /// The image is not there for the platform.
    #[error("{reference} is not available for {wanted}, only for {}", list(.available))]
    NoPlatform {
        /// The image.
        reference: String,
        /// What was asked for.
        wanted: Platform,
        /// What there is.
        available: Vec<Platform>,
    },
    /// The artifact to push has a root or an index that leads to a document it does not hold.
    #[error("the image to push lacks its manifest {digest}")]
    Incomplete {
        /// The document.
        digest: Digest,
    },
    /// The reference to push to has another digest than the image.
    #[error("can't push an image with digest {actual} as {expected}")]
    WrongDigest {
        /// In the reference.
        expected: Digest,
        /// The image's.
        actual: Digest,
    },
    /// Neither the mirrors nor, where it was asked at all, the registry itself.
    #[error("can't pull {reference}, nor did its mirrors help ({mirrors})")]
    Mirrors {
        /// The image.
        reference: String,
        /// The mirrors, each with what was wrong.
        mirrors: String,
        /// What was wrong with the last that was asked.
        source: Box<RegistryError>,
    },
    /// A file could not be read or written.
    #[error("can't access {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn colon(message: &Option<String>) -> String {
    message.as_ref().map(|m| format!(": {m}")).unwrap_or_default()
}

fn list(platforms: &[Platform]) -> String {
    match platforms {
        [] => "no platform that it names".to_owned(),
        all => all.iter().map(Platform::to_string).collect::<Vec<_>>().join(", "),
    }
}

impl RegistryError {
    /// Whether the same request may work in a while.
    pub(crate) fn retry(&self) -> Retry {
        match self {
            RegistryError::Unreachable { source, .. } => source.retry(),
            RegistryError::RateLimited { retry_after, .. } => {
                retry_after.map_or(Retry::Backoff, Retry::After)
            }
            RegistryError::Answer { status, retry_after, .. } => {
                match (Retry::of_status(*status, &Default::default()), retry_after) {
                    (Retry::Backoff, Some(wait)) => Retry::After(*wait),
                    (retry, _) => retry,
                }
            }
            _ => Retry::Never,
        }
    }

    /// Whether the registry says that blobs of a manifest are not there.
    pub(crate) fn is_blob_unknown(&self) -> bool {
        matches!(self, RegistryError::Answer { code: Some(code), .. }
            if matches!(code.as_str(), "MANIFEST_BLOB_UNKNOWN" | "BLOB_UNKNOWN"))
    }

    /// An error of [`tierce_fetch::download_from`] about `object` of `registry`.
    pub(crate) fn of_download(error: FetchError, registry: &str, object: String) -> Self {
        let protocol = |problem| RegistryError::Protocol {
            action: format!("download {object}"),
            registry: registry.to_owned(),
            problem,
        };
        match error {
            FetchError::Transport { source, .. } => {
                RegistryError::Unreachable { registry: registry.to_owned(), source }
            }
            FetchError::SizeMismatch { expected, actual, .. } => {
                RegistryError::SizeMismatch { object, expected, actual }
            }
            FetchError::DigestMismatch { expected, actual, .. } => {
                RegistryError::DigestMismatch { object, expected, actual }
            }
            FetchError::Write { path, source } => RegistryError::File { path, source },
            FetchError::Status { .. } => protocol("it sent a part where the whole was asked for"),
            FetchError::Scheme { .. } | FetchError::TooLarge { .. } | FetchError::Read { .. } => {
                protocol("the answer makes no sense")
            }
        }
    }
}

impl Diagnostic for RegistryError {
    fn code(&self) -> &'static str {
        match self {
            RegistryError::BadAddress { .. } => "registry/address",
            RegistryError::Denied { .. } => "registry/denied",
            RegistryError::Credentials { .. } => "registry/credentials",
            RegistryError::InsecureRealm { .. } => "registry/insecure",
            RegistryError::NotFound { .. } => "registry/not-found",
            RegistryError::RateLimited { .. } => "registry/rate-limited",
            RegistryError::Unreachable { source, .. } if source.kind() == Transport::Tls => {
                "registry/tls"
            }
            RegistryError::Unreachable { .. } => "registry/unreachable",
            RegistryError::Answer { status, .. } if status.is_server_error() => {
                "registry/unreachable"
            }
            RegistryError::Answer { code: Some(code), .. } if code == "DIGEST_INVALID" => {
                "registry/digest-mismatch"
            }
            RegistryError::Answer { .. } | RegistryError::Protocol { .. } => "registry/protocol",
            RegistryError::DigestMismatch { .. } | RegistryError::SizeMismatch { .. } => {
                "registry/digest-mismatch"
            }
            RegistryError::Image { .. } => "registry/image",
            RegistryError::NoPlatform { .. } => "registry/no-platform",
            RegistryError::Incomplete { .. } => "registry/incomplete",
            RegistryError::WrongDigest { .. } => "registry/wrong-digest",
            RegistryError::Mirrors { source, .. } => source.code(),
            RegistryError::File { .. } => "registry/file",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            RegistryError::BadAddress { .. }
            | RegistryError::NoPlatform { .. }
            | RegistryError::WrongDigest { .. } => ErrorKind::User,
            RegistryError::Credentials { .. } | RegistryError::File { .. } => {
                ErrorKind::Environment
            }
            RegistryError::Incomplete { .. } => ErrorKind::Bug,
            RegistryError::Mirrors { source, .. } => source.kind(),
            _ => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            RegistryError::Denied { registry, identity, .. } => match identity {
                Identity::Anonymous => format!("Log in first: `docker login {registry}`."),
                _ => format!(
                    "Check that this account may do so, or log in as another: \
                     `docker login {registry}`."
                ),
            },
            RegistryError::Credentials { source, .. } => match **source {
                CredentialError::HelperMissing { .. } => {
                    "Install the helper, or remove it from the Docker configuration.".to_owned()
                }
                CredentialError::Inline { .. } => {
                    "Give the image's registry secret one of these two values.".to_owned()
                }
                _ => {
                    "Fix the Docker configuration, or move it away to go on anonymously.".to_owned()
                }
            },
            RegistryError::RateLimited { registry, .. } => {
                format!("Wait, or log in for a higher limit: `docker login {registry}`.")
            }
            RegistryError::Unreachable { registry, source } => match source.kind() {
                Transport::Tls => format!(
                    "Where {registry} has a certificate of a private authority, name a file \
                     with that as `ca` of [registries.\"{registry}\"] in the configuration, or in \
                     SSL_CERT_FILE; where it wants one of yours, name it as `client-cert`; where \
                     it speaks plain HTTP, set `insecure = true`."
                ),
                _ => "Check the registry's name, the network, and HTTPS_PROXY and NO_PROXY where \
                      there is a proxy."
                    .to_owned(),
            },
            RegistryError::NoPlatform { .. } => {
                "Ask for one of these platforms, or take another base image.".to_owned()
            }
            RegistryError::Mirrors { source, .. } => return source.hint(),
            _ => return None,
        })
    }
}

/// What a registry says in the body of an error.
#[derive(Default)]
pub(crate) struct Complaint {
    /// The first of the specification's error codes.
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

/// How much of an error's body is read, and how much of a text that is no JSON is shown.
const BODY_READ: usize = 16 * 1024;
const BODY_WAIT: Duration = Duration::from_secs(10);
const TEXT_SHOWN: usize = 200;

impl Complaint {
    pub(crate) async fn of(mut response: Response) -> Self {
        let retry_after = retry_after(response.headers());
        let mut body = vec![];
        // Half a body is better than none: errors end it.
        while let Ok(Ok(Some(chunk))) = timeout(BODY_WAIT, response.chunk()).await {
            body.extend_from_slice(&chunk);
            if body.len() >= BODY_READ {
                body.truncate(BODY_READ);
                break;
            }
        }
        Complaint { retry_after, ..Complaint::parse(&body) }
    }

    /// The body is JSON as the distribution specification ("Error Codes") has it, or as token
    /// servers write it, or some text.
    fn parse(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Errors {
            #[serde(default)]
            errors: Vec<Entry>,
            #[serde(alias = "details", alias = "error_description", alias = "error")]
            message: Option<String>,
        }
        #[derive(Deserialize)]
        struct Entry {
            code: Option<String>,
            message: Option<String>,
        }
        let Ok(parsed) = serde_json::from_slice::<Errors>(body) else {
            return Complaint { message: plain_text(body), ..Complaint::default() };
        };
        let code = parsed.errors.iter().find_map(|e| e.code.clone());
        let lines: Vec<String> = parsed
            .errors
            .into_iter()
            .filter_map(|e| match (e.code, e.message) {
                (Some(c), Some(m)) if !m.is_empty() => Some(format!("{c}: {m}")),
                (Some(only), _) | (None, Some(only)) => Some(only),
                (None, None) => None,
            })
            .collect();
        let message = if lines.is_empty() { parsed.message } else { Some(lines.join("; ")) };
        Complaint {
            code,
            message: message.and_then(|m| plain_text(m.as_bytes())),
            retry_after: None,
        }
    }
}

fn plain_text(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    // A proxy's error page says nothing that its status does not.
    if text.is_empty() || text.starts_with('<') {
        return None;
    }
    match text.char_indices().nth(TEXT_SHOWN) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_errors() {
        for (body, code, message) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied","detail":{}}]}"#,
                Some("DENIED"),
                Some("DENIED: requested access to the resource is denied"),
            ),
            (r#"{"errors":[{"code":"A"},{"code":"B","message":"b"}]}"#, Some("A"), Some("A; B: b")),
            (
                r#"{"details":"incorrect username or password"}"#,
                None,
                Some("incorrect username or password"),
            ),
            (r#"{"error":"invalid_grant"}"#, None, Some("invalid_grant")),
            ("<html><body>Bad Gateway</body></html>", None, None),
            ("", None, None),
            ("no  such\n\thost\u{1b}[31m", None, Some("no such host[31m")),
        ] {
            let complaint = Complaint::parse(body.as_bytes());
            assert_eq!(complaint.code.as_deref(), code, "{body}");
            assert_eq!(complaint.message.as_deref(), message, "{body}");
        }
        let long = Complaint::parse("é".repeat(1000).as_bytes()).message.unwrap();
        assert_eq!(long.chars().count(), TEXT_SHOWN + 1);
    }
}
