//! Files onto disk: streamed, hashed on the way, resumed after a cut.

use crate::local::{self, blocking};
use crate::{FetchError, Fetcher, Redacted, Retry, RetryPolicy, Validators};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use std::fmt;
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
        if item.url.scheme() == "file" {
            let (partial, mut sink) = open(dest)?;
            copy_local(item, &mut sink, on_bytes).await?;
            partial.keep();
            return Ok(());
        }
        let source = Direct { fetcher: self, url: &item.url };
        download_from(&source, &self.retry, item, dest, on_bytes).await
    }

    /// Downloads several files, at most `concurrency` at once; the first failure ends all.
    /// `on_bytes` is called as for [`download`](Self::download), with the item's index.
    pub async fn download_all(
        &self,
        items: &[(Download, PathBuf)],
        concurrency: usize,
        on_bytes: &(dyn Fn(usize, u64) + Send + Sync),
    ) -> Result<(), FetchError> {
        // Collected, because a stream over borrowed items is not `Send` by the compiler's lights.
        let downloads: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(index, (item, dest))| async move {
                self.download(item, dest, &move |bytes| on_bytes(index, bytes)).await
            })
            .collect();
        stream::iter(downloads).buffer_unordered(concurrency.max(1)).try_collect().await
    }
}

/// Makes the requests of a [`download_from`]: what is asked again, from where it broke off, is
/// up to the download; how to ask (authentication, say) is the source's.
pub trait Source: Sync {
    /// Why a request failed, or the download.
    type Error: From<FetchError> + fmt::Display;

    /// One GET with these extra headers, without retries. Answers other than success are
    /// errors, except 416 (range not satisfiable).
    fn get(&self, headers: HeaderMap)
    -> impl Future<Output = Result<Response, Self::Error>> + Send;

    /// Whether to try again after an error.
    fn retry(error: &Self::Error) -> Retry;
}

struct Direct<'a> {
    fetcher: &'a Fetcher,
    url: &'a Url,
}

impl Source for Direct<'_> {
    type Error = FetchError;

    async fn get(&self, headers: HeaderMap) -> Result<Response, FetchError> {
        match self.fetcher.send(self.url, headers).await? {
            response if accepted(response.status()) => Ok(response),
            response => Err(FetchError::status(self.url, &response)),
        }
    }

    fn retry(error: &FetchError) -> Retry {
        error.retry()
    }
}

fn accepted(status: StatusCode) -> bool {
    status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE
}

/// [`Fetcher::download`] from any [`Source`]; `item.url` only names it in errors.
pub async fn download_from<S: Source>(
    source: &S,
    retry: &RetryPolicy,
    item: &Download,
    dest: &Path,
    on_bytes: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), S::Error> {
    let (partial, sink) = open(dest)?;
    let mut transfer =
        Transfer { source, retry, item, sink, on_bytes, version: Validators::default() };
    let mut furthest = 0;
    let mut failures = 0;
    loop {
        let resumed = transfer.sink.length() > 0;
        let error = match transfer.attempt().await {
            Ok(()) => match verify(item, &transfer.sink) {
                Ok(()) => {
                    partial.keep();
                    return Ok(());
                }
                // Two versions of the file may have been joined: once more from the start.
                Err(_) if resumed => {
                    transfer.restart().await?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            },
            Err(error) => error,
        };
        failures += 1;
        if transfer.sink.length() >= furthest + PROGRESS {
            furthest = transfer.sink.length();
            failures = 1;
        }
        let at = transfer.sink.length();
        tracing::debug!(url = %Redacted(&item.url), failures, at, %error, "download failed");
        if !retry.pause(failures, S::retry(&error)).await {
            return Err(error);
        }
    }
}

/// One download, over all its attempts.
struct Transfer<'a, S> {
    source: &'a S,
    retry: &'a RetryPolicy,
    item: &'a Download,
    sink: Sink<'a>,
    on_bytes: &'a (dyn Fn(u64) + Send + Sync),
    /// Which version of the file the sink holds the start of.
    version: Validators,
}

impl<S: Source> Transfer<'_, S> {
    async fn restart(&mut self) -> Result<(), FetchError> {
        self.version = Validators::default();
        self.sink.restart().await
    }

    /// One request, to the end of its body or to its failure; what came stays in the sink.
    async fn attempt(&mut self) -> Result<(), S::Error> {
        let have = self.sink.length();
        // Without a validator the rest might be another version's; only a digest would show.
        let resumable = self.version.for_range().is_some() || self.item.digest.is_some();
        if have > 0 && (!resumable || self.item.size == Some(have)) {
            self.restart().await?;
        }
        let mut response = self.source.get(self.range_headers()).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            self.restart().await?;
            response = self.source.get(HeaderMap::new()).await?;
        }
        let have = self.sink.length();
        let continued = have > 0
            && response.status() == StatusCode::PARTIAL_CONTENT
            && range_start(response.headers()) == Some(have);
        if !continued {
            self.restart().await?;
            if response.status() != StatusCode::OK {
                return Err(FetchError::status(&self.item.url, &response).into());
            }
            self.version = Validators::of(response.headers());
        }
        Ok(self.receive(response).await?)
    }

    fn range_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.sink.length() == 0 {
            return headers;
        }
        headers.insert(RANGE, header(&format!("bytes={}-", self.sink.length())));
        if let Some(version) = self.version.for_range() {
            headers.insert(IF_RANGE, header(version));
        }
        headers
    }

    async fn receive(&mut self, mut response: Response) -> Result<(), FetchError> {
        let Transfer { item, retry, sink, on_bytes, .. } = self;
        let announced = response.content_length().map(|rest| sink.length() + rest);
        if let (Some(expected), Some(actual)) = (item.size, announced)
            && expected != actual
        {
            return Err(size_mismatch(item, expected, actual));
        }
        loop {
            let chunk = match retry.timely(response.chunk()).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return sink.flush().await,
                Err(error) => {
                    sink.flush().await?;
                    return Err(FetchError::transport(&item.url, error));
                }
            };
            let length = sink.length() + chunk.len() as u64;
            if let Some(expected) = item.size
                && length > expected
            {
                return Err(size_mismatch(item, expected, length));
            }
            sink.push(&chunk).await?;
            on_bytes(length);
        }
    }
}

/// A header value out of what came as one, or out of digits.
fn header(text: &str) -> HeaderValue {
    text.parse().expect("valid header values are made of header values")
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
            return verify(item, sink);
        }
        sink.push(&block).await?;
        on_bytes(sink.length());
    }
}

fn verify(item: &Download, sink: &Sink<'_>) -> Result<(), FetchError> {
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

fn open(dest: &Path) -> Result<(Partial<'_>, Sink<'_>), FetchError> {
    let created = !dest.exists();
    let open = OpenOptions::new().write(true).create(true).truncate(true).open(dest);
    let file = open.map_err(|source| FetchError::Write { path: dest.into(), source })?;
    Ok((Partial { path: dest, created, complete: false }, Sink::new(file, dest)))
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

impl Partial<'_> {
    fn keep(mut self) {
        self.complete = true;
    }
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
