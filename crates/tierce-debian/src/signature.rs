//! Signed messages: `InRelease` (cleartext, RFC 9580 section 7) and `Release.gpg` (detached).

use crate::keyring::Keyring;
use pgp::armor::{BlockType, Dearmor};
use pgp::packet::{Packet, PacketParser, Signature};
use std::fmt;
use std::io::BufReader;
use std::time::SystemTime;

const BEGIN_MESSAGE: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
const END_SIGNATURE: &str = "-----END PGP SIGNATURE-----";

/// Why a message is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// It is not a cleartext-signed message, or not a well-formed one.
    #[error("it is not a cleartext-signed message: {0}")]
    NotClearsigned(&'static str),
    /// The signature cannot be read.
    #[error("its signature cannot be read")]
    Unreadable(#[source] Box<pgp::errors::Error>),
    /// No signature is good and from a key in the keyring.
    #[error("it has no good signature from a key in the keyring ({})", Rejections(.0))]
    Rejected(Vec<Rejection>),
}

/// A signature that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The fingerprint or id of the key that the signature names.
    pub key: String,
    /// Why it does not count.
    pub fault: SignatureFault,
}

/// Why a signature does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// The keyring does not have its key.
    UnknownKey,
    /// It was made over other bytes.
    Wrong,
    /// It uses a hash that can be forged.
    WeakHash,
    /// Its time has passed.
    Expired,
    /// It is of a kind that says nothing of documents.
    NotOverADocument,
    /// Its key may not sign.
    Key(KeyFault),
}

/// Why a key may not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// Its time has passed.
    Expired,
    /// Its owner revoked it.
    Revoked,
    /// It is for other purposes.
    NotForSigning,
    /// It has no valid signature over itself.
    NotBound,
}

impl fmt::Display for SignatureFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignatureFault::UnknownKey => "key is not in the keyring",
            SignatureFault::Wrong => "signature is wrong",
            SignatureFault::WeakHash => "hash algorithm is too weak",
            SignatureFault::Expired => "signature has expired",
            SignatureFault::NotOverADocument => "signature is not over a document",
            SignatureFault::Key(KeyFault::Expired) => "key has expired",
            SignatureFault::Key(KeyFault::Revoked) => "key is revoked",
            SignatureFault::Key(KeyFault::NotForSigning) => "key is not for signing",
            SignatureFault::Key(KeyFault::NotBound) => "key is not self-signed",
        })
    }
}

struct Rejections<'a>(&'a [Rejection]);

impl fmt::Display for Rejections<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("there are no signatures");
        }
        for (n, rejection) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", rejection.key, rejection.fault)?;
        }
        Ok(())
    }
}

/// The text of a cleartext-signed message, if a key of the ring signed it. As with apt, one good
/// signature suffices: archives are signed by the keys of several releases.
pub fn verify_clearsigned(
    message: &[u8],
    keyring: &Keyring,
    now: SystemTime,
) -> Result<String, SignatureError> {
    let (text, armor) = split(message)?;
    let signed = text.replace('\n', "\r\n");
    verify(&signatures(armor)?, signed.as_bytes(), keyring, now)?;
    Ok(text + "\n")
}

/// Verifies a detached signature, armored as `Release.gpg` is.
pub fn verify_detached(
    text: &[u8],
    signature: &[u8],
    keyring: &Keyring,
    now: SystemTime,
) -> Result<(), SignatureError> {
    verify(&signatures(signature)?, text, keyring, now)
}

fn verify(
    signatures: &[Signature],
    text: &[u8],
    keyring: &Keyring,
    now: SystemTime,
) -> Result<(), SignatureError> {
    let mut rejections = Vec::new();
    for signature in signatures {
        match keyring.check(signature, text, now) {
            Ok(()) => return Ok(()),
            Err(fault) => rejections.push(Rejection { key: issuer(signature), fault }),
        }
    }
    Err(SignatureError::Rejected(rejections))
}

fn issuer(signature: &Signature) -> String {
    let fingerprint = signature.issuer_fingerprint().first().map(|f| f.to_string());
    let id = || signature.issuer_key_id().first().map(|id| id.to_string());
    fingerprint.or_else(id).unwrap_or_else(|| "unnamed key".to_owned())
}

/// All signatures of an armored block that this library knows how to read; others may be newer
/// than it.
fn signatures(armor: &[u8]) -> Result<Vec<Signature>, SignatureError> {
    let unreadable = |error| SignatureError::Unreadable(Box::new(error));
    let mut dearmor = Dearmor::new(armor);
    dearmor.read_header().map_err(unreadable)?;
    if dearmor.typ != Some(BlockType::Signature) {
        return Err(SignatureError::NotClearsigned("no signature follows the text"));
    }
    let mut found = Vec::new();
    for packet in PacketParser::new(BufReader::new(dearmor)) {
        match packet {
            Ok(Packet::Signature(signature)) => found.push(signature),
            Ok(_) => return Err(SignatureError::NotClearsigned("it holds more than signatures")),
            Err(error) if found.is_empty() => return Err(unreadable(error)),
            Err(error) => tracing::debug!(%error, "signature left out"),
        }
    }
    Ok(found)
}

/// Splits a message into the text that is signed (its last line without an end, as it is hashed)
/// and the armored signature. Stricter than the specification: what different readers could
/// take for different texts is refused.
fn split(message: &[u8]) -> Result<(String, &[u8]), SignatureError> {
    let error = SignatureError::NotClearsigned;
    let message = std::str::from_utf8(message).map_err(|_| error("it is not UTF-8"))?;
    if message.contains('\r') {
        return Err(error("it has carriage returns"));
    }
    let rest = message.strip_prefix(BEGIN_MESSAGE).and_then(|r| r.strip_prefix('\n'));
    let mut rest = rest.ok_or(error("it does not begin as one"))?;
    loop {
        let (line, after) = rest.split_once('\n').ok_or(error("it is cut short"))?;
        rest = after;
        match line {
            "" => break,
            header if header.starts_with("Hash: ") => {}
            _ => return Err(error("it has an unknown header")),
        }
    }
    let mut text = String::with_capacity(rest.len());
    loop {
        let (line, after) = rest.split_once('\n').ok_or(error("it is cut short"))?;
        if line == BEGIN_SIGNATURE {
            break;
        }
        let line = match line.strip_prefix("- ") {
            Some(escaped) => escaped,
            None if line.starts_with('-') => return Err(error("a dash is not escaped")),
            None => line,
        };
        text.push_str(line.trim_end_matches([' ', '\t']));
        text.push('\n');
        rest = after;
    }
    text.pop();
    let end = rest.find(END_SIGNATURE).ok_or(error("its signature is cut short"))?;
    if !rest[end + END_SIGNATURE.len()..].trim().is_empty() {
        return Err(error("something follows its signature"));
    }
    Ok((text, rest.as_bytes()))
}
