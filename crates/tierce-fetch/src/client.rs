//! The HTTP client: roots of trust, proxies, timeouts.

use crate::trust::Verifier;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use reqwest::{Client, Proxy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tierce_oci::{Diagnostic, ErrorKind};
use url::Url;

/// A peer that has vanished is found out by the kernel.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What the HTTP client is made from.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// PEM files with certificate authorities to trust besides the platform's.
    pub ca_files: Vec<PathBuf>,
    /// What to show to servers that ask for a certificate.
    pub identity: Option<ClientIdentity>,
    /// Whether servers must be who they say.
    pub verification: Verification,
    /// What servers are told who asks.
    pub user_agent: String,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
}

/// A certificate that says who asks, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// A PEM file with the certificate, and those that lead from it to its authority.
    pub cert: PathBuf,
    /// A PEM file with the key; it may be the same.
    pub key: PathBuf,
}

/// Whether servers must be who they say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verification {
    /// Their certificate must lead to a trusted authority and name the host.
    #[default]
    Full,
    /// DANGEROUS: any certificate will do, and so anybody on the way may be the server.
    Nothing,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            ca_files: vec![],
            identity: None,
            verification: Verification::Full,
            user_agent: concat!("tierce/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
        }
    }
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file of [`HttpSettings::ca_files`] is not there or is not PEM.
    #[error("can't read certificate authorities from {}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file of [`HttpSettings::ca_files`] has no certificate in it.
    #[error("{} has no certificate in it", .0.display())]
    EmptyCaFile(PathBuf),
    /// A certificate of [`HttpSettings::ca_files`] is malformed.
    #[error("{} has an invalid certificate", .path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// A file of [`HttpSettings::identity`] is not there, is not PEM, or has not in it what it
    /// should have.
    #[error("can't read a client's {what} from {}", .path.display())]
    Identity {
        /// The certificate or the key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key of [`HttpSettings::identity`] are of no use together.
    #[error("the certificate in {} and the key in {} are of no use together", .cert.display(), .key.display())]
    IdentityMismatch {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The TLS library refuses its own defaults.
    #[error("can't set up TLS")]
    Tls(#[from] rustls::Error),
    /// The HTTP library refuses the settings.
    #[error("can't set up the HTTP client")]
    Build(#[from] reqwest::Error),
}

impl Diagnostic for ClientError {
    fn code(&self) -> &'static str {
        match self {
            ClientError::CaFile { .. }
            | ClientError::EmptyCaFile(_)
            | ClientError::Certificate { .. } => "fetch/ca-file",
            ClientError::Identity { .. } | ClientError::IdentityMismatch { .. } => {
                "fetch/client-cert"
            }
            ClientError::Tls(_) | ClientError::Build(_) => "fetch/client",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }

    fn hint(&self) -> Option<String> {
        let hint = match self.code() {
            "fetch/ca-file" => {
                "Give a PEM file of certificates, or remove it from the configuration."
            }
            "fetch/client-cert" => {
                "Give a PEM file with the certificate and one with its key, not encrypted."
            }
            _ => return None,
        };
        Some(hint.into())
    }
}

/// The client for all of tierce's requests.
///
/// It trusts the platform's certificate authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` replace
/// them, as they do for OpenSSL's programs) and those of [`HttpSettings::ca_files`], and goes
/// through the proxies that `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` name, except
/// to loopback hosts, which no proxy can reach on our behalf. A redirect to another host, port
/// or scheme goes on without credentials.
pub fn client(settings: &HttpSettings) -> Result<Client, ClientError> {
    // The provider is named here rather than installed for the whole process: a library must
    // not decide that for its program.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let verifier = match settings.verification {
        Verification::Full => Verifier::authorities(added_roots(settings)?, provider),
        Verification::Nothing => Verifier::anyone(provider),
    };
    let tls = tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut tls = match &settings.identity {
        None => tls.with_no_client_auth(),
        Some(identity) => {
            let (chain, key) = identity.read()?;
            tls.with_client_auth_cert(chain, key).map_err(|source| {
                let ClientIdentity { cert, key } = identity.clone();
                ClientError::IdentityMismatch { cert, key, source }
            })?
        }
    };
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let proxies = Matcher::from_env();
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .proxy(Proxy::custom(move |url| proxy_for(&proxies, url)))
        .user_agent(&settings.user_agent)
        .connect_timeout(settings.connect_timeout)
        .tcp_keepalive(KEEPALIVE)
        .referer(false)
        .build()?)
}

impl ClientIdentity {
    fn read(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), ClientError> {
        let unreadable = |what, path: &PathBuf| {
            let path = path.clone();
            move |source| ClientError::Identity { what, path, source }
        };
        let chain: Result<Vec<_>, _> =
            CertificateDer::pem_file_iter(&self.cert).and_then(Iterator::collect);
        let chain = chain
            .and_then(|chain| match chain.is_empty() {
                true => Err(rustls::pki_types::pem::Error::NoItemsFound),
                false => Ok(chain),
            })
            .map_err(unreadable("certificate", &self.cert))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(unreadable("key", &self.key))?;
        Ok((chain, key))
    }
}

fn proxy_for(proxies: &Matcher, url: &Url) -> Option<Url> {
    let loopback = match url.host()? {
        url::Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        url::Host::Ipv4(ip) => ip.is_loopback(),
        url::Host::Ipv6(ip) => ip.is_loopback(),
    };
    if loopback {
        return None;
    }
    let found = proxies.intercept(&url.as_str().parse().ok()?)?;
    let mut proxy: Url = found.uri().to_string().parse().ok()?;
    if let Some((user, password)) = found.basic_auth().and_then(decode_basic) {
        proxy.set_username(&user).ok()?;
        proxy.set_password(Some(&password)).ok()?;
    }
    Some(proxy)
}

/// The matcher has the credentials only as the header that it would send.
fn decode_basic(header: &HeaderValue) -> Option<(String, String)> {
    let encoded = header.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = pair.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// What [`HttpSettings::ca_files`] have.
fn added_roots(settings: &HttpSettings) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    for path in &settings.ca_files {
        let unreadable = |source| ClientError::CaFile { path: path.clone(), source };
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            let invalid = |source| ClientError::Certificate { path: path.clone(), source };
            roots.add(certificate.map_err(unreadable)?).map_err(invalid)?;
            found = true;
        }
        if !found {
            return Err(ClientError::EmptyCaFile(path.clone()));
        }
    }
    Ok(roots)
}
