//! One directory of a channel, however its index comes.

use crate::channel::Channel;
use crate::error::SolveError;
use crate::repodata::cache::{Documents, unpack};
use crate::repodata::monolithic::Monolithic;
use crate::repodata::sharded::Sharded;
use crate::request::solver_channel;
use rattler_conda_types::RepoDataRecord;
use url::Url;

/// `linux-64` or `noarch` of a channel.
pub(crate) struct Subdir {
    index: Index,
    base_url: Url,
    channel: String,
}

enum Index {
    /// There is no such directory.
    None,
    Sharded(Sharded),
    Monolithic(Box<Monolithic>),
}

/// The names of whole indexes, the smallest first.
const WHOLE: [(&str, Packing); 3] = [
    ("repodata.json.zst", Packing::Zstd),
    ("repodata.json.bz2", Packing::Bzip2),
    ("repodata.json", Packing::None),
];

#[derive(Clone, Copy)]
enum Packing {
    None,
    Bzip2,
    Zstd,
}

impl Subdir {
    /// Reads the index of `channel`'s `subdir`.
    pub(crate) async fn open(
        channel: &Channel,
        subdir: &str,
        documents: &Documents<'_>,
    ) -> Result<Self, SolveError> {
        let url = channel.subdir_url(subdir);
        let index = Index::open(&url, documents).await?;
        let base = match &index {
            Index::Sharded(sharded) => Some(sharded.base_url.clone()),
            Index::Monolithic(whole) => whole.base_url.clone(),
            Index::None => None,
        };
        Ok(Subdir {
            base_url: base_url(&url, base.as_deref())?,
            index,
            channel: solver_channel(channel).canonical_name(),
        })
    }

    pub(crate) fn exists(&self) -> bool {
        !matches!(self.index, Index::None)
    }

    pub(crate) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match &self.index {
            Index::None => Box::new(std::iter::empty()),
            Index::Sharded(sharded) => Box::new(sharded.names()),
            Index::Monolithic(whole) => Box::new(whole.names()),
        }
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        match &self.index {
            Index::None => false,
            Index::Sharded(sharded) => sharded.contains(name),
            Index::Monolithic(whole) => whole.contains(name),
        }
    }

    /// The records of a package, sorted by file name.
    pub(crate) async fn records(
        &self,
        name: &str,
        documents: &Documents<'_>,
    ) -> Result<Vec<RepoDataRecord>, SolveError> {
        let found = match &self.index {
            Index::None => Vec::new(),
            Index::Sharded(sharded) => sharded.records(name, documents).await?,
            Index::Monolithic(whole) => whole.records(name),
        };
        let mut records = Vec::with_capacity(found.len());
        for (identifier, package_record) in found {
            // A record of another name would be one that nobody looked at.
            if package_record.name.as_normalized() != name {
                continue;
            }
            let Ok(url) = self.base_url.join(&identifier.to_file_name()) else { continue };
            let channel = Some(self.channel.clone());
            records.push(RepoDataRecord { package_record, identifier, url, channel });
        }
        records.sort_by_cached_key(|record| record.identifier.to_file_name());
        Ok(records)
    }
}

impl Index {
    async fn open(url: &Url, documents: &Documents<'_>) -> Result<Self, SolveError> {
        let limit = documents.settings.unpacked_limit;
        let at = |name: &str| {
            url.join(name).map_err(|error| SolveError::Repodata {
                url: tierce_fetch::Redacted(url).to_string(),
                problem: error.to_string(),
            })
        };
        let shards = at("repodata_shards.msgpack.zst")?;
        if let Some(bytes) = documents.get(&shards).await? {
            let sharded = Sharded::parse(&bytes, url, limit).map_err(|problem| {
                SolveError::Repodata { url: tierce_fetch::Redacted(&shards).to_string(), problem }
            })?;
            return Ok(Index::Sharded(sharded));
        }
        for (name, packing) in WHOLE {
            let url = at(name)?;
            let Some(bytes) = documents.get(&url).await? else { continue };
            let parse = move || -> Result<Monolithic, String> {
                let json = match packing {
                    Packing::None => Ok(bytes.to_vec()),
                    Packing::Bzip2 => {
                        unpack(bzip2::bufread::MultiBzDecoder::new(bytes.as_ref()), limit)
                    }
                    Packing::Zstd => zstd::Decoder::with_buffer(bytes.as_ref())
                        .and_then(|decoder| unpack(decoder, limit)),
                };
                let json = json.map_err(|error| error.to_string())?;
                Monolithic::parse(json).map_err(|error| error.to_string())
            };
            let parsed = tokio::task::spawn_blocking(parse).await;
            let parsed = parsed.map_err(|error| error.to_string()).and_then(|parsed| parsed);
            return match parsed {
                Ok(whole) => Ok(Index::Monolithic(Box::new(whole))),
                Err(problem) => {
                    let url = tierce_fetch::Redacted(&url).to_string();
                    Err(SolveError::Repodata { url, problem })
                }
            };
        }
        Ok(Index::None)
    }
}

/// Where packages are (CEP 15): beside the index unless it says otherwise.
fn base_url(subdir: &Url, base: Option<&str>) -> Result<Url, SolveError> {
    let Some(base) = base else { return Ok(subdir.clone()) };
    let base = if base.ends_with('/') { base.to_owned() } else { format!("{base}/") };
    let bad = |problem: String| SolveError::Repodata {
        url: tierce_fetch::Redacted(subdir).to_string(),
        problem,
    };
    let mut url = subdir.join(&base).map_err(|error| bad(format!("base_url: {error}")))?;
    let _ = (url.set_username(""), url.set_password(None));
    let local = url.scheme() == "file" && subdir.scheme() != "file";
    match url.scheme() {
        "https" | "http" | "file" if !local => Ok(url),
        scheme => Err(bad(format!("base_url has the scheme {scheme}"))),
    }
}
