//! Directories in the making, and the collection of what killed processes left.
//!
//! Whoever makes something in `tmp/` holds an flock(2) on it, or on the file `<name>.lock` beside
//! it where it is a directory: NFS locks no directories. What nobody holds was left by a process
//! that ended.

use crate::error::{Action, FileError, StoreError};
use crate::file::{is_at, make_dirs, stat};
use crate::lock::try_exclusive;
use crate::names::{file_name, random_suffix};
use crate::stage::new_locked_file;
use crate::store::Store;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A private directory in the store's `tmp/`, removed when it is dropped, and by a later process
/// when this one is killed.
///
/// Dropping removes what this user can remove. Where a sandbox has left files that only its user
/// namespace can remove, use [`remove_with`](ScratchDir::remove_with); what stays is collected by
/// [`Store::sweep`].
#[derive(Debug)]
pub struct ScratchDir {
    path: PathBuf,
    /// Released after the directory is gone.
    _lock: HeldFile,
    keep: bool,
}

/// What [`Store::sweep`] did.
#[derive(Debug, Default)]
pub struct Swept {
    /// What is gone.
    pub removed: Vec<PathBuf>,
    /// What could not be removed, and why.
    pub failed: Vec<FileError>,
}

impl Store {
    /// A new, empty directory of mode 0700 whose name begins with `prefix`.
    pub fn scratch_dir(&self, prefix: &str) -> Result<ScratchDir, StoreError> {
        let tmp = &self.inner.tmp;
        make_dirs(tmp)?;
        loop {
            let path = tmp.join(format!("{}-{}", file_name(prefix), random_suffix()));
            let Some(lock) = HeldFile::create(lock_path(&path))? else { continue };
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(ScratchDir { path, _lock: lock, keep: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(source) => {
                    return Err(FileError { action: Action::Create, path, source }.into());
                }
            }
        }
    }

    /// The scratch directories that no living process holds.
    pub fn dead_scratch_dirs(&self) -> Vec<PathBuf> {
        self.dead_temporaries().into_iter().filter(|path| is_dir(path)).collect()
    }

    /// Whatever is in `tmp/` that no living process holds.
    pub(crate) fn dead_temporaries(&self) -> Vec<PathBuf> {
        list(&self.inner.tmp).into_iter().filter(|path| claim(path).is_some()).collect()
    }

    /// Removes what killed processes left, directories with `remove_dir`, which may have to go
    /// into a user namespace for it.
    pub fn sweep(&self, remove_dir: &dyn Fn(&Path) -> io::Result<()>) -> Swept {
        let mut swept = Swept::default();
        for path in list(&self.inner.tmp) {
            let Some(_claim) = claim(&path) else { continue };
            let result = match is_dir(&path) {
                true => remove_dir(&path),
                false => fs::remove_file(&path),
            };
            match result {
                Ok(()) => swept.removed.push(path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => {
                    swept.failed.push(FileError { action: Action::Remove, path, source });
                }
            }
        }
        swept
    }
}

impl ScratchDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory with `remove`, still holding it, so that nobody else tries.
    pub fn remove_with(
        mut self,
        remove: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.keep = true;
        Ok(remove(&self.path).map_err(FileError::on(Action::Remove, &self.path))?)
    }

    /// Leaves the directory where it is, to be moved away by the caller or collected later: it is
    /// no longer held.
    pub fn into_path(mut self) -> PathBuf {
        self.keep = true;
        std::mem::take(&mut self.path)
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::debug!(path = %self.path.display(), %error, "leaving a scratch directory");
        }
    }
}

/// A lock file that goes with its holder.
#[derive(Debug)]
struct HeldFile {
    path: PathBuf,
    _file: File,
}

impl HeldFile {
    /// A new one; `None` if there is one, or if somebody was faster in taking it for abandoned.
    fn create(path: PathBuf) -> Result<Option<Self>, FileError> {
        Ok(new_locked_file(&path)?.map(|file| HeldFile { path, _file: file }))
    }

    /// Takes over the one that is there, or makes one, unless somebody holds it.
    fn take(path: PathBuf) -> Option<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.open(&path).ok()?;
        if try_exclusive(&file).ok()? && is_at(&file, &path) {
            return Some(HeldFile { path, _file: file });
        }
        None
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        // While it is still locked, so that nobody else's is removed.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the files that killed processes left. Directories wait for a [`Store::sweep`].
pub(crate) fn sweep_files(tmp: &Path) {
    for path in list(tmp) {
        if stat(&path).is_some_and(|m| m.is_file()) && claim(&path).is_some() {
            let _ = fs::remove_file(&path);
        }
    }
}

/// What is held while something abandoned is removed.
#[derive(Debug)]
struct Claim {
    _lock: Option<HeldFile>,
    _file: Option<File>,
}

/// Holds what nobody else holds.
fn claim(path: &Path) -> Option<Claim> {
    if is_dir(path) {
        return Some(Claim { _lock: Some(HeldFile::take(lock_path(path))?), _file: None });
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let open = |write| {
        let mut options = OpenOptions::new();
        options.read(true).write(write).custom_flags(flags.bits() as i32).open(path)
    };
    // NFS wants a writable file for an exclusive lock, and what is about to be a blob is none.
    let file = open(true).or_else(|_| open(false)).ok()?;
    (try_exclusive(&file).ok()? && is_at(&file, path))
        .then_some(Claim { _lock: None, _file: Some(file) })
}

/// The file whose lock says that the directory has a maker.
fn lock_path(directory: &Path) -> PathBuf {
    let mut name = OsString::from(directory);
    name.push(".lock");
    PathBuf::from(name)
}

fn is_dir(path: &Path) -> bool {
    stat(path).is_some_and(|m| m.is_dir())
}

/// What is in `tmp/`, sorted; of directories with a lock file, the directories only.
fn list(tmp: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(tmp).into_iter().flatten().flatten().map(|e| e.path()).collect();
    paths.retain(|path| {
        let is_lock = path.extension().is_some_and(|e| e == "lock");
        !(is_lock && is_dir(&path.with_extension("")))
    });
    paths.sort();
    paths
}
