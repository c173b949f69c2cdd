//! Writing a lock's file.

use super::lock::LockCommandError;
use std::fs::{File, Permissions};
use std::io::{Error, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tierce::lock::LockFile;
use tierce::{LockReadError, read_lock};

/// Puts the images `made` of `lock` into the file, and those below them. What others wrote there
/// in the meantime stays. The file is written as a whole or not at all.
pub fn put(path: &Path, lock: LockFile, made: &[&str]) -> Result<LockFile, LockCommandError> {
    let failed = |source| LockCommandError::Write { path: path.to_owned(), source };
    let path = &target(path).map_err(failed)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // Not of the file, which is another one afterwards.
    let guard = File::open(folder).map_err(failed)?;
    let exclusive = rustix::fs::FlockOperation::LockExclusive;
    // Some file systems have no locks; nothing else is lost there.
    let _ = rustix::fs::flock(&guard, exclusive);
    let lock = match read_lock(path) {
        Ok(Some(there)) => merged(there, lock, made),
        // What is no lock was read before, and is to be replaced.
        _ => lock,
    };
    let text = lock.text();
    // Nothing is written that could not be read.
    LockFile::parse(&text)
        .map_err(|source| LockReadError::Bad { path: path.to_owned(), source })?;
    write(path, folder, &text).map_err(failed)?;
    // The name is kept where the machine stops, too, if its file system can do that.
    let _ = guard.sync_all();
    Ok(lock)
}

/// The file itself, where it is a link.
fn target(path: &Path) -> Result<PathBuf, Error> {
    match path.is_symlink() {
        false => Ok(path.to_owned()),
        true if path.exists() => path.canonicalize(),
        true => {
            let to = std::fs::read_link(path)?;
            Ok(path.parent().unwrap_or(Path::new("")).join(to))
        }
    }
}

fn merged(mut there: LockFile, lock: LockFile, made: &[&str]) -> LockFile {
    let is_made = |name: &str| {
        made.iter().any(|made| {
            name.strip_prefix(made).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    there.images.retain(|image| !is_made(&image.name));
    lock.images.into_iter().filter(|image| is_made(&image.name)).for_each(|i| there.put(i));
    LockFile { toolchain: lock.toolchain, images: there.images }
}

fn write(path: &Path, folder: &Path, text: &str) -> Result<(), Error> {
    let mode = match std::fs::metadata(path) {
        Ok(there) => there.permissions(),
        // Less what the umask says.
        Err(_) => Permissions::from_mode(0o666),
    };
    let mut builder = tempfile::Builder::new();
    let mut new = builder.prefix(".tierce.lock.").permissions(mode).tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce::lock::LockedImage;

    fn file(images: &[(&str, &str)]) -> LockFile {
        let mut file = LockFile::default();
        for (name, declared) in images {
            let (name, declared) = ((*name).to_owned(), vec![(*declared).to_owned()]);
            file.put(LockedImage { name, declared, ..LockedImage::default() });
        }
        file
    }

    #[test]
    fn what_others_wrote_stays_and_links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("real"), folder.path().join("tierce.lock"));
        std::os::unix::fs::symlink("real", &link).unwrap();
        let first = file(&[("a", "1"), ("a/base", "1")]);
        assert_eq!(put(&link, first.clone(), &["a"]).unwrap(), first);
        // Made from what was there before the first: it knows nothing of it.
        put(&link, file(&[("b", "2")]), &["b"]).unwrap();
        let now = put(&link, file(&[("a", "3"), ("b", "old")]), &["a"]).unwrap();
        assert_eq!(now, file(&[("a", "3"), ("b", "2")]));
        assert!(link.is_symlink() && path.is_file());
        assert_eq!(read_lock(&path).unwrap().unwrap(), now);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_could_not_be_read_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tierce.lock");
        let mut lock = file(&[("a", "1")]);
        lock.images.extend(lock.images.clone());
        assert!(put(&path, lock, &["a"]).is_err() && !path.exists());
    }
}
