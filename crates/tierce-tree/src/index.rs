//! The stat index: digests of files that need not be read again.

use rustix::fs::{Statx, StatxTimestamp};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tierce_layer::LayerPath;
use tierce_oci::Digest;

/// Remembers the digests of the files of one tree, with all that the file system says of them.
///
/// A file whose size, times, inode and device are as they were is not read again. That rests on
/// the change time, which the kernel sets at every write and nobody can set back. But a file that
/// is written twice within one tick of the clock keeps its change time (git calls such a file
/// "racily clean"). So a file that was younger than two seconds when it was scanned is not
/// remembered at all: two seconds are the coarsest tick of any file system in use (FAT's), and
/// many times that of the kernel's clock.
#[derive(Clone, Debug, Default)]
pub struct StatIndex {
    files: HashMap<LayerPath, (Stamp, Digest)>,
    unchanged: bool,
}

/// Why an index could not be saved.
#[derive(Debug, thiserror::Error)]
#[error("cannot save the source index {}", path.display())]
pub struct SaveError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// What the file system says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    size: u64,
    mtime: (i64, u32),
    ctime: (i64, u32),
    inode: u64,
    device: (u32, u32),
}

impl Stamp {
    pub(crate) fn new(stat: &Statx) -> Self {
        let time = |time: StatxTimestamp| (time.tv_sec, time.tv_nsec);
        Stamp {
            size: stat.stx_size,
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
            inode: stat.stx_ino,
            device: (stat.stx_dev_major, stat.stx_dev_minor),
        }
    }
}

/// The moment before which a file must have changed last to be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Horizon((i64, u32));

impl Horizon {
    /// The horizon of a scan that begins now.
    pub(crate) fn now() -> Self {
        let at = SystemTime::now().checked_sub(Duration::from_secs(2)).unwrap_or(UNIX_EPOCH);
        let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Horizon((since.as_secs() as i64, since.subsec_nanos()))
    }

    fn trusts(self, stamp: &Stamp) -> bool {
        stamp.mtime < self.0 && stamp.ctime < self.0
    }
}

const MAGIC: &[u8; 16] = b"tierce-index-v1\n";
/// Everything of a record but its path.
const RECORD: usize = 8 + 12 + 12 + 8 + 8 + 32;

impl StatIndex {
    /// An index that knows nothing.
    pub fn new() -> Self {
        StatIndex::default()
    }

    /// Reads an index. One that is missing, damaged or of another version counts as empty: all it
    /// costs is reading the files once more.
    pub fn load(file: &Path) -> Self {
        let files = std::fs::read(file).ok().and_then(|bytes| decode(&bytes));
        StatIndex { unchanged: files.is_some(), files: files.unwrap_or_default() }
    }

    /// Writes the index, whole or not at all; nothing if the file already says the same.
    /// The directory is made if it is missing.
    pub fn save(&self, file: &Path) -> Result<(), SaveError> {
        if self.unchanged {
            return Ok(());
        }
        let save = || {
            let directory = match file.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            std::fs::create_dir_all(directory)?;
            let mut temporary = tempfile::NamedTempFile::new_in(directory)?;
            temporary.write_all(&self.encode())?;
            // Not synced: what a crash damages is found by the checksum, and made again.
            temporary.persist(file).map_err(|error| error.error)?;
            Ok(())
        };
        save().map_err(|source| SaveError { path: file.to_owned(), source })
    }

    /// How many files are known.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The digest of a file that is as it was.
    pub(crate) fn find(&self, path: &LayerPath, stamp: &Stamp) -> Option<Digest> {
        self.files.get(path).filter(|(known, _)| known == stamp).map(|(_, digest)| *digest)
    }

    /// Learns what a scan has seen. Files that it did not meet are forgotten.
    pub(crate) fn learn(&mut self, seen: &[Seen<'_>], horizon: Horizon) {
        let known = seen.iter().filter(|seen| seen.known).count();
        let trusted = |seen: &&Seen<'_>| seen.known || horizon.trusts(&seen.stamp);
        if known == self.files.len() && seen.iter().filter(trusted).count() == known {
            return;
        }
        let records = seen.iter().filter(trusted).map(|s| (s.path.clone(), (s.stamp, s.digest)));
        self.files = records.collect();
        self.unchanged = false;
    }

    fn encode(&self) -> Vec<u8> {
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_unstable_by_key(|(path, _)| *path);
        let mut out = Vec::with_capacity(MAGIC.len() + 12 + files.len() * (RECORD + 64));
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&(files.len() as u64).to_le_bytes());
        for (path, (stamp, digest)) in files {
            let Stamp { size, mtime, ctime, inode, device } = stamp;
            out.extend_from_slice(&(path.as_bytes().len() as u32).to_le_bytes());
            out.extend_from_slice(path.as_bytes());
            out.extend_from_slice(&size.to_le_bytes());
            for (seconds, nanoseconds) in [mtime, ctime] {
                out.extend_from_slice(&seconds.to_le_bytes());
                out.extend_from_slice(&nanoseconds.to_le_bytes());
            }
            out.extend_from_slice(&inode.to_le_bytes());
            out.extend_from_slice(&device.0.to_le_bytes());
            out.extend_from_slice(&device.1.to_le_bytes());
            out.extend_from_slice(digest.as_bytes());
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }
}

fn decode(bytes: &[u8]) -> Option<HashMap<LayerPath, (Stamp, Digest)>> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut cursor = Cursor(body.strip_prefix(MAGIC)?);
    let count = usize::try_from(cursor.u64()?).ok()?;
    let mut files = HashMap::with_capacity(count.min(cursor.0.len() / RECORD));
    for _ in 0..count {
        let length = cursor.u32()? as usize;
        let path = LayerPath::ROOT.join(cursor.bytes(length)?);
        // The tree of a single file has it at the root.
        let path = if length == 0 { LayerPath::ROOT } else { path.ok()? };
        let stamp = Stamp {
            size: cursor.u64()?,
            mtime: (cursor.i64()?, cursor.u32()?),
            ctime: (cursor.i64()?, cursor.u32()?),
            inode: cursor.u64()?,
            device: (cursor.u32()?, cursor.u32()?),
        };
        let digest = Digest::from_bytes(*cursor.bytes(32)?.first_chunk()?);
        files.insert(path, (stamp, digest));
    }
    cursor.0.is_empty().then_some(files)
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (now, later) = self.0.split_at_checked(count)?;
        self.0 = later;
        Some(now)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.bytes(4)?.first_chunk()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.bytes(8)?.first_chunk()?))
    }

    fn i64(&mut self) -> Option<i64> {
        Some(self.u64()? as i64)
    }
}

/// One file that a scan has met.
pub(crate) struct Seen<'a> {
    pub(crate) path: &'a LayerPath,
    pub(crate) stamp: Stamp,
    pub(crate) digest: Digest,
    /// Whether the digest came from the index.
    pub(crate) known: bool,
}
