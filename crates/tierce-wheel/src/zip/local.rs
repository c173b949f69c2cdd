//! Local headers against the central directory (APPNOTE 4.3.7, 4.3.9).

use super::directory::Zip64;
use super::fields::Fields;
use super::{Entry, ZipError};
use std::fs::File;
use std::os::unix::fs::FileExt;

const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;
const LOCAL_SIZE: u64 = 30;
/// Bit 3: sizes and CRC follow the data.
const DESCRIPTOR_FLAG: u16 = 1 << 3;

/// Checks every local header and that entries cover `[0, directory)` without gap or overlap,
/// and fills in where each entry's data begins.
pub(super) fn check(file: &File, entries: &mut [Entry], directory: u64) -> Result<(), ZipError> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&i| entries[i].header_offset);
    let mut expected = 0;
    for (position, &i) in order.iter().enumerate() {
        let entry = &mut entries[i];
        if entry.header_offset != expected {
            return Err(ZipError::Gap { offset: expected.min(entry.header_offset) });
        }
        let header = check_header(file, entry, directory)?;
        entry.data_offset = header.data_offset;
        let end = header
            .data_offset
            .checked_add(entry.compressed_size)
            .filter(|end| *end <= directory)
            .ok_or(ZipError::Gap { offset: entry.header_offset })?;
        let next = order.get(position + 1).map_or(directory, |&n| entries[n].header_offset);
        let entry = &entries[i];
        expected = match header.has_descriptor {
            true => check_descriptor(file, entry, end, next)?,
            false => end,
        };
    }
    if expected != directory {
        return Err(ZipError::Gap { offset: expected });
    }
    Ok(())
}

struct Header {
    data_offset: u64,
    has_descriptor: bool,
}

fn check_header(file: &File, entry: &Entry, directory: u64) -> Result<Header, ZipError> {
    let differ = |field| ZipError::Disagreement { name: entry.name.clone(), field };
    let start = entry.header_offset;
    let room = |length: u64| {
        start
            .checked_add(length)
            .filter(|end| *end <= directory)
            .ok_or(ZipError::Malformed("local header"))
    };
    room(LOCAL_SIZE)?;
    let mut fixed = [0; LOCAL_SIZE as usize];
    file.read_exact_at(&mut fixed, start)?;
    let mut fields = Fields::new(&fixed, "local header");
    if fields.u32()? != LOCAL {
        return Err(ZipError::Malformed("local header"));
    }
    let _needed = fields.u16()?;
    let flags = fields.u16()?;
    let method = fields.u16()?;
    let _time_and_date = fields.u32()?;
    let crc32 = fields.u32()?;
    let compressed_size = fields.u32()?;
    let size = fields.u32()?;
    let name_length = usize::from(fields.u16()?);
    let extra_length = usize::from(fields.u16()?);
    let data_offset = room(LOCAL_SIZE + (name_length + extra_length) as u64)?;
    let mut rest = vec![0; name_length + extra_length];
    file.read_exact_at(&mut rest, start + LOCAL_SIZE)?;
    let (name, extra) = rest.split_at(name_length);
    if name != entry.name.as_bytes() {
        return Err(differ("name"));
    }
    if method != entry.method.number() {
        return Err(differ("compression method"));
    }
    if flags != entry.flags {
        return Err(differ("flags"));
    }
    let has_descriptor = flags & DESCRIPTOR_FLAG != 0;
    let Zip64([size, compressed_size]) =
        Zip64::parse(extra, &[size, compressed_size]).ok_or_else(|| differ("zip64 field"))?;
    // With a descriptor the header's own fields are zero, but some writers fill them in.
    let agrees = |local: u64, central: u64| local == central || (has_descriptor && local == 0);
    if !agrees(u64::from(crc32), u64::from(entry.crc32)) {
        return Err(differ("CRC"));
    }
    if !agrees(compressed_size, entry.compressed_size) {
        return Err(differ("compressed size"));
    }
    if !agrees(size, entry.size) {
        return Err(differ("size"));
    }
    Ok(Header { data_offset, has_descriptor })
}

/// Checks the data descriptor between the data's end and the next header; returns its end.
fn check_descriptor(file: &File, entry: &Entry, start: u64, next: u64) -> Result<u64, ZipError> {
    let differ = || ZipError::Disagreement { name: entry.name.clone(), field: "data descriptor" };
    // The signature is optional and sizes have 4 or 8 bytes: the room that there is decides.
    let length = next.checked_sub(start).filter(|l| [12, 16, 20, 24].contains(l));
    let mut bytes = vec![0; length.ok_or_else(differ)? as usize];
    file.read_exact_at(&mut bytes, start)?;
    let mut fields = Fields::new(&bytes, "data descriptor");
    if matches!(bytes.len(), 16 | 24) && fields.u32()? != DESCRIPTOR {
        return Err(differ());
    }
    let crc32 = fields.u32()?;
    let (compressed, size) = match bytes.len() {
        12 | 16 => (u64::from(fields.u32()?), u64::from(fields.u32()?)),
        _ => (fields.u64()?, fields.u64()?),
    };
    if (crc32, compressed, size) != (entry.crc32, entry.compressed_size, entry.size) {
        return Err(differ());
    }
    Ok(next)
}
