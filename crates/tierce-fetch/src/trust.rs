//! Which servers are taken for who they say.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::{Arc, OnceLock};

/// Looks at what servers show. Whomever it trusts, what a server signs must be signed with its
/// certificate's key.
#[derive(Debug)]
pub(crate) struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
}

/// Whose certificates will do.
#[derive(Debug)]
enum Trust {
    /// Those that lead to an authority of the platform, or to one that was added.
    ///
    /// The platform's are read when the first certificate comes: they are hundreds of files, and
    /// most calls that find everything in place never connect to anybody.
    Authorities { added: RootCertStore, verifier: OnceLock<Option<Arc<WebPkiServerVerifier>>> },
    /// Anybody's.
    Anyone,
}

impl Verifier {
    /// Trusts the platform's authorities, and these.
    pub(crate) fn authorities(added: RootCertStore, provider: Arc<CryptoProvider>) -> Self {
        Verifier { trust: Trust::Authorities { added, verifier: OnceLock::new() }, provider }
    }

    /// Trusts anybody.
    pub(crate) fn anyone(provider: Arc<CryptoProvider>) -> Self {
        Verifier { trust: Trust::Anyone, provider }
    }

    /// The verifier of these authorities; `None` where there are none at all.
    fn with_platform(&self, added: &RootCertStore) -> Option<Arc<WebPkiServerVerifier>> {
        let mut roots = added.clone();
        let platform = rustls_native_certs::load_native_certs();
        for error in &platform.errors {
            tracing::debug!(%error, "a certificate authority of the platform is unusable");
        }
        roots.add_parsable_certificates(platform.certs);
        let provider = self.provider.clone();
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Trust::Authorities { added, verifier } = &self.trust else {
            return Ok(ServerCertVerified::assertion());
        };
        match verifier.get_or_init(|| self.with_platform(added)) {
            Some(verifier) => {
                verifier.verify_server_cert(certificate, intermediates, name, ocsp_response, now)
            }
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
