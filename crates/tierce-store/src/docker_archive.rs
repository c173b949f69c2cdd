//! What `docker save` writes and `docker load` reads: a tar of `manifest.json`, the
//! configuration, and the layers.

use crate::error::ExportError;
use crate::oci_archive::{Archive, platform_image};
use serde_json::json;
use std::path::Path;
use tierce_oci::{Artifact, Digest, Platform};

/// Writes the image for `platform` into a new tar file at `path`, replacing the one that is
/// there. `tag` is the name it is loaded under.
///
/// Layers are written compressed as they are: every `docker load` and `podman load` takes
/// gzip in this format.
pub fn write(
    path: &Path,
    image: &Artifact,
    platform: &Platform,
    tag: Option<&str>,
) -> Result<(), ExportError> {
    let (_, manifest) = platform_image(image, platform)?;
    let blob = |digest: &Digest| image.blobs.get(digest).ok_or(ExportError::Remote(*digest));
    let mut archive = Archive::create(path)?;
    let config_name = format!("{}.json", manifest.config.digest.hex());
    archive.blob(&config_name, blob(&manifest.config.digest)?)?;
    let mut layers = vec![];
    for layer in &manifest.layers {
        let name = format!("{}.tar.gz", layer.digest.hex());
        // The same layer twice in one image is one file.
        if !layers.contains(&name) {
            archive.blob(&name, blob(&layer.digest)?)?;
        }
        layers.push(name);
    }
    let tags: Vec<&str> = tag.into_iter().collect();
    let index = json!([{ "Config": config_name, "RepoTags": tags, "Layers": layers }]);
    archive.bytes("manifest.json", index.to_string().as_bytes())?;
    archive.finish()
}
