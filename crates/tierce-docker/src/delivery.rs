//! Values of secrets as files, for programs that take them in no other way.

use crate::error::SecretsError;
use base64::Engine as _;
use rustix::fs::{FlockOperation, FsWord, flock, statfs};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tierce_registry::Credential;
use tierce_secret::SecretValue;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of the kernel's `magic.h`: file systems without a disk.
const MEMORY: [FsWord; 2] = [0x0102_1994, 0x8584_58f6];

/// Where memory-backed directories are on Linux, besides the user's own.
const SHARED_MEMORY: &str = "/dev/shm";

/// A directory with a file for each secret, for this user alone, in memory, and gone when this is
/// dropped.
pub(crate) struct SecretFiles {
    _directory: Option<Directory>,
    /// The id and the file of each, in order.
    pub(crate) files: Vec<(String, PathBuf)>,
}

impl SecretFiles {
    /// Writes the values of `secrets`; nothing where there are none. `runtime` is the user's own
    /// runtime directory (`XDG_RUNTIME_DIR`), where there is one.
    pub(crate) fn write(
        secrets: &BTreeMap<String, SecretValue>,
        runtime: Option<&Path>,
    ) -> Result<Self, SecretsError> {
        if secrets.is_empty() {
            return Ok(SecretFiles { _directory: None, files: vec![] });
        }
        let directory = memory(runtime)?;
        let mut files = vec![];
        for (number, (id, value)) in secrets.iter().enumerate() {
            // Numbered: an id says what the secret is for, a path is seen by everyone.
            let path = directory.path().join(number.to_string());
            write(&path, value.expose())?;
            files.push((id.clone(), path));
        }
        Ok(SecretFiles { _directory: Some(directory), files })
    }

    /// The arguments that hand them to a build: `--secret id=..,src=..`. The values are not in
    /// them.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let words = self.files.iter().flat_map(|(id, path)| {
            ["--secret".to_owned(), format!("id={id},src={}", path.display())]
        });
        words.collect()
    }
}

/// A `containers-auth.json` for this user alone, in memory, and gone when this is dropped.
pub(crate) struct AuthFile {
    directory: Directory,
}

impl AuthFile {
    /// Writes the credentials of registries; `None` where there are none that the format has.
    pub(crate) fn write(
        credentials: &[(String, Credential)],
        runtime: Option<&Path>,
    ) -> Result<Option<Self>, SecretsError> {
        let mut auths = serde_json::Map::new();
        for (registry, credential) in credentials {
            let entry = match credential {
                Credential::Basic { user, password } => {
                    let pair = format!("{user}:{}", password.expose());
                    let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                    serde_json::json!({ "auth": pair })
                }
                Credential::IdentityToken(token) => {
                    // The user's name that stands for "none", as Docker writes it.
                    let pair = base64::engine::general_purpose::STANDARD.encode("<token>:");
                    serde_json::json!({ "auth": pair, "identitytoken": token.expose() })
                }
                Credential::BearerToken(_) => continue,
            };
            auths.insert(registry.clone(), entry);
        }
        if auths.is_empty() {
            return Ok(None);
        }
        let directory = memory(runtime)?;
        let text = serde_json::json!({ "auths": auths }).to_string();
        write(&directory.path().join(AUTH), text.as_bytes())?;
        Ok(Some(AuthFile { directory }))
    }

    /// The argument that names the file.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let path = self.directory.path().join(AUTH);
        vec!["--authfile".to_owned(), path.display().to_string()]
    }
}

/// The name of an [`AuthFile`].
const AUTH: &str = "auth.json";

/// How the directories' names begin.
const PREFIX: &str = "tierce-secrets";

/// The file in a directory that is locked as long as the directory is in use. The kernel unlocks
/// it when a process ends, however it does.
const LOCK: &str = "lock";

/// A directory without a lock is being made, for so long.
const MAKING: Duration = Duration::from_secs(60);

/// A directory for this user alone, in memory, and gone when this is dropped; if that never
/// happens, when the next one is made.
struct Directory {
    // Dropped before the lock is given up.
    directory: tempfile::TempDir,
    _lock: File,
}

impl Directory {
    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(parent)?;
        // Under its name it is seen locked only.
        let new = directory.path().join("lock.new");
        let lock =
            std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        std::fs::rename(&new, directory.path().join(LOCK))?;
        Ok(Directory { directory, _lock: lock })
    }
}

/// Takes away what processes left behind that were killed.
fn sweep(parent: &Path) {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for path in ours.map(|entry| entry.path()).filter(|path| is_left(path)) {
        if let Err(error) = std::fs::remove_dir_all(&path) {
            tracing::warn!(path = %path.display(), %error, "secrets of an ended build remain");
        }
    }
}

/// Whether this is a directory of this user's that nobody uses any more.
fn is_left(path: &Path) -> bool {
    let Ok(found) = std::fs::symlink_metadata(path) else { return false };
    if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
        return false;
    }
    match File::open(path.join(LOCK)) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let age = found.modified().ok().and_then(|made| made.elapsed().ok());
            age.is_some_and(|age| age > MAKING)
        }
        Err(_) => false,
    }
}

/// A new directory for this user alone, in memory.
fn memory(runtime: Option<&Path>) -> Result<Directory, SecretsError> {
    let candidates = runtime.into_iter().chain([Path::new(SHARED_MEMORY)]);
    let in_memory: Vec<&Path> = candidates.filter(|path| is_memory(path)).collect();
    in_memory.iter().for_each(|path| sweep(path));
    let create = |path: &Path| Directory::create_in(path).ok();
    in_memory.into_iter().find_map(create).ok_or(SecretsError::NoMemory)
}

fn write(path: &Path, content: &[u8]) -> Result<(), SecretsError> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content))
        .map_err(|source| SecretsError::Write { path: path.to_owned(), source })
}

fn is_memory(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| MEMORY.contains(&found.f_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_for_their_owner_in_memory_and_gone_at_the_end() {
        let secrets = BTreeMap::from([("token".to_owned(), SecretValue::new("a-value"))]);
        let files = match SecretFiles::write(&secrets, None) {
            Err(SecretsError::NoMemory) => {
                eprintln!("skipped: /dev/shm is not in memory here");
                return;
            }
            files => files.unwrap(),
        };
        let (id, path) = files.files[0].clone();
        assert_eq!(id, "token");
        assert_eq!(std::fs::read(&path).unwrap(), b"a-value");
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert!(!files.arguments().concat().contains("a-value"));
        drop(files);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn no_secret_needs_no_directory() {
        let files = SecretFiles::write(&BTreeMap::new(), None).unwrap();
        assert!(files.files.is_empty() && files.arguments().is_empty());
    }

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let used = Directory::create_in(parent.path()).unwrap();
        // As a process leaves it that is killed: with its lock, which nobody holds.
        let left = parent.path().join("tierce-secretsleft");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        std::fs::write(left.join("0"), "a-value").unwrap();
        let other = parent.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join(LOCK), "").unwrap();
        let making = parent.path().join("tierce-secretsnew");
        std::fs::create_dir(&making).unwrap();
        let link = parent.path().join("tierce-secretslink");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        sweep(parent.path());
        assert!(!left.exists());
        assert!(used.path().exists() && other.exists() && making.exists() && link.exists());
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists());
    }
}
