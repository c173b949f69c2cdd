//! Content that is already a deflate stream: zip entries spliced into gzip layers.

use crate::{LayerPath, WriteError};
use flate2::{Decompress, FlushDecompress, Status};
use std::io::Read;

/// A raw deflate stream (RFC 1951), as a zip entry of method 8 holds it, and what the zip's
/// directory says of it.
#[derive(Clone, Debug)]
pub struct Deflated<R> {
    /// The stream.
    pub stream: R,
    /// The stream's length. Nothing beyond it is read.
    pub compressed_size: u64,
    /// The CRC-32 of the inflated content.
    pub crc32: u32,
}

const INPUT: usize = 1 << 16;
const OUTPUT: usize = 1 << 18;

/// Reads a deflate stream, gives both its forms to `sink` piece by piece, and verifies that it
/// holds exactly `size` bytes with the declared checksum and ends where it is declared to.
pub(crate) fn inflate<R: Read>(
    path: &LayerPath,
    size: u64,
    mut deflated: Deflated<R>,
    mut sink: impl FnMut(Piece<'_>) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let bad = || WriteError::BadDeflate { path: path.clone() };
    let wrong_size = || WriteError::SizeMismatch { path: path.clone(), declared: size };
    let declared = deflated.compressed_size;
    let wrong_end = || WriteError::DeflatedSizeMismatch { path: path.clone(), declared };

    let mut inflate = Decompress::new(false);
    let mut crc = crc32fast::Hasher::new();
    let mut input = vec![0; INPUT.min(declared.try_into().unwrap_or(INPUT))];
    let mut output = vec![0; OUTPUT.min(size.try_into().unwrap_or(OUTPUT).max(1))];
    let mut left = declared;
    let mut ended = false;
    while left > 0 {
        let wanted = input.len().min(left.try_into().unwrap_or(usize::MAX));
        let read = crate::writer::read_some(&mut deflated.stream, &mut input[..wanted])
            .map_err(|source| WriteError::Input { path: path.clone(), source })?;
        if read == 0 || ended {
            return Err(wrong_end());
        }
        left -= read as u64;
        sink(Piece::Deflated(&input[..read]))?;
        let mut rest = &input[..read];
        loop {
            let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
            let status =
                inflate.decompress(rest, &mut output, FlushDecompress::None).map_err(|_| bad())?;
            let taken = (inflate.total_in() - before_in) as usize;
            let made = (inflate.total_out() - before_out) as usize;
            rest = &rest[taken..];
            if inflate.total_out() > size {
                return Err(wrong_size());
            }
            crc.update(&output[..made]);
            sink(Piece::Inflated(&output[..made]))?;
            if status == Status::StreamEnd {
                ended = true;
                break;
            }
            // A full output buffer may hide more; otherwise the input is used up.
            if made < output.len() && (rest.is_empty() || (taken == 0 && made == 0)) {
                break;
            }
        }
        if !rest.is_empty() {
            return Err(if ended { wrong_end() } else { bad() });
        }
    }
    if !ended {
        return Err(wrong_end());
    }
    if inflate.total_out() != size {
        return Err(wrong_size());
    }
    let actual = crc.finalize();
    if actual != deflated.crc32 {
        let path = path.clone();
        return Err(WriteError::CrcMismatch { path, declared: deflated.crc32, actual });
    }
    Ok(())
}

/// A piece of content in one of its two forms.
pub(crate) enum Piece<'a> {
    Deflated(&'a [u8]),
    Inflated(&'a [u8]),
}
