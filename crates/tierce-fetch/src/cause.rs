//! What became of a connection, in a few words: of the errors that libraries wrap into one
//! another, the one at the bottom.

use std::error::Error;
use std::io;

/// The errors from `error` down to what caused it, looking into what `io::Error`s wrap too:
/// their `source()` skips the wrapped error itself.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&current| {
        match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        }
    })
}

/// What a handshake failed of.
pub(crate) fn of_handshake(error: &(dyn Error + 'static)) -> String {
    use rustls::{CertificateError as Bad, Error as Tls};
    let Some(error) = chain(error).find_map(|e| e.downcast_ref::<Tls>()) else {
        return format!("the TLS handshake failed: {}", root(error));
    };
    match error {
        Tls::InvalidCertificate(Bad::UnknownIssuer) => {
            "its certificate is of an authority that is not trusted here".to_owned()
        }
        Tls::InvalidCertificate(Bad::Expired | Bad::ExpiredContext { .. }) => {
            "its certificate has expired".to_owned()
        }
        Tls::InvalidCertificate(Bad::NotValidForName | Bad::NotValidForNameContext { .. }) => {
            "its certificate is for another name".to_owned()
        }
        Tls::InvalidMessage(_) => "it does not speak TLS".to_owned(),
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// Why there was no connection.
pub(crate) fn of_connecting(error: &(dyn Error + 'static)) -> String {
    use io::ErrorKind::*;
    let kind = chain(error).filter_map(|e| e.downcast_ref::<io::Error>()).last();
    match kind.map(io::Error::kind) {
        Some(ConnectionRefused) => "the connection was refused".to_owned(),
        Some(HostUnreachable | NetworkUnreachable | NetworkDown) => {
            "there is no way to it in this network".to_owned()
        }
        // The resolver says it in words alone.
        _ if root(error).contains("failed to lookup address") => {
            match root(error).contains("Temporary failure") {
                true => "no name server answers".to_owned(),
                false => "there is no host of that name".to_owned(),
            }
        }
        _ => format!("can't connect: {}", root(error)),
    }
}

/// The words of the error at the bottom, without the system's number of it.
pub(crate) fn root(error: &(dyn Error + 'static)) -> String {
    let text = chain(error).last().map(ToString::to_string).unwrap_or_default();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
