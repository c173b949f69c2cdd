//! OCI image layouts in a tar file, as `skopeo` and `podman` call `oci-archive`.

use crate::error::{ExportError, ImportError};
use crate::oci_layout;
use crate::scratch::Scratch;
use crate::store::Store;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;
use tempfile::NamedTempFile;
use tierce_layer::{Compression, Entry, EntryKind, LayerPath, LayerReader, LayerWriter};
use tierce_oci::{Artifact, Blob, Descriptor, Index};

/// Writes the image into a new tar file at `path`, replacing the one that is there. The same
/// image gives the same file.
pub fn write(path: &Path, image: &Artifact, name: Option<&str>) -> Result<(), ExportError> {
    let index = Index::new(vec![oci_layout::named(&image.root, name)]);
    let mut archive = Archive::create(path)?;
    archive.directory("blobs")?;
    archive.directory("blobs/sha256")?;
    for blob in image.blobs.values() {
        archive.blob(&format!("blobs/sha256/{}", blob.descriptor.digest.hex()), blob)?;
    }
    archive.bytes("index.json", &index.to_bytes())?;
    archive.bytes("oci-layout", &oci_layout::marker())?;
    archive.finish()
}

/// Unpacks the layout at `path` into the store's scratch space and reads it from there. The image
/// is readable for as long as the guard lives.
pub fn read(
    store: &Store,
    path: &Path,
    name: Option<&str>,
) -> Result<(Artifact, Scratch), ImportError> {
    let scratch = store.scratch_dir("archive")?;
    let read = |source| ImportError::Read { path: path.to_owned(), source };
    let invalid = |source| ImportError::Archive { path: path.to_owned(), source };
    let file = File::open(path).map_err(read)?;
    let mut reader = LayerReader::new(BufReader::new(file)).map_err(invalid)?;
    while let Some((entry, mut content)) = reader.next_entry().map_err(invalid)? {
        let EntryKind::File { .. } = entry.kind else { continue };
        // Only the names that a layout has are unpacked, so no path can lead elsewhere.
        let Some(name) = layout_file(&entry.path) else { continue };
        let target = scratch.path().join(name);
        std::fs::create_dir_all(target.parent().unwrap_or(scratch.path())).map_err(read)?;
        let mut out = File::create(&target).map_err(read)?;
        io::copy(&mut content, &mut out).map_err(read)?;
    }
    let artifact = oci_layout::read(scratch.path(), name)?;
    Ok((artifact, scratch))
}

/// The path, if it is one of a layout's.
fn layout_file(path: &LayerPath) -> Option<&str> {
    let path = std::str::from_utf8(path.as_bytes()).ok()?;
    let is_blob = |p: &str| {
        p.strip_prefix("blobs/sha256/")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    (matches!(path, "oci-layout" | "index.json") || is_blob(path)).then_some(path)
}

/// A tar file under construction; it gets its name when it is whole.
pub(crate) struct Archive<'a> {
    path: &'a Path,
    writer: LayerWriter<NamedTempFile>,
}

impl<'a> Archive<'a> {
    pub(crate) fn create(path: &'a Path) -> Result<Self, ExportError> {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if path.is_dir() {
            return Err(ExportError::Occupied { path: path.to_owned(), expected: "a file" });
        }
        let write = |source| ExportError::Write { path: path.to_owned(), source };
        std::fs::create_dir_all(parent).map_err(write)?;
        let file = NamedTempFile::new_in(parent).map_err(write)?;
        Ok(Archive { path, writer: LayerWriter::new(file, Compression::None) })
    }

    pub(crate) fn directory(&mut self, name: &str) -> Result<(), ExportError> {
        self.append(&Entry::directory(place(name)).with_mode(0o755), io::empty())
    }

    pub(crate) fn bytes(&mut self, name: &str, content: &[u8]) -> Result<(), ExportError> {
        let entry = Entry::file(place(name), content.len() as u64).with_mode(0o644);
        self.append(&entry, content)
    }

    /// Adds a blob; one whose content is not what its descriptor says is an error.
    pub(crate) fn blob(&mut self, name: &str, blob: &Blob) -> Result<(), ExportError> {
        let entry = Entry::file(place(name), blob.descriptor.size).with_mode(0o644);
        let digest = blob.descriptor.digest;
        let mut hasher = tierce_oci::Hasher::new();
        let source = oci_layout::open(blob)?;
        self.append(&entry, Tee { source, hasher: &mut hasher })?;
        match hasher.finish() == digest {
            true => Ok(()),
            false => Err(ExportError::Blob {
                digest,
                source: io::Error::new(io::ErrorKind::InvalidData, "its content is damaged"),
            }),
        }
    }

    fn append(&mut self, entry: &Entry, content: impl io::Read) -> Result<(), ExportError> {
        let encode = |source| ExportError::Encode { path: self.path.to_owned(), source };
        self.writer.append(entry, content).map_err(encode)
    }

    pub(crate) fn finish(self) -> Result<(), ExportError> {
        let encode = |source| ExportError::Encode { path: self.path.to_owned(), source };
        let (file, _) = self.writer.finish().map_err(encode)?;
        oci_layout::finish(file, self.path)
    }
}

fn place(name: &str) -> LayerPath {
    LayerPath::new(name).expect("names of archive members are plain")
}

/// Hashes what is read.
struct Tee<'a, R> {
    source: R,
    hasher: &'a mut tierce_oci::Hasher,
}

impl<R: io::Read> io::Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.hasher.write_all(&buffer[..n])?;
        Ok(n)
    }
}

/// The blobs of one platform's image.
pub(crate) fn platform_image<'a>(
    image: &'a Artifact,
    platform: &tierce_oci::Platform,
) -> Result<(&'a Descriptor, tierce_oci::Manifest), ExportError> {
    let document = |d: &Descriptor| image.document(&d.digest).ok_or(ExportError::Remote(d.digest));
    let mut root = &image.root;
    if root.media_type.is_index() {
        let index = Index::parse(document(root)?, &root.media_type)
            .map_err(|e| ExportError::Manifest(root.digest, e))?;
        let chosen = match index.select(platform) {
            Some(descriptor) => descriptor.digest,
            None => return Err(ExportError::NoPlatform(platform.clone())),
        };
        root = &image.blobs.get(&chosen).ok_or(ExportError::Remote(chosen))?.descriptor;
    }
    let manifest = tierce_oci::Manifest::parse(document(root)?, &root.media_type)
        .map_err(|e| ExportError::Manifest(root.digest, e))?;
    Ok((root, manifest))
}
