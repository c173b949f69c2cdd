//! What writing images in any form has in common.

mod error;

pub use error::ExportError;

use crate::error::{Action, FileError};
use crate::file::open_regular;
use crate::verify::Verifying;
use std::collections::BTreeSet;
use std::io::{self, Read};
use tierce_oci::{Artifact, Blob, BlobLocation, Digest, Index, MAX_MANIFEST_SIZE, Manifest};

/// What a blob's reader reads from.
pub(crate) type Input<'a> = Box<dyn Read + 'a>;

/// The blob of this digest.
pub(crate) fn blob<'a>(artifact: &'a Artifact, digest: &Digest) -> Result<&'a Blob, ExportError> {
    artifact.blobs.get(digest).ok_or(ExportError::Missing { digest: *digest })
}

/// A reader of the blob that verifies it.
pub(crate) fn open(blob: &Blob) -> Result<Verifying<Input<'_>>, ExportError> {
    let digest = blob.descriptor.digest;
    let (input, length): (Input<'_>, u64) = match &blob.location {
        BlobLocation::Memory(bytes) => (Box::new(&bytes[..]), bytes.len() as u64),
        BlobLocation::File(path) => {
            let (file, metadata) = open_regular(path).map_err(FileError::on(Action::Read, path))?;
            (Box::new(file), metadata.len())
        }
        BlobLocation::Registry(reference) => {
            let reference = Box::new(reference.clone());
            return Err(ExportError::Elsewhere { digest, reference });
        }
    };
    if length != blob.descriptor.size {
        return Err(corrupt(blob));
    }
    Ok(Verifying::new(input, digest, length))
}

/// The bytes of a manifest, index or config.
pub(crate) fn document(artifact: &Artifact, digest: &Digest) -> Result<Vec<u8>, ExportError> {
    let blob = blob(artifact, digest)?;
    let size = blob.descriptor.size;
    if size > MAX_MANIFEST_SIZE as u64 {
        return Err(ExportError::TooLarge { digest: *digest, size });
    }
    open(blob)?.into_bytes().map_err(|error| read_failed(blob, error))
}

/// What the failure to read a blob means.
pub(crate) fn read_failed(blob: &Blob, error: io::Error) -> ExportError {
    match &blob.location {
        BlobLocation::File(path) if error.raw_os_error().is_some() => {
            FileError::on(Action::Read, path)(error).into()
        }
        // Nothing but the system fails to read what is right.
        _ => corrupt(blob),
    }
}

fn corrupt(blob: &Blob) -> ExportError {
    let path = match &blob.location {
        BlobLocation::File(path) => Some(path.clone()),
        _ => None,
    };
    ExportError::Corrupt { digest: blob.descriptor.digest, path }
}

/// Sees that everything that the root leads to is there. Of an index some images may be absent,
/// as in what Docker saves of an image of which it has pulled one platform, but not all.
pub(crate) fn check_complete(artifact: &Artifact) -> Result<(), ExportError> {
    let mut seen = BTreeSet::new();
    let mut pending = vec![blob(artifact, &artifact.root.digest)?.descriptor.clone()];
    while let Some(descriptor) = pending.pop() {
        let digest = descriptor.digest;
        if !seen.insert(digest) {
            continue;
        }
        let invalid = |source| ExportError::Manifest { digest, source };
        if descriptor.media_type.is_index() {
            let bytes = document(artifact, &digest)?;
            let index = Index::parse(&bytes, &descriptor.media_type).map_err(invalid)?;
            let there = |d: &&tierce_oci::Descriptor| artifact.blobs.contains_key(&d.digest);
            match index.manifests.first() {
                Some(first) if !index.manifests.iter().any(|d| there(&d)) => {
                    return Err(ExportError::Missing { digest: first.digest });
                }
                _ => pending.extend(index.manifests.iter().filter(there).cloned()),
            }
        } else if descriptor.media_type.is_manifest() {
            let bytes = document(artifact, &digest)?;
            let manifest = Manifest::parse(&bytes, &descriptor.media_type).map_err(invalid)?;
            for child in manifest.layers.iter().chain([&manifest.config]) {
                // Foreign layers are fetched from elsewhere.
                if child.urls.is_empty() {
                    blob(artifact, &child.digest)?;
                }
            }
        }
    }
    Ok(())
}
