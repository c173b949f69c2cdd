//! The local store: blobs, records, root file systems, locks, OCI layouts; knows no registry.
//!
//! This crate must not know any registry or network, nor what a build is: it keeps bytes by
//! digest and facts by key, so that several processes of one user share them, and writes and
//! reads images as files.
//!
//! # Layout
//!
//! ```text
//! VERSION                        the format's number; a store without it is not touched
//! CACHEDIR.TAG                   tells backup programs to pass by
//! blobs/sha256/ab/<hex>          blobs by digest, mode 0444
//! records/<kind>/ab/<hex>        small JSON documents by key, behind a line with a checksum
//! rootfs/<variant>/<hex>/layer/  unpacked layers by diff id
//! caches/<name>/                 directories that steps share, as apt's archives
//! index/<name>                   small files of other crates, as stat indexes
//! tmp/                           what is being made; its makers hold locks on it
//! locks/<name>                   empty files for flock(2)
//! ```
//!
//! # Promises
//!
//! A blob, record or root file system is visible only when it is whole: everything is made in
//! `tmp/` and renamed. Nothing is synced to disk: after a power cut, what was written in the last
//! moments may be torn. It is a cache, so tearing is detected instead of prevented: records carry
//! a checksum, blobs are their own and are verified by every reader of this crate, and both are
//! made again when they fail. Syncing hundreds of megabytes for each build would cost more than
//! making them. Unpacked layers are the exception: nothing verifies them after a power cut, as it
//! is for containerd and podman.
//!
//! When something was last used is its modification time, which readers of the store move at most
//! once an hour. Access times would be moved by any program that reads along.

mod archive;
mod blob;
pub mod docker_archive;
mod document;
mod error;
mod export;
mod file;
mod import;
mod lock;
mod names;
pub mod oci_archive;
pub mod oci_layout;
mod open;
mod prune;
mod record;
mod rootfs;
mod scratch;
mod stage;
mod store;
mod usage;
mod verify;

pub use blob::BlobReader;
pub use error::{Action, FileError, OpenError, StoreError};
pub use export::ExportError;
pub use import::{ImportError, Verify};
pub use lock::{Lock, LockMode, Session};
pub use prune::{Effect, Keep, PruneError, PrunePolicy, PruneReport};
pub use record::RecordKind;
pub use rootfs::Published;
pub use scratch::{ScratchDir, Swept};
pub use stage::Staged;
pub use store::Store;
pub use usage::{StoreInfo, Usage};

/// The number of the store's on-disk format.
pub const FORMAT: u32 = 1;
