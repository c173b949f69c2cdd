//! The stat index: digests of files that need not be read again.

use rustix::fs::{Statx, StatxTimestamp};
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::Range;
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
    /// All names, one after the other.
    names: Vec<u8>,
    /// By directory, and by name within one.
    records: Vec<Record>,
    /// Each directory's part of the records. Directories are far fewer than files, which makes
    /// this much cheaper to build than a map of files.
    directories: HashMap<LayerPath, Range<usize>>,
    /// Whether this is what the file says.
    unchanged: bool,
}

/// One file.
#[derive(Clone, Debug)]
struct Record {
    name: Range<usize>,
    stamp: Stamp,
    digest: Digest,
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

    pub(crate) fn size(&self) -> u64 {
        self.size
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
/// Everything of a record but its name.
const RECORD: usize = 4 + 8 + 12 + 12 + 8 + 8 + 32;

/// What an index knows of one directory.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    names: &'a [u8],
    records: &'a [Record],
}

impl Known<'_> {
    /// The digest of a file that is as it was.
    pub(crate) fn find(&self, name: &[u8], stamp: &Stamp) -> Option<Digest> {
        let at = self.records.binary_search_by(|r| self.names[r.name.clone()].cmp(name)).ok()?;
        let record = &self.records[at];
        (record.stamp == *stamp).then_some(record.digest)
    }
}

impl StatIndex {
    /// An index that knows nothing.
    pub fn new() -> Self {
        StatIndex::default()
    }

    /// Reads an index. One that is missing, damaged or of another version counts as empty: all it
    /// costs is reading the files once more.
    pub fn load(file: &Path) -> Self {
        std::fs::read(file).ok().and_then(|bytes| decode(&bytes)).unwrap_or_default()
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
        self.records.len()
    }

    /// Whether no file is known.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// What is known of a directory.
    pub(crate) fn directory(&self, path: &LayerPath) -> Known<'_> {
        let range = self.directories.get(path).cloned().unwrap_or_default();
        Known { names: &self.names, records: &self.records[range] }
    }

    /// Learns what a scan has seen: `known` are the paths whose digests came from here, `new` the
    /// files that were read. All others are forgotten.
    pub(crate) fn learn<'a>(
        &mut self,
        known: impl ExactSizeIterator<Item = &'a LayerPath>,
        new: &[(LayerPath, Stamp, Digest)],
        horizon: Horizon,
    ) {
        let mut files: Vec<_> =
            new.iter().filter(|(_, stamp, _)| horizon.trusts(stamp)).cloned().collect();
        if files.is_empty() && known.len() == self.len() {
            return;
        }
        for path in known {
            let (directory, name) = split(path);
            let Known { names, records } = self.directory(&directory);
            let at = records.binary_search_by(|r| names[r.name.clone()].cmp(name));
            let record = at.ok().map(|at| &records[at]);
            files.extend(record.map(|r| (path.clone(), r.stamp, r.digest)));
        }
        *self = StatIndex::build(&files);
    }

    fn build(files: &[(LayerPath, Stamp, Digest)]) -> Self {
        let mut sorted: Vec<_> =
            files.iter().map(|(path, stamp, digest)| (split(path), stamp, digest)).collect();
        sorted.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut index = StatIndex::new();
        for ((directory, name), stamp, digest) in sorted {
            let at = index.records.len();
            let start = index.names.len();
            index.names.extend_from_slice(name);
            let name = start..index.names.len();
            index.records.push(Record { name, stamp: *stamp, digest: *digest });
            index.directories.entry(directory).or_insert(at..at).end = at + 1;
        }
        index
    }

    fn encode(&self) -> Vec<u8> {
        let mut directories: Vec<_> = self.directories.iter().collect();
        directories.sort_unstable_by_key(|(_, range)| range.start);
        let mut out = Vec::with_capacity(
            MAGIC.len() + 64 * directories.len() + RECORD * self.len() + self.names.len() + 4,
        );
        out.extend_from_slice(MAGIC);
        let put_bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            out.extend_from_slice(bytes);
        };
        for (path, range) in directories {
            put_bytes(&mut out, path.as_bytes());
            out.extend_from_slice(&(range.len() as u32).to_le_bytes());
            for Record { name, stamp, digest } in &self.records[range.clone()] {
                let Stamp { size, mtime, ctime, inode, device } = stamp;
                put_bytes(&mut out, &self.names[name.clone()]);
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
        }
        let checksum = crc32fast::hash(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }
}

/// A path's directory and name. A single file, scanned for itself, is at the root with no name.
fn split(path: &LayerPath) -> (LayerPath, &[u8]) {
    (path.parent().unwrap_or_default(), path.file_name().unwrap_or_default())
}

fn decode(bytes: &[u8]) -> Option<StatIndex> {
    let (body, checksum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    let mut cursor = Cursor(body.strip_prefix(MAGIC)?);
    let mut index = StatIndex { unchanged: true, ..StatIndex::default() };
    index.names.reserve(body.len() / 4);
    index.records.reserve(body.len() / (RECORD + 8));
    while !cursor.0.is_empty() {
        let length = cursor.u32()? as usize;
        let directory = match cursor.bytes(length)? {
            b"" => LayerPath::ROOT,
            path => LayerPath::new(path).ok()?,
        };
        let start = index.records.len();
        for _ in 0..cursor.u32()? {
            let length = cursor.u32()? as usize;
            let name = cursor.bytes(length)?;
            let name_start = index.names.len();
            index.names.extend_from_slice(name);
            let name = name_start..index.names.len();
            let stamp = Stamp {
                size: cursor.u64()?,
                mtime: (cursor.i64()?, cursor.u32()?),
                ctime: (cursor.i64()?, cursor.u32()?),
                inode: cursor.u64()?,
                device: (cursor.u32()?, cursor.u32()?),
            };
            let digest = Digest::from_bytes(*cursor.bytes(32)?.first_chunk()?);
            index.records.push(Record { name, stamp, digest });
        }
        index.directories.insert(directory, start..index.records.len());
    }
    Some(index)
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
