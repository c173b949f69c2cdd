//! Reading layers.

use crate::decompress::Source;
use crate::header::{self, Extensions, Header};
use crate::ustar::{self, BLOCK};
use crate::writer::read_some;
use crate::{Entry, FormatError, ReadError, pax};
use std::io::{self, Read};
use tierce_oci::{DiffId, Hasher};

/// Reads a layer from `R`, entry by entry: gzip with any number of members, zstd with any number
/// of frames, or plain tar. Archives that readers in the field understand differently are refused.
pub struct LayerReader<R: Read> {
    tar: Tar<R>,
    global: pax::Records,
    /// What is left of the current entry's content, and the padding behind it.
    content: u64,
    padding: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
    Failed,
}

impl<R: Read> LayerReader<R> {
    /// A reader of the layer that begins here. `input` needs no buffer.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let tar = Tar { source: Source::new(input)?, hasher: Hasher::new() };
        let (content, padding) = (0, 0);
        Ok(LayerReader {
            tar,
            global: pax::Records::new(),
            content,
            padding,
            state: State::Reading,
        })
    }

    /// The next entry and its content; `None` at the end of the layer. What was not read of the
    /// entry before is skipped.
    pub fn next_entry(&mut self) -> Result<Option<(Entry, EntryReader<'_, R>)>, ReadError> {
        match self.state {
            State::Reading => {}
            State::Ended => return Ok(None),
            State::Failed => return Err(ReadError::FailedBefore),
        }
        // Whatever goes wrong below leaves no position to go on from.
        self.state = State::Failed;
        self.skip_content()?;
        let entry = self.read_entry()?;
        self.state = if entry.is_some() { State::Reading } else { State::Ended };
        Ok(entry.map(|entry| (entry, EntryReader { layer: self })))
    }

    /// Reads to the end and gives the digest of the uncompressed tar.
    pub fn finish(mut self) -> Result<DiffId, ReadError> {
        while self.next_entry()?.is_some() {}
        Ok(DiffId(self.tar.hasher.finish()))
    }

    /// How many bytes of the uncompressed tar were read so far.
    pub fn position(&self) -> u64 {
        self.tar.hasher.length()
    }

    fn skip_content(&mut self) -> Result<(), ReadError> {
        let mut scratch = [0; 1 << 14];
        let mut left = self.content.saturating_add(self.padding as u64);
        let start = self.position();
        while left > 0 {
            let wanted = scratch.len().min(left.try_into().unwrap_or(usize::MAX));
            match self.tar.fill(&mut scratch[..wanted])? {
                read if read == wanted => left -= read as u64,
                _ => return Err(at(start, FormatError::Truncated)),
            }
        }
        (self.content, self.padding) = (0, 0);
        Ok(())
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let mut extensions = Extensions::default();
        loop {
            let offset = self.position();
            let malformed = |source| at(offset, source);
            let mut block = [0; BLOCK];
            if self.tar.fill(&mut block)? != BLOCK {
                return Err(malformed(FormatError::Truncated));
            }
            let Some(header) = header::parse(&block).map_err(malformed)? else {
                if !extensions.is_empty() {
                    return Err(malformed(FormatError::Truncated));
                }
                self.read_end()?;
                return Ok(None);
            };
            if !matches!(header.flag, b'x' | b'g' | b'L' | b'K') {
                let entry = header::entry(header, extensions, &self.global).map_err(malformed)?;
                self.content = entry.size();
                self.padding = ustar::padding(self.content);
                return Ok(Some(entry));
            }
            let body = self.read_extension(&header, offset)?;
            extend(&mut extensions, &mut self.global, header.flag, body).map_err(malformed)?;
        }
    }

    /// The content of an extended header.
    fn read_extension(&mut self, header: &Header, offset: u64) -> Result<Vec<u8>, ReadError> {
        let size = match usize::try_from(header.size) {
            Ok(size) if size <= pax::MAX_SIZE => size,
            _ => return Err(at(offset, FormatError::ExtensionTooLarge(header.size))),
        };
        let mut body = vec![0; size + ustar::padding(header.size)];
        if self.tar.fill(&mut body)? != body.len() {
            return Err(at(offset, FormatError::Truncated));
        }
        body.truncate(size);
        Ok(body)
    }

    /// After the first block of zeros: nothing but zeros may follow. Archives are padded to
    /// records of 20 blocks, or more.
    fn read_end(&mut self) -> Result<(), ReadError> {
        let mut scratch = [0; 1 << 14];
        loop {
            let offset = self.position();
            let read = self.tar.fill(&mut scratch)?;
            if scratch[..read].iter().any(|&b| b != 0) {
                return Err(at(offset, FormatError::TrailingData));
            }
            if read < scratch.len() {
                return match self.tar.source.has_more_input()? {
                    true => Err(at(offset, FormatError::TrailingData)),
                    false => Ok(()),
                };
            }
        }
    }
}

/// Takes in an extended header.
fn extend(
    extensions: &mut Extensions,
    global: &mut pax::Records,
    flag: u8,
    body: Vec<u8>,
) -> Result<(), FormatError> {
    // Which of two headers counts differs from reader to reader.
    let once = |slot: bool, what| if slot { Err(FormatError::Ambiguous(what)) } else { Ok(()) };
    match flag {
        b'x' => {
            once(extensions.local.is_some(), "extended header")?;
            extensions.local = Some(pax::decode(&body)?);
        }
        b'g' => {
            once(!extensions.is_empty(), "extended header")?;
            let records = pax::decode(&body)?;
            header::check_global(&records)?;
            // Few are known, so what hostile archives can pile up here is bounded.
            let known = ["mtime", "uid", "gid"];
            global.extend(records.into_iter().filter(|(key, _)| known.contains(&key.as_str())));
        }
        b'L' => {
            once(extensions.long_name.is_some(), "path")?;
            extensions.long_name = Some(long_name(body)?);
        }
        _ => {
            once(extensions.long_link.is_some(), "link target")?;
            extensions.long_link = Some(long_name(body)?);
        }
    }
    Ok(())
}

/// GNU ends long names with NUL.
fn long_name(mut body: Vec<u8>) -> Result<Vec<u8>, FormatError> {
    while body.last() == Some(&0) {
        body.pop();
    }
    match body.is_empty() {
        true => Err(FormatError::Path(crate::PathError::Empty)),
        false => Ok(body),
    }
}

fn at(offset: u64, source: FormatError) -> ReadError {
    ReadError::Format { offset, source }
}

/// The uncompressed archive.
struct Tar<R: Read> {
    source: Source<R>,
    hasher: Hasher,
}

impl<R: Read> Tar<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = read_some(&mut self.source, buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }

    /// Fills the buffer, or as much of it as there is left in the archive.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }
}

/// The content of one entry: exactly as many bytes as its size says, or an error.
pub struct EntryReader<'a, R: Read> {
    layer: &'a mut LayerReader<R>,
}

impl<R: Read> Read for EntryReader<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.layer.content).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        match self.layer.tar.read(&mut buffer[..wanted]) {
            Ok(0) => {
                self.layer.state = State::Failed;
                let error = at(self.layer.position(), FormatError::Truncated);
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, error))
            }
            Ok(read) => {
                self.layer.content -= read as u64;
                Ok(read)
            }
            Err(error) => {
                self.layer.state = State::Failed;
                Err(error)
            }
        }
    }
}
