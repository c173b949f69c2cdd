//! Opening connections.

use crate::endpoint::{Endpoint, TlsFiles};
use async_trait::async_trait;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// An open connection.
pub type Connection = Box<dyn Duplex>;

/// Opens connections to one daemon.
#[async_trait]
pub trait Dial: Send + Sync {
    /// A new connection, on which HTTP/2 is spoken from the first byte.
    async fn dial(&self) -> io::Result<Connection>;

    /// The daemon's address, for messages.
    fn address(&self) -> String;
}

#[async_trait]
impl Dial for Endpoint {
    async fn dial(&self) -> io::Result<Connection> {
        self.open(&[b"h2"]).await
    }

    fn address(&self) -> String {
        self.to_string()
    }
}

impl Endpoint {
    /// A new connection. `protocols` is what TLS offers (ALPN).
    pub async fn open(&self, protocols: &[&[u8]]) -> io::Result<Connection> {
        match self {
            Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
            Endpoint::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                let Some(files) = tls else { return Ok(Box::new(stream)) };
                let mut config = files.config()?;
                config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
                let name = files.server_name.clone().unwrap_or_else(|| host.clone());
                let name = ServerName::try_from(name).map_err(io::Error::other)?;
                let connector = TlsConnector::from(Arc::new(config));
                Ok(Box::new(connector.connect(name, stream).await?))
            }
        }
    }
}

impl TlsFiles {
    fn config(&self) -> io::Result<rustls::ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        match &self.ca {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|e| of_file(file, e))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots);
        match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => {
                let private = PrivateKeyDer::from_pem_file(key).map_err(|e| of_file(key, e))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|e| of_file(certificate, e))
            }
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(file), None) | (None, Some(file)) => {
                Err(of_file(file, "a client's certificate and its key belong together"))
            }
        }
    }
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|e| of_file(file, e))?.collect();
    match all {
        Ok(all) if all.is_empty() => Err(of_file(file, "no certificate in it")),
        all => all.map_err(|e| of_file(file, e)),
    }
}

fn of_file(file: &Path, error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {error}", file.display()))
}
