//! Where a daemon is.

use std::fmt;
use std::path::PathBuf;

/// A daemon's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// A TCP port, in the clear or with TLS.
    Tcp {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The files that TLS needs; `None` for a connection in the clear.
        tls: Option<TlsFiles>,
    },
}

/// The files of a mutually authenticated connection, all PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The authorities that may have signed the daemon's certificate; `None` for the machine's.
    pub ca: Option<PathBuf>,
    /// The client's certificate.
    pub certificate: Option<PathBuf>,
    /// The client's private key.
    pub key: Option<PathBuf>,
    /// The name that the daemon's certificate must be for, where it is not the host's.
    pub server_name: Option<String>,
}

/// Why a text is no daemon's address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Neither `unix://` nor `tcp://`.
    #[error("address {0:?} is neither unix:///path nor tcp://host:port")]
    Scheme(String),
    /// No path after `unix://`.
    #[error("address {0:?} names no absolute path")]
    Path(String),
    /// No port, or one that is not a number.
    #[error("address {0:?} names no host and port")]
    Port(String),
}

impl Endpoint {
    /// Reads `unix:///run/buildkit/buildkitd.sock` or `tcp://host:1234`. `default_port` stands in
    /// for a port that is missing; `tls` counts for TCP alone.
    pub fn parse(
        text: &str,
        default_port: Option<u16>,
        tls: Option<TlsFiles>,
    ) -> Result<Self, EndpointError> {
        if let Some(path) = text.strip_prefix("unix://") {
            return match path.starts_with('/') {
                true => Ok(Endpoint::Unix(PathBuf::from(path))),
                false => Err(EndpointError::Path(text.to_owned())),
            };
        }
        let Some(rest) = text.strip_prefix("tcp://") else {
            return Err(EndpointError::Scheme(text.to_owned()));
        };
        let no_port = || EndpointError::Port(text.to_owned());
        let rest = rest.trim_end_matches('/');
        // The colons of an IPv6 address are inside its brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => {
                (host, Some(port.parse().map_err(|_| no_port())?))
            }
            _ => (rest, default_port),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match (host, port) {
            ("", _) | (_, None) => Err(no_port()),
            (host, Some(port)) => Ok(Endpoint::Tcp { host: host.to_owned(), port, tls }),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix://{}", path.display()),
            Endpoint::Tcp { host, port, .. } if host.contains(':') => {
                write!(f, "tcp://[{host}]:{port}")
            }
            Endpoint::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let tcp = |host: &str, port| Ok(Endpoint::Tcp { host: host.to_owned(), port, tls: None });
        let cases = [
            ("unix:///run/x.sock", Ok(Endpoint::Unix("/run/x.sock".into()))),
            ("unix://x.sock", Err(EndpointError::Path("unix://x.sock".into()))),
            ("tcp://host:1234", tcp("host", 1234)),
            ("tcp://host", tcp("host", 99)),
            ("tcp://[::1]:1234", tcp("::1", 1234)),
            ("tcp://[::1]", tcp("::1", 99)),
            ("tcp://host:", Err(EndpointError::Port("tcp://host:".into()))),
            ("tcp://:1", Err(EndpointError::Port("tcp://:1".into()))),
            ("ssh://host", Err(EndpointError::Scheme("ssh://host".into()))),
            ("", Err(EndpointError::Scheme("".into()))),
        ];
        for (text, expected) in cases {
            assert_eq!(Endpoint::parse(text, Some(99), None), expected, "{text}");
        }
        assert!(Endpoint::parse("tcp://host", None, None).is_err());
        for text in ["unix:///run/x.sock", "tcp://host:1234", "tcp://[::1]:1234"] {
            assert_eq!(Endpoint::parse(text, None, None).unwrap().to_string(), text);
        }
    }
}
