//! What a process alone may see. Values travel to the helper in a file in memory of their own, so
//! that they are in no text that is parsed, copied or shown on the way.

use crate::{Errno, Process};
use rustix::fs::{MemfdFlags, SealFlags};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::OwnedFd;
use zeroize::Zeroizing;

/// A file that a process alone may read, in memory that is never swapped out where the kernel has
/// such (ramfs). It belongs to the process's user and has mode 0400; mounted read-only, it leaves
/// nothing behind in the layer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretFile {
    /// Where it is seen. Resolved inside the root file system, and made where it is missing, as
    /// for [`crate::Mount`].
    pub target: String,
    #[serde(skip)]
    content: Zeroizing<Vec<u8>>,
}

impl SecretFile {
    /// A file with `content` at `target`.
    pub fn new(target: impl Into<String>, content: &[u8]) -> Self {
        SecretFile { target: target.into(), content: Zeroizing::new(content.to_vec()) }
    }

    pub(crate) fn content(&self) -> &[u8] {
        &self.content
    }
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({:?})", self.target)
    }
}

/// A variable that a process alone sees, and whoever may read its `/proc/PID/environ`: the user
/// that it runs as, and root.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretVariable {
    /// Its name.
    pub name: String,
    #[serde(skip)]
    value: Zeroizing<Vec<u8>>,
}

impl SecretVariable {
    /// The variable `name` with `value`, which need not be UTF-8.
    pub fn new(name: impl Into<String>, value: &[u8]) -> Self {
        SecretVariable { name: name.into(), value: Zeroizing::new(value.to_vec()) }
    }

    /// `NAME=value`, as execve(2) takes it.
    pub(crate) fn assignment(&self) -> Result<CString, Errno> {
        let assignment = [self.name.as_bytes(), b"=", &self.value].concat();
        CString::new(assignment).map_err(|_| Errno(libc::EINVAL))
    }
}

impl fmt::Debug for SecretVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretVariable({:?})", self.name)
    }
}

/// How long all values of a process are, and a file in memory with them, if there are any.
pub(crate) fn pack(process: &Process) -> io::Result<(Vec<usize>, Option<OwnedFd>)> {
    if !process.has_secrets() {
        return Ok((Vec::new(), None));
    }
    let files = process.secret_files.iter().map(|file| &file.content);
    let values: Vec<_> = files.chain(process.secret_env.iter().map(|v| &v.value)).collect();
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("tierce-secrets", flags)?);
    for value in &values {
        file.write_all(value)?;
    }
    file.rewind()?;
    let seals = SealFlags::SEAL | SealFlags::GROW | SealFlags::SHRINK;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok((values.iter().map(|value| value.len()).collect(), Some(file.into())))
}

/// Puts the values back, and erases them where they came from.
pub(crate) fn unpack(process: &mut Process, lengths: &[usize], values: OwnedFd) -> io::Result<()> {
    let mut file = File::from(values);
    let files = process.secret_files.iter_mut().map(|file| &mut file.content);
    let slots: Vec<_> = files.chain(process.secret_env.iter_mut().map(|v| &mut v.value)).collect();
    if slots.len() != lengths.len() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    for (slot, length) in slots.into_iter().zip(lengths) {
        let mut value = Zeroizing::new(vec![0; *length]);
        file.read_exact(&mut value)?;
        *slot = value;
    }
    let length = file.stream_position()?;
    file.rewind()?;
    io::copy(&mut io::repeat(0).take(length), &mut file)?;
    Ok(())
}
