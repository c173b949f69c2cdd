//! Image manifests and indexes, in OCI's and in Docker's form.

use crate::{Descriptor, MediaType, Platform};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest manifest that is read, in bytes: what registries accept at most.
pub const MAX_MANIFEST_SIZE: usize = 4 * 1024 * 1024;

/// Why bytes are not the manifest they claim to be.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Larger than [`MAX_MANIFEST_SIZE`].
    #[error("manifest of {0} bytes is larger than the 4 MiB that registries accept")]
    TooLarge(usize),
    /// Not the JSON of a manifest.
    #[error("manifest is not valid JSON of its type")]
    Json(#[from] serde_json::Error),
    /// `schemaVersion` is not 2.
    #[error("manifest has schema version {0}: only version 2 is supported")]
    SchemaVersion(u64),
    /// Both `manifests` and `layers` are there (CVE-2021-41190), or neither.
    #[error("manifest is ambiguous: it must have either \"layers\" or \"manifests\"")]
    Ambiguous,
    /// The document says it is of another type than the transport says.
    #[error("manifest says it is {inner} but was served as {outer}")]
    TypeMismatch {
        /// What the document itself says.
        inner: MediaType,
        /// What the registry or index said.
        outer: MediaType,
    },
}

/// One image's manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests, one for each platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The manifests.
    pub manifests: Vec<Descriptor>,
    /// Free-form facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Refuses documents that two readers could take for two different things.
fn checked(bytes: &[u8], outer: &MediaType, list: bool) -> Result<(), ManifestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Probe {
        schema_version: u64,
        media_type: Option<MediaType>,
        layers: Option<serde::de::IgnoredAny>,
        config: Option<serde::de::IgnoredAny>,
        manifests: Option<serde::de::IgnoredAny>,
    }
    if bytes.len() > MAX_MANIFEST_SIZE {
        return Err(ManifestError::TooLarge(bytes.len()));
    }
    let probe: Probe = serde_json::from_slice(bytes)?;
    if probe.schema_version != 2 {
        return Err(ManifestError::SchemaVersion(probe.schema_version));
    }
    let image = probe.layers.is_some() || probe.config.is_some();
    if image == probe.manifests.is_some() || list == image {
        return Err(ManifestError::Ambiguous);
    }
    match probe.media_type {
        Some(inner) if inner != *outer => {
            Err(ManifestError::TypeMismatch { inner, outer: outer.clone() })
        }
        _ => Ok(()),
    }
}

impl Manifest {
    /// An OCI manifest of `config` and `layers`.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest {
            schema_version: 2,
            media_type: Some(MediaType::OciManifest),
            config,
            layers,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a manifest that was served as `media_type`.
    pub fn parse(bytes: &[u8], media_type: &MediaType) -> Result<Self, ManifestError> {
        checked(bytes, media_type, false)?;
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The canonical bytes: compact JSON in the field order of the specification.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest has only string keys")
    }
}

impl Index {
    /// An OCI index of `manifests`.
    pub fn new(manifests: Vec<Descriptor>) -> Self {
        Index {
            schema_version: 2,
            media_type: Some(MediaType::OciIndex),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads an index that was served as `media_type`.
    pub fn parse(bytes: &[u8], media_type: &MediaType) -> Result<Self, ManifestError> {
        checked(bytes, media_type, true)?;
        Ok(serde_json::from_slice(bytes)?)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an index has only string keys")
    }

    /// The manifest that serves `wanted`, the first one where several do.
    pub fn select(&self, wanted: &Platform) -> Option<&Descriptor> {
        self.manifests
            .iter()
            .filter(|d| d.media_type.is_manifest())
            .find(|d| d.platform.as_ref().is_some_and(|p| p.serves(wanted)))
    }

    /// The platforms on offer; attestations (`unknown/unknown`) are left out.
    pub fn platforms(&self) -> Vec<Platform> {
        let known = |p: &Platform| p.os != "unknown";
        self.manifests.iter().filter_map(|d| d.platform.clone()).filter(known).collect()
    }
}
