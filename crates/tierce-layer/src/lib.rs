//! Layer formats: deterministic tar, gzip members, zstd, whiteouts; bytes in, bytes out.
//!
//! This crate must not know any file system, store or registry: [`LayerWriter`] turns
//! [`Entry`] values and readers into the bytes of an OCI layer, [`LayerReader`] turns the bytes
//! of any layer back into entries. Both follow the image specification's "Image Layer
//! Filesystem Changeset" and POSIX.1-2017 `pax`.
//!
//! # Bytes that stay the same
//!
//! The tar stream depends on the entries alone. The compressed stream depends on them, on the
//! [`Compression`] and on the pinned compressor versions, but never on how reads and writes
//! happen to be cut, on the number of cores, or on time. Entries added with
//! [`LayerWriter::append_deflated`] and all headers do not even depend on a compressor.

mod compress;
mod decompress;
mod encode;
mod entry;
mod error;
mod fixed;
mod gzip;
mod header;
mod path;
mod pax;
mod reader;
mod splice;
mod ustar;
mod whiteout;
mod writer;

pub use compress::Compression;
pub use entry::{Entry, EntryKind};
pub use error::{FormatError, ReadError, WriteError};
pub use path::{LayerPath, PathError};
pub use reader::{EntryReader, LayerReader};
pub use splice::Deflated;
pub use whiteout::{Whiteout, WhiteoutError};
pub use writer::{LayerInfo, LayerWriter};

/// The modification time of everything that tierce itself writes: 1980-01-01T00:00:00Z.
///
/// Not 0, because Python's `zipfile` refuses times before 1980.
pub const EPOCH: i64 = 315_532_800;

/// The version of the layer encoding. It is part of every cache key that stands for a layer's
/// bytes, and grows whenever the same entries would give other bytes.
pub const FORMAT_VERSION: u32 = 1;
