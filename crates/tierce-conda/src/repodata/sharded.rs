//! `repodata_shards.msgpack.zst`: an index of indexes, one for each package name (CEP 16).

use crate::error::SolveError;
use crate::repodata::cache::{Documents, unpack};
use rattler_conda_types::package::DistArchiveIdentifier;
use rattler_conda_types::{PackageRecord, Shard, ShardedRepodata};
use std::collections::BTreeMap;
use tierce_oci::Digest;
use url::Url;

/// The index of a subdirectory's shards.
pub(crate) struct Sharded {
    shards: BTreeMap<String, Digest>,
    shards_url: Url,
    pub(crate) base_url: String,
}

impl Sharded {
    /// `url` is that of the subdirectory.
    pub(crate) fn parse(bytes: &[u8], url: &Url, limit: u64) -> Result<Self, String> {
        let plain = unzstd(bytes, limit)?;
        let index: ShardedRepodata =
            rmp_serde::from_slice(&plain).map_err(|error| error.to_string())?;
        let shards_base = with_slash(&index.info.shards_base_url);
        let shards_url = url.join(&shards_base).map_err(|error| error.to_string())?;
        if !matches!(shards_url.scheme(), "https" | "http" | "file") {
            return Err("its shards are at no http or file URL".to_owned());
        }
        let digest = |hash: &[u8]| hash.try_into().map(Digest::from_bytes);
        let shards = index
            .shards
            .iter()
            .filter_map(|(name, hash)| Some((name.clone(), digest(hash.as_slice()).ok()?)))
            .collect();
        Ok(Sharded { shards, shards_url, base_url: with_slash(&index.info.base_url) })
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.shards.keys().map(String::as_str)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.shards.contains_key(name)
    }

    /// The records of a package: its shard is fetched once in the store's life.
    pub(crate) async fn records(
        &self,
        name: &str,
        documents: &Documents<'_>,
    ) -> Result<Vec<(DistArchiveIdentifier, PackageRecord)>, SolveError> {
        let Some(digest) = self.shards.get(name) else { return Ok(Vec::new()) };
        let url = self
            .shards_url
            .join(&format!("{}.msgpack.zst", digest.hex()))
            .map_err(|error| malformed(&self.shards_url, error.to_string()))?;
        let bytes = documents.get_exactly(&url, digest).await?;
        let shard = unzstd(&bytes, documents.settings.unpacked_limit)
            .and_then(|plain| {
                rmp_serde::from_slice::<Shard>(&plain).map_err(|error| error.to_string())
            })
            .map_err(|problem| malformed(&url, problem))?;
        let removed = shard.removed;
        let all = shard.packages.into_iter().chain(shard.conda_packages);
        Ok(all.filter(|(identifier, _)| !removed.contains(identifier)).collect())
    }
}

fn malformed(url: &Url, problem: String) -> SolveError {
    SolveError::Repodata { url: tierce_fetch::Redacted(url).to_string(), problem }
}

fn unzstd(bytes: &[u8], limit: u64) -> Result<Vec<u8>, String> {
    let decoder = zstd::Decoder::with_buffer(bytes).map_err(|error| error.to_string())?;
    unpack(decoder, limit).map_err(|error| error.to_string())
}

fn with_slash(url: &str) -> String {
    if url.ends_with('/') { url.to_owned() } else { format!("{url}/") }
}
