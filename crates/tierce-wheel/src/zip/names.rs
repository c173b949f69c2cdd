//! Which entry names are safe and unambiguous.

use super::ZipError;
use super::directory::Extra;

/// Bit 11: the name is UTF-8.
const UTF8_FLAG: u16 = 1 << 11;
/// Info-ZIP's Unicode path extra field, a second name that some readers prefer.
const UNICODE_PATH: u16 = 0x7075;

/// Checks a name as the central directory gives it.
///
/// A name without the UTF-8 flag is in an old code page to some readers and UTF-8 to others, so
/// only ASCII is taken there. A second name in an extra field must be the same name.
pub(super) fn check_name(raw: &[u8], flags: u16, extra: &[u8]) -> Result<String, ZipError> {
    let error = |problem| ZipError::Name {
        name: String::from_utf8_lossy(raw).escape_debug().to_string(),
        problem,
    };
    let name = std::str::from_utf8(raw).map_err(|_| error("its name is not UTF-8"))?;
    if !name.is_ascii() && flags & UTF8_FLAG == 0 {
        return Err(error("its name is not ASCII and not marked as UTF-8"));
    }
    for field in Extra(extra) {
        let (id, body) = field.ok_or_else(|| error("its extra fields are malformed"))?;
        if id == UNICODE_PATH && body.get(5..) != Some(raw) {
            return Err(error("it has a second, different name"));
        }
    }
    check_path(name).map_err(error)?;
    Ok(name.to_owned())
}

/// Whether a relative path names the same thing to everyone and stays below its root.
pub(crate) fn check_path(path: &str) -> Result<(), &'static str> {
    let path = path.strip_suffix('/').unwrap_or(path);
    if path.is_empty() {
        return Err("its name is empty");
    }
    if path.starts_with('/') {
        return Err("its name is an absolute path");
    }
    if path.contains('\\') {
        return Err("its name contains a backslash");
    }
    if path.chars().any(char::is_control) {
        return Err("its name contains a control character");
    }
    for part in path.split('/') {
        match part {
            "" => return Err("its name contains an empty part"),
            "." | ".." => return Err("its name contains '.' or '..'"),
            part if part.len() > 255 => return Err("a part of its name exceeds 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}
