//! Images in registries.

use super::layout::read_root;
use super::{ReadError, ReadImage};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use tierce_oci::{Descriptor, Digest, Index, Manifest, Reference};
use tierce_registry::Client;
use tierce_secret::Secrets;

/// Downloads an image into `scratch`, and reads it there.
pub(crate) async fn read_registry(
    client: &Client,
    reference: &Reference,
    scratch: &Path,
    secrets: &Secrets,
) -> Result<ReadImage, ReadError> {
    let io = |source| ReadError::File { path: scratch.to_owned(), source };
    let directory = tempfile::tempdir_in(scratch).map_err(io)?;
    let mut found: HashMap<Digest, PathBuf> = HashMap::new();
    let mut manifests: BTreeMap<Digest, (Descriptor, Vec<u8>)> = BTreeMap::new();
    let (root, bytes) = client.manifest(reference).await?;
    if root.media_type.is_index() {
        let index = Index::parse(&bytes, &root.media_type)
            .map_err(|source| ReadError::Manifest { digest: root.digest, source })?;
        for descriptor in &index.manifests {
            let (read, bytes) =
                client.manifest(&reference.clone().with_digest(descriptor.digest)).await?;
            manifests.insert(read.digest, (read, bytes.to_vec()));
        }
    }
    manifests.insert(root.digest, (root.clone(), bytes.to_vec()));
    for (digest, (descriptor, bytes)) in &manifests {
        let path = directory.path().join(found.len().to_string());
        std::fs::write(&path, bytes).map_err(io)?;
        found.insert(*digest, path);
        if descriptor.media_type.is_index() {
            continue;
        }
        let manifest = Manifest::parse(bytes, &descriptor.media_type)
            .map_err(|source| ReadError::Manifest { digest: *digest, source })?;
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            if !found.contains_key(&blob.digest) {
                let path = directory.path().join(found.len().to_string());
                client.download_blob(reference, blob, &path, &|_| {}).await?;
                found.insert(blob.digest, path);
            }
        }
    }
    let locate = |descriptor: &Descriptor| {
        let path = found.get(&descriptor.digest);
        path.cloned().ok_or_else(|| ReadError::Missing(descriptor.digest.to_string()))
    };
    read_root(&root, &locate, secrets)
}
