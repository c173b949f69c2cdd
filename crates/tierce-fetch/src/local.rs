//! `file:` URLs.

use crate::{FetchError, Fetched, Redacted, Validators};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::PathBuf;
use url::Url;

/// Opens the file that `url` names, off the async threads.
pub(crate) async fn open(url: &Url) -> Result<(File, Metadata), FetchError> {
    let unreadable = |source| FetchError::Read { url: Redacted(url).to_string(), source };
    let path = path(url).map_err(unreadable)?;
    blocking(move || {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        match metadata.is_file() {
            true => Ok((file, metadata)),
            false => Err(io::Error::other("not a regular file")),
        }
    })
    .await
    .map_err(unreadable)
}

pub(crate) async fn get_if_changed(
    url: &Url,
    known: &Validators,
    max_bytes: u64,
) -> Result<Fetched, FetchError> {
    let (mut file, metadata) = open(url).await?;
    let validators = Validators { etag: Some(version(&metadata)), last_modified: None };
    if *known == validators {
        return Ok(Fetched::NotModified);
    }
    let bytes = blocking(move || {
        let mut bytes = vec![];
        file.by_ref().take(max_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok(bytes)
    })
    .await
    .map_err(|source| FetchError::Read { url: Redacted(url).to_string(), source })?;
    if bytes.len() as u64 > max_bytes {
        return Err(FetchError::TooLarge { url: Redacted(url).to_string(), limit: max_bytes });
    }
    Ok(Fetched::Body { bytes: bytes.into(), validators })
}

fn path(url: &Url) -> io::Result<PathBuf> {
    url.to_file_path()
        .map_err(|()| io::Error::new(io::ErrorKind::InvalidInput, "not the URL of a local file"))
}

/// What stands for a file's content without reading it.
fn version(metadata: &Metadata) -> String {
    use std::os::unix::fs::MetadataExt;
    format!(
        "\"{}-{}-{}.{}-{}.{}\"",
        metadata.ino(),
        metadata.size(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec()
    )
}

/// Runs file system work where it blocks nobody.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(stopped) => Err(io::Error::other(stopped)),
    }
}
