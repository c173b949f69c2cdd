//! Which archive to take packages from.

use crate::keyring::Keyring;
use crate::package::{Architecture, ArchitectureError};
use tierce_oci::Platform;
use url::Url;

/// Debian's own mirrors, behind a content delivery network.
const DEBIAN_MIRROR: &str = "http://deb.debian.org/debian";
const DEBIAN_SECURITY: &str = "http://deb.debian.org/debian-security";
const UBUNTU_MIRROR: &str = "http://archive.ubuntu.com/ubuntu";
const UBUNTU_SECURITY: &str = "http://security.ubuntu.com/ubuntu";
/// Where Ubuntu keeps all architectures but amd64 and i386.
const UBUNTU_PORTS: &str = "http://ports.ubuntu.com/ubuntu-ports";

/// A part of a suite that is published apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Pocket {
    /// The suite itself.
    Release,
    /// `<suite>-updates`: what can't wait for the next point release.
    Updates,
    /// `<suite>-security`, on a mirror of its own.
    Security,
}

/// An archive, a suite of it, and whom to trust with it.
#[derive(Clone, Debug)]
pub struct ArchiveSettings {
    /// The suite's codename or name: `bookworm`, `trixie`, `stable`.
    pub suite: String,
    /// Where the suite and its updates are.
    pub mirror: Url,
    /// Where the security updates are.
    pub security_mirror: Url,
    /// The parts to use. A package's highest version in any of them counts.
    pub pockets: Vec<Pocket>,
    /// The components to use: `main`.
    pub components: Vec<String>,
    /// The architecture to use.
    pub architecture: Architecture,
    /// Who may sign.
    pub keyring: Keyring,
}

impl ArchiveSettings {
    /// Debian's archive, with the parts that its container images have: updates and security
    /// for released suites, nothing else for `sid`.
    pub fn debian(suite: &str, platform: &Platform) -> Result<Self, ArchitectureError> {
        let pockets = match suite {
            "sid" | "unstable" | "experimental" => vec![Pocket::Release],
            _ => vec![Pocket::Release, Pocket::Updates, Pocket::Security],
        };
        Ok(ArchiveSettings {
            suite: suite.to_owned(),
            mirror: constant(DEBIAN_MIRROR),
            security_mirror: constant(DEBIAN_SECURITY),
            pockets,
            components: vec!["main".to_owned()],
            architecture: Architecture::of(platform)?,
            keyring: Keyring::debian(),
        })
    }

    /// Ubuntu's archive: `main` and `universe`.
    pub fn ubuntu(suite: &str, platform: &Platform) -> Result<Self, ArchitectureError> {
        let architecture = Architecture::of(platform)?;
        let (mirror, security) = match architecture.as_str() {
            "amd64" | "i386" => (UBUNTU_MIRROR, UBUNTU_SECURITY),
            _ => (UBUNTU_PORTS, UBUNTU_PORTS),
        };
        Ok(ArchiveSettings {
            suite: suite.to_owned(),
            mirror: constant(mirror),
            security_mirror: constant(security),
            pockets: vec![Pocket::Release, Pocket::Updates, Pocket::Security],
            components: vec!["main".to_owned(), "universe".to_owned()],
            architecture,
            keyring: Keyring::ubuntu(),
        })
    }

    /// The mirror that holds a part, and the part's name below `dists/`.
    pub fn pocket(&self, pocket: Pocket) -> (&Url, String) {
        match pocket {
            Pocket::Release => (&self.mirror, self.suite.clone()),
            Pocket::Updates => (&self.mirror, format!("{}-updates", self.suite)),
            Pocket::Security => (&self.security_mirror, format!("{}-security", self.suite)),
        }
    }
}

fn constant(url: &str) -> Url {
    Url::parse(url).expect("the URLs above are valid")
}
