//! Entries to tar headers: ustar where all fields fit, pax extended headers where not.

use crate::ustar::{self, BLOCK, Block};
use crate::{Entry, EntryKind, LayerPath, WriteError, pax};
use std::collections::BTreeMap;
use std::ops::Range;

/// The name of every extended header. Readers that know pax never show it.
const PAX_NAME: &[u8] = b"././@PaxHeader";

/// The header blocks of `entry`: those of the extended header, if it needs one, and its own.
pub(crate) fn header(entry: &Entry) -> Result<Vec<u8>, WriteError> {
    check(entry)?;
    let mut block = [0; BLOCK];
    let mut records = BTreeMap::new();
    put_name(&mut block, &archive_name(entry), &mut records);
    let (link, major, minor) = match &entry.kind {
        EntryKind::Symlink { target } => (target.as_slice(), 0, 0),
        EntryKind::HardLink { target } => (target.as_bytes(), 0, 0),
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor } => {
            (&[][..], *major, *minor)
        }
        _ => (&[][..], 0, 0),
    };
    match link.len() <= ustar::LINK.len() {
        true => put_bytes(&mut block, ustar::LINK, link),
        false => pax::set(&mut records, "linkpath", link),
    }
    put_octal(&mut block, ustar::MODE, entry.mode.into());
    put_number(&mut block, ustar::UID, entry.uid.into(), "uid", &mut records);
    put_number(&mut block, ustar::GID, entry.gid.into(), "gid", &mut records);
    put_number(&mut block, ustar::SIZE, entry.size(), "size", &mut records);
    match u64::try_from(entry.mtime) {
        Ok(mtime) => put_number(&mut block, ustar::MTIME, mtime, "mtime", &mut records),
        Err(_) => {
            pax::set(&mut records, "mtime", entry.mtime.to_string().as_bytes());
            put_octal(&mut block, ustar::MTIME, 0);
        }
    }
    put_octal(&mut block, ustar::MAJOR, major.into());
    put_octal(&mut block, ustar::MINOR, minor.into());
    for (name, value) in &entry.xattrs {
        pax::set(&mut records, &format!("{}{name}", pax::XATTR), value);
    }
    let mut out = extended_header(&entry.path, records)?;
    seal(&mut block, type_flag(&entry.kind));
    out.extend_from_slice(&block);
    Ok(out)
}

/// Refuses what no reader would take, or what would mean something else to it.
fn check(entry: &Entry) -> Result<(), WriteError> {
    let path = || entry.path.clone();
    if entry.path.is_root() && !entry.is_directory() {
        return Err(WriteError::RootNotDirectory);
    }
    match &entry.kind {
        EntryKind::Symlink { target } if target.is_empty() || target.contains(&0) => {
            return Err(WriteError::LinkTarget { path: path() });
        }
        EntryKind::HardLink { target } if target.is_root() => {
            return Err(WriteError::LinkTarget { path: path() });
        }
        EntryKind::CharDevice { major, minor } | EntryKind::BlockDevice { major, minor }
            if u64::from(*major.max(minor)) > ustar::octal_max(ustar::MAJOR.len()) =>
        {
            return Err(WriteError::TooLarge { path: path() });
        }
        _ => {}
    }
    if entry.size() > i64::MAX as u64 - BLOCK as u64 || entry.mode > 0o7777 {
        return Err(WriteError::TooLarge { path: path() });
    }
    match entry.xattrs.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        Some(name) => Err(WriteError::XattrName { path: path(), name: name.clone() }),
        None => Ok(()),
    }
}

fn type_flag(kind: &EntryKind) -> u8 {
    match kind {
        EntryKind::File { .. } => b'0',
        EntryKind::HardLink { .. } => b'1',
        EntryKind::Symlink { .. } => b'2',
        EntryKind::CharDevice { .. } => b'3',
        EntryKind::BlockDevice { .. } => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

/// The path as archives write it: directories end in a slash, the root is `./`.
fn archive_name(entry: &Entry) -> Vec<u8> {
    let mut name = entry.path.as_bytes().to_vec();
    if name.is_empty() {
        name.push(b'.');
    }
    if entry.is_directory() {
        name.push(b'/');
    }
    name
}

fn put_name(block: &mut Block, name: &[u8], records: &mut pax::Records) {
    if name.len() <= ustar::NAME.len() {
        put_bytes(block, ustar::NAME, name);
    } else if let Some((prefix, rest)) = split_name(name) {
        put_bytes(block, ustar::PREFIX, prefix);
        put_bytes(block, ustar::NAME, rest);
    } else {
        pax::set(records, "path", name);
        // Readers without pax see what fits.
        put_bytes(block, ustar::NAME, &name[..ustar::NAME.len()]);
    }
}

/// Cuts a long name at the last slash that leaves both parts short enough.
fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    // The slash at the end of a directory's name is no place to cut.
    let within = name.len().saturating_sub(1).min(ustar::PREFIX.len() + 1);
    let cut = name[..within].iter().rposition(|&b| b == b'/')?;
    let (prefix, rest) = (&name[..cut], &name[cut + 1..]);
    (!prefix.is_empty() && rest.len() <= ustar::NAME.len()).then_some((prefix, rest))
}

fn put_bytes(block: &mut Block, field: Range<usize>, bytes: &[u8]) {
    block[field.start..field.start + bytes.len()].copy_from_slice(bytes);
}

/// Writes a number that is known to fit: zero-padded octal, NUL at the end.
fn put_octal(block: &mut Block, field: Range<usize>, number: u64) {
    debug_assert!(number <= ustar::octal_max(field.len()));
    let width = field.len() - 1;
    put_bytes(block, field, format!("{number:0width$o}").as_bytes());
}

/// Writes a number, in an extended header if the field is too small for it.
fn put_number(
    block: &mut Block,
    field: Range<usize>,
    number: u64,
    key: &str,
    records: &mut pax::Records,
) {
    if number <= ustar::octal_max(field.len()) {
        put_octal(block, field, number);
    } else {
        pax::set(records, key, number.to_string().as_bytes());
        put_octal(block, field, 0);
    }
}

/// Writes what all our headers share. User and group names stay empty: numbers say it all.
fn seal(block: &mut Block, flag: u8) {
    block[ustar::TYPE] = flag;
    put_bytes(block, ustar::MAGIC, b"ustar\0");
    put_bytes(block, ustar::VERSION, b"00");
    let (sum, _) = ustar::checksums(block);
    put_bytes(block, ustar::CHECKSUM, format!("{sum:06o}\0 ").as_bytes());
}

/// The blocks of a pax extended header; none if there are no records.
fn extended_header(path: &LayerPath, records: pax::Records) -> Result<Vec<u8>, WriteError> {
    let body = pax::encode(records);
    if body.is_empty() {
        return Ok(Vec::new());
    }
    if body.len() > pax::MAX_SIZE {
        return Err(WriteError::TooLarge { path: path.clone() });
    }
    let mut block = [0; BLOCK];
    put_bytes(&mut block, ustar::NAME, PAX_NAME);
    for field in [ustar::UID, ustar::GID, ustar::MAJOR, ustar::MINOR, ustar::MTIME] {
        put_octal(&mut block, field, 0);
    }
    put_octal(&mut block, ustar::MODE, 0o644);
    put_octal(&mut block, ustar::SIZE, body.len() as u64);
    seal(&mut block, b'x');
    let mut out = block.to_vec();
    out.extend_from_slice(&body);
    out.resize(out.len() + ustar::padding(body.len() as u64), 0);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{self, Extensions};

    /// Content of such sizes is too much for a test; the headers say all that differs.
    #[test]
    fn sizes_beyond_octal_go_into_a_pax_header() {
        for (size, extended) in [((8 << 30) - 1, false), (8 << 30, true), (1 << 50, true)] {
            let entry = Entry::file(LayerPath::new("big").unwrap(), size);
            let blocks = super::header(&entry).unwrap();
            assert_eq!(blocks.len(), if extended { 3 * BLOCK } else { BLOCK });
            let (extension, own) = blocks.split_at(blocks.len() - BLOCK);
            let own = header::parse(own.try_into().unwrap()).unwrap().unwrap();
            let local = extended.then(|| {
                let first = header::parse(extension[..BLOCK].try_into().unwrap()).unwrap().unwrap();
                pax::decode(&extension[BLOCK..BLOCK + first.size as usize]).unwrap()
            });
            let extensions = Extensions { local, ..Extensions::default() };
            let read = header::entry(own, extensions, &pax::Records::new()).unwrap();
            assert_eq!(read, entry);
        }
    }

    #[test]
    fn record_lengths_count_themselves() {
        // Lengths around which the number of digits changes.
        for length in (1..12).chain(80..100).chain(970..1000).chain(9970..10000) {
            let records = pax::Records::from([("path".to_owned(), vec![b'a'; length])]);
            let body = pax::encode(records.clone());
            let declared: usize = String::from_utf8(body.clone())
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .parse()
                .unwrap();
            assert_eq!(declared, body.len());
            assert_eq!(pax::decode(&body), Ok(records));
        }
    }
}
