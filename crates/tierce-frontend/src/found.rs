//! What was made, as it is found where it went.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use tierce_engine::{ImageBuild, PlatformBuild};
use tierce_layer::{EntryKind, LayerReader};
use tierce_oci::{Descriptor, Digest, Index, MediaType, Platform, Reference};
use tierce_registry::{Client, RegistryError};

/// The largest document of an archive that is looked at: more than any manifest has.
const DOCUMENT: u64 = 8 << 20;

/// An image, and what it is for each platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The manifest or index.
    pub root: Descriptor,
    /// The manifests, as far as they are for a platform that was asked for.
    pub platforms: Vec<PlatformBuild>,
}

impl Found {
    /// What a registry has as `reference` with this digest.
    pub async fn in_registry(
        client: &Client,
        reference: &Reference,
        digest: Digest,
        wanted: &[Platform],
    ) -> Result<Option<Self>, RegistryError> {
        let reference = reference.with_digest(digest);
        let Some(root) = client.head_manifest(&reference).await? else { return Ok(None) };
        if !root.media_type.is_index() {
            return Ok(Some(Found::new(root, None, wanted)));
        }
        let (root, bytes) = client.manifest(&reference).await?;
        let index = Index::parse(&bytes, &root.media_type).ok();
        Ok(Some(Found::new(root, index.as_ref(), wanted)))
    }

    /// What an OCI layout has that holds one image; `None` where it is none.
    pub fn in_layout(directory: &Path, wanted: &[Platform]) -> Option<Self> {
        let read = |name: &str| std::fs::read(directory.join(name)).ok();
        Found::in_documents(&read, wanted)
    }

    /// The same for a layout in a tar file.
    pub fn in_archive(file: &Path, wanted: &[Platform]) -> Option<Self> {
        let documents = documents(file).ok()?;
        Found::in_documents(&|name| documents.get(name).cloned(), wanted)
    }

    fn in_documents(read: &dyn Fn(&str) -> Option<Vec<u8>>, wanted: &[Platform]) -> Option<Self> {
        let layout = Index::parse(&read("index.json")?, &MediaType::OciIndex).ok()?;
        let [root] = layout.manifests.as_slice() else { return None };
        if !root.media_type.is_index() {
            return Some(Found::new(root.clone(), None, wanted));
        }
        let bytes = read(&format!("blobs/{}", root.digest.to_string().replace(':', "/")))?;
        let index = Index::parse(&bytes, &root.media_type).ok()?;
        Some(Found::new(root.clone(), Some(&index), wanted))
    }

    /// What is known to be one image, or an index of which no more is known.
    pub fn single(root: Descriptor, wanted: &[Platform]) -> Self {
        Found::new(root, None, wanted)
    }

    fn new(root: Descriptor, index: Option<&Index>, wanted: &[Platform]) -> Self {
        let digest = |platform: &Platform| match (index, wanted) {
            (Some(index), _) => index.select(platform).map(|found| found.digest),
            (None, [_]) => Some(root.digest),
            (None, _) => None,
        };
        let fact = |platform: &Platform| {
            let digest = digest(platform)?;
            Some(PlatformBuild { platform: platform.clone(), digest, layers: vec![] })
        };
        let platforms = wanted.iter().filter_map(fact).collect();
        let root = Descriptor { platform: None, annotations: BTreeMap::new(), ..root };
        Found { root, platforms }
    }

    /// Makes this what came of a build.
    pub fn tell(self, build: &mut ImageBuild) {
        build.digest = Some(self.root.digest);
        build.root = Some(self.root);
        build.platforms = self.platforms;
    }
}

/// The small files of an archive: of a layout's, all but the layers.
fn documents(file: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut reader =
        LayerReader::new(BufReader::new(File::open(file)?)).map_err(io::Error::other)?;
    let mut all = BTreeMap::new();
    while let Some((entry, mut content)) = reader.next_entry().map_err(io::Error::other)? {
        match entry.kind {
            EntryKind::File { size } if size <= DOCUMENT => {
                let mut start = vec![0; 1.min(size as usize)];
                content.read_exact(&mut start)?;
                // Documents are JSON objects; what else is small is a layer.
                if start == b"{" {
                    content.read_to_end(&mut start)?;
                    all.insert(entry.path.to_string(), start);
                }
            }
            _ => {}
        }
    }
    Ok(all)
}
