//! Keys that archives are signed with, and the verification of their signatures (RFC 9580).

use crate::signature::{KeyFault, SignatureFault};
use pgp::armor::Dearmor;
use pgp::composed::{Deserializable, SignedPublicKey, SignedPublicSubKey};
use pgp::packet::{Packet, PacketParser, Signature, SignatureType};
use pgp::types::{KeyDetails, Tag, Timestamp};
use std::fmt;
use std::io::{BufRead, BufReader};
use std::time::SystemTime;

const ARMOR: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";

/// The keys of Debian's `debian-archive-keyring` package; `keys/README.md` says whence.
const DEBIAN: &[&str] = &[
    include_str!("../keys/debian/debian-archive-bookworm-automatic.asc"),
    include_str!("../keys/debian/debian-archive-bookworm-security-automatic.asc"),
    include_str!("../keys/debian/debian-archive-bookworm-stable.asc"),
    include_str!("../keys/debian/debian-archive-bullseye-automatic.asc"),
    include_str!("../keys/debian/debian-archive-bullseye-security-automatic.asc"),
    include_str!("../keys/debian/debian-archive-bullseye-stable.asc"),
    include_str!("../keys/debian/debian-archive-trixie-automatic.asc"),
    include_str!("../keys/debian/debian-archive-trixie-security-automatic.asc"),
    include_str!("../keys/debian/debian-archive-trixie-stable.asc"),
];

/// The keys of Ubuntu's archive, from the `ubuntu-keyring` package.
const UBUNTU: &[u8] = include_bytes!("../keys/ubuntu/ubuntu-archive-keyring.gpg");

/// The keys that may sign an archive.
#[derive(Clone, PartialEq)]
pub struct Keyring {
    keys: Vec<SignedPublicKey>,
}

/// Why a keyring cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// There is no usable key in it.
    #[error("keyring has no usable OpenPGP public key")]
    Empty,
    /// A key is malformed.
    #[error("keyring is malformed")]
    Malformed(#[source] Box<pgp::errors::Error>),
    /// It is neither armored text nor binary.
    #[error("keyring is armored, but not text")]
    NotText,
}

impl Keyring {
    /// The keys that sign Debian's releases from bullseye to trixie, shipped with this crate.
    pub fn debian() -> Self {
        let keys = DEBIAN.iter().flat_map(|text| armored(text));
        Keyring { keys: keys.filter_map(Result::ok).collect() }
    }

    /// The keys that sign Ubuntu's archive, shipped with this crate.
    pub fn ubuntu() -> Self {
        Keyring { keys: keys(UBUNTU).into_iter().filter_map(Result::ok).collect() }
    }

    /// Reads a keyring file: binary, as `/usr/share/keyrings/debian-archive-keyring.gpg`, or any
    /// number of armored blocks.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyringError> {
        let is_armored = bytes.trim_ascii_start().starts_with(b"-----BEGIN");
        let results = if is_armored {
            armored(std::str::from_utf8(bytes).map_err(|_| KeyringError::NotText)?)
        } else {
            keys(bytes)
        };
        // Keyrings of hosts keep keys of ages ago that no current library reads: they are left
        // out, as long as there are others.
        let mut first_error = None;
        let mut keys = Vec::new();
        for result in results {
            match result {
                Ok(key) => keys.push(key),
                Err(error) => {
                    tracing::debug!(%error, "key left out of the keyring");
                    first_error.get_or_insert(error);
                }
            }
        }
        match first_error {
            _ if !keys.is_empty() => Ok(Keyring { keys }),
            Some(error) => Err(KeyringError::Malformed(Box::new(error))),
            None => Err(KeyringError::Empty),
        }
    }

    /// The fingerprints of the primary keys, in hexadecimal.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.primary_key.fingerprint().to_string()).collect()
    }

    /// Checks one signature over `text`. Any key of the ring may have made it.
    pub(crate) fn check(
        &self,
        signature: &Signature,
        text: &[u8],
        now: SystemTime,
    ) -> Result<(), SignatureFault> {
        if !matches!(signature.typ(), Some(SignatureType::Binary | SignatureType::Text)) {
            return Err(SignatureFault::NotOverADocument);
        }
        if !is_strong(signature) {
            return Err(SignatureFault::WeakHash);
        }
        let created = signature.created().ok_or(SignatureFault::NotOverADocument)?;
        if has_passed(created, signature.signature_expiration_time(), now) {
            return Err(SignatureFault::Expired);
        }
        // The first key that fits decides: fingerprints do not collide.
        for key in &self.keys {
            if signed_by(signature, &key.primary_key) {
                verify(signature, &key.primary_key, text)?;
                return primary_fault(key, now).map_or(Ok(()), |f| Err(SignatureFault::Key(f)));
            }
            let subkey = key.public_subkeys.iter().find(|s| signed_by(signature, &s.key));
            if let Some(subkey) = subkey {
                verify(signature, &subkey.key, text)?;
                let fault = certificate_fault(key, now).or_else(|| subkey_fault(key, subkey, now));
                return fault.map_or(Ok(()), |f| Err(SignatureFault::Key(f)));
            }
        }
        Err(SignatureFault::UnknownKey)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keyring").field(&self.fingerprints()).finish()
    }
}

type KeyResult = Result<SignedPublicKey, pgp::errors::Error>;

fn armored(text: &str) -> Vec<KeyResult> {
    let starts: Vec<usize> = text.match_indices(ARMOR).map(|(at, _)| at).collect();
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let blocks = starts.iter().zip(ends).map(|(start, end)| &text.as_bytes()[*start..end]);
    blocks.flat_map(|block| keys(BufReader::new(Dearmor::new(block)))).collect()
}

fn keys(input: impl BufRead) -> Vec<KeyResult> {
    // Exported from a GnuPG keyring as it lies on disk, user ids and their signatures have trust
    // packets between them, which say nothing to others (RFC 9580 section 5.10).
    let packets = PacketParser::new(input).filter(|p| !matches!(p, Ok(Packet::Trust(_))));
    SignedPublicKey::from_packets(packets.peekable()).collect()
}

fn verify(
    signature: &Signature,
    key: &impl pgp::types::VerifyingKey,
    text: &[u8],
) -> Result<(), SignatureFault> {
    signature.verify(key, text).map_err(|error| {
        tracing::debug!(%error, "signature does not verify");
        SignatureFault::Wrong
    })
}

/// Whether the signature names this key as the one that made it.
fn signed_by(signature: &Signature, key: &impl KeyDetails) -> bool {
    let fingerprints = signature.issuer_fingerprint();
    match fingerprints.is_empty() {
        true => signature.issuer_key_id().contains(&&key.legacy_key_id()),
        false => fingerprints.contains(&&key.fingerprint()),
    }
}

/// apt and Debian's policies refuse SHA-1 and what is older.
fn is_strong(signature: &Signature) -> bool {
    use pgp::crypto::hash::HashAlgorithm::{Sha3_256, Sha3_512, Sha256, Sha384, Sha512};
    matches!(signature.hash_alg(), Some(Sha256 | Sha384 | Sha512 | Sha3_256 | Sha3_512))
}

fn has_passed(start: Timestamp, length: Option<pgp::types::Duration>, now: SystemTime) -> bool {
    let Some(length) = length.filter(|l| l.as_secs() > 0) else { return false };
    let end = SystemTime::from(start) + std::time::Duration::from_secs(length.as_secs().into());
    end <= now
}

/// What is wrong with a primary key that signed something.
fn primary_fault(key: &SignedPublicKey, now: SystemTime) -> Option<KeyFault> {
    certificate_fault(key, now).or_else(|| {
        // No flags at all mean a key from before there were any, good for everything.
        let flags = newest_self_signature(key)?.key_flags();
        let any = flags.sign() || flags.certify() || flags.authentication();
        (any && !flags.sign()).then_some(KeyFault::NotForSigning)
    })
}

/// What is wrong with a key as a whole, so that neither it nor its subkeys count.
fn certificate_fault(key: &SignedPublicKey, now: SystemTime) -> Option<KeyFault> {
    let primary = &key.primary_key;
    if key.details.revocation_signatures.iter().any(|s| s.verify_key(primary).is_ok()) {
        return Some(KeyFault::Revoked);
    }
    let Some(newest) = newest_self_signature(key) else { return Some(KeyFault::NotBound) };
    has_passed(primary.created_at(), newest.key_expiration_time(), now).then_some(KeyFault::Expired)
}

/// The newest valid signature of the key over itself: it says what the key is for and until when.
fn newest_self_signature(key: &SignedPublicKey) -> Option<&Signature> {
    let primary = &key.primary_key;
    let certifications = key.details.users.iter().flat_map(|user| {
        let own = user
            .signatures
            .iter()
            .filter(|s| s.typ() != Some(SignatureType::CertRevocation) && signed_by(s, primary));
        own.filter(|s| s.verify_certification(primary, Tag::UserId, &user.id).is_ok())
    });
    let direct = key.details.direct_signatures.iter();
    let direct = direct.filter(|s| signed_by(s, primary) && s.verify_key(primary).is_ok());
    certifications.chain(direct).max_by_key(|s| s.created())
}

/// What is wrong with a subkey that signed something.
fn subkey_fault(
    key: &SignedPublicKey,
    subkey: &SignedPublicSubKey,
    now: SystemTime,
) -> Option<KeyFault> {
    let primary = &key.primary_key;
    let valid = subkey.signatures.iter();
    let valid = valid.filter(|s| s.verify_subkey_binding(primary, &subkey.key).is_ok());
    let (revocations, bindings): (Vec<_>, Vec<_>) =
        valid.partition(|s| s.typ() == Some(SignatureType::SubkeyRevocation));
    if !revocations.is_empty() {
        return Some(KeyFault::Revoked);
    }
    let Some(binding) = bindings.into_iter().max_by_key(|s| s.created()) else {
        return Some(KeyFault::NotBound);
    };
    // Without the signature back, anyone could claim another's signing key as their own subkey.
    let bound_back = binding
        .embedded_signature()
        .is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok());
    if !binding.key_flags().sign() || !bound_back {
        return Some(KeyFault::NotForSigning);
    }
    has_passed(subkey.key.created_at(), binding.key_expiration_time(), now)
        .then_some(KeyFault::Expired)
}
