//! Extended attributes, and the owners that are recorded in them.

use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;

/// File capabilities.
pub(crate) const CAPABILITY: &str = "security.capability";
/// Marks a directory that hides what lower layers have there.
pub(crate) const OPAQUE: &str = "user.overlay.opaque";

/// What an image's extended attribute is to the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Part of the image.
    Kept,
    /// Something that other machines can't hold or must not have.
    Dropped,
    /// The sandbox's own.
    Private,
}

/// Sorts an attribute by name.
pub(crate) fn classify(name: &str) -> Class {
    match name {
        CAPABILITY => Class::Kept,
        name if name.starts_with("user.overlay.") || name.starts_with("user.tierce.") => {
            Class::Private
        }
        name if name.starts_with("user.") => Class::Kept,
        _ => Class::Dropped,
    }
}

/// An owner as the attribute holds it: `uid:gid`.
pub(crate) fn encode_owner((uid, gid): (u32, u32)) -> Vec<u8> {
    format!("{uid}:{gid}").into_bytes()
}

/// The recorded owner of an open file.
pub(crate) fn recorded_owner(file: impl AsFd) -> io::Result<Option<(u32, u32)>> {
    Ok(get(file, crate::OWNER_XATTR)?.as_deref().and_then(decode_owner))
}

/// `uid:gid`.
pub(crate) fn decode_owner(value: &[u8]) -> Option<(u32, u32)> {
    let (uid, gid) = std::str::from_utf8(value).ok()?.split_once(':')?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// One attribute of an open file; `None` if it isn't there, or can't be.
pub(crate) fn get(file: impl AsFd, name: &str) -> io::Result<Option<Vec<u8>>> {
    let mut value = vec![0; 256];
    loop {
        match rustix::fs::fgetxattr(&file, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                return Ok(Some(value));
            }
            Err(Errno::RANGE) if value.len() < 1 << 16 => value.resize(1 << 16, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The attributes of an open file that belong into the image.
pub(crate) fn kept(file: impl AsFd) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut list = vec![0; 1 << 16];
    let length = match rustix::fs::flistxattr(&file, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = list[..length].split(|&b| b == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let mut attributes = BTreeMap::new();
    for name in names.filter(|name| !name.is_empty() && classify(name) == Class::Kept) {
        if let Some(value) = get(&file, name)? {
            let value = if name == CAPABILITY { without_root_id(value) } else { value };
            attributes.insert(name.to_owned(), value);
        }
    }
    Ok(attributes)
}

/// Version 3 of file capabilities (capabilities(7)) names the root of a user namespace; version 2
/// is what images have. Both begin with a little-endian word whose highest byte is the version.
pub(crate) fn without_root_id(mut value: Vec<u8>) -> Vec<u8> {
    const V2: u8 = 2;
    const V3: u8 = 3;
    if value.len() == 24 && value[3] == V3 {
        value.truncate(20);
        value[3] = V2;
    }
    value
}
