//! A reader that knows what it should read.

use std::io::{self, Read};
use tierce_oci::{Digest, Hasher};

/// Passes bytes on and verifies them. The last ones are handed out only after all were found to
/// be right; otherwise comes an error of kind `InvalidData` with [`Damaged`] within.
pub(crate) struct Verifying<R> {
    inner: R,
    expected: Digest,
    size: u64,
    /// `None` once the end was verified.
    hasher: Option<Hasher>,
}

/// The bytes were not those of the digest.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("content is not that of {0}")]
pub(crate) struct Damaged(pub(crate) Digest);

impl<R: Read> Verifying<R> {
    /// A reader of the `size` bytes with digest `expected`.
    pub(crate) fn new(inner: R, expected: Digest, size: u64) -> Self {
        Verifying { inner, expected, size, hasher: Some(Hasher::new()) }
    }

    pub(crate) fn get_ref(&self) -> &R {
        &self.inner
    }

    pub(crate) fn expected(&self) -> &Digest {
        &self.expected
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads all of it. There must not be more than the caller wants in memory.
    pub(crate) fn into_bytes(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(self.size as usize);
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl<R: Read> Read for Verifying<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(hasher) = &mut self.hasher else { return Ok(0) };
        let left = self.size.saturating_sub(hasher.length());
        let wanted = buffer.len().min(left.try_into().unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..wanted])?;
        hasher.update(&buffer[..read]);
        if read > 0 && hasher.length() < self.size {
            return Ok(read);
        }
        // The length was reached, or the input has ended before it. What follows is not read:
        // who cares compares lengths beforehand.
        let length = hasher.length();
        match self.hasher.take().map(Hasher::finish) {
            Some(actual) if actual == self.expected && length == self.size => Ok(read),
            _ => {
                buffer[..read].fill(0);
                Err(io::Error::new(io::ErrorKind::InvalidData, Damaged(self.expected)))
            }
        }
    }
}

/// Whether the error, or one below it, is [`Damaged`].
pub(crate) fn damaged(error: &io::Error) -> Option<Digest> {
    error.get_ref()?.downcast_ref::<Damaged>().map(|d| d.0)
}
