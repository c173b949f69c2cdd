//! The compressed side of a layer that is being written.

use crate::gzip::{Class, Members};
use std::io::{self, BufWriter, Write};
use tierce_oci::{Descriptor, Hasher, MediaType};

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip members, level 6: what every reader takes, and what wheels can be spliced into.
    #[default]
    Gzip,
    /// Zstandard, level 3.
    Zstd,
}

impl Compression {
    /// The media type of layers that are compressed in this way.
    pub fn media_type(self) -> MediaType {
        match self {
            Compression::None => MediaType::OciLayer,
            Compression::Gzip => MediaType::OciLayerGzip,
            Compression::Zstd => MediaType::OciLayerZstd,
        }
    }
}

pub(crate) const GZIP_LEVEL: u32 = 6;
const ZSTD_LEVEL: i32 = 3;
/// Zstd's jobs are cut at this size whatever the number of workers. Set, because zstd's own
/// choice may change, and because memory is this times the number of workers.
const ZSTD_JOB_SIZE: u32 = 4 << 20;
const ZSTD_MAX_WORKERS: usize = 8;

/// Hashes and counts what is written.
pub(crate) struct Hashing<W> {
    inner: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The output, behind a buffer, since members come with many small writes.
pub(crate) type Output<W> = BufWriter<Hashing<W>>;

/// A compressor with its output.
pub(crate) enum Sink<W: Write> {
    None(Output<W>),
    Gzip(Members, Output<W>),
    /// Made before the first byte is written: making it can fail.
    ZstdIdle(Output<W>),
    Zstd(zstd::Encoder<'static, Output<W>>),
    /// While one state gives way to the next, and after that failed.
    Gone,
}

impl<W: Write> Sink<W> {
    pub(crate) fn new(out: W, compression: Compression, gzip_level: u32) -> Self {
        let out = BufWriter::with_capacity(1 << 17, Hashing { inner: out, hasher: Hasher::new() });
        match compression {
            Compression::None => Sink::None(out),
            Compression::Gzip => Sink::Gzip(Members::new(gzip_level), out),
            Compression::Zstd => Sink::ZstdIdle(out),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8], class: Class) -> io::Result<()> {
        match self {
            Sink::None(out) => out.write_all(bytes),
            Sink::Gzip(members, out) => members.add(bytes, class, out),
            Sink::Zstd(encoder) => encoder.write_all(bytes),
            Sink::ZstdIdle(_) => {
                let Sink::ZstdIdle(out) = std::mem::replace(self, Sink::Gone) else {
                    return Err(gone());
                };
                let mut encoder = zstd_encoder(out, workers())?;
                encoder.write_all(bytes)?;
                *self = Sink::Zstd(encoder);
                Ok(())
            }
            Sink::Gone => Err(gone()),
        }
    }

    /// Ends the compressed stream and gives the output and its descriptor.
    pub(crate) fn finish(self) -> io::Result<(W, Descriptor)> {
        let (out, compression) = match self {
            Sink::None(out) => (out, Compression::None),
            Sink::Gzip(mut members, mut out) => {
                members.flush(&mut out)?;
                (out, Compression::Gzip)
            }
            Sink::ZstdIdle(out) => (zstd_encoder(out, workers())?.finish()?, Compression::Zstd),
            Sink::Zstd(encoder) => (encoder.finish()?, Compression::Zstd),
            Sink::Gone => return Err(gone()),
        };
        let mut hashing = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        hashing.inner.flush()?;
        let size = hashing.hasher.length();
        let digest = hashing.hasher.finish();
        Ok((hashing.inner, Descriptor::new(compression.media_type(), digest, size)))
    }
}

fn gone() -> io::Error {
    io::Error::other("the compressor failed before")
}

fn workers() -> u32 {
    std::thread::available_parallelism().map_or(1, usize::from).clamp(1, ZSTD_MAX_WORKERS) as u32
}

/// Without workers zstd takes another path, whose bytes differ: there is always one.
fn zstd_encoder<W: Write>(out: W, workers: u32) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, ZSTD_LEVEL)?;
    encoder.multithread(workers.max(1))?;
    encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB_SIZE))?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_bytes_do_not_depend_on_workers() {
        let data: Vec<u8> =
            (0u32..4_000_000).flat_map(|i| (i.wrapping_mul(i) >> 9).to_le_bytes()).collect();
        let frames = [1, 2, 3, 8].map(|workers| {
            let mut encoder = zstd_encoder(Vec::new(), workers).unwrap();
            data.chunks(workers as usize * 10_007).for_each(|c| encoder.write_all(c).unwrap());
            encoder.finish().unwrap()
        });
        assert!(frames.iter().all(|frame| *frame == frames[0]));
    }
}
