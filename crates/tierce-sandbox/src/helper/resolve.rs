//! Paths inside the root file system, while it is being put together.

use crate::Errno;
use crate::helper::files;
use crate::helper::layers::Attributes;
use crate::helper::overlay::Stub;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// As many links as the kernel follows in a path (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Opens a path inside the root as the kernel would after a chroot, but for magic links.
pub(crate) fn open(root: &OwnedFd, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.is_empty() { "/" } else { path };
    let flags = flags | OFlags::CLOEXEC;
    // The kernel gives up with EAGAIN when something is renamed in the meantime.
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            result => return Ok(result?),
        }
    }
}

/// What is missing for `path` to be there; `None` if it is there. Links are followed, those that
/// lead nowhere too: what they point to is what is missing.
pub(crate) fn missing(root: &OwnedFd, path: &str, directory: bool) -> Result<Option<Stub>, Errno> {
    let mut left: VecDeque<Vec<u8>> = components(path.as_bytes()).collect();
    let mut walked: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == b".." {
            walked.pop();
            continue;
        }
        let here = descend(root, &walked)?;
        match files::stat(&here, &name)? {
            None => {
                let mut missing = vec![name];
                missing.extend(left);
                // The kernel would refuse `..` below something that isn't there.
                if missing.iter().any(|name| name == b"..") {
                    return Err(Errno(libc::ENOENT));
                }
                return Ok(Some(Stub { existing: existing(root, &walked)?, missing, directory }));
            }
            Some(stat) if files::kind(&stat) == FileType::Symlink => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno(libc::ELOOP));
                }
                let target = rustix::fs::readlinkat(&here, name.as_slice(), Vec::new())?;
                let target = target.to_bytes();
                if target.starts_with(b"/") {
                    walked.clear();
                }
                for name in components(target).rev() {
                    left.push_front(name);
                }
            }
            Some(stat) if files::kind(&stat) == FileType::Directory => walked.push(name),
            Some(_) if left.is_empty() => return Ok(None),
            Some(_) => return Err(Errno(libc::ENOTDIR)),
        }
    }
    Ok(None)
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> + '_ {
    path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".").map(<[u8]>::to_vec)
}

fn descend(root: &OwnedFd, walked: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
    let mut current = root.try_clone()?;
    for name in walked {
        current = files::open_directory(&current, name)?;
    }
    Ok(current)
}

/// The directories on the way, described as the merged file system shows them.
fn existing(root: &OwnedFd, walked: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Attributes)>, Errno> {
    let mut current = root.try_clone()?;
    let mut path = Vec::new();
    let mut found = Vec::new();
    for name in walked {
        current = files::open_directory(&current, name)?;
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        found.push((path.clone(), Attributes::of(&current)?));
    }
    Ok(found)
}
