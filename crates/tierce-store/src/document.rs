//! Small files with a line in front that tells whether they are whole and what they are.
//!
//! `tierce-record 1 <kind> <key> <length> <CRC-32>`, a line feed, and the body. The checksum is
//! there for torn writes and copies under wrong names, not against malice: who can write to the
//! store can compute any checksum.

use crate::error::{Action, FileError};
use crate::store::Store;
use std::fs;
use std::io::Write;
use std::path::Path;
use tierce_oci::Digest;

const MAGIC: &str = "tierce-record 1";

fn header(kind: &str, key: &Digest, body: &[u8]) -> String {
    format!("{MAGIC} {kind} {key} {} {:08x}\n", body.len(), crc32fast::hash(body))
}

/// The body, if the file is there, whole, and of this kind and key.
pub(crate) fn read(path: &Path, kind: &str, key: &Digest) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let start = bytes.iter().position(|b| *b == b'\n')? + 1;
    if bytes[..start] != *header(kind, key, &bytes[start..]).as_bytes() {
        tracing::debug!(path = %path.display(), "ignoring a damaged record");
        return None;
    }
    bytes.drain(..start);
    Some(bytes)
}

/// Writes or replaces the file.
pub(crate) fn write(
    store: &Store,
    path: &Path,
    kind: &str,
    key: &Digest,
    body: &[u8],
) -> Result<(), crate::StoreError> {
    let mut staged = store.stage()?;
    let written =
        staged.write_all(header(kind, key, body).as_bytes()).and_then(|()| staged.write_all(body));
    written.map_err(FileError::on(Action::Write, staged.path()))?;
    staged.rename_to(path)
}
