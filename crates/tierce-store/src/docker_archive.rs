//! Images as `docker save` writes them and `docker load`, `podman load` and skopeo's
//! `docker-archive:` read them: a tar of a config, layers, and a `manifest.json` that names them
//! (moby's `image/spec/v1.2.md`, "Combined Image JSON + Filesystem Changeset Format").
//!
//! Layers stay gzip-compressed: all of these readers look at the content, not at the name. Docker
//! before 23 can't read zstd, so such layers are decompressed.

use crate::archive::{self, Content};
use crate::export::{self, ExportError};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use tierce_oci::{
    Artifact, Descriptor, DiffId, ImageConfig, Index, Manifest, MediaType, Platform, Reference,
};

/// Writes the image as the archive `file`, in place of what is there. It will be loaded as
/// `reference`, if that has a tag or no digest. Of an index, the image for this machine's
/// platform is written, or the only one.
pub fn write(
    file: &Path,
    artifact: &Artifact,
    reference: Option<&Reference>,
) -> Result<(), ExportError> {
    archive::write(file, members(artifact, reference)?)
}

/// Writes the archive to `out`, as the input of `docker load`; an error calls it `name`.
pub fn write_to(
    out: impl Write,
    name: &Path,
    artifact: &Artifact,
    reference: Option<&Reference>,
) -> Result<(), ExportError> {
    archive::write_to(out, name, members(artifact, reference)?)
}

fn members<'a>(
    artifact: &'a Artifact,
    reference: Option<&Reference>,
) -> Result<Vec<(String, Content<'a>)>, ExportError> {
    let manifest = manifest(artifact)?;
    let digest = manifest.config.digest;
    let config_bytes = export::document(artifact, &digest)?;
    let config = ImageConfig::parse(&config_bytes)
        .map_err(|source| ExportError::Config { digest, source })?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        let layers = manifest.layers.len();
        return Err(ExportError::LayerCount { layers, diff_ids: diff_ids.len() });
    }
    let config_name = format!("{}.json", digest.hex());
    let mut names = vec![];
    let mut layers = BTreeMap::new();
    for (layer, diff_id) in manifest.layers.iter().zip(diff_ids) {
        let (name, content) = layer_member(artifact, layer, *diff_id)?;
        names.push(name.clone());
        layers.insert(name, content);
    }
    let list = json!([{
        "Config": config_name,
        "RepoTags": reference.and_then(repo_tag).into_iter().collect::<Vec<_>>(),
        "Layers": names,
    }]);
    let documents = [
        (config_name, Content::Bytes(config_bytes)),
        ("manifest.json".to_owned(), Content::Bytes(list.to_string().into_bytes())),
    ];
    Ok(layers.into_iter().chain(documents).collect())
}

fn layer_member<'a>(
    artifact: &'a Artifact,
    layer: &Descriptor,
    diff_id: DiffId,
) -> Result<(String, Content<'a>), ExportError> {
    let digest = layer.digest;
    let blob = export::blob(artifact, &digest)?;
    match &layer.media_type {
        MediaType::OciLayer | MediaType::DockerLayer => {
            Ok((format!("{}.tar", digest.hex()), Content::Blob(blob)))
        }
        MediaType::OciLayerGzip | MediaType::DockerLayerGzip => {
            Ok((format!("{}.tar.gz", digest.hex()), Content::Blob(blob)))
        }
        MediaType::OciLayerZstd => {
            Ok((format!("{}.tar", diff_id.0.hex()), Content::Zstd(blob, diff_id)))
        }
        other => Err(ExportError::Type { digest, media_type: other.clone() }),
    }
}

/// `name:tag`; `None` for a reference by digest, since an archive can't promise a digest.
fn repo_tag(reference: &Reference) -> Option<String> {
    let tag = match (reference.tag(), reference.digest()) {
        (Some(tag), _) => tag,
        (None, None) => "latest",
        (None, Some(_)) => return None,
    };
    Some(reference.with_tag(tag).ok()?.familiar())
}

/// The manifest of the one image that the archive will hold.
fn manifest(artifact: &Artifact) -> Result<Manifest, ExportError> {
    let mut descriptor = artifact.root.clone();
    if descriptor.media_type.is_index() {
        let digest = descriptor.digest;
        let index = Index::parse(&export::document(artifact, &digest)?, &descriptor.media_type)
            .map_err(|source| ExportError::Manifest { digest, source })?;
        let wanted = Platform::host();
        let images: Vec<&Descriptor> = index
            .manifests
            .iter()
            .filter(|d| d.media_type.is_manifest())
            .filter(|d| d.platform.as_ref().is_none_or(|p| p.os != "unknown"))
            .collect();
        let only = (images.len() == 1).then(|| images[0]);
        descriptor = match index.select(&wanted).or(only) {
            Some(chosen) => chosen.clone(),
            None => {
                let available = index.platforms();
                return Err(ExportError::NoPlatform { wanted, available });
            }
        };
    }
    let (digest, media_type) = (descriptor.digest, descriptor.media_type);
    if !media_type.is_manifest() {
        return Err(ExportError::Type { digest, media_type });
    }
    Manifest::parse(&export::document(artifact, &digest)?, &media_type)
        .map_err(|source| ExportError::Manifest { digest, source })
}
