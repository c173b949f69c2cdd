//! OCI image layouts, as directories and as archives.

use super::unpack::Unpacked;
use super::{ReadError, ReadImage, ReadPlatform, Search};
use crate::filesystem::FileSystem;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use tierce_oci::{Descriptor, Digest, Hasher, ImageConfig, Index, Manifest, MediaType};
use tierce_secret::Secrets;

pub(crate) fn read_oci_layout(dir: &Path, secrets: &Secrets) -> Result<ReadImage, ReadError> {
    read(&|name| Ok(dir.join(name)), secrets)
}

pub(crate) fn read_oci_archive(
    file: &Path,
    scratch: &Path,
    secrets: &Secrets,
) -> Result<ReadImage, ReadError> {
    let unpacked = Unpacked::read(file, scratch)?;
    read(&|name| unpacked.path(name).map(Path::to_owned), secrets)
}

/// Where a file of the layout is.
type Locate<'a> = dyn Fn(&str) -> Result<PathBuf, ReadError> + 'a;

fn read(locate: &Locate<'_>, secrets: &Secrets) -> Result<ReadImage, ReadError> {
    let index = content(&locate("index.json")?)?;
    let index = Index::parse(&index, &MediaType::OciIndex)
        .map_err(|source| ReadError::Manifest { digest: Digest::of(&index), source })?;
    let [root] = index.manifests.as_slice() else {
        return Err(ReadError::Missing("the one image of the layout".into()));
    };
    read_root(root, &|descriptor| blob(locate, descriptor), secrets)
}

/// Where the blob of a descriptor is, checked.
pub(super) type Blobs<'a> = dyn Fn(&Descriptor) -> Result<PathBuf, ReadError> + 'a;

/// Reads the image or index at `root`.
pub(super) fn read_root(
    root: &Descriptor,
    blobs: &Blobs<'_>,
    secrets: &Secrets,
) -> Result<ReadImage, ReadError> {
    let mut platforms = BTreeMap::new();
    let mut add = |descriptor: &Descriptor, manifest: &[u8]| {
        let (platform, read) = read_platform(descriptor, manifest, blobs, secrets)?;
        platforms.insert(platform, read);
        Ok::<(), ReadError>(())
    };
    let bytes = content(&blobs(root)?)?;
    if root.media_type.is_index() {
        let index = Index::parse(&bytes, &root.media_type)
            .map_err(|source| ReadError::Manifest { digest: root.digest, source })?;
        let is_image = |d: &&Descriptor| d.platform.as_ref().is_none_or(|p| p.os != "unknown");
        for descriptor in index.manifests.iter().filter(is_image) {
            add(descriptor, &content(&blobs(descriptor)?)?)?;
        }
    } else {
        add(root, &bytes)?;
    }
    Ok(ReadImage { digest: Some(root.digest), platforms })
}

fn read_platform(
    descriptor: &Descriptor,
    bytes: &[u8],
    blobs: &Blobs<'_>,
    secrets: &Secrets,
) -> Result<(tierce_oci::Platform, ReadPlatform), ReadError> {
    let mut search = Search { secrets, leaks: vec![] };
    let manifest = Manifest::parse(bytes, &descriptor.media_type)
        .map_err(|source| ReadError::Manifest { digest: descriptor.digest, source })?;
    search.document("the manifest", bytes);
    let config = content(&blobs(&manifest.config)?)?;
    search.document("the configuration", &config);
    let config = ImageConfig::parse(&config)
        .map_err(|source| ReadError::Json { what: "the configuration".into(), source })?;
    let mut files = FileSystem::default();
    for layer in &manifest.layers {
        let path = blobs(layer)?;
        let file = open(&path)?;
        let found = files
            .apply(BufReader::new(file), secrets)
            .map_err(|source| ReadError::Layer { layer: layer.digest.to_string(), source })?;
        search.leaks.extend(found);
    }
    let digest = Some(descriptor.digest);
    Ok((config.platform.clone(), ReadPlatform { digest, config, files, leaks: search.leaks }))
}

/// The file of a blob of a layout, whose digest is checked.
fn blob(locate: &Locate<'_>, descriptor: &Descriptor) -> Result<PathBuf, ReadError> {
    let digest = descriptor.digest;
    let path = locate(&format!("blobs/{}", digest.to_string().replace(':', "/")))?;
    let found = digest_of(&path)?;
    match found == digest {
        true => Ok(path),
        false => Err(ReadError::Digest { expected: digest, found }),
    }
}

fn digest_of(path: &Path) -> Result<Digest, ReadError> {
    let mut file = open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let n = file
            .read(&mut buffer)
            .map_err(|source| ReadError::File { path: path.to_owned(), source })?;
        if n == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&buffer[..n]);
    }
}

fn open(path: &Path) -> Result<File, ReadError> {
    File::open(path).map_err(|source| ReadError::File { path: path.to_owned(), source })
}

pub(super) fn content(path: &Path) -> Result<Vec<u8>, ReadError> {
    std::fs::read(path).map_err(|source| ReadError::File { path: path.to_owned(), source })
}
