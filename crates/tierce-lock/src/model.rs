//! What a lock holds.

use tierce_oci::{Digest, Hasher, Platform};

/// The version of the file's format. Raised whenever an older tierce could not build from it what
/// a newer one does.
pub const FORMAT_VERSION: u32 = 1;

/// The content of a `tierce.lock`: what the images of one specification were resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFile {
    /// What resolved them. Decides nothing: it is there for people.
    pub toolchain: Toolchain,
    /// The images, sorted by name. The image that is the base of the image `x` is `x/base`.
    pub images: Vec<LockedImage>,
}

/// What resolved a lock's images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toolchain {
    /// tierce's version.
    pub tierce: String,
    /// The version of uv, which resolves Python packages.
    pub uv: String,
}

/// What one image was resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedImage {
    /// Which image of the specification; `image` where that has only one.
    pub name: String,
    /// What was asked for: each thing that has a say in what is resolved, one a line. A lock is
    /// stale where the specification says another thing.
    pub declared: Vec<String>,
    /// What came of it, sorted by platform.
    pub platforms: Vec<LockedPlatform>,
}

/// What an image was resolved to for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPlatform {
    /// The platform.
    pub platform: Platform,
    /// What it starts from; `None` for nothing, and for images of the same lock.
    pub base: Option<LockedBase>,
    /// Its Python; `None` where nobody asked for one.
    pub interpreter: Option<LockedInterpreter>,
    /// Its Python packages; `None` where there are none to install.
    pub python: Option<LockedPython>,
    /// Its conda environments, sorted by prefix.
    pub conda: Vec<LockedConda>,
    /// Its `apt` steps, in their order.
    pub apt: Vec<LockedApt>,
}

impl LockedPlatform {
    /// Nothing yet.
    pub fn new(platform: Platform) -> Self {
        LockedPlatform {
            platform,
            base: None,
            interpreter: None,
            python: None,
            conda: vec![],
            apt: vec![],
        }
    }
}

/// What an image starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedBase {
    /// An image in a registry.
    Registry {
        /// As the specification names it.
        reference: String,
        /// The digest that the name stood for: of an index, or of a manifest.
        digest: Digest,
        /// The platform's manifest.
        manifest: Digest,
    },
    /// Debian packages.
    Debian {
        /// The suite.
        suite: String,
        /// The date of the archive's newest release file, as snapshot.debian.org writes dates:
        /// `20251115T203412Z`.
        snapshot: Option<String>,
        /// The archives that the image itself is told of, whichever its packages are from.
        mirrors: Option<LockedMirrors>,
        /// The packages, in the order in which their scripts run.
        packages: Vec<LockedDeb>,
    },
}

/// The archives of Debian that an image's own apt asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedMirrors {
    /// The archive; without credentials.
    pub archive: String,
    /// The archive of security updates; without credentials.
    pub security: String,
}

/// A Debian package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedDeb {
    /// Its name.
    pub name: String,
    /// Its version (Debian policy section 5.6.12), with the epoch.
    pub version: String,
    /// `amd64`, or `all`.
    pub architecture: String,
    /// Whether dpkg files it under its name and architecture (`Multi-Arch: same`). Only packages
    /// of bases say so: tierce unpacks these itself.
    pub multi_arch_same: bool,
    /// Where the `.deb` was.
    pub url: String,
    /// Its size.
    pub size: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// An interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedInterpreter {
    /// `cpython`.
    pub implementation: String,
    /// Its version: `3.12.4`.
    pub version: String,
    /// Who brings it.
    pub provider: InterpreterProvider,
    /// What it is unpacked from, where it is a file of its own.
    pub file: Option<LockedFile>,
}

/// Who brings an interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterpreterProvider {
    /// The base image.
    Base,
    /// A Debian package.
    Debian,
    /// A conda package.
    Conda,
    /// python-build-standalone.
    Standalone,
}

impl InterpreterProvider {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Base, Self::Debian, Self::Conda, Self::Standalone];

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            InterpreterProvider::Base => "base",
            InterpreterProvider::Debian => "debian",
            InterpreterProvider::Conda => "conda",
            InterpreterProvider::Standalone => "standalone",
        }
    }
}

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// On a server; without credentials.
    Url(String),
    /// On the machine that builds, relative to the specification's directory; only its name for
    /// wheels of a folder of wheels.
    Path(String),
}

/// A file to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedFile {
    /// Its name.
    pub filename: String,
    /// Where it is.
    pub place: Place,
    /// Its size, where somebody told.
    pub size: Option<u64>,
    /// Its digest.
    pub sha256: Digest,
}

/// The packages of an image's Python environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedPython {
    /// The packages, sorted by name.
    pub packages: Vec<LockedPackage>,
}

/// A Python package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedPackage {
    /// Its normalised name (PEP 503).
    pub name: String,
    /// Its version; directories may have none before they are built.
    pub version: Option<String>,
    /// Whether it was asked for by itself, and not only by another package (PEP 376).
    pub requested: bool,
    /// Where it comes from.
    pub source: LockedSource,
}

/// Where a Python package comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockedSource {
    /// A wheel.
    Wheel {
        /// The file.
        file: LockedFile,
        /// Whether this very file was asked for, not a version from an index.
        direct: bool,
    },
    /// A source distribution, which is built in the image.
    Sdist {
        /// The file.
        file: LockedFile,
        /// Whether this very file was asked for.
        direct: bool,
        /// The project's directory in it.
        subdirectory: Option<String>,
    },
    /// A commit of a repository, which is built in the image.
    Vcs {
        /// `git`, `hg`, `bzr` or `svn`.
        kind: String,
        /// The repository.
        place: Place,
        /// The branch or tag that was asked for.
        requested_revision: Option<String>,
        /// The commit.
        commit: String,
        /// The project's directory in it.
        subdirectory: Option<String>,
    },
    /// A directory of the machine that builds. What is in it is the specification's business:
    /// it may change without making the lock stale.
    Directory {
        /// The directory, relative to the specification's.
        path: String,
        /// The project's directory in it.
        subdirectory: Option<String>,
    },
}

/// A conda environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedConda {
    /// Where it is in the image.
    pub prefix: String,
    /// The packages, sorted by name.
    pub packages: Vec<LockedCondaPackage>,
}

/// A conda package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LockedCondaPackage {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its build string.
    pub build: String,
    /// `linux-64`, or `noarch`.
    pub subdir: String,
    /// The channel, without credentials.
    pub channel: String,
    /// Where it was; without credentials.
    pub url: String,
    /// Its size, where the channel told.
    pub size: Option<u64>,
    /// Its digest.
    pub sha256: Digest,
}

/// What an `apt` step installs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedApt {
    /// What was asked for, as it was written.
    pub packages: Vec<String>,
    /// The date of the newest release file that was asked, as snapshot.debian.org writes dates.
    pub snapshot: Option<String>,
    /// All that is unpacked, sorted by name.
    pub debs: Vec<LockedDeb>,
}

impl LockFile {
    /// The image of this name.
    pub fn image(&self, name: &str) -> Option<&LockedImage> {
        self.images.iter().find(|image| image.name == name)
    }

    /// The images that are no other image's base.
    pub fn roots(&self) -> impl Iterator<Item = &LockedImage> {
        self.images.iter().filter(|image| !image.name.ends_with("/base"))
    }

    /// Puts an image in, in place of one of its name.
    pub fn put(&mut self, image: LockedImage) {
        self.images.retain(|other| other.name != image.name);
        self.images.push(image);
        self.images.sort_by(|a, b| a.name.cmp(&b.name));
    }
}

impl LockedImage {
    /// The digest of what was declared.
    pub fn spec(&self) -> Digest {
        spec_digest(&self.declared)
    }

    /// What the image was resolved to for `platform`.
    pub fn platform(&self, platform: &Platform) -> Option<&LockedPlatform> {
        self.platforms.iter().find(|locked| locked.platform == *platform)
    }

    /// The digest of all that has a say in what an image for these platforms holds. It enters the
    /// image's key.
    pub fn digest(&self, platforms: &[Platform]) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(format!("tierce.lock {FORMAT_VERSION}\n").as_bytes());
        let locked = self.platforms.iter().filter(|p| platforms.contains(&p.platform));
        for platform in locked {
            hasher.update(crate::text::platform(platform).as_bytes());
        }
        hasher.finish()
    }
}

/// The digest of declared lines, each with its length: no two lists give the same bytes.
pub(crate) fn spec_digest(declared: &[String]) -> Digest {
    let mut hasher = Hasher::new();
    for line in declared {
        hasher.update(&(line.len() as u64).to_le_bytes());
        hasher.update(line.as_bytes());
    }
    hasher.finish()
}
