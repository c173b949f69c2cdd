//! What the targets share: ways past the checksums that bytes at random never meet.

pub mod dockerfile;

use std::io::Write as _;
use tempfile::NamedTempFile;

/// Where a tar header has its checksum and its magic number.
const HEADER: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const MAGIC: usize = 257;

/// The same bytes, every tar header in them with the checksum that it should have: the headers
/// of a layer as well as those inside the members of a `.deb`.
pub fn with_tar_checksums(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let magics = data.windows(5).enumerate().filter(|(_, bytes)| bytes == b"ustar");
    let starts: Vec<_> = magics.filter_map(|(at, _)| at.checked_sub(MAGIC)).collect();
    for start in starts {
        let Some(header) = data.get_mut(start..start + HEADER) else { break };
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    data
}

/// A zip file of these files, stored as they are.
pub fn stored_zip<'a>(files: impl IntoIterator<Item = (String, &'a [u8])>) -> Vec<u8> {
    let (mut out, mut directory, mut count) = (Vec::new(), Vec::new(), 0u16);
    for (name, content) in files {
        let offset = out.len() as u32;
        // Flags (names are UTF-8), method, time and date, CRC-32, both sizes, the name's length
        // and that of an extra field: the same in the directory as in front of the data.
        let mut facts = vec![0, 8, 0, 0, 0, 0, 0x21, 0];
        facts.extend(crc32fast::hash(content).to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((content.len() as u32).to_le_bytes());
        facts.extend((name.len() as u16).to_le_bytes());
        facts.extend([0, 0]);
        out.extend(b"PK\x03\x04\x14\0");
        out.extend(&facts);
        out.extend(name.as_bytes());
        out.extend(content);
        directory.extend(b"PK\x01\x02\x1e\x03\x14\0");
        directory.extend(&facts);
        // No comment, disk 0, then the modes of a regular file that all may read.
        directory.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xa4, 0x81]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
        count += 1;
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// A file that holds these bytes, and goes away with this value.
pub fn temporary_file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file can be made");
    file.write_all(bytes).expect("a temporary file can be written");
    file
}
