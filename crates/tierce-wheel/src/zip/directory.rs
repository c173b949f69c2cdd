//! The end records and the central directory (APPNOTE 4.3.12 to 4.3.16).

use super::ZipError;
use super::fields::Fields;
use super::names::check_name;
use super::{Entry, Method};
use std::fs::File;
use std::os::unix::fs::FileExt;

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const CENTRAL: u32 = 0x0201_4b50;
const END_SIZE: u64 = 22;
const LOCATOR64_SIZE: u64 = 20;
/// The largest directory that is read into memory: four times that of the largest wheels known.
const MAX_DIRECTORY: u64 = 256 << 20;

/// Where the central directory is.
#[derive(Debug)]
pub(super) struct Location {
    pub offset: u64,
    pub size: u64,
    pub entries: u64,
}

fn read_at(file: &File, offset: u64, length: usize) -> Result<Vec<u8>, ZipError> {
    let mut bytes = vec![0; length];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// Finds the directory of a file of `length` bytes.
pub(super) fn locate(file: &File, length: u64) -> Result<Location, ZipError> {
    if length < END_SIZE {
        return Err(ZipError::NoDirectory);
    }
    let tail_start = length.saturating_sub(END_SIZE + u64::from(u16::MAX));
    let tail = read_at(file, tail_start, (length - tail_start) as usize)?;
    // The record's comment must reach exactly to the end of the file.
    let candidates: Vec<usize> = (0..=tail.len() - END_SIZE as usize)
        .filter(|&at| tail[at..at + 4] == END.to_le_bytes())
        .filter(|&at| {
            let comment = u16::from_le_bytes([tail[at + 20], tail[at + 21]]);
            at + END_SIZE as usize + usize::from(comment) == tail.len()
        })
        .collect();
    let at = match candidates[..] {
        [at] => at,
        [] => return Err(ZipError::NoDirectory),
        _ => return Err(ZipError::AmbiguousDirectory),
    };
    let end_offset = tail_start + at as u64;
    let mut fields = Fields::new(&tail[at + 4..], "end record");
    let disk = fields.u16()?;
    let directory_disk = fields.u16()?;
    let entries_here = fields.u16()?;
    let entries = fields.u16()?;
    let size = fields.u32()?;
    let offset = fields.u32()?;
    if (disk, directory_disk) != (0, 0) && (disk, directory_disk) != (u16::MAX, u16::MAX) {
        return Err(ZipError::MultiPart);
    }
    if entries_here != entries {
        return Err(ZipError::MultiPart);
    }
    let short =
        Location { offset: u64::from(offset), size: u64::from(size), entries: u64::from(entries) };
    let (location, directory_end) = match locate64(file, end_offset)? {
        Some((long, long_offset)) => (reconcile(short, long)?, long_offset),
        None => (short, end_offset),
    };
    if location.offset.checked_add(location.size) != Some(directory_end) {
        return Err(ZipError::Inconsistent("it does not end where its end record begins"));
    }
    if location.size > MAX_DIRECTORY {
        return Err(ZipError::TooLarge { size: location.size, limit: MAX_DIRECTORY });
    }
    Ok(location)
}

/// The ZIP64 end record, if there is one, and its offset.
fn locate64(file: &File, end_offset: u64) -> Result<Option<(Location, u64)>, ZipError> {
    let Some(locator_offset) = end_offset.checked_sub(LOCATOR64_SIZE) else { return Ok(None) };
    let locator = read_at(file, locator_offset, LOCATOR64_SIZE as usize)?;
    let mut fields = Fields::new(&locator, "zip64 locator");
    if fields.u32()? != LOCATOR64 {
        return Ok(None);
    }
    let disk = fields.u32()?;
    let offset = fields.u64()?;
    let disks = fields.u32()?;
    if disk != 0 || disks > 1 {
        return Err(ZipError::MultiPart);
    }
    let length = locator_offset
        .checked_sub(offset)
        .filter(|length| (56..=1 << 16).contains(length))
        .ok_or(ZipError::Inconsistent("the zip64 locator points nowhere"))?;
    let record = read_at(file, offset, length as usize)?;
    let mut fields = Fields::new(&record, "zip64 end record");
    if fields.u32()? != END64 || fields.u64()?.checked_add(12) != Some(length) {
        return Err(ZipError::Inconsistent("the zip64 locator points to no end record"));
    }
    let _versions = fields.u32()?;
    if fields.u32()? != 0 || fields.u32()? != 0 {
        return Err(ZipError::MultiPart);
    }
    let entries_here = fields.u64()?;
    let entries = fields.u64()?;
    if entries_here != entries {
        return Err(ZipError::MultiPart);
    }
    let size = fields.u64()?;
    let directory = fields.u64()?;
    Ok(Some((Location { offset: directory, size, entries }, offset)))
}

/// The ZIP64 record rules, but what the short record does say must be the same.
fn reconcile(short: Location, long: Location) -> Result<Location, ZipError> {
    let agree = |short: u64, long: u64, saturated: u64| short == saturated || short == long;
    if agree(short.entries, long.entries, u64::from(u16::MAX))
        && agree(short.size, long.size, u64::from(u32::MAX))
        && agree(short.offset, long.offset, u64::from(u32::MAX))
    {
        Ok(long)
    } else {
        Err(ZipError::Inconsistent("its two end records differ"))
    }
}

/// Reads all entries of the central directory, in its order.
pub(super) fn read(file: &File, location: &Location) -> Result<Vec<Entry>, ZipError> {
    let bytes = read_at(file, location.offset, location.size as usize)?;
    let mut fields = Fields::new(&bytes, "directory");
    let mut entries = Vec::new();
    while !fields.is_empty() {
        entries.push(read_entry(&mut fields)?);
    }
    if entries.len() as u64 != location.entries {
        return Err(ZipError::Inconsistent(
            "its number of entries is not what its end record says",
        ));
    }
    Ok(entries)
}

fn read_entry(fields: &mut Fields<'_>) -> Result<Entry, ZipError> {
    if fields.u32()? != CENTRAL {
        return Err(ZipError::Malformed("directory"));
    }
    let _made_by = fields.u16()?;
    let _needed = fields.u16()?;
    let flags = fields.u16()?;
    let method = fields.u16()?;
    let _time_and_date = fields.u32()?;
    let crc32 = fields.u32()?;
    let compressed_size = fields.u32()?;
    let size = fields.u32()?;
    let name_length = fields.u16()?;
    let extra_length = fields.u16()?;
    let comment_length = fields.u16()?;
    let disk = fields.u16()?;
    let _internal = fields.u16()?;
    let external = fields.u32()?;
    let header_offset = fields.u32()?;
    let raw_name = fields.take(usize::from(name_length))?;
    let extra = fields.take(usize::from(extra_length))?;
    fields.take(usize::from(comment_length))?;
    let name = check_name(raw_name, flags, extra)?;
    let problem = |problem| ZipError::Entry { name: name.clone(), problem };
    if flags & FORBIDDEN_FLAGS != 0 {
        return Err(problem("it is encrypted or patched"));
    }
    let method = match method {
        0 => Method::Stored,
        8 => Method::Deflated,
        method => return Err(ZipError::Method { name, method }),
    };
    let long = Zip64::parse(extra, &[size, compressed_size, header_offset])
        .ok_or_else(|| problem("its zip64 field is malformed"))?;
    let [size, compressed_size, header_offset] = long.0;
    if disk != 0 && disk != u16::MAX {
        return Err(ZipError::MultiPart);
    }
    check_sizes(method, size, compressed_size).map_err(problem)?;
    if name.ends_with('/') && size != 0 {
        return Err(problem("it is a directory with content"));
    }
    Ok(Entry {
        name,
        method,
        flags,
        crc32,
        compressed_size,
        size,
        mode: external >> 16,
        header_offset,
        data_offset: 0,
    })
}

/// Encryption (0, 6, 13) and patch data (5).
const FORBIDDEN_FLAGS: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;

/// Sizes that no honest writer declares: deflate can't shrink below 1:1032.
fn check_sizes(method: Method, size: u64, compressed: u64) -> Result<(), &'static str> {
    match method {
        Method::Stored if size != compressed => Err("it is stored, yet its two sizes differ"),
        Method::Deflated if compressed == 0 => Err("its compressed data is empty"),
        Method::Deflated if size / 1032 > compressed => {
            Err("its declared size is more than its data can unpack to")
        }
        _ => Ok(()),
    }
}

/// Sizes and offsets after the ZIP64 extra field (APPNOTE 4.5.3) was applied: it holds, in this
/// order, a 64-bit value for each 32-bit field that is saturated.
pub(super) struct Zip64<const N: usize>(pub [u64; N]);

impl<const N: usize> Zip64<N> {
    pub(super) fn parse(extra: &[u8], short: &[u32; N]) -> Option<Self> {
        let mut values = short.map(u64::from);
        let wanted = short.iter().filter(|v| **v == u32::MAX).count();
        let mut found = None;
        for field in Extra(extra) {
            let (id, body) = field?;
            if id == 0x0001 {
                if found.is_some() {
                    return None;
                }
                found = Some(body);
            }
        }
        if wanted == 0 {
            return Some(Zip64(values));
        }
        let mut body = Fields::new(found?, "zip64 field");
        for value in values.iter_mut().filter(|v| **v == u64::from(u32::MAX)) {
            *value = body.u64().ok()?;
        }
        Some(Zip64(values))
    }
}

/// The fields of an extra block: (id, body), or `None` once where it is malformed.
pub(super) struct Extra<'a>(pub &'a [u8]);

impl<'a> Iterator for Extra<'a> {
    type Item = Option<(u16, &'a [u8])>;

    fn next(&mut self) -> Option<Self::Item> {
        // Some writers pad the block with up to three zero bytes (APPNOTE has no such thing, but
        // Android's zipalign and older Java do); they say nothing, so nothing depends on them.
        if self.0.len() < 4 && self.0.iter().all(|b| *b == 0) {
            return None;
        }
        let taken = std::mem::take(&mut self.0);
        let parse = || {
            let (head, rest) = taken.split_at_checked(4)?;
            let length = usize::from(u16::from_le_bytes([head[2], head[3]]));
            let (body, rest) = rest.split_at_checked(length)?;
            Some((u16::from_le_bytes([head[0], head[1]]), body, rest))
        };
        Some(parse().map(|(id, body, rest)| {
            self.0 = rest;
            (id, body)
        }))
    }
}
