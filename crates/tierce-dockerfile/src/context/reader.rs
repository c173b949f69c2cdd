//! Contents as they were when they were put in, or not at all.

use super::{ContextError, ContextSource};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use tierce_oci::{Digest, Hasher};

/// The content of an entry.
pub(super) enum Content<'a> {
    Bytes(&'a [u8]),
    File { path: &'a Path, file: File, size: u64, digest: Digest, hasher: Option<Hasher> },
}

impl<'a> Content<'a> {
    pub fn of(source: &'a ContextSource) -> Result<Self, ContextError> {
        match source {
            ContextSource::Bytes(bytes) => Ok(Content::Bytes(bytes)),
            ContextSource::Symlink(_) | ContextSource::Directory => Ok(Content::Bytes(&[])),
            ContextSource::File { path, size, digest } => {
                let file = open(path)?;
                let hasher = Some(Hasher::new());
                Ok(Content::File { path, file, size: *size, digest: *digest, hasher })
            }
        }
    }

    /// Copies all of it to `out`, and checks what was read.
    pub fn copy(mut self, out: &mut impl Write) -> Result<(), ContextError> {
        let mut buffer = vec![0; 1 << 17];
        loop {
            let read = match self.read(&mut buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other.map_err(|source| self.unreadable(source))?,
            };
            if read == 0 {
                return self.check();
            }
            out.write_all(&buffer[..read]).map_err(ContextError::Write)?;
        }
    }

    /// Whether all that was read is what was put in.
    pub fn check(&mut self) -> Result<(), ContextError> {
        match self {
            Content::Bytes(_) => Ok(()),
            Content::File { path, size, digest, hasher, .. } => {
                let hasher = hasher.take().unwrap_or_default();
                match hasher.length() == *size && hasher.finish() == *digest {
                    true => Ok(()),
                    false => Err(ContextError::Changed { path: path.to_owned() }),
                }
            }
        }
    }

    /// What a failure to read it is.
    pub fn unreadable(&self, source: io::Error) -> ContextError {
        let path = match self {
            Content::Bytes(_) => Path::new(""),
            Content::File { path, .. } => path,
        };
        ContextError::Read { path: path.to_owned(), source }
    }

    /// What a length other than the one that was put in is.
    pub fn changed(&self) -> ContextError {
        match self {
            Content::Bytes(_) => ContextError::Changed { path: Default::default() },
            Content::File { path, .. } => ContextError::Changed { path: (*path).to_owned() },
        }
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Bytes(bytes) => bytes.read(buffer),
            Content::File { file, hasher, .. } => {
                let read = file.read(buffer)?;
                if let Some(hasher) = hasher {
                    hasher.update(&buffer[..read]);
                }
                Ok(read)
            }
        }
    }
}

/// Opens a regular file; never waits for a pipe.
fn open(path: &Path) -> Result<File, ContextError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, path, flags, Mode::empty());
    let fd = opened.map_err(|e| match e {
        rustix::io::Errno::NOENT => ContextError::Changed { path: path.to_owned() },
        e => ContextError::Read { path: path.to_owned(), source: e.into() },
    })?;
    let stat = rustix::fs::fstat(&fd)
        .map_err(|e| ContextError::Read { path: path.to_owned(), source: e.into() })?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(fd.into()),
        _ => Err(ContextError::Changed { path: path.to_owned() }),
    }
}
