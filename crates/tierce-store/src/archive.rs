//! Deterministic tar archives of blobs and documents.

use crate::error::{Action, FileError};
use crate::export::{self, ExportError, Input};
use crate::file::Replacement;
use crate::verify::Verifying;
use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use tierce_layer::{Compression, Entry, LayerPath, LayerWriter, WriteError};
use tierce_oci::{Blob, DiffId};

/// What an archive holds at a path.
pub(crate) enum Content<'a> {
    /// A directory.
    Directory,
    /// A file of these bytes.
    Bytes(Vec<u8>),
    /// A file of this blob's bytes.
    Blob(&'a Blob),
    /// A file of what this zstd blob is when it is decompressed: a tar of that digest.
    Zstd(&'a Blob, DiffId),
}

/// Writes the archive, sorted by path, as a file that is there only when it is whole. Pipes and
/// devices are written to as they are: replacing `/dev/stdout` would be no favour.
pub(crate) fn write(path: &Path, members: Vec<(String, Content<'_>)>) -> Result<(), ExportError> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => {
            let error = io::ErrorKind::IsADirectory.into();
            Err(FileError::on(Action::Write, path)(error).into())
        }
        Ok(there) if !there.is_file() => {
            let file = OpenOptions::new().write(true).open(path);
            write_to(file.map_err(FileError::on(Action::Write, path))?, path, members)
        }
        there => {
            // A link keeps pointing to the file that is replaced.
            let target = there.and_then(|_| path.canonicalize());
            let mut file = Replacement::of(target.as_deref().unwrap_or(path))?;
            write_to(file.file(), path, members)?;
            Ok(file.finish()?)
        }
    }
}

/// Writes the archive, sorted by path. `name` is what an error calls it.
pub(crate) fn write_to<W: Write>(
    out: W,
    name: &Path,
    mut members: Vec<(String, Content<'_>)>,
) -> Result<(), ExportError> {
    members.sort_by(|a, b| a.0.cmp(&b.0));
    let mut tar = LayerWriter::new(out, Compression::None);
    for (path, content) in members {
        let failed = |error| failed(name, &content, error);
        let path = LayerPath::new(&path).expect("the names in an archive are made here");
        match &content {
            Content::Directory => tar.append(&Entry::directory(path), io::empty()),
            Content::Bytes(bytes) => tar.append(&Entry::file(path, bytes.len() as u64), &bytes[..]),
            Content::Blob(blob) => {
                let entry = Entry::file(path, blob.descriptor.size);
                tar.append(&entry, export::open(blob)?)
            }
            Content::Zstd(blob, diff_id) => {
                // Once for the length, which has to be known before the content.
                let read_failed = |error| export::read_failed(blob, error);
                let size = io::copy(&mut decoder(blob)?, &mut io::sink()).map_err(read_failed)?;
                let tarball = Verifying::new(decoder(blob)?, diff_id.0, size);
                tar.append(&Entry::file(path, size), tarball)
            }
        }
        .map_err(failed)?;
    }
    let written = tar.finish().map_err(|source| archive_error(name, source))?;
    let (mut out, _) = written;
    out.flush().map_err(|e| FileError::on(Action::Write, name)(e).into())
}

fn decoder(blob: &Blob) -> Result<impl Read + '_, ExportError> {
    let input: Verifying<Input<'_>> = export::open(blob)?;
    zstd::Decoder::new(input).map_err(|error| export::read_failed(blob, error))
}

/// What the failure to write a member means: a failing disk, or a blob that is not what it should
/// be.
fn failed(name: &Path, content: &Content<'_>, error: WriteError) -> ExportError {
    match (content, error) {
        (Content::Blob(blob) | Content::Zstd(blob, _), WriteError::Input { source, .. }) => {
            // Also where the decompressed tar is not that of the diff id.
            export::read_failed(blob, source)
        }
        (_, source) => archive_error(name, source),
    }
}

fn archive_error(name: &Path, source: WriteError) -> ExportError {
    match source {
        // The writer knows no path, but a full disk should be called that.
        WriteError::Output(source) => FileError::on(Action::Write, name)(source).into(),
        source => ExportError::Archive { path: name.to_owned(), source },
    }
}
