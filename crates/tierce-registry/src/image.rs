//! From a reference and a platform to one image's manifest and configuration.

use crate::RegistryError;
use crate::client::Client;
use crate::error::ImageProblem;
use bytes::Bytes;
use tierce_oci::{
    Descriptor, ImageConfig, Index, MAX_MANIFEST_SIZE, Manifest, Platform, Reference,
};

/// One platform's image, all documents read and checked, no layer fetched.
#[derive(Clone, Debug)]
pub struct ResolvedImage {
    /// What the reference picks: the index, or the manifest itself.
    pub root: Descriptor,
    /// The index's bytes, where there is one.
    pub index: Option<Bytes>,
    /// The manifest's descriptor.
    pub manifest_descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest_bytes: Bytes,
    /// The manifest.
    pub manifest: Manifest,
    /// The configuration's bytes.
    pub config_bytes: Bytes,
    /// The configuration.
    pub config: ImageConfig,
}

impl Client {
    /// The image that `reference` is on `platform`.
    pub async fn resolve(
        &self,
        reference: &Reference,
        platform: &Platform,
    ) -> Result<ResolvedImage, RegistryError> {
        let unusable = |source| RegistryError::Image { reference: reference.to_string(), source };
        let (root, bytes) = self.manifest(reference).await?;
        let (index, manifest_descriptor, manifest_bytes) = if root.media_type.is_index() {
            let index = Index::parse(&bytes, &root.media_type).map_err(|e| unusable(e.into()))?;
            let Some(chosen) = index.select(platform) else {
                return Err(no_platform(reference, platform, index.platforms()));
            };
            let (descriptor, manifest) =
                self.manifest(&reference.with_digest(chosen.digest)).await?;
            (Some(bytes), descriptor, manifest)
        } else {
            (None, root.clone(), bytes)
        };
        if !manifest_descriptor.media_type.is_manifest() {
            let kind = manifest_descriptor.media_type.to_string();
            return Err(unusable(ImageProblem::NotAnImage(kind)));
        }
        let manifest = Manifest::parse(&manifest_bytes, &manifest_descriptor.media_type)
            .map_err(|e| unusable(e.into()))?;
        let config_bytes = self.config(reference, &manifest.config).await?;
        let config = ImageConfig::parse(&config_bytes).map_err(|e| unusable(e.into()))?;
        // Old single-platform images carry no variant: only what contradicts is refused.
        if !config.platform.serves(platform) {
            return Err(no_platform(reference, platform, vec![config.platform]));
        }
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers != diff_ids {
            return Err(unusable(ImageProblem::Layers { layers, diff_ids }));
        }
        Ok(ResolvedImage {
            root,
            index,
            manifest_descriptor,
            manifest_bytes,
            manifest,
            config_bytes,
            config,
        })
    }

    async fn config(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
    ) -> Result<Bytes, RegistryError> {
        if descriptor.size > MAX_MANIFEST_SIZE as u64 {
            return Err(RegistryError::Image {
                reference: reference.to_string(),
                source: ImageProblem::ConfigSize(descriptor.size),
            });
        }
        self.read_blob(reference, descriptor).await
    }
}

fn no_platform(
    reference: &Reference,
    wanted: &Platform,
    available: Vec<Platform>,
) -> RegistryError {
    RegistryError::NoPlatform {
        reference: reference.to_string(),
        wanted: wanted.clone(),
        available,
    }
}
