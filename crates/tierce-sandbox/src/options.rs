//! What goes into and comes out of unpacking and diffing.

use crate::wire;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tierce_layer::Compression;
use tierce_oci::DiffId;

/// What is known of a layer once it is unpacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpacked {
    /// The digest of the uncompressed tar, to be compared with the one that the image's
    /// configuration gives.
    pub diff_id: DiffId,
    /// How many device nodes were left out: no user namespace can make them.
    pub skipped_devices: u64,
    /// How many extended attributes were left out: other than `user.*` and
    /// `security.capability`.
    pub skipped_xattrs: u64,
}

/// The directory inside a layer directory (or scratch directory) that holds the files.
///
/// Owners and whiteouts in it are in the sandbox's form: read it, but for reading single files,
/// with the sandbox only.
pub fn tree(directory: &Path) -> PathBuf {
    directory.join(crate::TREE)
}

/// How to turn a scratch directory into a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffOptions {
    /// The layers that the process ran on, base first. What is the same there is left out.
    pub lowers: Vec<PathBuf>,
    /// When the step started, in seconds since 1970: files changed since then are dated
    /// [`DiffOptions::clamp`].
    pub started: i64,
    /// The time of what the step itself wrote.
    pub clamp: i64,
    /// What to leave out: paths inside the image, in which `*` stands for anything within a
    /// component and `**` for any number of components. A directory that matches is left out with
    /// all that is in it.
    pub omit: Vec<String>,
    /// How to compress the layer.
    pub compression: Compression,
}

impl DiffOptions {
    /// Everything since `started`, gzipped, dated [`tierce_layer::EPOCH`].
    pub fn new(lowers: Vec<PathBuf>, started: i64) -> Self {
        let (clamp, compression) = (tierce_layer::EPOCH, Compression::Gzip);
        DiffOptions { lowers, started, clamp, omit: Vec::new(), compression }
    }
}

/// [`DiffOptions`] on the way to the helper.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DiffJob {
    #[serde(with = "wire::path")]
    pub(crate) scratch: PathBuf,
    #[serde(with = "wire::paths")]
    pub(crate) lowers: Vec<PathBuf>,
    pub(crate) started: i64,
    pub(crate) clamp: i64,
    pub(crate) omit: Vec<String>,
    pub(crate) compression: WireCompression,
    /// Whether owners are recorded instead of set.
    pub(crate) record: bool,
}

/// [`Compression`] on the way to the helper.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum WireCompression {
    None,
    Gzip,
    Zstd,
}

impl From<Compression> for WireCompression {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => WireCompression::None,
            Compression::Gzip => WireCompression::Gzip,
            Compression::Zstd => WireCompression::Zstd,
        }
    }
}

impl From<WireCompression> for Compression {
    fn from(compression: WireCompression) -> Self {
        match compression {
            WireCompression::None => Compression::None,
            WireCompression::Gzip => Compression::Gzip,
            WireCompression::Zstd => Compression::Zstd,
        }
    }
}
