//! Gzip as a sequence of members (RFC 1952), compressed block by block.

use crate::fixed;
use flate2::{Compress, FlushCompress, Status};
use rayon::prelude::*;
use std::io::{self, Write};

/// What is compressed goes into members of at most this many bytes of input. Each has a fresh
/// compressor, because zlib-rs's output depends on how its input is cut into writes, and
/// because members can then be compressed in parallel.
pub(crate) const MEMBER_SIZE: usize = 1 << 20;

/// RFC 1952, 2.3: deflate, no flags, no time, no extra flags, unknown operating system.
const MEMBER_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Writes the head of a member.
pub(crate) fn begin_member(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&MEMBER_HEADER)
}

/// Writes the end of a member. The size is kept modulo 2^32, as RFC 1952 says.
pub(crate) fn end_member(out: &mut impl Write, crc32: u32, size: u64) -> io::Result<()> {
    out.write_all(&crc32.to_le_bytes())?;
    out.write_all(&(size as u32).to_le_bytes())
}

/// What some bytes of a tar stream are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Headers, padding, and the end of the archive.
    Frame,
    /// Content of files.
    Content,
}

/// Bytes that become one member.
struct Block {
    bytes: Vec<u8>,
    class: Class,
}

impl Block {
    fn new() -> Self {
        Block { bytes: Vec::new(), class: Class::Frame }
    }

    fn member(&self, level: u32) -> io::Result<Vec<u8>> {
        let mut out = Vec::with_capacity(self.bytes.len() / 2 + 64);
        begin_member(&mut out)?;
        match self.class {
            // Bytes that frame spliced content are the same with every compressor.
            Class::Frame => fixed::deflate(&self.bytes, &mut out),
            Class::Content => deflate(&self.bytes, level, &mut out)?,
        }
        end_member(&mut out, crc32fast::hash(&self.bytes), self.bytes.len() as u64)?;
        Ok(out)
    }
}

/// Compresses all of `data` in one call, so that the result depends on nothing else.
fn deflate(data: &[u8], level: u32, out: &mut Vec<u8>) -> io::Result<()> {
    let mut compress = Compress::new(flate2::Compression::new(level), false);
    // Room for the worst case (stored blocks), so that one call suffices.
    out.reserve(data.len() + data.len() / 1000 + 64);
    match compress.compress_vec(data, out, FlushCompress::Finish).map_err(io::Error::other)? {
        Status::StreamEnd => Ok(()),
        _ => Err(io::Error::other("deflate needed more room than its worst case")),
    }
}

/// Collects a tar stream into members.
pub(crate) struct Members {
    level: u32,
    pending: Block,
    /// Full blocks that wait for enough others to keep all threads busy.
    full: Vec<Block>,
    batch: usize,
}

impl Members {
    pub(crate) fn new(level: u32) -> Self {
        // Twice the threads, so that none idles at the end of a batch; bounded, so that
        // memory stays flat on large machines.
        let batch = (tierce_parallel::threads() * 2).clamp(2, 32);
        Members { level, pending: Block::new(), full: Vec::new(), batch }
    }

    /// Takes in the next bytes of the stream.
    pub(crate) fn add(
        &mut self,
        mut bytes: &[u8],
        class: Class,
        out: &mut impl Write,
    ) -> io::Result<()> {
        while !bytes.is_empty() {
            let room = MEMBER_SIZE - self.pending.bytes.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.bytes.extend_from_slice(now);
            if class == Class::Content {
                self.pending.class = Class::Content;
            }
            if self.pending.bytes.len() == MEMBER_SIZE {
                self.full.push(std::mem::replace(&mut self.pending, Block::new()));
                if self.full.len() >= self.batch {
                    self.drain(out)?;
                }
            }
            bytes = later;
        }
        Ok(())
    }

    /// Ends the current member, if anything is in it, and writes all members.
    pub(crate) fn flush(&mut self, out: &mut impl Write) -> io::Result<()> {
        if !self.pending.bytes.is_empty() {
            let pending = std::mem::replace(&mut self.pending, Block::new());
            self.full.push(pending);
        }
        self.drain(out)
    }

    fn drain(&mut self, out: &mut impl Write) -> io::Result<()> {
        let level = self.level;
        let blocks = std::mem::take(&mut self.full);
        if let [block] = blocks.as_slice() {
            return out.write_all(&block.member(level)?);
        }
        let member = |block: &Block| block.member(level);
        let members: Vec<_> = tierce_parallel::install(|| blocks.par_iter().map(member).collect());
        members.into_iter().try_for_each(|member| out.write_all(&member?))
    }
}
