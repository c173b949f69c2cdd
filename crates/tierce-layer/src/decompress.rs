//! The compressed side of a layer that is being read.

use crate::ReadError;
use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};

type Input<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// Decompresses whatever a layer is compressed with.
pub(crate) enum Source<R: Read> {
    Plain(Input<R>),
    Gzip(Box<MultiGzDecoder<Input<R>>>),
    Zstd(zstd::Decoder<'static, Input<R>>),
}

impl<R: Read> Source<R> {
    /// Looks at the first bytes.
    pub(crate) fn new(mut input: R) -> Result<Self, ReadError> {
        let mut head = Vec::new();
        input.by_ref().take(6).read_to_end(&mut head)?;
        let magic = head.clone();
        let input = BufReader::with_capacity(1 << 16, Cursor::new(head).chain(input));
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => Source::Gzip(Box::new(MultiGzDecoder::new(input))),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Source::Zstd(zstd::Decoder::with_buffer(input)?),
            // A skippable frame may come first.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Source::Zstd(zstd::Decoder::with_buffer(input)?),
            [0xfd, b'7', b'z', b'X', b'Z', 0] => return Err(ReadError::Compression("xz")),
            [b'B', b'Z', b'h', ..] => return Err(ReadError::Compression("bzip2")),
            _ => Source::Plain(input),
        })
    }

    /// After the end of the decompressed stream: whether input is left that is part of none.
    pub(crate) fn has_more_input(&mut self) -> io::Result<bool> {
        let rest = match self {
            Source::Plain(input) => input.fill_buf()?,
            Source::Gzip(decoder) => decoder.get_mut().fill_buf()?,
            Source::Zstd(decoder) => decoder.get_mut().fill_buf()?,
        };
        Ok(!rest.is_empty())
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Source::Plain(input) => input.read(buffer),
            Source::Gzip(decoder) => decoder.read(buffer),
            Source::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
