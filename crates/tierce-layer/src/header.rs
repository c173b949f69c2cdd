//! Tar headers to entries, strictly: what readers in the field understand differently is an
//! error, never a guess.

use crate::ustar::{self, Block};
use crate::{Entry, EntryKind, FormatError, LayerPath, PathError, pax};
use std::collections::BTreeMap;
use std::ops::Range;

/// One header block as it stands.
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) link: Vec<u8>,
    pub(crate) flag: u8,
    pub(crate) size: u64,
    mode: u64,
    uid: u64,
    gid: u64,
    mtime: i64,
    major: u64,
    minor: u64,
}

/// What other header blocks say of the entry that follows them.
#[derive(Default)]
pub(crate) struct Extensions {
    /// GNU's `L`.
    pub(crate) long_name: Option<Vec<u8>>,
    /// GNU's `K`.
    pub(crate) long_link: Option<Vec<u8>>,
    /// The pax header of this entry (`x`).
    pub(crate) local: Option<pax::Records>,
}

impl Extensions {
    pub(crate) fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.local.is_none()
    }
}

/// Reads one header block; `None` for a block of zeros.
pub(crate) fn parse(block: &Block) -> Result<Option<Header>, FormatError> {
    if block.iter().all(|&b| b == 0) {
        return Ok(None);
    }
    let declared = number(block, ustar::CHECKSUM, "checksum")?;
    let (unsigned, signed) = ustar::checksums(block);
    if declared != unsigned && i64::try_from(declared) != Ok(signed) {
        return Err(FormatError::Checksum);
    }
    let magic = &block[ustar::MAGIC];
    let posix = magic == b"ustar\0";
    let devices = posix || magic == b"ustar ";
    let mut name = text(block, ustar::NAME).to_vec();
    let prefix = text(block, ustar::PREFIX);
    // GNU's old format keeps other things there.
    if posix && !prefix.is_empty() {
        name = [prefix, b"/", &name].concat();
    }
    let device = |field, name| if devices { number(block, field, name) } else { Ok(0) };
    Ok(Some(Header {
        name,
        link: text(block, ustar::LINK).to_vec(),
        flag: block[ustar::TYPE],
        size: number(block, ustar::SIZE, "size")?,
        mode: number(block, ustar::MODE, "mode")?,
        uid: number(block, ustar::UID, "uid")?,
        gid: number(block, ustar::GID, "gid")?,
        mtime: signed_number(block, ustar::MTIME, "mtime")?,
        major: device(ustar::MAJOR, "devmajor")?,
        minor: device(ustar::MINOR, "devminor")?,
    }))
}

/// A field up to its NUL, if it has one.
fn text(block: &Block, field: Range<usize>) -> &[u8] {
    let bytes = &block[field];
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    &bytes[..end]
}

fn number(block: &Block, field: Range<usize>, name: &'static str) -> Result<u64, FormatError> {
    let number = signed_number(block, field, name)?;
    u64::try_from(number).map_err(|_| FormatError::Number(name))
}

/// A numeric field: octal as POSIX says, or GNU's base-256 if the highest bit is set.
fn signed_number(
    block: &Block,
    field: Range<usize>,
    name: &'static str,
) -> Result<i64, FormatError> {
    let bytes = &block[field];
    let value = if bytes[0] & 0x80 != 0 { base_256(bytes) } else { octal(bytes) };
    value.ok_or(FormatError::Number(name))
}

/// Two's complement over all bits but the first.
fn base_256(bytes: &[u8]) -> Option<i64> {
    let first = i128::from(bytes[0] & 0x7f);
    // Sign-extend the seven bits.
    let mut value = if first & 0x40 != 0 { first - 0x80 } else { first };
    for &byte in &bytes[1..] {
        // Twelve bytes fit; the check is for wider fields to come.
        value = value.checked_mul(256)? + i128::from(byte);
    }
    i64::try_from(value).ok()
}

/// Octal digits, led by spaces or one NUL (some writers), ended by spaces, NULs, or the field.
/// A blank field is 0.
fn octal(bytes: &[u8]) -> Option<i64> {
    let bytes = match bytes {
        [0, rest @ ..] => rest,
        all => all,
    };
    let blank = |&&b: &&u8| b == b' ' || b == 0;
    let start = bytes.iter().take_while(|&&b| b == b' ').count();
    let digits = bytes[start..].iter().take_while(|b| (b'0'..=b'7').contains(b)).count();
    let (digits, rest) = bytes[start..].split_at(digits);
    if rest.iter().take_while(blank).count() != rest.len() {
        return None;
    }
    digits.iter().try_fold(0i64, |value, digit| {
        value.checked_mul(8).map(|value| value + i64::from(digit - b'0'))
    })
}

/// Global records may date and own entries, but not place or measure them: most readers of
/// layers ignore global headers, others do not.
pub(crate) fn check_global(records: &pax::Records) -> Result<(), FormatError> {
    let refused = |key: &&String| {
        matches!(key.as_str(), "path" | "linkpath" | "size")
            || key.starts_with(pax::XATTR)
            || key.starts_with("GNU.sparse.")
            || *key == "SCHILY.realsize"
    };
    match records.keys().find(refused) {
        Some(key) => Err(FormatError::PaxValue(key.clone())),
        None => Ok(()),
    }
}

/// Puts an entry together from its header and what extends it.
pub(crate) fn entry(
    header: Header,
    extensions: Extensions,
    global: &pax::Records,
) -> Result<Entry, FormatError> {
    let local = extensions.local.unwrap_or_default();
    let name = one_of(extensions.long_name, pax::get_bytes(&local, "path"), "path")?;
    let name = name.unwrap_or_else(|| header.name.clone());
    let link = one_of(extensions.long_link, pax::get_bytes(&local, "linkpath"), "link target")?;
    let link = link.unwrap_or_else(|| header.link.clone());
    let shown = || String::from_utf8_lossy(&name).into_owned();
    if local.keys().any(|k| k.starts_with("GNU.sparse.") || k == "SCHILY.realsize")
        || header.flag == b'S'
    {
        return Err(FormatError::Sparse(shown()));
    }
    let size = entry_size(&header, pax::get_number(&local, "size")?)?;
    let path = LayerPath::new(&name).map_err(FormatError::Path)?;
    let kind = kind(&header, &name, link, size)?;
    if path.is_root() && kind != EntryKind::Directory {
        return Err(FormatError::RootNotDirectory);
    }
    if size != 0 && !matches!(kind, EntryKind::File { .. }) {
        return Err(FormatError::UnexpectedContent(shown()));
    }
    let id = |key, from_header| {
        let said = match pax::get_number(&local, key)? {
            Some(number) => number,
            None => pax::get_number(global, key)?.unwrap_or(from_header),
        };
        u32::try_from(said).map_err(|_| FormatError::Number(key))
    };
    let mtime = match pax::get_time(&local, "mtime")? {
        Some(time) => time,
        None => pax::get_time(global, "mtime")?.unwrap_or(header.mtime),
    };
    Ok(Entry {
        path,
        kind,
        mode: (header.mode & 0o7777) as u32,
        uid: id("uid", header.uid)?,
        gid: id("gid", header.gid)?,
        mtime,
        xattrs: xattrs(&local)?,
    })
}

/// A value that GNU's headers and pax headers may both give, if they give the same.
fn one_of(
    gnu: Option<Vec<u8>>,
    pax: Option<&[u8]>,
    what: &'static str,
) -> Result<Option<Vec<u8>>, FormatError> {
    match (gnu, pax) {
        (Some(gnu), Some(pax)) if gnu != pax => Err(FormatError::Ambiguous(what)),
        (Some(gnu), _) => Ok(Some(gnu)),
        (None, pax) => Ok(pax.map(<[u8]>::to_vec)),
    }
}

/// How many bytes of content follow. Readers that took the header's size where a pax header
/// had another read content as headers (CVE-2025-62518), so the two must agree: the header's
/// field may differ only if it is too small for the number.
fn entry_size(header: &Header, pax: Option<u64>) -> Result<u64, FormatError> {
    let max = ustar::octal_max(ustar::SIZE.len());
    let size = match pax {
        // A hard link has no content, whatever its header declares: some writers repeat the
        // size of the file it links to. GNU tar and Go agree on that.
        _ if header.flag == b'1' => match pax.unwrap_or(0) {
            0 => 0,
            _ => return Err(FormatError::Ambiguous("size")),
        },
        None => header.size,
        Some(size) if size == header.size => size,
        Some(size) if size > max && (header.size == 0 || header.size == max) => size,
        Some(_) => return Err(FormatError::Ambiguous("size")),
    };
    match i64::try_from(size) {
        Ok(_) => Ok(size),
        Err(_) => Err(FormatError::Number("size")),
    }
}

fn kind(header: &Header, name: &[u8], link: Vec<u8>, size: u64) -> Result<EntryKind, FormatError> {
    let shown = || String::from_utf8_lossy(name).into_owned();
    let device = |number: u64, name| u32::try_from(number).map_err(|_| FormatError::Number(name));
    Ok(match header.flag {
        // Archives older than POSIX mark directories by a slash alone.
        b'0' | b'7' | 0 if name.ends_with(b"/") => EntryKind::Directory,
        b'0' | b'7' | 0 => EntryKind::File { size },
        b'1' => {
            let unusable = |source| FormatError::HardLink { path: shown(), source };
            let target = LayerPath::new(&link).map_err(unusable)?;
            if target.is_root() {
                return Err(unusable(PathError::Empty));
            }
            EntryKind::HardLink { target }
        }
        b'2' if link.is_empty() || link.contains(&0) => return Err(FormatError::Symlink(shown())),
        b'2' => EntryKind::Symlink { target: link },
        b'3' | b'4' => {
            let major = device(header.major, "devmajor")?;
            let minor = device(header.minor, "devminor")?;
            match header.flag {
                b'3' => EntryKind::CharDevice { major, minor },
                _ => EntryKind::BlockDevice { major, minor },
            }
        }
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        flag => return Err(FormatError::Type { path: shown(), flag: flag.into() }),
    })
}

fn xattrs(local: &pax::Records) -> Result<BTreeMap<String, Vec<u8>>, FormatError> {
    let mut xattrs = BTreeMap::new();
    for (key, value) in local {
        match key.strip_prefix(pax::XATTR) {
            Some("") => return Err(FormatError::PaxValue(key.clone())),
            Some(name) => xattrs.insert(name.to_owned(), value.clone()),
            None => None,
        };
    }
    Ok(xattrs)
}
