//! What reading images in any form has in common.

mod error;

pub use error::ImportError;

use crate::error::{Action, FileError};
use crate::file::open_regular;
use crate::oci_layout::{REF_NAME, VERSION, layout_version};
use crate::verify::{Verifying, damaged};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use tierce_oci::{
    Artifact, BlobLocation, Descriptor, Digest, Index, MAX_MANIFEST_SIZE, Manifest, MediaType,
};

/// How an image's name is kept by containerd, and so by `docker save` and `nerdctl save`.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// How much of an image is verified when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Manifests, indexes and configs. For those who will verify layers when they use them, or
    /// don't use them.
    Documents,
    /// Layers as well, which reads all of them.
    Everything,
}

pub(crate) fn check_version(path: &Path, marker: &[u8]) -> Result<(), ImportError> {
    match layout_version(marker) {
        Some(version) if version == VERSION => Ok(()),
        Some(version) => Err(ImportError::Version { path: path.to_owned(), version }),
        None => Err(ImportError::NotALayout { path: path.to_owned() }),
    }
}

/// Reads the image that `name` picks from `index`, an `index.json`. `origin` is what errors call
/// the layout, and `blob_path` says where a blob of it would be.
pub(crate) fn read(
    origin: &Path,
    index: &[u8],
    name: Option<&str>,
    verify: Verify,
    blob_path: &dyn Fn(&Digest) -> PathBuf,
) -> Result<Artifact, ImportError> {
    let invalid = |source| ImportError::Index { path: origin.to_owned(), source };
    let index = Index::parse(index, &MediaType::OciIndex).map_err(invalid)?;
    let root = select(origin, &index, name)?.clone();
    let layout = Layout { origin, verify, blob_path };
    let bytes = layout.document(&root)?.ok_or_else(|| layout.missing(&root.digest))?;
    let mut artifact = Artifact::new(root.clone(), bytes.clone());
    let mut pending = vec![(root, bytes)];
    // A queue instead of recursion, since the nesting of indexes is the layout's to choose.
    while let Some((descriptor, bytes)) = pending.pop() {
        if descriptor.media_type.is_index() {
            layout.read_index(&descriptor, &bytes, &mut artifact, &mut pending)?;
        } else if descriptor.media_type.is_manifest() {
            layout.read_manifest(&descriptor, &bytes, &mut artifact)?;
        }
    }
    Ok(artifact)
}

fn names(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = &descriptor.annotations;
    [REF_NAME, CONTAINERD_NAME].into_iter().filter_map(|k| annotations.get(k).map(String::as_str))
}

fn select<'a>(
    origin: &Path,
    index: &'a Index,
    name: Option<&str>,
) -> Result<&'a Descriptor, ImportError> {
    let wanted = |d: &&Descriptor| name.is_none_or(|name| names(d).any(|n| n == name));
    let mut found = index.manifests.iter().filter(wanted);
    let (path, name) = (origin.to_owned(), name.map(str::to_owned));
    let mut available: Vec<String> =
        index.manifests.iter().flat_map(names).map(str::to_owned).collect();
    available.sort();
    available.dedup();
    match (found.next(), found.next()) {
        (Some(descriptor), None) => Ok(descriptor),
        (Some(first), Some(second)) if first.digest == second.digest => Ok(first),
        (Some(_), Some(_)) => Err(ImportError::Ambiguous { path, name, available }),
        (None, _) => Err(ImportError::NotFound { path, name, available }),
    }
}

struct Layout<'a> {
    origin: &'a Path,
    verify: Verify,
    blob_path: &'a dyn Fn(&Digest) -> PathBuf,
}

/// Documents that are still to be looked into.
type Pending = Vec<(Descriptor, Vec<u8>)>;

impl Layout<'_> {
    fn missing(&self, digest: &Digest) -> ImportError {
        ImportError::Missing { path: self.origin.to_owned(), digest: *digest }
    }

    /// The images of an index. `docker save` writes indexes of which it has but one platform's
    /// image: those that are absent are left out, as long as one is there.
    fn read_index(
        &self,
        descriptor: &Descriptor,
        bytes: &[u8],
        artifact: &mut Artifact,
        pending: &mut Pending,
    ) -> Result<(), ImportError> {
        let digest = descriptor.digest;
        let index = Index::parse(bytes, &descriptor.media_type)
            .map_err(|source| ImportError::Manifest { digest, source })?;
        let mut absent = None;
        let mut any = false;
        for child in index.manifests {
            any |= artifact.blobs.contains_key(&child.digest);
            if artifact.blobs.contains_key(&child.digest) {
                continue;
            }
            match self.document(&child)? {
                Some(bytes) => {
                    any = true;
                    artifact.insert(child.clone(), BlobLocation::Memory(bytes.clone().into()));
                    pending.push((child, bytes));
                }
                None => absent = Some(child.digest),
            }
        }
        match absent {
            Some(digest) if !any => Err(self.missing(&digest)),
            _ => Ok(()),
        }
    }

    fn read_manifest(
        &self,
        descriptor: &Descriptor,
        bytes: &[u8],
        artifact: &mut Artifact,
    ) -> Result<(), ImportError> {
        let digest = descriptor.digest;
        let manifest = Manifest::parse(bytes, &descriptor.media_type)
            .map_err(|source| ImportError::Manifest { digest, source })?;
        let config = self.document(&manifest.config)?;
        let config = config.ok_or_else(|| self.missing(&manifest.config.digest))?;
        artifact.insert(manifest.config, BlobLocation::Memory(config.into()));
        for layer in manifest.layers {
            if artifact.blobs.contains_key(&layer.digest) {
                continue;
            }
            match self.open(&layer)? {
                Some(file) => {
                    self.verify(file, &layer)?;
                    let path = (self.blob_path)(&layer.digest);
                    artifact.insert(layer, BlobLocation::File(path));
                }
                // Foreign layers are fetched from elsewhere.
                None if !layer.urls.is_empty() => {}
                None => return Err(self.missing(&layer.digest)),
            }
        }
        Ok(())
    }

    /// A blob of the right length, if it is there.
    fn open(&self, descriptor: &Descriptor) -> Result<Option<File>, ImportError> {
        let path = (self.blob_path)(&descriptor.digest);
        match open_regular(&path) {
            Ok((_, metadata)) if metadata.len() != descriptor.size => Err(ImportError::Size {
                digest: descriptor.digest,
                declared: descriptor.size,
                actual: metadata.len(),
            }),
            Ok((file, _)) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FileError { action: Action::Read, path, source }.into()),
        }
    }

    fn verify(&self, file: File, descriptor: &Descriptor) -> Result<(), ImportError> {
        match self.verify {
            Verify::Documents => Ok(()),
            Verify::Everything => {
                let mut reader = Verifying::new(file, descriptor.digest, descriptor.size);
                io::copy(&mut reader, &mut io::sink()).map_err(|e| self.failed(descriptor, e))?;
                Ok(())
            }
        }
    }

    /// A manifest, index or config, verified.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, ImportError> {
        let (digest, size) = (descriptor.digest, descriptor.size);
        if size > MAX_MANIFEST_SIZE as u64 {
            return Err(ImportError::TooLarge { digest, size });
        }
        let Some(file) = self.open(descriptor)? else { return Ok(None) };
        let bytes = Verifying::new(file, digest, size).into_bytes();
        bytes.map(Some).map_err(|error| self.failed(descriptor, error))
    }

    fn failed(&self, descriptor: &Descriptor, error: io::Error) -> ImportError {
        let digest = descriptor.digest;
        match damaged(&error) {
            Some(_) => ImportError::Corrupt { path: self.origin.to_owned(), digest },
            None => FileError::on(Action::Read, &(self.blob_path)(&digest))(error).into(),
        }
    }
}
