//! Records of pax extended headers (POSIX.1-2017 `pax`, "pax Extended Header").

use crate::FormatError;
use std::collections::BTreeMap;

/// Records by key. The order of keys is the order in which they are written.
pub(crate) type Records = BTreeMap<String, Vec<u8>>;

/// The prefix of keys that hold extended attributes: what Docker, containerd and GNU tar use.
pub(crate) const XATTR: &str = "SCHILY.xattr.";

/// No extended header or long name may be larger: they are held in memory. The limit is
/// that of Go's `archive/tar`, which every registry client in the field is written with.
pub(crate) const MAX_SIZE: usize = 1 << 20;

/// Adds a record.
pub(crate) fn set(records: &mut Records, key: &str, value: &[u8]) {
    records.insert(key.to_owned(), value.to_vec());
}

/// The body of an extended header, sorted by key. Values that should be UTF-8 and are not make
/// it say so with a `hdrcharset` record.
pub(crate) fn encode(mut records: Records) -> Vec<u8> {
    let named = ["path", "linkpath"].iter().filter_map(|key| records.get(*key));
    if named.into_iter().any(|value| std::str::from_utf8(value).is_err()) {
        set(&mut records, "hdrcharset", b"BINARY");
    }
    let mut out = Vec::new();
    for (key, value) in &records {
        let rest = key.len() + value.len() + 3;
        // The length counts its own digits.
        let mut length = rest + digits(rest);
        length = rest + digits(length);
        out.extend_from_slice(format!("{length} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

/// Reads the body of an extended header.
pub(crate) fn decode(mut body: &[u8]) -> Result<Records, FormatError> {
    let mut records = Records::new();
    while !body.is_empty() {
        let (record, rest) = split_record(body).ok_or(FormatError::PaxRecord)?;
        body = rest;
        let equals = record.iter().position(|&b| b == b'=').ok_or(FormatError::PaxRecord)?;
        let key = std::str::from_utf8(&record[..equals]).map_err(|_| FormatError::PaxRecord)?;
        if key.is_empty() || key.contains('\0') {
            return Err(FormatError::PaxRecord);
        }
        let value = record[equals + 1..].to_vec();
        let earlier = records.insert(key.to_owned(), value);
        // POSIX lets the last one win, which not every reader does.
        if earlier.is_some_and(|earlier| earlier != records[key]) {
            return Err(FormatError::PaxValue(key.to_owned()));
        }
    }
    Ok(records)
}

/// Cuts off `LENGTH KEY=VALUE\n` and gives its `KEY=VALUE` and what follows.
fn split_record(body: &[u8]) -> Option<(&[u8], &[u8])> {
    // A header is at most 1 MiB: seven digits are plenty.
    let space = body.iter().take(8).position(|&b| b == b' ')?;
    let length = number(&body[..space])?;
    let length = usize::try_from(length).ok()?;
    if length > body.len() || length < space + 2 || body[length - 1] != b'\n' {
        return None;
    }
    Some((&body[space + 1..length - 1], &body[length..]))
}

/// A decimal number without sign.
fn number(digits: &[u8]) -> Option<u64> {
    match digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        true => None,
        false => std::str::from_utf8(digits).ok()?.parse().ok(),
    }
}

/// The value of `key` as a number; an empty value takes the record back, as POSIX says.
pub(crate) fn get_number(records: &Records, key: &str) -> Result<Option<u64>, FormatError> {
    match records.get(key) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => match number(value) {
            Some(number) => Ok(Some(number)),
            None => Err(FormatError::PaxValue(key.to_owned())),
        },
    }
}

/// The value of `key` as a time, rounded down to a whole second.
pub(crate) fn get_time(records: &Records, key: &str) -> Result<Option<i64>, FormatError> {
    let value = match records.get(key) {
        None => return Ok(None),
        Some(value) if value.is_empty() => return Ok(None),
        Some(value) => value,
    };
    let time = || {
        let (negative, value) = match value.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, value.as_slice()),
        };
        let mut parts = value.splitn(2, |&b| b == b'.');
        // Wide enough for the earliest time there is, whose seconds alone are out of range.
        let seconds = i128::from(number(parts.next()?)?);
        let fraction = parts.next().unwrap_or_default();
        if !fraction.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let below = fraction.iter().any(|&digit| digit != b'0');
        i64::try_from(if negative { -seconds - i128::from(below) } else { seconds }).ok()
    };
    match time() {
        Some(time) => Ok(Some(time)),
        None => Err(FormatError::PaxValue(key.to_owned())),
    }
}

/// The value of `key`; an empty one counts as none.
pub(crate) fn get_bytes<'a>(records: &'a Records, key: &str) -> Option<&'a [u8]> {
    records.get(key).map(Vec::as_slice).filter(|value| !value.is_empty())
}
