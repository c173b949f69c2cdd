//! Values that several fields have: paths, names, users, arguments.

use super::problem::Fault;
use crate::image_path::has_parent_component;
use std::path::{Component, Path};

/// A suite, a component or a release of a Debian archive.
pub(super) fn archive_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && word.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'+' | b'_')
        })
}

/// An absolute path in the image.
pub(super) fn absolute_path(code: &'static str, path: &str) -> Result<(), Fault> {
    if !path.starts_with('/') {
        let hint = format!("Write it from the root: {:?}.", format!("/{path}"));
        return Err(Fault::new(code, format!("{path:?} is not an absolute path")).hint(hint));
    }
    contained_path(code, path)
}

/// A path in the image that does not leave it, nor the folder that it is relative to.
pub(super) fn contained_path(code: &'static str, path: &str) -> Result<(), Fault> {
    if path.is_empty() {
        return Err(Fault::new(code, "the path is empty").hint("The working directory is \".\"."));
    }
    if has_parent_component(path) {
        return Err(Fault::new(code, format!("{path:?} has a .. in it"))
            .hint("Write the path without it, from the root if need be."));
    }
    if path.contains(char::is_control) {
        return Err(Fault::new(code, format!("{path:?} has a control character in it")));
    }
    Ok(())
}

/// A path of the host.
pub(super) fn host_path(path: &Path) -> Result<(), Fault> {
    const CODE: &str = "spec/invalid-source";
    match path.to_str() {
        None => Err(Fault::new(CODE, format!("{} is not UTF-8", path.display()))
            .hint("Rename it: a spec can't hold such a path.")),
        Some("") => Err(Fault::new(CODE, "the path is empty").hint("This folder is \".\".")),
        Some(text) if text.contains('\0') => {
            Err(Fault::new(CODE, format!("{text:?} has a NUL in it")))
        }
        Some(_) => Ok(()),
    }
}

/// A path of the host below a folder of it.
pub(super) fn path_below(path: &Path) -> Result<(), Fault> {
    host_path(path)?;
    let is_below = |c: Component<'_>| matches!(c, Component::Normal(_) | Component::CurDir);
    match path.components().all(is_below) && path.file_name().is_some() {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-source",
            format!("{} is not a path of a file below the folder", path.display()),
        )),
    }
}

/// A variable's name: that of POSIX (XBD 8.1), and the dots and dashes that programs in the field
/// read.
pub(super) fn env_name(name: &str) -> Result<(), Fault> {
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    match valid {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-env-name",
            format!(
                "{name:?} is not a variable's name: expected letters, digits and _, not starting with a digit"
            ),
        )),
    }
}

/// A label's name (image specification, "Annotations": rules).
pub(super) fn label_name(name: &str) -> Result<(), Fault> {
    let valid = !name.is_empty() && !name.contains(|c: char| c.is_control() || c.is_whitespace());
    match valid {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-label",
            format!(
                "{name:?} is not a label's name: expected one as org.opencontainers.image.title"
            ),
        )),
    }
}

/// A value that ends up in an argument or in the environment of a process.
pub(super) fn process_text(code: &'static str, text: &str) -> Result<(), Fault> {
    match text.contains('\0') {
        true => Err(Fault::new(code, format!("{text:?} has a NUL in it"))),
        false => Ok(()),
    }
}

/// A directory of a list that is separated by colons.
pub(super) fn search_directory(path: &str) -> Result<(), Fault> {
    const CODE: &str = "spec/invalid-search-path";
    match path.contains(':') {
        true => Err(Fault::new(CODE, format!("{path:?} is more than one directory"))),
        false => absolute_path(CODE, path),
    }
}

/// `user`, `uid`, `user:group` or `uid:gid` (image specification, `config.User`).
pub(super) fn user(text: &str) -> Result<(), Fault> {
    let part = |part: &str| match part.bytes().all(|b| b.is_ascii_digit()) {
        // The largest id is reserved: it means "no change" to chown(2).
        true => part.parse::<u32>().is_ok_and(|id| id != u32::MAX),
        false => {
            part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && part
                    .trim_end_matches('$')
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        }
    };
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    match part(user) && group.is_none_or(part) {
        true => Ok(()),
        false => Err(Fault::new(
            "spec/invalid-user",
            format!("{text:?} is not a user: expected user, uid, user:group or uid:gid"),
        )),
    }
}
