//! Images as tar archives of an OCI image layout, as `skopeo`'s and `podman`'s `oci-archive:`.

use crate::archive::{self, Content};
use crate::error::{Action, FileError};
use crate::export::{self, ExportError};
use crate::file::open_regular;
use crate::import::{self, ImportError, Verify};
use crate::store::Store;
use crate::{StoreError, oci_layout};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::Path;
use tierce_layer::{Entry, LayerReader, ReadError};
use tierce_oci::{Artifact, Digest, MAX_MANIFEST_SIZE};

/// Writes the image as the archive `file`, in place of what is there. The bytes depend on the
/// image and its name alone.
pub fn write(file: &Path, artifact: &Artifact, ref_name: Option<&str>) -> Result<(), ExportError> {
    archive::write(file, members(artifact, ref_name)?)
}

/// Writes the archive to `out`, which an error calls `name`.
pub fn write_to(
    out: impl Write,
    name: &Path,
    artifact: &Artifact,
    ref_name: Option<&str>,
) -> Result<(), ExportError> {
    archive::write_to(out, name, members(artifact, ref_name)?)
}

fn members<'a>(
    artifact: &'a Artifact,
    ref_name: Option<&str>,
) -> Result<Vec<(String, Content<'a>)>, ExportError> {
    oci_layout::check_name(ref_name)?;
    export::check_complete(artifact)?;
    let index = oci_layout::add(None, artifact, ref_name).to_string().into_bytes();
    let blobs = artifact.blobs.values().map(|blob| {
        (format!("blobs/sha256/{}", blob.descriptor.digest.hex()), Content::Blob(blob))
    });
    let frame = [
        ("blobs".to_owned(), Content::Directory),
        ("blobs/sha256".to_owned(), Content::Directory),
        ("index.json".to_owned(), Content::Bytes(index)),
        ("oci-layout".to_owned(), Content::Bytes(oci_layout::marker())),
    ];
    Ok(blobs.chain(frame).collect())
}

/// Reads the image called `name`, or the only one if no name is given, from the archive `file`,
/// compressed or not. Its blobs are verified and kept in the store. Whatever an archive holds
/// besides a layout's files is passed over, and no path in it is ever used as one.
pub fn read(file: &Path, store: &Store, name: Option<&str>) -> Result<Artifact, ImportError> {
    let (input, _) = open_regular(file).map_err(FileError::on(Action::Read, file))?;
    let failed = |source| ImportError::Archive { path: file.to_owned(), source };
    let mut tar = LayerReader::new(input).map_err(failed)?;
    let (mut marker, mut index) = (None, None);
    let mut seen = BTreeSet::new();
    while let Some((entry, mut content)) = tar.next_entry().map_err(failed)? {
        if !entry.is_file() {
            continue;
        }
        let document = match entry.path.as_bytes() {
            b"oci-layout" => &mut marker,
            b"index.json" => &mut index,
            _ => {
                if let Some(digest) = blob_digest(&entry) {
                    // A second blob of the same digest is the same blob.
                    if seen.insert(digest) && store.has(&digest) != Some(entry.size()) {
                        import_blob(store, &mut content, &digest, file)?;
                    }
                }
                continue;
            }
        };
        let mut bytes = vec![];
        let limit = MAX_MANIFEST_SIZE as u64 + 1;
        let read = content.take(limit).read_to_end(&mut bytes);
        read.map_err(|error| read_failed(file, error))?;
        if document.replace(bytes).is_some() {
            let (path, entry) = (file.to_owned(), entry.path.to_string());
            return Err(ImportError::Duplicate { path, entry });
        }
    }
    let not_a_layout = || ImportError::NotALayout { path: file.to_owned() };
    import::check_version(file, &marker.ok_or_else(not_a_layout)?)?;
    let index = index.ok_or_else(not_a_layout)?;
    import::read(file, &index, name, Verify::Documents, &|digest| store.blob_path(digest))
}

/// The digest in the entry's path, if it is a blob's.
fn blob_digest(entry: &Entry) -> Option<Digest> {
    let hex = entry.path.as_bytes().strip_prefix(b"blobs/sha256/")?;
    Digest::from_hex(std::str::from_utf8(hex).ok()?).ok()
}

fn import_blob(
    store: &Store,
    content: &mut dyn Read,
    digest: &Digest,
    file: &Path,
) -> Result<(), ImportError> {
    match store.import(content, digest, file) {
        Ok(_) => Ok(()),
        Err(StoreError::Mismatch { .. }) => {
            Err(ImportError::Corrupt { path: file.to_owned(), digest: *digest })
        }
        Err(StoreError::File(FileError { action: Action::Read, source, .. })) => {
            Err(read_failed(file, source))
        }
        Err(error) => Err(error.into()),
    }
}

/// What the failure to read an entry's content means: the disk fails, or the archive is cut.
fn read_failed(file: &Path, error: io::Error) -> ImportError {
    match error.raw_os_error() {
        Some(_) => FileError::on(Action::Read, file)(error).into(),
        None => ImportError::Archive { path: file.to_owned(), source: ReadError::Input(error) },
    }
}
