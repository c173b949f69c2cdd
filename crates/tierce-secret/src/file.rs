//! Values in files.

use crate::provider::{MAX_SIZE, ProviderError, SecretProvider, checked};
use crate::value::SecretValue;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use tierce_spec::SecretId;
use tokio::io::AsyncReadExt;

/// Directories with a file for each secret: `GROUP_KEY`, or `group/key` as clusters mount them.
#[derive(Clone, Debug)]
pub struct DirectoryProvider {
    directories: Vec<PathBuf>,
}

impl DirectoryProvider {
    /// Where clusters mount secrets, by custom.
    pub const DEFAULT: &str = "/etc/secrets";

    /// Looks in `directories`, in this order.
    pub fn new(directories: Vec<PathBuf>) -> Self {
        DirectoryProvider { directories }
    }

    fn files<'a>(&'a self, id: &'a SecretId) -> impl Iterator<Item = PathBuf> + 'a {
        self.directories.iter().flat_map(move |directory| {
            let by_variable = directory.join(id.variable());
            let by_name = match &id.group {
                Some(group) => directory.join(group).join(&id.key),
                None => directory.join(&id.key),
            };
            let second = (by_name != by_variable).then_some(by_name);
            std::iter::once(by_variable).chain(second)
        })
    }
}

#[async_trait]
impl SecretProvider for DirectoryProvider {
    fn places(&self, id: &SecretId) -> Vec<String> {
        self.files(id).map(|path| path.display().to_string()).collect()
    }

    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError> {
        for path in self.files(id) {
            if let Some(value) = read(&path).await? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Files with single secrets, by the secret's variable (`GROUP_KEY`) or name (`group/key`).
#[derive(Clone, Debug)]
pub struct FileProvider {
    files: BTreeMap<String, PathBuf>,
}

impl FileProvider {
    /// These files, each by its secret.
    pub fn new(files: BTreeMap<String, PathBuf>) -> Self {
        FileProvider { files }
    }

    fn file(&self, id: &SecretId) -> Option<&PathBuf> {
        by_secret(&self.files, id)
    }
}

#[async_trait]
impl SecretProvider for FileProvider {
    fn places(&self, id: &SecretId) -> Vec<String> {
        self.file(id).map(|path| path.display().to_string()).into_iter().collect()
    }

    async fn find(&self, id: &SecretId) -> Result<Option<SecretValue>, ProviderError> {
        match self.file(id) {
            Some(path) => read(path).await,
            None => Ok(None),
        }
    }
}

/// What a table of single secrets has for `id`.
pub(crate) fn by_secret<'a, T>(table: &'a BTreeMap<String, T>, id: &SecretId) -> Option<&'a T> {
    table.get(&id.variable()).or_else(|| table.get(&id.to_string()))
}

/// The content of a file, byte for byte; `None` where there is none.
async fn read(path: &Path) -> Result<Option<SecretValue>, ProviderError> {
    let failed = |source| ProviderError::Read { path: path.to_owned(), source };
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if file.metadata().await.map_err(failed)?.is_dir() {
        return Ok(None);
    }
    let value = read_all(file).await.map_err(failed)?;
    checked(value, &path.display().to_string())
}

/// All that comes, but for what is more than [`MAX_SIZE`] allows in any case. Read into memory
/// that never moves, so that no copy is left behind.
pub(crate) async fn read_all(
    from: impl tokio::io::AsyncRead + Unpin,
) -> std::io::Result<SecretValue> {
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(MAX_SIZE + 64));
    from.take(MAX_SIZE as u64 + 1).read_to_end(&mut bytes).await?;
    Ok(SecretValue::new(bytes.as_slice()))
}
