//! The HTTP client: roots of trust, proxies, timeouts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::HeaderValue;
use reqwest::{Client, Proxy};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
    /// What servers are told who asks.
    pub user_agent: String,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        HttpSettings {
            ca_files: vec![],
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
            ClientError::Tls(_) | ClientError::Build(_) => "fetch/client",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }

    fn hint(&self) -> Option<String> {
        (self.code() == "fetch/ca-file")
            .then(|| "Give a PEM file of certificates, or remove it from the configuration.".into())
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
    let mut tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(settings)?)
        .with_no_client_auth();
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

fn roots(settings: &HttpSettings) -> Result<RootCertStore, ClientError> {
    let mut roots = RootCertStore::empty();
    let platform = rustls_native_certs::load_native_certs();
    for error in &platform.errors {
        tracing::debug!(%error, "a certificate authority of the platform is unusable");
    }
    // A platform without any is not an error here: plain HTTP and file URLs need none.
    roots.add_parsable_certificates(platform.certs);
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
