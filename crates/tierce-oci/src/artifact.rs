//! An image as a value: its root descriptor and where each of its blobs is to be had.

use crate::{Descriptor, Digest, Reference};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a blob's bytes are. Nothing is read until somebody asks.
#[derive(Clone, Debug)]
pub enum BlobLocation {
    /// Here, in memory: manifests, configs.
    Memory(Arc<[u8]>),
    /// In a file that holds exactly the blob.
    File(PathBuf),
    /// In a repository of a registry: to be mounted, or copied when that is not possible.
    Registry(Reference),
}

/// A blob of an [`Artifact`].
#[derive(Clone, Debug)]
pub struct Blob {
    /// What the blob is.
    pub descriptor: Descriptor,
    /// Where to get it.
    pub location: BlobLocation,
}

/// An image or an index of images: the root descriptor and every blob it reaches.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The manifest or the index.
    pub root: Descriptor,
    /// Every blob below the root, and the root itself, by digest.
    pub blobs: BTreeMap<Digest, Blob>,
}

impl Artifact {
    /// An artifact whose root document is `bytes`; its blobs are to be added with [`insert`](Self::insert).
    pub fn new(root: Descriptor, bytes: impl Into<Arc<[u8]>>) -> Self {
        let mut artifact = Artifact { root: root.clone(), blobs: BTreeMap::new() };
        artifact.insert(root, BlobLocation::Memory(bytes.into()));
        artifact
    }

    /// Adds a blob. A location nearer than the known one (memory, then file, then registry) wins.
    pub fn insert(&mut self, descriptor: Descriptor, location: BlobLocation) {
        let distance = |l: &BlobLocation| match l {
            BlobLocation::Memory(_) => 0,
            BlobLocation::File(_) => 1,
            BlobLocation::Registry(_) => 2,
        };
        match self.blobs.get(&descriptor.digest) {
            Some(known) if distance(&known.location) <= distance(&location) => {}
            _ => {
                self.blobs.insert(descriptor.digest, Blob { descriptor, location });
            }
        }
    }

    /// The bytes of a document that is held in memory.
    pub fn document(&self, digest: &Digest) -> Option<&[u8]> {
        match &self.blobs.get(digest)?.location {
            BlobLocation::Memory(bytes) => Some(bytes),
            _ => None,
        }
    }
}
