//! The `ar` container of a `.deb` (`deb(5)`), read front to back.

use std::io::{self, Read};

const MAGIC: &[u8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Why some bytes are not an `ar` archive.
#[derive(Debug, thiserror::Error)]
pub enum ArError {
    /// Reading failed.
    #[error("cannot read the archive")]
    Io(#[source] io::Error),
    /// The bytes are not as they must be.
    #[error("not a well-formed ar archive: {0}")]
    Malformed(&'static str),
}

/// Reads the members of an archive one after the other.
pub(crate) struct Archive<R> {
    input: R,
    /// Whether a filler byte stands before the next header.
    odd: bool,
}

/// A member's header.
pub(crate) struct Member {
    pub name: String,
    pub size: u64,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(mut input: R) -> Result<Self, ArError> {
        let mut magic = [0; MAGIC.len()];
        match fill(&mut input, &mut magic)? {
            8 if magic == MAGIC => Ok(Archive { input, odd: false }),
            _ => Err(ArError::Malformed("it does not begin with the magic number")),
        }
    }

    /// The next member, whose content must be read to its end before the next call.
    pub(crate) fn next(&mut self) -> Result<Option<(Member, io::Take<&mut R>)>, ArError> {
        if std::mem::take(&mut self.odd) {
            let mut filler = [0];
            // The last member's filler is left out by some writers.
            if fill(&mut self.input, &mut filler)? == 0 {
                return Ok(None);
            }
            if filler != *b"\n" {
                return Err(ArError::Malformed("a member has no filler byte"));
            }
        }
        let mut header = [0; HEADER];
        match fill(&mut self.input, &mut header)? {
            0 => return Ok(None),
            HEADER => {}
            _ => return Err(ArError::Malformed("it is cut short")),
        }
        if &header[58..] != b"`\n" {
            return Err(ArError::Malformed("a header has no end mark"));
        }
        let text = |range: std::ops::Range<usize>| {
            let text = std::str::from_utf8(&header[range]).map(|t| t.trim_end_matches(' '));
            text.map_err(|_| ArError::Malformed("a header is not text"))
        };
        let name = text(0..16)?;
        let size = text(48..58)?;
        if size.is_empty() || !size.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ArError::Malformed("a size is not a number"));
        }
        let size = size.parse().map_err(|_| ArError::Malformed("a size is too large"))?;
        self.odd = size % 2 == 1;
        // GNU ar ends names with a slash.
        let name = name.strip_suffix('/').unwrap_or(name).to_owned();
        Ok(Some((Member { name, size }, (&mut self.input).take(size))))
    }
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ArError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ArError::Io(error)),
        }
    }
    Ok(filled)
}
