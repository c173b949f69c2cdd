//! Contexts as archives: the same bytes for the same context.

use super::zip::ZipWriter;
use super::{BuildContext, ContextEntry, ContextError, ContextSource};
use std::fmt;
use std::io::Write;
use std::str::FromStr;
use tierce_layer::{Compression, Entry, EntryKind, LayerPath, LayerWriter, WriteError};

/// How a context is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Archive {
    /// A POSIX tar file (`ustar`, with extended headers where need be).
    #[default]
    Tar,
    /// A tar file in gzip.
    TarGz,
    /// A zip file, with Unix modes and links as Info-ZIP writes them.
    Zip,
}

impl Archive {
    /// The kind that a file name ends in.
    pub fn of_file_name(name: &str) -> Option<Self> {
        let ends = |end: &str| name.ends_with(end);
        match () {
            () if ends(".tar") => Some(Archive::Tar),
            () if ends(".tar.gz") || ends(".tgz") => Some(Archive::TarGz),
            () if ends(".zip") => Some(Archive::Zip),
            () => None,
        }
    }
}

impl fmt::Display for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Archive::Tar => "tar",
            Archive::TarGz => "tar.gz",
            Archive::Zip => "zip",
        })
    }
}

/// Not a kind of archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a kind of archive: expected tar, tar.gz or zip")]
pub struct UnknownArchive(pub String);

impl FromStr for Archive {
    type Err = UnknownArchive;

    fn from_str(text: &str) -> Result<Self, UnknownArchive> {
        [Archive::Tar, Archive::TarGz, Archive::Zip]
            .into_iter()
            .find(|archive| archive.to_string() == text)
            .ok_or_else(|| UnknownArchive(text.to_owned()))
    }
}

impl BuildContext {
    /// Writes all of it to `out`, sorted, everything root's. The bytes follow from the context
    /// alone. A file that is not what it was when it was put in is an error.
    pub fn write_archive<W: Write>(&self, archive: Archive, out: W) -> Result<W, ContextError> {
        match archive {
            Archive::Tar => self.write_tar(Compression::None, out),
            Archive::TarGz => self.write_tar(Compression::Gzip, out),
            Archive::Zip => {
                let mut zip = ZipWriter::new(out);
                for (path, entry) in self.entries() {
                    zip.append(path, entry)?;
                }
                zip.finish()
            }
        }
    }

    fn write_tar<W: Write>(&self, compression: Compression, out: W) -> Result<W, ContextError> {
        let mut tar = LayerWriter::new(out, compression);
        for (path, entry) in self.entries() {
            let header = header(path, entry);
            let mut content = entry.content()?;
            match tar.append(&header, &mut content) {
                Ok(()) => content.check()?,
                Err(WriteError::SizeMismatch { .. }) => return Err(content.changed()),
                Err(WriteError::Input { source, .. }) => return Err(content.unreadable(source)),
                Err(WriteError::Output(source)) => return Err(ContextError::Write(source)),
                Err(source) => return Err(ContextError::Tar(source)),
            }
        }
        let (out, _) = tar.finish().map_err(ContextError::Tar)?;
        Ok(out)
    }
}

fn header(path: &LayerPath, entry: &ContextEntry) -> Entry {
    let kind = match &entry.source {
        ContextSource::File { .. } | ContextSource::Bytes(_) => {
            EntryKind::File { size: entry.size() }
        }
        ContextSource::Symlink(target) => EntryKind::Symlink { target: target.clone() },
        ContextSource::Directory => EntryKind::Directory,
    };
    Entry::new(path.clone(), kind, entry.mode).with_mtime(entry.mtime)
}
