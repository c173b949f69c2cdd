//! Files onto disk: streamed, hashed on the way, resumed after a cut.

use crate::local::{self, blocking};
use crate::{FetchError, Fetcher, Redacted, Validators};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_RANGE, HeaderMap, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tierce_oci::{Digest, Hasher};
use url::Url;

/// Written and hashed at once, off the async threads.
const BLOCK: usize = 512 * 1024;

/// An attempt that brought this much new did not fail: only then is a download that is cut
/// again and again, but moves, carried on beyond the policy's attempts.
const PROGRESS: u64 = 1024 * 1024;

/// What to download.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// From where.
    pub url: Url,
    /// The digest that the file must have.
    pub digest: Option<Digest>,
    /// The size that the file must have.
    pub size: Option<u64>,
}

impl Fetcher {
    /// Downloads a file to `dest`, a path that belongs to the caller, replacing what is there.
    ///
    /// `on_bytes` hears how many bytes of the file are there by now: a number that falls when a
    /// server makes the download start over. When this returns `Ok`, the file is complete and
    /// has the size and digest asked for; when it fails or is dropped, `dest` is empty or gone.
    pub async fn download(
        &self,
        item: &Download,
        dest: &Path,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), FetchError> {
        let created = !dest.exists();
        let open = OpenOptions::new().write(true).create(true).truncate(true).open(dest);
        let file = open.map_err(|source| FetchError::Write { path: dest.into(), source })?;
        let mut partial = Partial { path: dest, created, complete: false };
        let mut sink = Sink::new(file, dest);
        match item.url.scheme() {
            "file" => copy_local(item, &mut sink, on_bytes).await?,
            _ => self.download_remote(item, &mut sink, on_bytes).await?,
        }
        partial.complete = true;
        Ok(())
    }

    /// Downloads several files, at most `concurrency` at once; the first failure ends all.
    /// `on_bytes` is called as for [`download`](Self::download), with the item's index.
    pub async fn download_all(
        &self,
        items: &[(Download, PathBuf)],
        concurrency: usize,
        on_bytes: &(dyn Fn(usize, u64) + Send + Sync),
    ) -> Result<(), FetchError> {
        stream::iter(items.iter().enumerate())
            .map(|(index, (item, dest))| async move {
                self.download(item, dest, &move |bytes| on_bytes(index, bytes)).await
            })
            .buffer_unordered(concurrency.max(1))
            .try_collect()
            .await
    }

    async fn download_remote(
        &self,
        item: &Download,
        sink: &mut Sink<'_>,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), FetchError> {
        let mut source = Validators::default();
        let mut furthest = 0;
        let mut failures = 0;
        loop {
            let resumed = sink.length() > 0;
            let error = match self.attempt(item, sink, &mut source, on_bytes).await {
                Ok(()) => match verify(item, sink).await {
                    Ok(()) => return Ok(()),
                    // Two versions of the file may have been joined: once more from the start.
                    Err(_) if resumed => {
                        sink.restart().await?;
                        source = Validators::default();
                        continue;
                    }
                    Err(error) => return Err(error),
                },
                Err(error) => error,
            };
            failures += 1;
            if sink.length() >= furthest + PROGRESS {
                furthest = sink.length();
                failures = 1;
            }
            tracing::debug!(url = %Redacted(&item.url), failures, at = sink.length(), %error, "download failed");
            if !self.retry.pause(failures, error.retry()).await {
                return Err(error);
            }
        }
    }

    /// One request, to the end of its body or to its failure; what came stays in the sink.
    async fn attempt(
        &self,
        item: &Download,
        sink: &mut Sink<'_>,
        source: &mut Validators,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), FetchError> {
        // Without a validator the rest might be another version's; only a digest would show.
        let resumable = source.for_range().is_some() || item.digest.is_some();
        if sink.length() > 0 && (!resumable || item.size == Some(sink.length())) {
            sink.restart().await?;
        }
        let range = (sink.length() > 0).then(|| format!("bytes={}-", sink.length()));
        let condition = range.as_ref().and(source.for_range()).cloned();
        let response = match self.send(&item.url, [(RANGE, &range), (IF_RANGE, &condition)]).await {
            Err(FetchError::Status { status, .. })
                if range.is_some() && status == StatusCode::RANGE_NOT_SATISFIABLE =>
            {
                sink.restart().await?;
                *source = Validators::default();
                self.send(&item.url, []).await?
            }
            other => other?,
        };
        let continued = range.is_some()
            && response.status() == StatusCode::PARTIAL_CONTENT
            && range_start(response.headers()) == Some(sink.length());
        if response.status() != StatusCode::OK && !continued {
            sink.restart().await?;
            return Err(FetchError::Status {
                url: Redacted(&item.url).to_string(),
                status: response.status(),
                retry_after: None,
            });
        }
        if !continued {
            sink.restart().await?;
            *source = Validators::of(response.headers());
        }
        receive(item, response, sink, on_bytes).await
    }
}

async fn receive(
    item: &Download,
    mut response: Response,
    sink: &mut Sink<'_>,
    on_bytes: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), FetchError> {
    let announced = response.content_length().map(|rest| sink.length() + rest);
    if let (Some(expected), Some(actual)) = (item.size, announced)
        && expected != actual
    {
        return Err(size_mismatch(item, expected, actual));
    }
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => return sink.flush().await,
            Err(error) => {
                sink.flush().await?;
                return Err(FetchError::transport(&item.url, error));
            }
        };
        if let Some(expected) = item.size
            && sink.length() + chunk.len() as u64 > expected
        {
            return Err(size_mismatch(item, expected, sink.length() + chunk.len() as u64));
        }
        sink.push(&chunk).await?;
        on_bytes(sink.length());
    }
}

async fn copy_local(
    item: &Download,
    sink: &mut Sink<'_>,
    on_bytes: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), FetchError> {
    let (mut file, metadata) = local::open(&item.url).await?;
    if let Some(expected) = item.size
        && expected != metadata.len()
    {
        return Err(size_mismatch(item, expected, metadata.len()));
    }
    loop {
        let unreadable = |source| FetchError::Read { url: Redacted(&item.url).to_string(), source };
        let (block, rest) = blocking(move || {
            let mut block = Vec::with_capacity(BLOCK);
            (&file).take(BLOCK as u64).read_to_end(&mut block)?;
            Ok((block, file))
        })
        .await
        .map_err(unreadable)?;
        file = rest;
        if block.is_empty() {
            sink.flush().await?;
            return verify(item, sink).await;
        }
        sink.push(&block).await?;
        on_bytes(sink.length());
    }
}

async fn verify(item: &Download, sink: &mut Sink<'_>) -> Result<(), FetchError> {
    if let Some(expected) = item.size
        && expected != sink.length()
    {
        return Err(size_mismatch(item, expected, sink.length()));
    }
    let actual = sink.digest();
    match item.digest {
        Some(expected) if expected != actual => Err(FetchError::DigestMismatch {
            url: Redacted(&item.url).to_string(),
            expected,
            actual,
        }),
        _ => Ok(()),
    }
}

fn size_mismatch(item: &Download, expected: u64, actual: u64) -> FetchError {
    FetchError::SizeMismatch { url: Redacted(&item.url).to_string(), expected, actual }
}

/// Where the body of a partial answer starts: `bytes 100-199/200` (RFC 9110, 14.4).
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    value.trim().strip_prefix("bytes")?.trim_start().split('-').next()?.parse().ok()
}

/// The file being written, and the hash of what is in it.
struct Sink<'a> {
    path: &'a Path,
    /// `None` only while a block is being written.
    written: Option<Written>,
    buffer: Vec<u8>,
}

struct Written {
    file: File,
    hasher: Hasher,
}

impl<'a> Sink<'a> {
    fn new(file: File, path: &'a Path) -> Self {
        let written = Some(Written { file, hasher: Hasher::new() });
        Sink { path, written, buffer: Vec::with_capacity(BLOCK) }
    }

    fn hasher(&self) -> Hasher {
        self.written.as_ref().map(|w| w.hasher.clone()).unwrap_or_default()
    }

    fn length(&self) -> u64 {
        self.written.as_ref().map_or(0, |w| w.hasher.length()) + self.buffer.len() as u64
    }

    /// The digest of all that was flushed.
    fn digest(&self) -> Digest {
        self.hasher().finish()
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BLOCK { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), FetchError> {
        let buffer = std::mem::take(&mut self.buffer);
        let buffer = self
            .with_file(move |written| {
                written.file.write_all(&buffer)?;
                written.hasher.update(&buffer);
                Ok(buffer)
            })
            .await?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    /// Forgets everything.
    async fn restart(&mut self) -> Result<(), FetchError> {
        self.buffer.clear();
        self.with_file(|written| {
            written.hasher = Hasher::new();
            written.file.set_len(0)?;
            written.file.seek(SeekFrom::Start(0)).map(drop)
        })
        .await
    }

    async fn with_file<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Written) -> io::Result<T> + Send + 'static,
    ) -> Result<T, FetchError> {
        let failed = |source| FetchError::Write { path: self.path.to_owned(), source };
        let gone = || io::Error::other("an earlier write failed");
        let mut written = self.written.take().ok_or_else(gone).map_err(failed)?;
        let (written, result) = blocking(move || {
            let result = work(&mut written)?;
            Ok((written, result))
        })
        .await
        .map_err(failed)?;
        self.written = Some(written);
        Ok(result)
    }
}

/// Sees to it that nothing incomplete stays behind, however the download ends.
struct Partial<'a> {
    path: &'a Path,
    created: bool,
    complete: bool,
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        // A file that was there before is the caller's to remove.
        let _ = match self.created {
            true => std::fs::remove_file(self.path),
            false => OpenOptions::new().write(true).truncate(true).open(self.path).map(drop),
        };
    }
}
