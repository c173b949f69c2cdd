//! What entries may say: where things are, and that their parts fit each other.

use crate::error::LockFileError;
use crate::model::Place;
use pep440_rs::Version;
use std::path::{Component, Path};
use std::str::FromStr;

pub fn contradiction<T>(what: String) -> Result<T, LockFileError> {
    Err(LockFileError::Contradiction { what })
}

fn malformed<T>(message: String) -> Result<T, LockFileError> {
    Err(LockFileError::Malformed { message })
}

/// Nothing that is committed has credentials. The user of `ssh` is a part of where something is,
/// and no secret (PEP 610).
pub fn check_url(url: &str, name: &str) -> Result<(), LockFileError> {
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(()) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_secret = match authority.rsplit_once('@') {
        Some((user, _)) if scheme == "ssh" => user.contains(':'),
        Some(_) => true,
        None => false,
    };
    match is_secret {
        // They are not for messages either.
        true => malformed(format!("the URL of {name} has credentials")),
        false => Ok(()),
    }
}

/// What is locked does not move: branches and tags do.
pub fn check_commit(name: &str, kind: &str, commit: &str) -> Result<(), LockFileError> {
    let is_full = match kind {
        "svn" => !commit.is_empty() && commit.bytes().all(|b| b.is_ascii_digit()),
        _ => matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit()),
    };
    match is_full {
        true => Ok(()),
        false => malformed(format!("{name} has {commit:?} where the full hash of a commit is due")),
    }
}

/// Where a commit may be fetched from.
pub fn check_repository(name: &str, place: &Place) -> Result<(), LockFileError> {
    match place {
        Place::Url(url) => {
            let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
            match scheme {
                "https" | "http" | "ssh" | "git" | "file" => check_url(url, name),
                _ => malformed(format!("{name} has no address of a repository: {url:?}")),
            }
        }
        Place::Path(path) if is_inside(path) => Ok(()),
        Place::Path(path) => malformed(format!("{name} is from {path:?}, which is elsewhere")),
    }
}

/// A directory of what is built, and not of the machine that builds.
pub fn check_subdirectory(name: &str, path: Option<&str>) -> Result<(), LockFileError> {
    match path {
        Some(path) if !is_inside(path) => {
            malformed(format!("{name} is in the subdirectory {path:?}, which is elsewhere"))
        }
        _ => Ok(()),
    }
}

fn is_inside(path: &str) -> bool {
    let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    !path.contains('\0') && Path::new(path).components().all(is_below)
}

/// A wheel's file name says what it is (binary distribution format, "File name convention").
pub fn check_wheel(name: &str, version: Option<&str>, filename: &str) -> Result<(), LockFileError> {
    let mut parts = filename.split('-');
    let of_file = parts.next().unwrap_or_default().to_lowercase().replace(['_', '.'], "-");
    let of_name = name.to_lowercase().replace(['_', '.'], "-");
    let found = parts.next().unwrap_or_default();
    match of_file != of_name || version.is_some_and(|version| differ(version, found)) {
        true => contradiction(format!(
            "{name} {} is to be installed from {filename}",
            version.unwrap_or_default()
        )),
        false => Ok(()),
    }
}

/// Whether these are two versions (PEP 440): `2024.01` and `2024.1.0` are one. A local label that
/// only the file has is a detail of it.
fn differ(version: &str, of_file: &str) -> bool {
    let (Ok(wanted), Ok(found)) =
        (Version::from_str(version), Version::from_str(&of_file.replace('_', "-")))
    else {
        // The builder says what is wrong with it, where it is used.
        return false;
    };
    match wanted.is_local() {
        true => wanted != found,
        false => wanted != found.without_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_and_not_their_spelling() {
        let table = [
            ("2024.1", "2024.01", false),
            ("1.0", "1.0.0", false),
            ("1.0rc1", "1.0.rc1", false),
            ("1.0.post1", "1.0_1", false),
            ("2.8.0+cu128", "2.8.0+cu128", false),
            ("2.8.0", "2.8.0+cu128", false),
            ("2.8.0+cu128", "2.8.0+cu126", true),
            ("2024.1", "2024.10", true),
            ("1.0rc1", "1.0", true),
        ];
        for (version, of_file, expected) in table {
            assert_eq!(differ(version, of_file), expected, "{version} {of_file}");
        }
    }

    #[test]
    fn what_moves_or_leads_elsewhere_is_refused() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        let commits = [
            ("git", full, true),
            ("git", "main", false),
            ("git", "0123456", false),
            ("git", "--upload-pack=x", false),
            ("svn", "1234", true),
            ("svn", "HEAD", false),
        ];
        for (kind, commit, expected) in commits {
            assert_eq!(check_commit("a", kind, commit).is_ok(), expected, "{kind} {commit}");
        }
        for (path, expected) in [("a/b", true), ("../a", false), ("/a", false), ("a/../..", false)]
        {
            assert_eq!(check_subdirectory("a", Some(path)).is_ok(), expected, "{path}");
            let place = Place::Path(path.to_owned());
            assert_eq!(check_repository("a", &place).is_ok(), expected, "{path}");
        }
        let urls = [
            ("https://h/a@b", true),
            ("ssh://git@h/a", true),
            ("ssh://git:secret@h/a", false),
            ("https://token@h/a", false),
            ("https://u:p@h", false),
            ("ext::sh -c x", false),
        ];
        for (url, expected) in urls {
            let place = Place::Url(url.to_owned());
            assert_eq!(check_repository("a", &place).is_ok(), expected, "{url}");
        }
    }
}
