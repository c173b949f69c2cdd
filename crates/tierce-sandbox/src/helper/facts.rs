//! What has to be known of a layer directory beyond its files.

use crate::FACTS;
use rustix::fs::{AtFlags, StatxFlags};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Facts of a layer directory or a scratch directory, beside its tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Directories that no entry of the layer describes: they are there because of what is in
    /// them, and must not change what lower layers say of them.
    #[serde(default)]
    pub(crate) implicit: BTreeSet<Vec<u8>>,
    /// Whether nothing of lower layers is to be seen. Overlays don't honour this at the root.
    #[serde(default)]
    pub(crate) opaque_root: bool,
    /// Owners of what can't have extended attributes of users (links, pipes), by path; in
    /// unpacked layers.
    #[serde(default, with = "as_list")]
    pub(crate) owners: BTreeMap<Vec<u8>, (u32, u32)>,
    /// The same in scratch directories, where files are renamed.
    #[serde(default, with = "as_list")]
    pub(crate) owners_by_identity: BTreeMap<Identity, (u32, u32)>,
    /// Mount points that had to be made in the tree itself.
    #[serde(default)]
    pub(crate) stubs: BTreeSet<Vec<u8>>,
}

/// What tells a file from all others that are and were in its file system: inode numbers are used
/// again, but not at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Identity {
    inode: u64,
    born: (i64, u32),
}

impl Identity {
    /// That of a name, links not followed.
    pub(crate) fn of(directory: impl AsFd, name: &[u8]) -> io::Result<Self> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH;
        let stat = rustix::fs::statx(directory, name, flags, StatxFlags::INO | StatxFlags::BTIME)?;
        let born = (stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec);
        Ok(Identity { inode: stat.stx_ino, born })
    }
}

impl Facts {
    /// Those of a layer directory; none if it has none.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        match std::fs::read(directory.join(FACTS)) {
            Ok(body) => Ok(serde_json::from_slice(&body)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Facts::default()),
            Err(error) => Err(error),
        }
    }

    /// Writes those of a layer directory.
    pub(crate) fn write(&self, directory: &Path) -> io::Result<()> {
        // The helper's umask lets everything through.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(directory.join(FACTS))?;
        file.write_all(&serde_json::to_vec(self)?)
    }
}

/// JSON's objects have strings as keys only.
mod as_list {
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: DeserializeOwned + Ord,
        V: DeserializeOwned,
        D: Deserializer<'de>,
    {
        let list: Vec<(K, V)> = Vec::deserialize(from)?;
        Ok(list.into_iter().collect())
    }
}
