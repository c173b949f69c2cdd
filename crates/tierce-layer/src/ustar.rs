//! The 512-byte header block (POSIX.1-2017 `pax`, "ustar Interchange Format").

use std::ops::Range;

/// Headers and content come in blocks of this size.
pub(crate) const BLOCK: usize = 512;
/// One header.
pub(crate) type Block = [u8; BLOCK];

pub(crate) const NAME: Range<usize> = 0..100;
pub(crate) const MODE: Range<usize> = 100..108;
pub(crate) const UID: Range<usize> = 108..116;
pub(crate) const GID: Range<usize> = 116..124;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const MTIME: Range<usize> = 136..148;
pub(crate) const CHECKSUM: Range<usize> = 148..156;
pub(crate) const TYPE: usize = 156;
pub(crate) const LINK: Range<usize> = 157..257;
pub(crate) const MAGIC: Range<usize> = 257..263;
pub(crate) const VERSION: Range<usize> = 263..265;
pub(crate) const MAJOR: Range<usize> = 329..337;
pub(crate) const MINOR: Range<usize> = 337..345;
pub(crate) const PREFIX: Range<usize> = 345..500;

/// The largest number that an octal field of `width` bytes holds: one byte is the terminator.
pub(crate) const fn octal_max(width: usize) -> u64 {
    (1 << (3 * (width - 1))) - 1
}

/// The zeros that follow `size` bytes of content up to the next block.
pub(crate) const fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// The sum of all bytes of a header with the checksum field taken as spaces, once with
/// unsigned bytes, as POSIX says, and once with signed ones, as some old writers did.
pub(crate) fn checksums(block: &Block) -> (u64, i64) {
    let mut unsigned = 0;
    let mut signed = 0;
    for (at, &byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { byte };
        unsigned += u64::from(byte);
        signed += i64::from(byte as i8);
    }
    (unsigned, signed)
}
