//! Package files: from the mirror into the store, and from there unpacked.

use crate::deb::{DebError, UnpackedDeb};
use crate::package::{Package, PackageName};
use crate::spool::Spool;
use futures::{StreamExt, TryStreamExt, stream};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::io;
use std::sync::Arc;
use tierce_fetch::{Download, FetchError, Fetcher};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_store::{Store, StoreError};

/// Why package files could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PackagesError {
    /// A package could not be fetched.
    #[error("cannot fetch package {name}")]
    Fetch {
        /// The package.
        name: PackageName,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// A package is malformed, though its hash is right.
    #[error("package {name} cannot be unpacked")]
    Deb {
        /// The package.
        name: PackageName,
        /// What is wrong with it.
        #[source]
        source: DebError,
    },
    /// A package is another one than the index says.
    #[error("package {name} {version} turns out to be {found}")]
    Other {
        /// The package.
        name: PackageName,
        /// Its version as the index has it.
        version: String,
        /// What the file says it is.
        found: String,
    },
    /// The store's copy of a package was damaged. It is gone now.
    #[error("the stored copy of package {name} was damaged")]
    Damaged {
        /// The package.
        name: PackageName,
    },
    /// There is no room for the packages' contents.
    #[error("cannot keep the packages' contents")]
    Spool(#[source] io::Error),
    /// The store failed.
    #[error("cannot keep package files")]
    Store(#[from] StoreError),
}

impl Diagnostic for PackagesError {
    fn code(&self) -> &'static str {
        match self {
            PackagesError::Fetch { source, .. } => match source {
                FetchError::DigestMismatch { .. } | FetchError::SizeMismatch { .. } => {
                    "debian/wrong-hash"
                }
                other => other.code(),
            },
            PackagesError::Deb { source, .. } => source.code(),
            PackagesError::Other { .. } => "debian/bad-deb",
            PackagesError::Damaged { .. } => "debian/damaged-copy",
            PackagesError::Spool(_) => "debian/scratch",
            PackagesError::Store(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            PackagesError::Fetch { source, .. } => source.kind(),
            PackagesError::Deb { source, .. } => source.kind(),
            PackagesError::Other { .. } => ErrorKind::Upstream,
            PackagesError::Damaged { .. } | PackagesError::Spool(_) => ErrorKind::Environment,
            PackagesError::Store(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            PackagesError::Fetch { source: FetchError::Status { status, .. }, .. }
                if status.as_u16() == 404 =>
            {
                Some("The archive changed in between: try again.".to_owned())
            }
            PackagesError::Damaged { .. } => Some("Try again: it will be fetched anew.".to_owned()),
            PackagesError::Fetch { source, .. } => source.hint(),
            PackagesError::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// Fetches the packages that the store does not have, at most `concurrency` at once, each
/// verified against the index. `on_bytes` hears how many bytes of which package are there.
pub async fn fetch_packages(
    packages: &[Package],
    fetcher: &Fetcher,
    store: &Store,
    concurrency: usize,
    on_bytes: &(dyn Fn(&Package, u64) + Send + Sync),
) -> Result<(), PackagesError> {
    // Collected, not mapped in the stream: a closure that borrows makes a future that no
    // multi-threaded runtime takes.
    let missing: Vec<_> = packages
        .iter()
        .filter(|package| store.has(&package.sha256) != Some(package.size))
        .map(|package| fetch_package(package, fetcher, store, on_bytes))
        .collect();
    stream::iter(missing).buffer_unordered(concurrency.max(1)).try_collect().await
}

async fn fetch_package(
    package: &Package,
    fetcher: &Fetcher,
    store: &Store,
    on_bytes: &(dyn Fn(&Package, u64) + Send + Sync),
) -> Result<(), PackagesError> {
    let staged = store.stage()?;
    let item = Download {
        url: package.url.clone(),
        digest: Some(package.sha256),
        size: Some(package.size),
    };
    let fetched = fetcher.download(&item, staged.path(), &|bytes| on_bytes(package, bytes)).await;
    fetched.map_err(|source| PackagesError::Fetch { name: package.name.clone(), source })?;
    staged.commit(&package.sha256)?;
    Ok(())
}

/// Unpacks packages that [`fetch_packages`] put into the store, on all processors; blocks. Their
/// contents are in a scratch file on disk as long as the result lives.
pub fn unpack_packages(
    packages: &[Package],
    store: &Store,
) -> Result<Vec<UnpackedDeb>, PackagesError> {
    let scratch = store.scratch_dir("debian")?;
    // The file has no name, so that the directory can go at once.
    let spool = Spool::new(scratch.path()).map_err(PackagesError::Spool)?;
    let unpack = |package| unpack_package(package, store, &spool);
    tierce_parallel::install(|| packages.par_iter().map(unpack).collect())
}

fn unpack_package(
    package: &Package,
    store: &Store,
    spool: &Arc<Spool>,
) -> Result<UnpackedDeb, PackagesError> {
    let name = package.name.clone();
    let deb = match UnpackedDeb::read(store.open_blob(&package.sha256)?, spool) {
        Ok(deb) => deb,
        Err(_) if store.verify(&package.sha256)?.is_none() => {
            return Err(PackagesError::Damaged { name });
        }
        Err(source) => return Err(PackagesError::Deb { name, source }),
    };
    if *deb.name() == package.name && *deb.version() == package.version {
        return Ok(deb);
    }
    let found = format!("{} {}", deb.name(), deb.version());
    Err(PackagesError::Other { name, version: package.version.to_string(), found })
}
