//! What the tests share.
#![allow(dead_code, reason = "each test uses its part")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tierce_fetch::{HttpSettings, RetryPolicy};
use tierce_oci::{
    Artifact, BlobLocation, Descriptor, DiffId, Digest, ImageConfig, Index, Manifest, MediaType,
    Platform,
};
use tierce_registry::testing::{PASSWORD, USER};
use tierce_registry::{
    BlobEvent, Client, ClientSettings, Credential, CredentialError, Credentials, PushObserver,
    Secret, UploadLimits,
};

pub const QUICK: RetryPolicy = RetryPolicy {
    attempts: 4,
    base_delay: Duration::from_millis(1),
    max_delay: Duration::from_secs(1),
    idle_timeout: Duration::from_secs(60),
};

/// Chunks from 1000 bytes on, of 400 bytes each.
pub const SMALL: UploadLimits = UploadLimits { monolithic: 1000, chunk: 400 };

pub fn settings() -> ClientSettings {
    let http = tierce_fetch::client(&HttpSettings::default()).unwrap();
    ClientSettings { retry: QUICK, upload: SMALL, ..ClientSettings::new(http) }
}

pub fn client() -> Client {
    Client::new(settings())
}

/// One credential for everybody who asks, and who asked.
pub struct Fixed {
    credential: Credential,
    pub asked: Mutex<Vec<String>>,
}

impl Credentials for Fixed {
    fn lookup(&self, registry: &str) -> Result<Option<Credential>, CredentialError> {
        self.asked.lock().unwrap().push(registry.to_owned());
        Ok(Some(self.credential.clone()))
    }
}

pub fn fixed(credential: Credential) -> Arc<Fixed> {
    Arc::new(Fixed { credential, asked: Mutex::default() })
}

pub fn basic(user: &str, password: &str) -> Credential {
    Credential::Basic { user: user.to_owned(), password: Secret::new(password) }
}

pub fn client_with(credential: Credential) -> Client {
    Client::new(ClientSettings { credentials: fixed(credential), ..settings() })
}

pub fn alice() -> Client {
    client_with(basic(USER, PASSWORD))
}

/// Hears everything.
#[derive(Default)]
pub struct Ear(pub Mutex<Vec<(Digest, BlobEvent)>>);

impl PushObserver for Ear {
    fn blob(&self, descriptor: &Descriptor, event: BlobEvent) {
        self.0.lock().unwrap().push((descriptor.digest, event));
    }
}

/// Bytes that repeat at no round distance.
pub fn content(seed: u8, length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8 ^ (i >> 8) as u8 ^ seed).collect()
}

/// An image for a platform, and its manifest's descriptor.
pub struct TestImage {
    pub artifact: Artifact,
    pub config: Vec<u8>,
    pub manifest: Vec<u8>,
}

/// An image whose layers are these blobs, wherever they are.
pub fn image(platform: &str, layers: &[(Descriptor, BlobLocation)]) -> TestImage {
    let platform: Platform = platform.parse().unwrap();
    let mut config = ImageConfig::scratch(platform.clone());
    config.rootfs.diff_ids = layers.iter().map(|(d, _)| DiffId(d.digest)).collect();
    let config = config.to_bytes();
    let config_descriptor = Descriptor::of(MediaType::OciConfig, &config);
    let descriptors = layers.iter().map(|(d, _)| d.clone()).collect();
    let manifest = Manifest::new(config_descriptor.clone(), descriptors).to_bytes();
    let root = Descriptor::of(MediaType::OciManifest, &manifest).with_platform(platform);
    let mut artifact = Artifact::new(root, manifest.clone());
    artifact.insert(config_descriptor, BlobLocation::Memory(config.clone().into()));
    for (descriptor, location) in layers {
        artifact.insert(descriptor.clone(), location.clone());
    }
    TestImage { artifact, config, manifest }
}

/// A layer that is a file in `dir`. It is a plain tar's type, since nothing looks inside.
pub fn file_layer(dir: &Path, bytes: &[u8]) -> (Descriptor, BlobLocation) {
    let descriptor = Descriptor::of(MediaType::OciLayer, bytes);
    let path = dir.join(descriptor.digest.hex());
    std::fs::write(&path, bytes).unwrap();
    (descriptor, BlobLocation::File(path))
}

/// An index of images.
pub fn index(images: &[&TestImage]) -> Artifact {
    let manifests = images.iter().map(|i| i.artifact.root.clone()).collect();
    let bytes = Index::new(manifests).to_bytes();
    let mut all = Artifact::new(Descriptor::of(MediaType::OciIndex, &bytes), bytes);
    for blob in images.iter().flat_map(|i| i.artifact.blobs.values()) {
        all.insert(blob.descriptor.clone(), blob.location.clone());
    }
    all
}
