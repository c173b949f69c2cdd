//! Media types of manifests, configs and layers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// The type of a blob's content. Types that tierce does not know are kept, letter for letter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MediaType {
    /// An OCI image index.
    OciIndex,
    /// An OCI image manifest.
    OciManifest,
    /// An OCI image configuration.
    OciConfig,
    /// An uncompressed OCI layer.
    OciLayer,
    /// A gzip-compressed OCI layer.
    OciLayerGzip,
    /// A zstd-compressed OCI layer.
    OciLayerZstd,
    /// Docker's manifest list.
    DockerIndex,
    /// Docker's image manifest, schema 2.
    DockerManifest,
    /// Docker's image configuration.
    DockerConfig,
    /// Docker's gzip-compressed layer.
    DockerLayerGzip,
    /// Docker's uncompressed layer.
    DockerLayer,
    /// Any other type.
    Other(String),
}

/// What a descriptor of this type points to.
const KNOWN: [(MediaType, &str); 11] = [
    (MediaType::OciIndex, "application/vnd.oci.image.index.v1+json"),
    (MediaType::OciManifest, "application/vnd.oci.image.manifest.v1+json"),
    (MediaType::OciConfig, "application/vnd.oci.image.config.v1+json"),
    (MediaType::OciLayer, "application/vnd.oci.image.layer.v1.tar"),
    (MediaType::OciLayerGzip, "application/vnd.oci.image.layer.v1.tar+gzip"),
    (MediaType::OciLayerZstd, "application/vnd.oci.image.layer.v1.tar+zstd"),
    (MediaType::DockerIndex, "application/vnd.docker.distribution.manifest.list.v2+json"),
    (MediaType::DockerManifest, "application/vnd.docker.distribution.manifest.v2+json"),
    (MediaType::DockerConfig, "application/vnd.docker.container.image.v1+json"),
    (MediaType::DockerLayerGzip, "application/vnd.docker.image.rootfs.diff.tar.gzip"),
    (MediaType::DockerLayer, "application/vnd.docker.image.rootfs.diff.tar"),
];

impl MediaType {
    /// The type's text.
    pub fn as_str(&self) -> &str {
        match self {
            MediaType::Other(text) => text,
            known => KNOWN.iter().find(|(m, _)| m == known).map_or("", |(_, s)| s),
        }
    }

    /// Whether this is an index or a manifest list.
    pub fn is_index(&self) -> bool {
        matches!(self, MediaType::OciIndex | MediaType::DockerIndex)
    }

    /// Whether this is a single image's manifest.
    pub fn is_manifest(&self) -> bool {
        matches!(self, MediaType::OciManifest | MediaType::DockerManifest)
    }

    /// Whether this is a file system layer that tierce can read.
    pub fn is_layer(&self) -> bool {
        use MediaType::*;
        matches!(self, OciLayer | OciLayerGzip | OciLayerZstd | DockerLayerGzip | DockerLayer)
    }

    /// The OCI type that means the same, for Docker's types; itself for all others.
    pub fn to_oci(&self) -> MediaType {
        match self {
            MediaType::DockerIndex => MediaType::OciIndex,
            MediaType::DockerManifest => MediaType::OciManifest,
            MediaType::DockerConfig => MediaType::OciConfig,
            MediaType::DockerLayerGzip => MediaType::OciLayerGzip,
            MediaType::DockerLayer => MediaType::OciLayer,
            other => other.clone(),
        }
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        KNOWN
            .iter()
            .find(|(_, s)| *s == text)
            .map_or_else(|| MediaType::Other(text.to_owned()), |(m, _)| m.clone())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MediaType {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Ok(MediaType::from(String::deserialize(d)?.as_str()))
    }
}
