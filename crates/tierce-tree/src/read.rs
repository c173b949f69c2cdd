//! Reading one file whole.

use crate::error::ScanError;
use rustix::fs::{CWD, Mode, OFlags};
use std::io::{self, Read};
use std::path::Path;

/// Reads a regular file of at most `limit` bytes. What it is, is looked at when it is open, and
/// pipes are not waited for: a link may lead anywhere, and files without end are none.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, ScanError> {
    let at = || path.to_owned();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ScanError::NotFound { path: at() },
        _ => ScanError::Unreadable { path: at(), source },
    };
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, path, flags, Mode::empty());
    let file = std::fs::File::from(fd.map_err(|errno| unreadable(errno.into()))?);
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(ScanError::NotAFile { path: at() });
    }
    let mut content = vec![];
    // Its size may be a lie, as those of /proc are.
    file.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(unreadable)?;
    match u64::try_from(content.len()).is_ok_and(|read| read <= limit) {
        true => Ok(content),
        false => Err(ScanError::TooLarge { path: at(), limit }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_oci::Diagnostic;

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "12345678").unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("endless")).unwrap();
        std::os::unix::fs::symlink("file", at("link")).unwrap();
        rustix::fs::mknodat(CWD, at("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        for (name, expected) in [
            ("file", None),
            ("link", None),
            ("endless", Some("source/wrong-kind")),
            ("pipe", Some("source/wrong-kind")),
            (".", Some("source/wrong-kind")),
            ("none", Some("source/missing")),
        ] {
            let read = read_file(&at(name), 8);
            assert_eq!(read.err().map(|error| error.code()), expected, "{name}");
        }
        assert_eq!(read_file(&at("link"), 7).unwrap_err().code(), "source/too-large");
    }
}
