//! Writing layers.

use crate::compress::{Compression, GZIP_LEVEL, Sink};
use crate::gzip::{self, Class};
use crate::splice::{self, Deflated, Piece};
use crate::ustar::{self, BLOCK};
use crate::{Entry, EntryKind, Whiteout, WriteError, encode};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use tierce_oci::{Descriptor, DiffId, Hasher};

/// What is known of a layer once it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerInfo {
    /// The blob: its type, digest and size.
    pub descriptor: Descriptor,
    /// The digest of the uncompressed tar.
    pub diff_id: DiffId,
    /// The length of the uncompressed tar.
    pub uncompressed_size: u64,
}

/// Writes a layer to `W`, entry by entry, in the order in which they are given, and computes
/// both its digests on the way. Memory stays flat whatever the size of an entry.
pub struct LayerWriter<W: Write> {
    sink: Sink<W>,
    tar: Hasher,
    buffer: Vec<u8>,
    failed: bool,
}

impl<W: Write> LayerWriter<W> {
    /// A writer of a layer that is compressed in this way. `out` needs no buffer.
    pub fn new(out: W, compression: Compression) -> Self {
        LayerWriter::with_gzip_level(out, compression, GZIP_LEVEL)
    }

    /// The same with a gzip level (0 to 9) of one's own, for content that is not spliced.
    /// Other levels give other bytes: the level belongs into cache keys.
    pub fn with_gzip_level(out: W, compression: Compression, level: u32) -> Self {
        let sink = Sink::new(out, compression, level.min(9));
        LayerWriter { sink, tar: Hasher::new(), buffer: Vec::new(), failed: false }
    }

    /// Adds an entry with its content, which must be as long as a regular file declares, and
    /// empty for everything else ([`io::empty`]).
    pub fn append(&mut self, entry: &Entry, content: impl Read) -> Result<(), WriteError> {
        self.guarded(|writer| {
            writer.begin(entry)?;
            writer.content(entry, content)?;
            writer.end(entry)
        })
    }

    /// Adds a regular file whose content is already deflated. In a gzip layer the stream becomes
    /// a member of its own, as it is, without being compressed again. It is inflated for the
    /// layer's diff id, and its sizes and checksum are verified.
    pub fn append_deflated(
        &mut self,
        entry: &Entry,
        content: Deflated<impl Read>,
    ) -> Result<(), WriteError> {
        self.guarded(|writer| {
            let EntryKind::File { size } = entry.kind else {
                return Err(WriteError::NotAFile { path: entry.path.clone() });
            };
            writer.begin(entry)?;
            match &mut writer.sink {
                Sink::Gzip(members, out) => {
                    let (tar, crc32) = (&mut writer.tar, content.crc32);
                    members.flush(out).map_err(WriteError::Output)?;
                    gzip::begin_member(out).map_err(WriteError::Output)?;
                    splice::inflate(&entry.path, size, content, |piece| match piece {
                        Piece::Deflated(bytes) => out.write_all(bytes).map_err(WriteError::Output),
                        Piece::Inflated(bytes) => {
                            tar.update(bytes);
                            Ok(())
                        }
                    })?;
                    gzip::end_member(out, crc32, size).map_err(WriteError::Output)?;
                }
                _ => splice::inflate(&entry.path, size, content, |piece| match piece {
                    Piece::Deflated(_) => Ok(()),
                    Piece::Inflated(bytes) => writer.write(bytes, Class::Content),
                })?,
            }
            writer.end(entry)
        })
    }

    /// Adds the marker of a whiteout.
    pub fn whiteout(&mut self, whiteout: &Whiteout) -> Result<(), WriteError> {
        self.guarded(|writer| {
            let entry = Entry::file(whiteout.marker()?, 0);
            let header = encode::header(&entry)?;
            writer.write(&header, Class::Frame)
        })
    }

    /// Ends the layer. Nothing but this makes it complete.
    pub fn finish(mut self) -> Result<(W, LayerInfo), WriteError> {
        if self.failed {
            return Err(WriteError::Incomplete);
        }
        self.write(&[0; 2 * BLOCK], Class::Frame)?;
        let (out, descriptor) = self.sink.finish().map_err(WriteError::Output)?;
        let uncompressed_size = self.tar.length();
        let diff_id = DiffId(self.tar.finish());
        Ok((out, LayerInfo { descriptor, diff_id, uncompressed_size }))
    }

    /// Runs a step. When it fails, the output is in an unknown state, and that is remembered.
    fn guarded(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        if self.failed {
            return Err(WriteError::Incomplete);
        }
        let result = step(self);
        self.failed = result.is_err();
        result
    }

    fn write(&mut self, bytes: &[u8], class: Class) -> Result<(), WriteError> {
        self.tar.update(bytes);
        self.sink.write(bytes, class).map_err(WriteError::Output)
    }

    fn begin(&mut self, entry: &Entry) -> Result<(), WriteError> {
        if entry.path.has_reserved_name() {
            return Err(WriteError::ReservedName { path: entry.path.clone() });
        }
        let header = encode::header(entry)?;
        self.write(&header, Class::Frame)
    }

    fn content(&mut self, entry: &Entry, mut content: impl Read) -> Result<(), WriteError> {
        let path = &entry.path;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(1 << 17, 0);
        let mut left = entry.size();
        loop {
            // One byte more than is left shows content that is too long.
            let wanted = buffer.len().min(left.saturating_add(1).try_into().unwrap_or(usize::MAX));
            let read = read_some(&mut content, &mut buffer[..wanted])
                .map_err(|source| WriteError::Input { path: path.clone(), source })?;
            if read as u64 > left || (read == 0 && left > 0) {
                return Err(WriteError::SizeMismatch {
                    path: path.clone(),
                    declared: entry.size(),
                });
            }
            if read == 0 {
                break;
            }
            self.write(&buffer[..read], Class::Content)?;
            left -= read as u64;
        }
        self.buffer = buffer;
        Ok(())
    }

    fn end(&mut self, entry: &Entry) -> Result<(), WriteError> {
        self.write(&[0; BLOCK][..ustar::padding(entry.size())], Class::Frame)
    }
}

/// One read that is not interrupted.
pub(crate) fn read_some(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => return result,
        }
    }
}
