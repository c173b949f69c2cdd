//! Projects and conda environments: what says which packages, and the folders of the host that
//! are installed from.

use super::Source;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tierce_oci::{Digest, Hasher};

/// A file that was read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatheredFile {
    /// Where it is: an absolute path.
    pub path: PathBuf,
    /// What it says.
    pub content: Vec<u8>,
}

/// What says which packages are installed, and what of the host is installed.
#[derive(Clone, Debug)]
pub struct GatheredProject {
    /// The manifest.
    pub manifest: GatheredFile,
    /// The lock file, where there is one.
    pub lock: Option<GatheredFile>,
    /// Folders of the host that packages are built from, by their paths relative to the
    /// manifest's folder; `.` is the project itself.
    pub local: BTreeMap<PathBuf, Source>,
}

impl GatheredProject {
    /// The digest of all that was read.
    pub fn digest(&self) -> Digest {
        let GatheredProject { manifest, lock, local } = self;
        let mut all = Hasher::new();
        all.update(Digest::of(&manifest.content).as_bytes());
        all.update(&[u8::from(lock.is_some())]);
        if let Some(lock) = lock {
            all.update(Digest::of(&lock.content).as_bytes());
        }
        for (path, source) in local {
            let path = path.as_os_str().as_encoded_bytes();
            all.update(&(path.len() as u64).to_le_bytes());
            all.update(path);
            all.update(source.tree.digest().as_bytes());
        }
        all.finish()
    }
}
