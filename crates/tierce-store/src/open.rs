//! Opening a store: making it, recognising it, and setting aside what older releases wrote.

use crate::error::{Action, FileError, OpenError};
use crate::file::{Replacement, make_dirs, rename_into};
use crate::names::random_suffix;
use crate::{FORMAT, lock};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a store may hold at its top; also found in one whose making was interrupted. The last is
/// what a freshly made file system holds.
const ENTRIES: [&str; 11] = [
    "VERSION",
    "CACHEDIR.TAG",
    "blobs",
    "records",
    "rootfs",
    "caches",
    "index",
    "tmp",
    "locks",
    "runs",
    "lost+found",
];

/// What formats have changed so far: all but the blobs, which are what their digests say.
const OF_A_FORMAT: [&str; 4] = ["records", "rootfs", "caches", "index"];

const CACHEDIR_TAG: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55
# This directory is the cache of tierce, which builds container images.
# For what this file means see https://bford.info/cachedir/
";

/// Makes or checks the store; gives its absolute path.
pub(crate) fn prepare(root: &Path) -> Result<PathBuf, OpenError> {
    make_dirs(root)?;
    let read = FileError::on(Action::Read, root);
    let root = root.canonicalize().map_err(read)?;
    check_owner(&root)?;
    if version(&root)? != Some(FORMAT) {
        initialise(&root)?;
    }
    for name in ["blobs/sha256", "records", "rootfs", "caches", "index", "tmp", "locks"] {
        let path = root.join(name);
        if !path.is_dir() {
            make_dirs(&path)?;
        }
    }
    crate::scratch::sweep_files(&root.join("tmp"));
    Ok(root)
}

/// Who can write to the store can write into the images. Root may use anybody's store: in CI,
/// caches come back from volumes with any owner.
fn check_owner(root: &Path) -> Result<(), OpenError> {
    let owner = fs::metadata(root).map_err(FileError::on(Action::Read, root))?.uid();
    let user = rustix::process::geteuid().as_raw();
    if user != 0 && owner != 0 && owner != user {
        return Err(OpenError::Foreign { root: root.to_owned(), owner, user });
    }
    Ok(())
}

/// The format of the store; `None` where there is none yet.
fn version(root: &Path) -> Result<Option<u32>, OpenError> {
    let path = root.join("VERSION");
    match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(OpenError::NotAStore { root: root.to_owned() })
        }
        Err(source) => Err(FileError { action: Action::Read, path, source }.into()),
        Ok(text) => match text.trim().parse() {
            Ok(found) if found > FORMAT => {
                Err(OpenError::Newer { root: root.to_owned(), found, supported: FORMAT })
            }
            Ok(found) => Ok(Some(found)),
            Err(_) => Err(OpenError::NotAStore { root: root.to_owned() }),
        },
    }
}

/// Makes the store or brings it to this format. Processes that do so at once take turns: the
/// directory itself is the lock, since nothing else can be relied on to be there.
fn initialise(root: &Path) -> Result<(), OpenError> {
    let directory = File::open(root).map_err(FileError::on(Action::Read, root))?;
    lock::exclusive_if_possible(&directory);
    match version(root)? {
        Some(FORMAT) => return Ok(()),
        Some(older) => set_aside(root, older)?,
        None => check_empty(root)?,
    }
    make_dirs(&root.join("tmp"))?;
    replace(&root.join("CACHEDIR.TAG"), CACHEDIR_TAG)?;
    replace(&root.join("VERSION"), format!("{FORMAT}\n").as_bytes())
}

fn check_empty(root: &Path) -> Result<(), OpenError> {
    let list = || FileError::on(Action::List, root);
    for entry in fs::read_dir(root).map_err(list())? {
        let name = entry.map_err(list())?.file_name();
        let ours = |known: &&str| name == **known || is_replacement(&name, known);
        if !ENTRIES.iter().any(ours) {
            return Err(OpenError::NotAStore { root: root.to_owned() });
        }
    }
    Ok(())
}

/// Whether this is what a killed process left of writing `target`.
fn is_replacement(name: &std::ffi::OsStr, target: &str) -> bool {
    name.to_str().is_some_and(|n| n.strip_prefix('.').is_some_and(|n| n.starts_with(target)))
}

/// Moves what this release can't read to where it is collected.
fn set_aside(root: &Path, older: u32) -> Result<(), OpenError> {
    tracing::info!(found = older, supported = FORMAT, "setting aside a store of an older format");
    let aside = root.join("tmp").join(format!("format-{older}-{}", random_suffix()));
    for name in OF_A_FORMAT {
        if root.join(name).exists() {
            rename_into(&root.join(name), &aside.join(name))?;
        }
    }
    Ok(())
}

fn replace(path: &Path, content: &[u8]) -> Result<(), OpenError> {
    let mut file = Replacement::of(path)?;
    file.write(content)?;
    Ok(file.finish()?)
}
