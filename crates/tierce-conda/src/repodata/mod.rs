//! The indexes of channels: only as much of them as a solve needs.

pub(crate) mod cache;
mod monolithic;
mod sharded;
mod subdir;

pub(crate) use subdir::Subdir;

/// Limits, so that no channel fills this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepodataSettings {
    /// The largest index as it is downloaded: conda-forge's whole one has 50 MB.
    pub download_limit: u64,
    /// The largest index unpacked: conda-forge's whole one has 400 MB.
    pub unpacked_limit: u64,
    /// How many requests at once.
    pub concurrency: usize,
}

impl Default for RepodataSettings {
    /// 512 MiB, 2 GiB, 16 requests.
    fn default() -> Self {
        RepodataSettings { download_limit: 512 << 20, unpacked_limit: 2 << 30, concurrency: 16 }
    }
}
