//! Images as directories: the image specification's "Image Layout".

use crate::error::{Action, FileError};
use crate::export::{self, ExportError};
use crate::file::{Replacement, open_regular};
use crate::import::{self, ImportError, Verify};
use crate::lock;
use crate::verify::Verifying;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tierce_oci::{
    Artifact, Blob, BlobLocation, Digest, Index, MAX_MANIFEST_SIZE, ManifestError, MediaType,
};

/// The annotation that names an image within a layout.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(crate) const VERSION: &str = "1.0.0";

/// The content of `oci-layout`.
pub(crate) fn marker() -> Vec<u8> {
    json!({ "imageLayoutVersion": VERSION }).to_string().into_bytes()
}

/// Writes the image into the layout `dir`, which is made if it is not there.
///
/// Other images of the layout stay; an image of the same name, or without one if `ref_name` is
/// `None`, is replaced in the index. Blobs are copies: nothing that is done to the layout later
/// reaches the store. A blob that is there with the right length is taken for what it should be.
/// The index is written last, so that whoever reads the layout meanwhile sees
/// the one state or the other; writers take turns.
pub fn write(dir: &Path, artifact: &Artifact, ref_name: Option<&str>) -> Result<(), ExportError> {
    check_name(ref_name)?;
    export::check_complete(artifact)?;
    let blobs = dir.join("blobs/sha256");
    fs::create_dir_all(dir).map_err(FileError::on(Action::Create, dir))?;
    let lock = File::open(dir).map_err(FileError::on(Action::Read, dir))?;
    lock::exclusive_if_possible(&lock);
    let present = check_target(dir)?;
    if !present {
        replace(&dir.join("oci-layout"), &marker())?;
    }
    fs::create_dir_all(&blobs).map_err(FileError::on(Action::Create, &blobs))?;
    for blob in artifact.blobs.values() {
        write_blob(&blobs.join(blob.descriptor.digest.hex()), blob)?;
    }
    let path = dir.join("index.json");
    let index = add(read_index(&path)?, artifact, ref_name);
    replace(&path, index.to_string().as_bytes())
}

/// The annotation's grammar (image specification, "Pre-Defined Annotation Keys").
pub(crate) fn check_name(ref_name: Option<&str>) -> Result<(), ExportError> {
    let Some(name) = ref_name else { return Ok(()) };
    let component = |c: &str| {
        let separators = c.split(|c: char| c.is_ascii_alphanumeric()).filter(|s| !s.is_empty());
        let ends = c.starts_with(|c: char| c.is_ascii_alphanumeric())
            && c.ends_with(|c: char| c.is_ascii_alphanumeric());
        ends && separators.into_iter().all(|s| s == "--" || s.len() == 1 && "-._:@+".contains(s))
    };
    if name.split('/').all(component) {
        return Ok(());
    }
    Err(ExportError::RefName { name: name.to_owned() })
}

/// Whether the directory is a layout already; an error if it is something else.
fn check_target(dir: &Path) -> Result<bool, ExportError> {
    let path = dir.join("oci-layout");
    match fs::read(&path) {
        Ok(bytes) => match layout_version(&bytes) {
            Some(version) if version == VERSION => Ok(true),
            Some(version) => Err(ExportError::LayoutVersion { path: dir.to_owned(), version }),
            None => Err(ExportError::NotALayout { path: dir.to_owned() }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let list = || FileError::on(Action::List, dir);
            for entry in fs::read_dir(dir).map_err(list())? {
                let name = entry.map_err(list())?.file_name();
                // A killed process may have left the beginning of the file that is missing.
                if !name.to_string_lossy().starts_with(".oci-layout.") {
                    return Err(ExportError::NotALayout { path: dir.to_owned() });
                }
            }
            Ok(false)
        }
        Err(source) => Err(FileError { action: Action::Read, path, source }.into()),
    }
}

/// What an `oci-layout` file says.
pub(crate) fn layout_version(bytes: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Marker {
        image_layout_version: String,
    }
    serde_json::from_slice(bytes).ok().map(|m: Marker| m.image_layout_version)
}

fn write_blob(target: &Path, blob: &Blob) -> Result<(), ExportError> {
    if fs::metadata(target).is_ok_and(|m| m.is_file() && m.len() == blob.descriptor.size) {
        return Ok(());
    }
    let mut file = Replacement::of(target)?;
    if !clone_file(file.file(), blob)? {
        let mut input = export::open(blob)?;
        let mut buffer = vec![0; 1 << 17];
        loop {
            match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => file.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(export::read_failed(blob, error)),
            }
        }
    }
    Ok(file.finish()?)
}

/// Makes the file share the blob's disk blocks, copy on write, where the file system can: no bytes
/// are written. Never a hard link: with that, a `chmod` on the layout would change the store.
fn clone_file(target: &File, blob: &Blob) -> Result<bool, ExportError> {
    let BlobLocation::File(path) = &blob.location else { return Ok(false) };
    let (source, metadata) = open_regular(path).map_err(FileError::on(Action::Read, path))?;
    if rustix::fs::ioctl_ficlone(target, &source).is_err() {
        return Ok(false);
    }
    let mut reader = Verifying::new(source, blob.descriptor.digest, metadata.len());
    io::copy(&mut reader, &mut io::sink()).map_err(|error| export::read_failed(blob, error))?;
    Ok(true)
}

/// The layout's index as it is, with fields that this crate does not know.
fn read_index(path: &Path) -> Result<Option<Value>, ExportError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::on(Action::Read, path)(error).into()),
    };
    let invalid = |source: ManifestError| ExportError::Index { path: path.to_owned(), source };
    Index::parse(&bytes, &MediaType::OciIndex).map_err(invalid)?;
    Ok(Some(serde_json::from_slice(&bytes).map_err(|e| invalid(e.into()))?))
}

/// The index with the image in it.
pub(crate) fn add(index: Option<Value>, artifact: &Artifact, ref_name: Option<&str>) -> Value {
    let mut index = index.unwrap_or_else(
        || json!({ "schemaVersion": 2, "mediaType": MediaType::OciIndex, "manifests": [] }),
    );
    let mut root = artifact.root.clone();
    root.annotations.remove(REF_NAME);
    root.annotations.extend(ref_name.map(|name| (REF_NAME.to_owned(), name.to_owned())));
    let root = serde_json::to_value(root).expect("a descriptor has only string keys");
    if let Some(manifests) = index["manifests"].as_array_mut() {
        let same = |entry: &Value| entry["annotations"][REF_NAME].as_str() == ref_name;
        match manifests.iter().position(same) {
            Some(at) => {
                manifests[at] = root;
                let mut index = 0;
                manifests.retain(|entry| {
                    index += 1;
                    index <= at + 1 || !same(entry)
                });
            }
            None => manifests.push(root),
        }
    }
    index
}

fn replace(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    let mut file = Replacement::of(path)?;
    file.write(content)?;
    Ok(file.finish()?)
}

/// Reads the image called `name` from the layout `dir`, or the only one if no name is given.
///
/// Names are those of the annotation `org.opencontainers.image.ref.name`, or containerd's full
/// image names. Manifests, indexes and configs are read and verified; layers are left where they
/// are, and read here only to [verify](Verify) them. Links in the place of blobs are refused.
pub fn read(dir: &Path, name: Option<&str>, verify: Verify) -> Result<Artifact, ImportError> {
    let marker = dir.join("oci-layout");
    match read_file(&marker) {
        Ok(bytes) => import::check_version(dir, &bytes)?,
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => {
            return Err(ImportError::NotALayout { path: dir.to_owned() });
        }
        Err(error) => return Err(error.into()),
    }
    let index = read_file(&dir.join("index.json"))?;
    let blobs = dir.join("blobs/sha256");
    let blob_path = |digest: &Digest| -> PathBuf { blobs.join(digest.hex()) };
    import::read(dir, &index, name, verify, &blob_path)
}

/// A small file.
fn read_file(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = || FileError::on(Action::Read, path);
    let (file, _) = open_regular(path).map_err(failed())?;
    let mut bytes = vec![];
    file.take(MAX_MANIFEST_SIZE as u64 + 1).read_to_end(&mut bytes).map_err(failed())?;
    Ok(bytes)
}
