//! Finding the programs of external builders.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What the programs of external builders are called: `tierce-builder-NAME`.
pub const PROGRAM_PREFIX: &str = "tierce-builder-";

/// Whether `name` may be the name of a builder or flavor: lower-case letters, digits, `-`, `_`
/// and `.`, starting with a letter or digit, at most 64 of them. It is part of file names and a
/// key in configuration files.
pub fn valid_name(name: &str) -> bool {
    let first = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let rest = |c: u8| first(c) || matches!(c, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && first(name.as_bytes()[0]) && name.bytes().all(rest)
}

/// The directories in which programs are looked for, the first one first.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    directories: Vec<PathBuf>,
}

impl SearchPath {
    /// These directories.
    pub fn new(directories: Vec<PathBuf>) -> Self {
        SearchPath { directories }
    }

    /// The directories.
    pub fn directories(&self) -> &[PathBuf] {
        &self.directories
    }

    /// The program of the builder called `name`.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let file = format!("{PROGRAM_PREFIX}{name}");
        let candidates = self.directories.iter().map(|directory| directory.join(&file));
        candidates.into_iter().find(|path| valid_name(name) && is_program(path))
    }

    /// All programs of external builders, by the builder's name.
    pub fn list(&self) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        // Directories that are not there or not to be read hold no programs.
        let entries = self.directories.iter().filter_map(|d| std::fs::read_dir(d).ok());
        for entry in entries.flat_map(|directory| directory.flatten()) {
            let file = entry.file_name();
            let name = file.to_str().and_then(|file| file.strip_prefix(PROGRAM_PREFIX));
            let Some(name) = name.filter(|name| valid_name(name)) else { continue };
            if !found.contains_key(name) && is_program(&entry.path()) {
                found.insert(name.to_owned(), entry.path());
            }
        }
        found
    }
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}
