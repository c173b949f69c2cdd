//! OCI image layouts (image specification, "OCI Image Layout Specification").

use crate::error::{ExportError, ImportError};
use serde_json::json;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tierce_oci::{
    Artifact, Blob, BlobLocation, Descriptor, Digest, Hasher, Index, MAX_MANIFEST_SIZE, Manifest,
    MediaType,
};

/// The annotation that names an image in a layout.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Writes the image into the layout at `directory`, making it if it is not there. Other images
/// of the layout stay; one of the same name is replaced. `index.json` changes last.
pub fn write(directory: &Path, image: &Artifact, name: Option<&str>) -> Result<(), ExportError> {
    let mut index = prepare(directory)?;
    for blob in image.blobs.values() {
        write_blob(directory, blob)?;
    }
    index.manifests.retain(|d| match name {
        Some(_) => d.annotations.get(REF_NAME).map(String::as_str) != name,
        None => d.digest != image.root.digest,
    });
    index.manifests.push(named(&image.root, name));
    write_file(&directory.join("index.json"), &index.to_bytes())
}

/// The root descriptor as `index.json` lists it.
pub(crate) fn named(root: &Descriptor, name: Option<&str>) -> Descriptor {
    let mut descriptor = root.clone();
    if let Some(name) = name {
        descriptor.annotations.insert(REF_NAME.to_owned(), name.to_owned());
    }
    descriptor
}

/// The content of `oci-layout`.
pub(crate) fn marker() -> Vec<u8> {
    json!({ "imageLayoutVersion": "1.0.0" }).to_string().into_bytes()
}

/// Makes the directory a layout if it is empty or missing; gives its index.
fn prepare(directory: &Path) -> Result<Index, ExportError> {
    let fail = |source| ExportError::Write { path: directory.to_owned(), source };
    match fs::read_dir(directory) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {}
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(occupied(directory));
        }
        Err(e) => return Err(fail(e)),
        Ok(mut entries) => {
            if directory.join("oci-layout").is_file() {
                let path = directory.join("index.json");
                let bytes =
                    fs::read(&path).map_err(|source| ExportError::Write { path, source })?;
                return Index::parse(&bytes, &MediaType::OciIndex)
                    .map_err(|e| ExportError::Manifest(Digest::of(&bytes), e));
            }
            if entries.next().is_some() {
                return Err(occupied(directory));
            }
        }
    }
    fs::create_dir_all(directory.join("blobs/sha256")).map_err(fail)?;
    write_file(&directory.join("oci-layout"), &marker())?;
    Ok(Index::new(vec![]))
}

fn occupied(path: &Path) -> ExportError {
    ExportError::Occupied { path: path.to_owned(), expected: "an OCI image layout or empty" }
}

fn write_blob(directory: &Path, blob: &Blob) -> Result<(), ExportError> {
    let digest = blob.descriptor.digest;
    let path = directory.join("blobs/sha256").join(digest.hex());
    if fs::metadata(&path).is_ok_and(|m| m.len() == blob.descriptor.size) {
        return Ok(());
    }
    let write = |source| ExportError::Write { path: path.clone(), source };
    let parent = path.parent().unwrap_or(directory);
    fs::create_dir_all(parent).map_err(write)?;
    let mut staged = tempfile::NamedTempFile::new_in(parent).map_err(write)?;
    copy_blob(blob, &mut staged)?;
    finish(staged, &path)
}

/// Copies a blob, and fails when it is not what its descriptor says.
///
/// A copy, never a hard link to the store: the layout belongs to the user, who may change modes
/// and content.
pub(crate) fn copy_blob(blob: &Blob, out: &mut impl Write) -> Result<(), ExportError> {
    let digest = blob.descriptor.digest;
    let fail = |source| ExportError::Blob { digest, source };
    let mut source = open(blob)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = source.read(&mut buffer).map_err(fail)?;
        if n == 0 {
            break;
        }
        hasher.update(&buffer[..n]);
        out.write_all(&buffer[..n]).map_err(fail)?;
    }
    match hasher.finish() == digest {
        true => Ok(()),
        false => Err(fail(io::Error::new(io::ErrorKind::InvalidData, "its content is damaged"))),
    }
}

/// Opens a blob that is on this machine.
pub(crate) fn open(blob: &Blob) -> Result<Box<dyn Read + '_>, ExportError> {
    let digest = blob.descriptor.digest;
    match &blob.location {
        BlobLocation::Memory(bytes) => Ok(Box::new(&bytes[..])),
        BlobLocation::File(path) => {
            let file = File::open(path).map_err(|source| ExportError::Blob { digest, source })?;
            Ok(Box::new(file))
        }
        BlobLocation::Registry(_) => Err(ExportError::Remote(digest)),
    }
}

fn write_file(path: &Path, content: &[u8]) -> Result<(), ExportError> {
    let write = |source| ExportError::Write { path: path.to_owned(), source };
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut staged = tempfile::NamedTempFile::new_in(parent).map_err(write)?;
    staged.write_all(content).map_err(write)?;
    finish(staged, path)
}

/// Puts a finished file in its place, with the mode that the user's other files have.
pub(crate) fn finish(staged: tempfile::NamedTempFile, path: &Path) -> Result<(), ExportError> {
    use std::os::unix::fs::PermissionsExt;
    let write = |source| ExportError::Write { path: path.to_owned(), source };
    let umask = rustix::process::umask(rustix::fs::Mode::empty());
    rustix::process::umask(umask);
    let mode = 0o666 & !umask.bits();
    staged.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(write)?;
    staged.persist(path).map_err(|e| write(e.error))?;
    Ok(())
}

/// Reads the image called `name`, or the only one, from the layout at `directory`. Every
/// document is verified against its digest; layers are verified by whoever reads them.
pub fn read(directory: &Path, name: Option<&str>) -> Result<Artifact, ImportError> {
    if !directory.join("oci-layout").is_file() {
        return Err(ImportError::NotALayout { path: directory.to_owned() });
    }
    let path = directory.join("index.json");
    let bytes = fs::read(&path).map_err(|source| ImportError::Read { path, source })?;
    let index = Index::parse(&bytes, &MediaType::OciIndex)
        .map_err(|source| ImportError::Manifest { path: directory.to_owned(), source })?;
    let root = select(directory, &index, name)?;
    let mut artifact = Artifact::new(root.clone(), document(directory, &root)?);
    collect(directory, &root, &mut artifact)?;
    Ok(artifact)
}

fn select(directory: &Path, index: &Index, name: Option<&str>) -> Result<Descriptor, ImportError> {
    let called = |d: &&Descriptor| d.annotations.get(REF_NAME).map(String::as_str) == name;
    let found = match (name, index.manifests.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(_), all) => all.iter().find(called),
    };
    let mut root = found.cloned().ok_or_else(|| ImportError::NoImage {
        path: directory.to_owned(),
        wanted: name.unwrap_or_default().to_owned(),
        known: index
            .manifests
            .iter()
            .filter_map(|d| d.annotations.get(REF_NAME).cloned())
            .collect(),
    })?;
    root.annotations.remove(REF_NAME);
    Ok(root)
}

/// Adds everything below `descriptor`.
fn collect(
    directory: &Path,
    descriptor: &Descriptor,
    artifact: &mut Artifact,
) -> Result<(), ImportError> {
    let bytes = document(directory, descriptor)?;
    let invalid = |source| ImportError::Manifest { path: directory.to_owned(), source };
    artifact.insert(descriptor.clone(), BlobLocation::Memory(bytes.clone().into()));
    if descriptor.media_type.is_index() {
        for manifest in Index::parse(&bytes, &descriptor.media_type).map_err(invalid)?.manifests {
            // Indexes of indexes are allowed; a cycle is not possible with digests.
            collect(directory, &manifest, artifact)?;
        }
        return Ok(());
    }
    let manifest = Manifest::parse(&bytes, &descriptor.media_type).map_err(invalid)?;
    let config = document(directory, &manifest.config)?;
    artifact.insert(manifest.config, BlobLocation::Memory(config.into()));
    for layer in manifest.layers {
        let path = blob_path(directory, &layer);
        if !fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == layer.size) {
            return Err(damaged(directory, &layer));
        }
        artifact.insert(layer, BlobLocation::File(path));
    }
    Ok(())
}

/// A digest is 64 hexadecimal digits by its type: no path can hide in it.
fn blob_path(directory: &Path, descriptor: &Descriptor) -> PathBuf {
    directory.join("blobs/sha256").join(descriptor.digest.hex())
}

fn document(directory: &Path, descriptor: &Descriptor) -> Result<Vec<u8>, ImportError> {
    let bad = || damaged(directory, descriptor);
    if descriptor.size > MAX_MANIFEST_SIZE as u64 {
        return Err(bad());
    }
    let file = File::open(blob_path(directory, descriptor)).map_err(|_| bad())?;
    let mut bytes = vec![];
    file.take(descriptor.size + 1).read_to_end(&mut bytes).map_err(|_| bad())?;
    match bytes.len() as u64 == descriptor.size && Digest::of(&bytes) == descriptor.digest {
        true => Ok(bytes),
        false => Err(bad()),
    }
}

fn damaged(directory: &Path, descriptor: &Descriptor) -> ImportError {
    ImportError::Blob { path: directory.to_owned(), descriptor: Box::new(descriptor.clone()) }
}
