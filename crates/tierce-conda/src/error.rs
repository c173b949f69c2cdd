//! What can go wrong between a spec and a package.

use crate::lock::LockFormatError;
use crate::request::SpecError;
use std::io;
use tierce_fetch::FetchError;
use tierce_layer::ReadError;
use tierce_oci::{Diagnostic, ErrorKind, Platform};
use tierce_store::StoreError;
use tierce_wheel::zip::ZipError;
use url::Url;

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub enum SolveError {
    /// A spec is malformed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// No channel is given.
    #[error("no conda channel is given")]
    NoChannels,
    /// A channel has none of the directories that it must have.
    #[error("conda channel {channel} does not exist at {url}")]
    NoSuchChannel {
        /// The channel.
        channel: String,
        /// Where it was looked for.
        url: Url,
    },
    /// An index can't be fetched.
    #[error("can't fetch the index of a conda channel")]
    Fetch(#[source] FetchError),
    /// An index is malformed.
    #[error("the conda index {url} is malformed: {problem}")]
    Repodata {
        /// Where it is.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The store can't keep an index or package.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No channel has a package of this name, for any platform.
    #[error("no conda package is called {name} in {}", .channels.join(", "))]
    UnknownPackage {
        /// The name.
        name: String,
        /// Where it was looked for.
        channels: Vec<String>,
        /// Names that are spelled alike.
        near: Vec<String>,
    },
    /// Channels have a package, but not for the platform.
    #[error("conda package {name} has no build for {platform}, only for {}", .elsewhere.join(", "))]
    NoBuild {
        /// The spec that asks for it.
        spec: String,
        /// The package.
        name: String,
        /// The platform's directory.
        platform: &'static str,
        /// The directories that have it.
        elsewhere: Vec<String>,
    },
    /// Nothing satisfies all specs.
    #[error("the conda packages can't be installed together on {platform}\n{explanation}")]
    Unsatisfiable {
        /// The solver's own words.
        explanation: String,
        /// The platform.
        platform: Platform,
        /// What it is taken to have.
        virtual_packages: Vec<String>,
    },
    /// The solver gives up.
    #[error("the conda solver failed")]
    Solver(#[source] rattler_solve::SolveError),
    /// The solver does not return.
    #[error("the conda solver stopped: {0}")]
    Crashed(String),
    /// A channel says of a package neither SHA-256 nor MD5.
    #[error("the channel gives no digest of conda package {package}")]
    NoDigest {
        /// The package.
        package: String,
    },
    /// A package without SHA-256 in its channel's index can't be had to compute it.
    #[error(transparent)]
    Package(#[from] FetchPackageError),
    /// The channel's metadata of a package can't be used.
    #[error("a channel's metadata can't be used")]
    Lock(#[from] LockFormatError),
}

impl Diagnostic for SolveError {
    fn code(&self) -> &'static str {
        match self {
            SolveError::Spec(error) => error.code(),
            SolveError::NoChannels => "conda/no-channels",
            SolveError::NoSuchChannel { .. } => "conda/no-such-channel",
            SolveError::Fetch(error) => error.code(),
            SolveError::Repodata { .. } | SolveError::NoDigest { .. } | SolveError::Lock(_) => {
                "conda/bad-index"
            }
            SolveError::Store(error) => error.code(),
            SolveError::UnknownPackage { .. } => "conda/unknown-package",
            SolveError::NoBuild { .. } => "conda/no-build",
            SolveError::Unsatisfiable { .. } => "conda/unsatisfiable",
            SolveError::Solver(_) | SolveError::Crashed(_) => "conda/solver",
            SolveError::Package(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            SolveError::Spec(_)
            | SolveError::NoChannels
            | SolveError::NoSuchChannel { .. }
            | SolveError::UnknownPackage { .. }
            | SolveError::NoBuild { .. }
            | SolveError::Unsatisfiable { .. } => ErrorKind::User,
            SolveError::Fetch(error) => error.kind(),
            SolveError::Store(error) => error.kind(),
            SolveError::Package(error) => error.kind(),
            SolveError::Repodata { .. } | SolveError::NoDigest { .. } | SolveError::Lock(_) => {
                ErrorKind::Upstream
            }
            SolveError::Solver(_) => ErrorKind::Upstream,
            SolveError::Crashed(_) => ErrorKind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            SolveError::Spec(error) => return error.hint(),
            SolveError::Fetch(error) => return error.hint(),
            SolveError::Store(error) => return error.hint(),
            SolveError::Package(error) => return error.hint(),
            SolveError::NoChannels => "Name at least one, as conda-forge.".to_owned(),
            SolveError::NoSuchChannel { .. } => {
                "Check the channel's name; a private one needs credentials in its URL or in netrc."
                    .to_owned()
            }
            SolveError::UnknownPackage { near, .. } if !near.is_empty() => {
                format!("Did you mean {}?", near.join(" or "))
            }
            SolveError::UnknownPackage { .. } => {
                "Check the name, or add the channel that has the package.".to_owned()
            }
            SolveError::NoBuild { .. } => {
                "Build for one of these platforms, leave the package out, or add a channel that has it."
                    .to_owned()
            }
            SolveError::Unsatisfiable { virtual_packages, .. } => format!(
                "Loosen a version, or name another channel. The image is taken to have {}; \
                 virtual_packages changes that, as __cuda = \"12.4\".",
                virtual_packages.join(", ")
            ),
            SolveError::Repodata { .. } | SolveError::NoDigest { .. } | SolveError::Lock(_) => {
                "Try again later, or use another mirror of the channel.".to_owned()
            }
            SolveError::Solver(_) | SolveError::Crashed(_) => return None,
        };
        Some(text)
    }
}

/// Why a package is not in the store.
#[derive(Debug, thiserror::Error)]
pub enum FetchPackageError {
    /// It could not be downloaded.
    #[error("{filename} can't be fetched")]
    Download {
        /// The file.
        filename: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// It is not the file that the channel's index means.
    #[error("{filename} has the MD5 {actual}, expected {expected}")]
    Md5 {
        /// The file.
        filename: String,
        /// What the index says.
        expected: String,
        /// What came.
        actual: String,
    },
    /// It can't be read back.
    #[error("{filename} can't be read")]
    Read {
        /// The file.
        filename: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The store can't keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The package itself is bad.
    #[error(transparent)]
    Package(#[from] PackageError),
}

impl Diagnostic for FetchPackageError {
    fn code(&self) -> &'static str {
        match self {
            FetchPackageError::Download { source, .. } => source.code(),
            FetchPackageError::Md5 { .. } => "fetch/digest-mismatch",
            FetchPackageError::Read { .. } => "conda/package-unreadable",
            FetchPackageError::Store(error) => error.code(),
            FetchPackageError::Package(error) => error.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            FetchPackageError::Download { source, .. } => source.kind(),
            FetchPackageError::Md5 { .. } => ErrorKind::Upstream,
            FetchPackageError::Read { .. } => ErrorKind::Environment,
            FetchPackageError::Store(error) => error.kind(),
            FetchPackageError::Package(error) => error.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            FetchPackageError::Download { source, .. } => source.hint(),
            FetchPackageError::Store(error) => error.hint(),
            FetchPackageError::Package(error) => error.hint(),
            FetchPackageError::Md5 { .. } => Some(
                "The file was replaced since the channel was indexed, or damaged on the way: use another mirror."
                    .to_owned(),
            ),
            FetchPackageError::Read { .. } => None,
        }
    }
}

/// Why a package can't be installed from.
#[derive(Debug, thiserror::Error)]
#[error("conda package {package} can't be used")]
pub struct PackageError {
    /// Its file name.
    pub package: String,
    /// What is wrong with it.
    #[source]
    pub problem: PackageProblem,
}

/// What is wrong with a package.
#[derive(Debug, thiserror::Error)]
pub enum PackageProblem {
    /// The file can't be opened.
    #[error("it can't be read")]
    Io(#[from] io::Error),
    /// What is in it can't be unpacked.
    #[error("its content is damaged")]
    Content(#[source] io::Error),
    /// It is no zip, or one that readers understand differently.
    #[error("it is not a .conda file")]
    Zip(#[from] ZipError),
    /// A member is missing or there twice.
    #[error("it has no single member {0}*.tar.zst")]
    Member(&'static str),
    /// An archive in it is malformed.
    #[error("its archive is malformed")]
    Tar(#[from] ReadError),
    /// It unpacks to too much.
    #[error("it unpacks to more than the {limit} bytes allowed")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// A metadata file is missing.
    #[error("it has no {0}")]
    NoMetadata(&'static str),
    /// A metadata file is malformed.
    #[error("its {file} is malformed: {problem}")]
    Metadata {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A path is unsafe, or there twice, or of a kind that packages must not have.
    #[error("{path}: {problem}")]
    Path {
        /// The path, made printable.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file is not what the package itself says it is.
    #[error("{path} has the SHA-256 {actual}, its own paths.json says {expected}")]
    Digest {
        /// The path.
        path: String,
        /// What paths.json says.
        expected: String,
        /// What the file has.
        actual: String,
    },
    /// The prefix does not fit into the place that binaries have for it.
    #[error(
        "{path} has place for a prefix of {place} characters, and the environment's has {wanted}"
    )]
    PrefixTooLong {
        /// The path.
        path: String,
        /// How much place there is.
        place: usize,
        /// How much is needed.
        wanted: usize,
    },
    /// It is made for Python, and there is no interpreter in the environment.
    #[error("it is a Python package, and the environment has no python")]
    NoPython,
}

impl PackageProblem {
    pub(crate) fn path(path: &str, problem: &'static str) -> Self {
        PackageProblem::Path { path: path.escape_debug().to_string(), problem }
    }
}

impl Diagnostic for PackageError {
    fn code(&self) -> &'static str {
        match self.problem {
            PackageProblem::Io(_) => "conda/package-unreadable",
            PackageProblem::TooLarge { .. } => "conda/package-too-large",
            PackageProblem::Digest { .. } => "conda/package-mismatch",
            PackageProblem::PrefixTooLong { .. } => "conda/prefix-too-long",
            PackageProblem::NoPython => "conda/no-python",
            _ => "conda/bad-package",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self.problem {
            PackageProblem::Io(_) => ErrorKind::Environment,
            PackageProblem::PrefixTooLong { .. } | PackageProblem::NoPython => ErrorKind::User,
            _ => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self.problem {
            PackageProblem::PrefixTooLong { .. } => "Choose a shorter prefix.",
            PackageProblem::NoPython => "Add python to the packages.",
            PackageProblem::Io(_) => return None,
            _ => "Ask for another build or version of it, and tell those who run its channel.",
        };
        Some(text.to_owned())
    }
}
