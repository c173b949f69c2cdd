//! The local store: blobs by digest, records by key, unpacked layers, locks, and collection.
//!
//! Must not know any registry or network. One store per user, shared by all processes:
//!
//! ```text
//! <root>/
//!   CACHEDIR.TAG            backup programs leave the store out
//!   format                  the layout's version
//!   blobs/sha256/ab/<hex>   content by digest, read-only
//!   records/<kind>/<hex>    small JSON documents by key
//!   rootfs/<variant>/<hex>/ unpacked layers by diff id
//!   caches/<name>/          directories that build steps share
//!   index/                  digests of source files
//!   locks/                  one file a lock
//!   tmp/                    what is not finished
//! ```
//!
//! Files become visible by `rename` only, so whatever is visible is whole. Bulk blobs are not
//! synced to disk before that: a blob that a power cut tore is found when it is read, because
//! every read checks the digest, and it is made again. Syncing gigabytes would cost more than it
//! saves.

mod blob;
mod error;
mod lock;
mod record;
mod scratch;
mod store;
mod usage;

pub mod docker_archive;
pub mod oci_archive;
pub mod oci_layout;

pub use blob::{BlobReader, Staged};
pub use error::{ExportError, ImportError, StoreError};
pub use lock::{Lock, LockMode};
pub use record::RecordKind;
pub use scratch::Scratch;
pub use store::{Session, Store};
pub use usage::{PrunePolicy, PruneReport, StoreInfo, Usage};
