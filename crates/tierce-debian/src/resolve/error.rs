//! Why a request cannot be met.

use crate::package::{PackageError, PackageName};
use tierce_oci::{Diagnostic, ErrorKind};

/// Why a request cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no package of that name.
    #[error("the archive has no package {name}")]
    Unknown {
        /// The name.
        name: PackageName,
        /// Names like it.
        nearest: Vec<String>,
    },
    /// There is a package of that name, but not that version of it.
    #[error("the archive has no version {wanted} of {name}")]
    NoSuchVersion {
        /// The name.
        name: PackageName,
        /// The version that was asked for.
        wanted: String,
        /// The versions there are.
        available: Vec<String>,
    },
    /// The name is one that several packages provide.
    #[error("{name} is provided by several packages")]
    Virtual {
        /// The name.
        name: PackageName,
        /// The packages.
        providers: Vec<PackageName>,
    },
    /// A package needs what is not there, or what must not be installed.
    #[error("{package} depends on {relation}, which cannot be installed: {reason}")]
    Unsatisfiable {
        /// The package that needs it.
        package: PackageName,
        /// What it needs.
        relation: String,
        /// What stands in the way.
        reason: String,
    },
    /// Two packages do not go together.
    #[error("{package} {verb} {relation}, and {other} is to be installed")]
    Conflict {
        /// The package that says so.
        package: PackageName,
        /// `conflicts with` or `breaks`.
        verb: &'static str,
        /// What it does not go with.
        relation: String,
        /// The other package.
        other: PackageName,
    },
    /// A package that was asked for is excluded too.
    #[error("{name} is both asked for and excluded")]
    Excluded {
        /// The name.
        name: PackageName,
    },
    /// The archive describes a package in a way that cannot be understood.
    #[error("the archive's index is malformed")]
    Malformed(#[from] PackageError),
}

impl Diagnostic for ResolveError {
    fn code(&self) -> &'static str {
        match self {
            ResolveError::Unknown { .. } => "debian/unknown-package",
            ResolveError::NoSuchVersion { .. } => "debian/unknown-version",
            ResolveError::Virtual { .. } => "debian/virtual-package",
            ResolveError::Unsatisfiable { .. } => "debian/unsatisfiable",
            ResolveError::Conflict { .. } => "debian/conflict",
            ResolveError::Excluded { .. } => "debian/excluded",
            ResolveError::Malformed(_) => "debian/bad-index",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ResolveError::Malformed(_) => ErrorKind::Upstream,
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ResolveError::Unknown { nearest, .. } if nearest.is_empty() => Some(
                "Look the name up at https://packages.debian.org; it may be in another suite or \
                 component."
                    .to_owned(),
            ),
            ResolveError::Unknown { nearest, .. } => {
                Some(format!("Similar names: {}.", nearest.join(", ")))
            }
            ResolveError::NoSuchVersion { available, .. } => {
                Some(format!("The archive has {}.", available.join(", ")))
            }
            ResolveError::Virtual { providers, .. } => {
                let names: Vec<&str> = providers.iter().map(PackageName::as_str).collect();
                Some(format!("Ask for one of them: {}.", names.join(", ")))
            }
            _ => None,
        }
    }
}
