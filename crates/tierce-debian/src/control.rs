//! Control data: the paragraphs of fields that Release, Packages, `control` and `status` are
//! made of (Debian policy section 5.1; `deb822(5)`).

use std::fmt::Write as _;
use std::io::{self, BufRead};
use std::ops::Range;

/// No paragraph of an archive comes near this; a file without an empty line must not fill memory.
const MAX_PARAGRAPH: usize = 16 << 20;

/// One paragraph: fields in the order in which they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paragraph {
    text: String,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

/// Why some text is not control data.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Reading failed.
    #[error("cannot read control data")]
    Io(#[source] io::Error),
    /// A line breaks the syntax.
    #[error("line {line} of the control data {reason}")]
    Syntax {
        /// The line's number, from 1, within what was read.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There are no paragraphs, or more than one, where there must be one.
    #[error("expected one paragraph of control data, found {0}")]
    Count(usize),
    /// A field that must be there is not.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field's value is not what it must be.
    #[error("field {field} has the malformed value {value:?}")]
    Malformed {
        /// The field's name.
        field: &'static str,
        /// The value.
        value: String,
    },
}

impl Paragraph {
    /// Parses text that holds exactly one paragraph.
    pub fn parse_one(text: &str) -> Result<Self, ControlError> {
        let mut paragraphs = Paragraphs::new(text.as_bytes());
        let first = paragraphs.next().transpose()?.ok_or(ControlError::Count(0))?;
        match paragraphs.count() {
            0 => Ok(first),
            more => Err(ControlError::Count(1 + more)),
        }
    }

    /// The value of a field, its name compared without regard to case: the first line trimmed,
    /// continuation lines following as they were written, each with its leading white space.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of a field that must be there.
    pub fn require(&self, name: &'static str) -> Result<&str, ControlError> {
        self.get(name).ok_or(ControlError::Missing(name))
    }

    /// The value of a field that must be there, parsed.
    pub fn parse<T: std::str::FromStr>(&self, name: &'static str) -> Result<T, ControlError> {
        let value = self.require(name)?;
        value.parse().map_err(|_| ControlError::Malformed { field: name, value: value.to_owned() })
    }

    /// All fields with their values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, value)| (&self.text[name.clone()], &self.text[value.clone()]))
    }
}

/// Appends `name: value` to control data; further lines of the value must begin with white space.
pub(crate) fn push_field(out: &mut String, name: &str, value: &str) {
    let separator = if value.is_empty() || value.starts_with('\n') { "" } else { " " };
    let _ = writeln!(out, "{name}:{separator}{value}");
}

/// Reads paragraphs one after the other.
pub struct Paragraphs<R> {
    input: R,
    line: usize,
    failed: bool,
}

impl<R: BufRead> Paragraphs<R> {
    /// Reads control data from `input`.
    pub fn new(input: R) -> Self {
        Paragraphs { input, line: 0, failed: false }
    }

    fn read(&mut self) -> Result<Option<Paragraph>, ControlError> {
        let mut builder = Builder::default();
        let mut line = Vec::new();
        loop {
            line.clear();
            // One byte more than allowed, so that a longer line shows.
            let limit = (MAX_PARAGRAPH - builder.text.len() + 1) as u64;
            let read = io::Read::take(&mut self.input, limit)
                .read_until(b'\n', &mut line)
                .map_err(ControlError::Io)?;
            if read == 0 {
                break;
            }
            self.line += 1;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            let syntax = |reason| ControlError::Syntax { line: self.line, reason };
            if builder.text.len() + line.len() >= MAX_PARAGRAPH {
                return Err(syntax("makes the paragraph too long"));
            }
            if line.is_empty() {
                if builder.fields.is_empty() {
                    continue;
                }
                break;
            }
            let text = std::str::from_utf8(&line).map_err(|_| syntax("is not UTF-8"))?;
            builder.add(text).map_err(syntax)?;
        }
        Ok(builder.finish())
    }
}

impl<R: BufRead> Iterator for Paragraphs<R> {
    type Item = Result<Paragraph, ControlError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let result = self.read().transpose();
        self.failed = matches!(result, Some(Err(_)));
        result
    }
}

#[derive(Default)]
struct Builder {
    text: String,
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Builder {
    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        // A parser that takes CRLF where another does not sees other fields than it.
        if line.contains(['\r', '\0']) {
            return Err("has a carriage return or NUL");
        }
        if line.starts_with([' ', '\t']) {
            return self.add_continuation(line);
        }
        let (name, value) = line.split_once(':').ok_or("has no colon")?;
        if !is_field_name(name) {
            return Err("has a malformed field name");
        }
        if self.fields.iter().any(|(f, _)| self.text[f.clone()].eq_ignore_ascii_case(name)) {
            return Err("repeats a field");
        }
        let start = self.text.len();
        self.text.push_str(name);
        let value_start = self.text.len();
        self.text.push_str(value.trim_matches([' ', '\t']));
        self.fields.push((start..value_start, value_start..self.text.len()));
        Ok(())
    }

    fn add_continuation(&mut self, line: &str) -> Result<(), &'static str> {
        if line.trim_matches([' ', '\t']).is_empty() {
            return Err("is of white space only");
        }
        let (_, value) = self.fields.last_mut().ok_or("continues no field")?;
        self.text.push('\n');
        self.text.push_str(line.trim_end_matches([' ', '\t']));
        value.end = self.text.len();
        Ok(())
    }

    fn finish(self) -> Option<Paragraph> {
        (!self.fields.is_empty()).then_some(Paragraph { text: self.text, fields: self.fields })
    }
}

/// Policy 5.1: US-ASCII, no control characters, space or colon, not beginning with `#` or `-`.
fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['#', '-'])
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
}
