//! Little-endian fields out of a byte slice.

use super::ZipError;

pub(super) struct Fields<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Fields { bytes, what }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], ZipError> {
        let (taken, rest) =
            self.bytes.split_at_checked(length).ok_or(ZipError::Malformed(self.what))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ZipError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| ZipError::Malformed(self.what))
    }

    pub(super) fn u16(&mut self) -> Result<u16, ZipError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, ZipError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, ZipError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}
