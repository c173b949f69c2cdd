//! What can go wrong between a URL and its bytes.

use crate::{Redacted, Retry, cause, retry_after};
use reqwest::{Response, StatusCode};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use url::Url;

/// Why a document or file could not be had. URLs in it are [`Redacted`].
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Neither `https`, `http` nor `file`.
    #[error("can't fetch {url}: scheme {scheme:?} is not https, http or file")]
    Scheme {
        /// The URL.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// The server answered with an error.
    #[error("{url} answered {status}")]
    Status {
        /// The URL.
        url: String,
        /// The answer.
        status: StatusCode,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// No complete answer.
    #[error("can't fetch {url}")]
    Transport {
        /// The URL.
        url: String,
        /// What happened to the connection.
        source: TransportError,
    },
    /// More bytes than the caller allows.
    #[error("{url} is larger than the {limit} bytes allowed")]
    TooLarge {
        /// The URL.
        url: String,
        /// The most that was allowed.
        limit: u64,
    },
    /// More or fewer bytes than promised.
    #[error("{url} has the wrong size: {actual} bytes came, expected {expected}")]
    SizeMismatch {
        /// The URL.
        url: String,
        /// The promise.
        expected: u64,
        /// What came.
        actual: u64,
    },
    /// Other bytes than promised.
    #[error("{url} has digest {actual}, expected {expected}")]
    DigestMismatch {
        /// The URL.
        url: String,
        /// The promise.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// The destination could not be written.
    #[error("can't write {}", .path.display())]
    Write {
        /// The destination.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A `file:` URL could not be read.
    #[error("can't read {url}")]
    Read {
        /// The URL.
        url: String,
        /// Why.
        source: io::Error,
    },
}

/// What happened to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The server's certificate or handshake was not acceptable.
    Tls,
    /// The host is unknown, refuses connections, or the proxy does.
    Connect,
    /// Nothing was heard for too long.
    Timeout,
    /// The connection broke in the middle.
    Broken,
    /// A redirect that leads nowhere.
    Redirect,
    /// The request could not be made.
    Request,
}

/// A failed connection. `reqwest`'s error, without its URL, which may hold credentials, is there
/// for who debugs: to all others its innermost cause is said, and how it was wrapped is not.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.describe())]
pub struct TransportError {
    kind: Transport,
    cause: Option<reqwest::Error>,
}

impl TransportError {
    /// Nothing was heard for too long.
    pub fn timed_out() -> Self {
        TransportError { kind: Transport::Timeout, cause: None }
    }

    /// What happened.
    pub fn kind(&self) -> Transport {
        self.kind
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self.kind {
            Transport::Timeout | Transport::Broken => Retry::Backoff,
            Transport::Tls | Transport::Connect | Transport::Redirect | Transport::Request => {
                Retry::Never
            }
        }
    }

    fn describe(&self) -> String {
        let more = |text: &str| match &self.cause {
            Some(error) => format!("{text}: {}", cause::root(error)),
            None => text.to_owned(),
        };
        match (self.kind, &self.cause) {
            (Transport::Tls, Some(error)) => cause::of_handshake(error),
            (Transport::Connect, Some(error)) => cause::of_connecting(error),
            (Transport::Tls, None) => "the TLS handshake failed".to_owned(),
            (Transport::Connect, None) => "can't connect".to_owned(),
            (Transport::Timeout, _) => "timed out".to_owned(),
            (Transport::Broken, _) => more("the connection broke"),
            (Transport::Redirect, _) => more("a redirect leads nowhere"),
            (Transport::Request, _) => more("the request is invalid"),
        }
    }
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        TransportError { kind: classify(&error), cause: Some(error.without_url()) }
    }
}

fn classify(error: &reqwest::Error) -> Transport {
    let broken = |kind| {
        use io::ErrorKind::*;
        matches!(kind, ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
    };
    if error.is_builder() {
        Transport::Request
    } else if error.is_redirect() {
        Transport::Redirect
    } else if any_cause(error, |e| e.is::<rustls::Error>()) {
        Transport::Tls
    } else if error.is_timeout() {
        Transport::Timeout
    } else if error.is_connect()
        && !any_cause(error, |e| e.downcast_ref::<io::Error>().is_some_and(|e| broken(e.kind())))
    {
        Transport::Connect
    } else {
        Transport::Broken
    }
}

/// Whether `test` holds for an error below `error`.
fn any_cause(error: &(dyn Error + 'static), test: impl Fn(&(dyn Error + 'static)) -> bool) -> bool {
    cause::chain(error).any(test)
}

impl FetchError {
    pub(crate) fn transport(url: &Url, source: TransportError) -> Self {
        FetchError::Transport { url: Redacted(url).to_string(), source }
    }

    pub(crate) fn status(url: &Url, response: &Response) -> Self {
        FetchError::Status {
            url: Redacted(url).to_string(),
            status: response.status(),
            retry_after: retry_after(response.headers()),
        }
    }

    /// Whether to try again.
    pub fn retry(&self) -> Retry {
        match self {
            FetchError::Transport { source, .. } => source.retry(),
            FetchError::Status { status, retry_after, .. } => {
                match (Retry::of_status(*status, &Default::default()), retry_after) {
                    (Retry::Backoff, Some(wait)) => Retry::After(*wait),
                    (retry, _) => retry,
                }
            }
            _ => Retry::Never,
        }
    }

    /// Whether the server says that there is no such thing.
    pub fn is_not_found(&self) -> bool {
        match self {
            FetchError::Status { status, .. } => {
                matches!(*status, StatusCode::NOT_FOUND | StatusCode::GONE)
            }
            FetchError::Read { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl Diagnostic for FetchError {
    fn code(&self) -> &'static str {
        match self {
            FetchError::Scheme { .. } => "fetch/scheme",
            _ if self.is_not_found() => "fetch/not-found",
            FetchError::Status { status, .. } => match status.as_u16() {
                401 | 403 | 407 => "fetch/denied",
                429 => "fetch/rate-limited",
                _ => "fetch/status",
            },
            FetchError::Transport { source, .. } => match source.kind() {
                Transport::Tls => "fetch/tls",
                Transport::Redirect | Transport::Request => "fetch/protocol",
                _ => "fetch/unreachable",
            },
            FetchError::TooLarge { .. } => "fetch/too-large",
            FetchError::SizeMismatch { .. } => "fetch/size-mismatch",
            FetchError::DigestMismatch { .. } => "fetch/digest-mismatch",
            FetchError::Write { .. } => "fetch/write",
            FetchError::Read { .. } => "fetch/read",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            FetchError::Scheme { .. } => ErrorKind::User,
            FetchError::Write { .. } | FetchError::Read { .. } => ErrorKind::Environment,
            _ => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self.code() {
            "fetch/denied" => "Put the credentials into the URL, as https://user:password@host/.",
            "fetch/tls" => {
                "Where a proxy or a private authority signs, name a file with all certificates \
                 to trust in SSL_CERT_FILE."
            }
            "fetch/unreachable" => {
                "Check the network, and HTTP_PROXY, HTTPS_PROXY and NO_PROXY where there is a proxy."
            }
            "fetch/digest-mismatch" | "fetch/size-mismatch" => {
                "The file was replaced since its digest was recorded, or damaged on the way: \
                 refresh the lock or index that names it, or use another mirror."
            }
            "fetch/rate-limited" => "The server limits requests: wait, or use a mirror.",
            _ => return None,
        };
        Some(text.to_owned())
    }
}
