//! A deflate encoder so small that it never has to change.
//!
//! Tar headers and padding are mostly zeros and mostly equal to the header before. This encoder
//! knows two matches, the byte before and the block before, and RFC 1951's fixed Huffman codes.
//! Its output is part of the layer format: unlike that of a compression library, it is the same
//! in every version.

use crate::ustar::BLOCK;

const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
const END_OF_BLOCK: u16 = 256;

/// RFC 1951, 3.2.5: the shortest length of each length code from 257 on.
const LENGTH_BASE: [u16; 29] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131,
    163, 195, 227, 258,
];

/// The distance code and its extra bits for "the byte before".
const BYTE_BEFORE: Distance = Distance { distance: 1, code: 0, extra: 0, extra_bits: 0 };
/// The same for "the block before": code 17 stands for 385 to 512.
const BLOCK_BEFORE: Distance =
    Distance { distance: BLOCK, code: 17, extra: BLOCK as u16 - 385, extra_bits: 7 };

#[derive(Clone, Copy)]
struct Distance {
    distance: usize,
    code: u16,
    extra: u16,
    extra_bits: u32,
}

/// Appends `data` to `out` as one complete raw deflate stream.
pub(crate) fn deflate(data: &[u8], out: &mut Vec<u8>) {
    let mut bits = Bits { out, held: 0, count: 0 };
    // BFINAL = 1, BTYPE = 01
    bits.put(0b011, 3);
    let mut at = 0;
    while at < data.len() {
        let byte_run = match_length(data, at, BYTE_BEFORE);
        let block_run = match_length(data, at, BLOCK_BEFORE);
        // The nearer match costs fewer bits, and wins when both are as long.
        let (length, distance) = match block_run > byte_run {
            true => (block_run, BLOCK_BEFORE),
            false => (byte_run, BYTE_BEFORE),
        };
        if length < MIN_MATCH {
            bits.symbol(data[at].into());
            at += 1;
        } else {
            bits.length(length);
            bits.code(distance.code, 5);
            bits.put(distance.extra, distance.extra_bits);
            at += length;
        }
    }
    bits.symbol(END_OF_BLOCK);
    bits.finish();
}

/// How many bytes at `at` repeat those at the distance.
fn match_length(data: &[u8], at: usize, Distance { distance, .. }: Distance) -> usize {
    let Some(from) = at.checked_sub(distance) else { return 0 };
    data[at..].iter().zip(&data[from..]).take(MAX_MATCH).take_while(|(a, b)| a == b).count()
}

/// Packs bits into bytes, lowest first.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits<'_> {
    /// Plain bits: lowest first.
    fn put(&mut self, value: u16, count: u32) {
        self.held |= u32::from(value) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.held as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code: highest bit first.
    fn code(&mut self, code: u16, count: u32) {
        self.put(code.reverse_bits() >> (16 - count), count);
    }

    /// A literal, length or end-of-block symbol (RFC 1951, 3.2.6).
    fn symbol(&mut self, symbol: u16) {
        match symbol {
            0..=143 => self.code(0x30 + symbol, 8),
            144..=255 => self.code(0x190 + symbol - 144, 9),
            256..=279 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }

    fn length(&mut self, length: usize) {
        let length = length as u16;
        let index = LENGTH_BASE.partition_point(|&base| base <= length) - 1;
        self.symbol(257 + index as u16);
        let extra_bits = match index {
            0..=7 | 28 => 0,
            _ => index as u32 / 4 - 1,
        };
        self.put(length - LENGTH_BASE[index], extra_bits);
    }

    fn finish(self) {
        if self.count > 0 {
            self.out.push(self.held as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, LayerPath, encode};
    use proptest::prelude::*;
    use std::io::Read;

    fn inflate(stream: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut decoder = flate2::bufread::DeflateDecoder::new(stream);
        decoder.read_to_end(&mut out).unwrap();
        assert_eq!(decoder.total_in(), stream.len() as u64);
        out
    }

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        deflate(data, &mut out);
        out
    }

    #[test]
    fn a_header_costs_about_a_hundred_bytes() {
        let path = LayerPath::new("opt/venv/lib/python3.12/site-packages/numpy/core/a.py").unwrap();
        let header = encode::header(&Entry::file(path, 12345)).unwrap();
        let padded = [vec![0; 300], header].concat();
        let stream = deflated(&padded);
        assert!(stream.len() <= 135, "{}", stream.len());
        assert_eq!(inflate(&stream), padded);
    }

    #[test]
    fn every_match_length_inflates() {
        for length in 0..600 {
            let zeros = vec![0; length];
            assert_eq!(inflate(&deflated(&zeros)), zeros);
            let block: Vec<u8> = (0..BLOCK).map(|i| (i * 7 % 251) as u8).collect();
            let twice = [block.as_slice(), &block[..length.min(BLOCK)], b"end"].concat();
            assert_eq!(inflate(&deflated(&twice)), twice);
        }
    }

    proptest! {
        #[test]
        fn anything_inflates(
            pieces in prop::collection::vec((any::<u8>(), 1usize..700, any::<bool>()), 0..20),
        ) {
            let mut data = Vec::new();
            for (byte, length, run) in pieces {
                let next = |i: usize| if run { byte } else { byte.wrapping_mul(i as u8) };
                data.extend((0..length).map(next));
            }
            prop_assert_eq!(inflate(&deflated(&data)), data);
        }
    }
}
