//! What an image is made of.

use crate::error::Error;
use crate::open::Tierce;
use serde::Serialize;
use tierce_engine::Events;
use tierce_native::{PlatformImage, platform_image};
use tierce_oci::{ContainerConfig, Digest, Index, Platform};

/// What an image is made of.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ImageReport {
    /// The name it was asked for by.
    pub name: String,
    /// The manifest or index.
    pub digest: Digest,
    /// Its platforms.
    pub platforms: Vec<PlatformReport>,
}

/// One platform of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformReport {
    /// Which.
    pub platform: String,
    /// The layers, base first.
    pub layers: Vec<LayerReport>,
    /// How a container starts.
    pub config: ContainerConfig,
}

/// A layer of an image.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerReport {
    /// The compressed blob.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// What made it, as the image's history says.
    pub created_by: String,
}

impl Tierce {
    /// What the image of this name is made of; see [`Tierce::run_image`] for names.
    pub async fn inspect(&self, name: &str, _events: &Events) -> Result<ImageReport, Error> {
        let image = self.find(name).await?;
        let root = &image.root;
        let index = root.media_type.is_index().then(|| image.document(&root.digest)).flatten();
        let platforms = match index.and_then(|b| Index::parse(b, &root.media_type).ok()) {
            Some(index) => index.platforms(),
            None => vec![],
        };
        let parts: Vec<PlatformImage> = match platforms.as_slice() {
            // A single manifest serves whatever its configuration says.
            [] => platform_image(&image, &Platform::host()).into_iter().collect(),
            several => several.iter().filter_map(|p| platform_image(&image, p)).collect(),
        };
        let platforms = parts.into_iter().map(report).collect();
        Ok(ImageReport { name: name.to_owned(), digest: root.digest, platforms })
    }
}

fn report(part: PlatformImage) -> PlatformReport {
    let history = part.config.history.iter().filter(|h| !h.empty_layer);
    let mut made_by = history.map(|h| h.created_by.clone().unwrap_or_default());
    let layers = part.manifest.layers.iter().map(|layer| LayerReport {
        digest: layer.digest,
        size: layer.size,
        created_by: made_by.next().unwrap_or_default(),
    });
    PlatformReport {
        platform: part.config.platform.to_string(),
        layers: layers.collect(),
        config: part.config.config,
    }
}
