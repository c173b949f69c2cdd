//! Images in the local store, by name.

use crate::context::Context;
use crate::error::NativeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tierce_oci::{
    Artifact, BlobLocation, Descriptor, Digest, Index, MAX_MANIFEST_SIZE, Manifest, Reference,
};
use tierce_store::RecordKind;

/// Images by name.
const IMAGE: RecordKind = RecordKind::new("image");

/// An image as the store remembers it: documents are blobs of the store; layers are too, or are
/// still where the base is.
#[derive(Serialize, Deserialize)]
struct ImageRecord {
    root: Descriptor,
    /// The registry repositories of layers that are not in the store.
    remote: BTreeMap<String, Reference>,
}

fn key(name: &Reference) -> Digest {
    Digest::of(name.to_string())
}

impl Context {
    /// Remembers the image under its name.
    pub fn remember(&self, name: &Reference, image: &Artifact) -> Result<(), NativeError> {
        let mut remote = BTreeMap::new();
        for (digest, blob) in &image.blobs {
            match &blob.location {
                BlobLocation::Memory(bytes) => {
                    self.store.put(bytes)?;
                }
                BlobLocation::File(_) => {}
                BlobLocation::Registry(reference) => {
                    remote.insert(digest.to_string(), reference.clone());
                }
            }
        }
        let record = ImageRecord { root: image.root.clone(), remote };
        Ok(self.store.put_record(IMAGE, &key(name), &record)?)
    }

    /// The image of this name, if the store has it whole.
    pub fn recall(&self, name: &Reference) -> Option<Artifact> {
        let record: ImageRecord = self.store.record(IMAGE, &key(name))?;
        let document =
            |d: &Descriptor| self.store.read_up_to(&d.digest, MAX_MANIFEST_SIZE as u64).ok();
        let root = document(&record.root)?;
        let mut image = Artifact::new(record.root.clone(), root.clone());
        let manifests = match record.root.media_type.is_index() {
            true => Index::parse(&root, &record.root.media_type).ok()?.manifests,
            false => vec![record.root.clone()],
        };
        for descriptor in manifests {
            let bytes = document(&descriptor)?;
            let manifest = Manifest::parse(&bytes, &descriptor.media_type).ok()?;
            image.insert(descriptor, BlobLocation::Memory(bytes.into()));
            let config = document(&manifest.config)?;
            image.insert(manifest.config, BlobLocation::Memory(config.into()));
            for layer in manifest.layers {
                let location = if self.store.has(&layer.digest) == Some(layer.size) {
                    BlobLocation::File(self.store.blob_path(&layer.digest))
                } else {
                    BlobLocation::Registry(record.remote.get(&layer.digest.to_string())?.clone())
                };
                image.insert(layer, location);
            }
        }
        Some(image)
    }

    /// The image in a registry, its layers left there.
    pub async fn remote_image(&self, name: &Reference) -> Result<Artifact, NativeError> {
        let (root, bytes) = self.registry.manifest(name).await?;
        let mut image = Artifact::new(root.clone(), bytes.to_vec());
        let manifests = match root.media_type.is_index() {
            true => {
                let index = Index::parse(&bytes, &root.media_type)
                    .map_err(|_| NativeError::InconsistentBase(name.familiar()))?;
                index.manifests.into_iter().filter(|d| d.media_type.is_manifest()).collect()
            }
            false => vec![root.clone()],
        };
        for descriptor in manifests {
            // Attestations are manifests of no platform.
            if descriptor.platform.as_ref().is_some_and(|p| p.os == "unknown") {
                continue;
            }
            let one = name.with_digest(descriptor.digest);
            let (_, bytes) = self.registry.manifest(&one).await?;
            let manifest = Manifest::parse(&bytes, &descriptor.media_type)
                .map_err(|_| NativeError::InconsistentBase(name.familiar()))?;
            image.insert(descriptor, BlobLocation::Memory(bytes.to_vec().into()));
            self.fetch_blob(name, &manifest.config, &|_| {}).await?;
            let config =
                self.store.read_up_to(&manifest.config.digest, MAX_MANIFEST_SIZE as u64)?;
            image.insert(manifest.config, BlobLocation::Memory(config.into()));
            for layer in manifest.layers {
                image.insert(layer, BlobLocation::Registry(name.clone()));
            }
        }
        Ok(image)
    }

    /// Brings every blob of the image onto this machine.
    pub async fn localise(&self, image: &mut Artifact) -> Result<(), NativeError> {
        let remote: Vec<(Descriptor, Reference)> = image
            .blobs
            .values()
            .filter_map(|blob| match &blob.location {
                BlobLocation::Registry(r) => Some((blob.descriptor.clone(), r.clone())),
                _ => None,
            })
            .collect();
        let fetched = remote.iter().map(|(descriptor, reference)| async move {
            self.fetch_blob(reference, descriptor, &|_| {}).await
        });
        let paths = futures::future::try_join_all(fetched).await?;
        for ((descriptor, _), path) in remote.into_iter().zip(paths) {
            image.insert(descriptor, BlobLocation::File(path));
        }
        Ok(())
    }
}
