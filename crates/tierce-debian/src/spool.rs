//! A scratch file that holds the contents of packages between reading and writing them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Contents of files, in one unnamed file on disk that goes away with this value: a root file
/// system is sorted before it is written, and must not be held in memory for that.
#[derive(Debug)]
pub struct Spool {
    file: File,
    end: AtomicU64,
}

/// Where in a [`Spool`] something is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    offset: u64,
    size: u64,
}

impl Content {
    pub(crate) const EMPTY: Content = Content { offset: 0, size: 0 };
}

impl Spool {
    /// A new spool in this directory.
    pub fn new(directory: &Path) -> io::Result<Arc<Self>> {
        let file = tempfile::tempfile_in(directory)?;
        Ok(Arc::new(Spool { file, end: AtomicU64::new(0) }))
    }

    /// Takes in `size` bytes. Several threads may do so at once.
    pub(crate) fn put(&self, size: u64, mut input: impl Read) -> io::Result<Content> {
        let offset = self.end.fetch_add(size, Ordering::Relaxed);
        let mut buffer = vec![0; size.clamp(1, 1 << 17) as usize];
        let mut written = 0;
        while written < size {
            let wanted = buffer.len().min(usize::try_from(size - written).unwrap_or(usize::MAX));
            match input.read(&mut buffer[..wanted]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.file.write_all_at(&buffer[..read], offset + written)?;
                    written += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Content { offset, size })
    }

    /// Reads what was taken in.
    pub(crate) fn get(&self, content: Content) -> SpoolReader<'_> {
        SpoolReader { spool: self, content }
    }
}

pub(crate) struct SpoolReader<'a> {
    spool: &'a Spool,
    content: Content,
}

impl Read for SpoolReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.content.size).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let read = self.spool.file.read_at(&mut buffer[..wanted], self.content.offset)?;
        self.content.offset += read as u64;
        self.content.size -= read as u64;
        Ok(read)
    }
}
