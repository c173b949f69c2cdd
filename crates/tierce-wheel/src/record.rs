//! `RECORD` files ("Recording installed projects", "Binary distribution format").

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use std::fmt;
use std::io::{self, Read};

/// One row of a RECORD.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordRow {
    /// The path, relative to the directory that holds the `.dist-info` directory.
    pub path: String,
    /// The content's hash; the RECORD itself and its signatures have none.
    pub hash: Option<RecordHash>,
    /// The content's size.
    pub size: Option<u64>,
}

/// A hash as RECORD spells it: `sha256=<urlsafe base64 without padding>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordHash {
    algorithm: HashAlgorithm,
    encoded: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

impl HashAlgorithm {
    fn name(self) -> &'static str {
        match self {
            HashAlgorithm::Sha256 => "sha256",
            HashAlgorithm::Sha384 => "sha384",
            HashAlgorithm::Sha512 => "sha512",
        }
    }
}

impl RecordHash {
    /// The SHA-256 of `content`.
    pub fn sha256(content: &[u8]) -> Self {
        Self::encode(HashAlgorithm::Sha256, &Sha256::digest(content))
    }

    fn encode(algorithm: HashAlgorithm, hash: &[u8]) -> Self {
        RecordHash { algorithm, encoded: URL_SAFE_NO_PAD.encode(hash) }
    }

    /// The hash of everything that `content` yields, by the same algorithm, and its length.
    pub fn of_same_kind(&self, content: impl Read) -> io::Result<(Self, u64)> {
        match self.algorithm {
            HashAlgorithm::Sha256 => Self::stream::<Sha256>(self.algorithm, content),
            HashAlgorithm::Sha384 => Self::stream::<Sha384>(self.algorithm, content),
            HashAlgorithm::Sha512 => Self::stream::<Sha512>(self.algorithm, content),
        }
    }

    fn stream<H: sha2::Digest>(
        algorithm: HashAlgorithm,
        mut content: impl Read,
    ) -> io::Result<(Self, u64)> {
        let mut hasher = H::new();
        let mut length = 0;
        let mut buffer = vec![0; 128 << 10];
        loop {
            match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    length += read as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok((Self::encode(algorithm, &hasher.finalize()), length))
    }

    fn parse(text: &str) -> Result<Self, RecordError> {
        let weak = || RecordError::Hash(text.to_owned());
        let (name, encoded) = text.split_once('=').ok_or_else(weak)?;
        let (algorithm, length) = match name {
            "sha256" => (HashAlgorithm::Sha256, 32),
            "sha384" => (HashAlgorithm::Sha384, 48),
            "sha512" => (HashAlgorithm::Sha512, 64),
            _ => return Err(weak()),
        };
        // Some builders pad; the value is what counts.
        let encoded = encoded.trim_end_matches('=').to_owned();
        match URL_SAFE_NO_PAD.decode(&encoded) {
            Ok(bytes) if bytes.len() == length => Ok(RecordHash { algorithm, encoded }),
            _ => Err(weak()),
        }
    }
}

impl fmt::Display for RecordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.algorithm.name(), self.encoded)
    }
}

/// Why a RECORD can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The file is not CSV.
    #[error("line {line} is not valid csv")]
    Csv {
        /// Counted from 1.
        line: usize,
    },
    /// A row has not three fields.
    #[error("line {line} has {fields} fields instead of 3")]
    Fields {
        /// Counted from 1.
        line: usize,
        /// How many it has.
        fields: usize,
    },
    /// The hash is malformed, or weaker than SHA-256.
    #[error("{0:?} is not a sha256, sha384 or sha512 hash")]
    Hash(String),
    /// The size is no number.
    #[error("{0:?} is not a size")]
    Size(String),
}

/// Parses a RECORD.
pub fn parse(text: &str) -> Result<Vec<RecordRow>, RecordError> {
    let mut rows = Vec::new();
    for (line, fields) in csv_rows(text)? {
        let [path, hash, size] = <[String; 3]>::try_from(fields)
            .map_err(|fields| RecordError::Fields { line, fields: fields.len() })?;
        let hash = (!hash.is_empty()).then(|| RecordHash::parse(&hash)).transpose()?;
        let size = match size.as_str() {
            "" => None,
            digits => Some(digits.parse().map_err(|_| RecordError::Size(digits.to_owned()))?),
        };
        rows.push(RecordRow { path, hash, size });
    }
    Ok(rows)
}

/// Writes a RECORD, rows sorted by path, in the dialect of Python's `csv` with `\n` line ends.
pub fn format(rows: &[RecordRow]) -> String {
    let mut sorted: Vec<&RecordRow> = rows.iter().collect();
    sorted.sort();
    let mut text = String::new();
    for row in sorted {
        text.push_str(&quote(&row.path));
        text.push(',');
        if let Some(hash) = &row.hash {
            text.push_str(&hash.to_string());
        }
        text.push(',');
        if let Some(size) = row.size {
            text.push_str(&size.to_string());
        }
        text.push('\n');
    }
    text
}

fn quote(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

/// The non-empty rows of a CSV text with the line each begins on.
fn csv_rows(text: &str) -> Result<Vec<(usize, Vec<String>)>, RecordError> {
    let mut rows = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let start = line;
        let mut fields = Vec::new();
        loop {
            let mut field = String::new();
            if chars.peek() == Some(&'"') {
                chars.next();
                loop {
                    match chars.next() {
                        Some('"') if chars.peek() == Some(&'"') => {
                            chars.next();
                            field.push('"');
                        }
                        Some('"') => break,
                        Some(c) => {
                            line += usize::from(c == '\n');
                            field.push(c);
                        }
                        None => return Err(RecordError::Csv { line: start }),
                    }
                }
                if !matches!(chars.peek(), None | Some(',' | '\n' | '\r')) {
                    return Err(RecordError::Csv { line: start });
                }
            } else {
                while let Some(c) = chars.next_if(|c| !matches!(c, ',' | '\n' | '\r')) {
                    field.push(c);
                }
            }
            fields.push(field);
            if chars.next_if_eq(&',').is_none() {
                break;
            }
        }
        chars.next_if_eq(&'\r');
        if chars.peek().is_some() && chars.next_if_eq(&'\n').is_none() {
            return Err(RecordError::Csv { line: start });
        }
        line += 1;
        if fields.len() > 1 || !fields[0].is_empty() {
            rows.push((start, fields));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rows_are_read_as_python_writes_them() {
        let empty = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        let text = format!("a.py,{empty},0\r\n\"x,\"\"y\"\".py\",{empty}=,\n\nd/RECORD,,\n");
        let rows = parse(&text).unwrap();
        let paths: Vec<_> = rows.iter().map(|r| r.path.as_str()).collect();
        assert_eq!(paths, ["a.py", "x,\"y\".py", "d/RECORD"]);
        assert_eq!(rows[0].hash, Some(RecordHash::sha256(b"")));
        assert_eq!(rows[1].hash, rows[0].hash);
        assert_eq!(rows[2].hash, None);
    }

    #[test]
    fn weak_and_malformed_rows_are_refused() {
        for bad in [
            "a,md5=1B2M2Y8AsgTpgAmY7PhCfg,0",
            "a,sha1=2jmj7l5rSw0yVb_vlWAYkK_YBwk,0",
            "a,sha256=zz,0",
            "a,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,x",
            "a,b",
            "a,,,",
            "\"a,,",
            "\"a\"b,,",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(paths in proptest::collection::btree_set("[ -~]{1,20}", 0..20)) {
            let rows: Vec<_> = paths
                .into_iter()
                .map(|path| RecordRow { hash: Some(RecordHash::sha256(path.as_bytes())), size: Some(7), path })
                .collect();
            prop_assert_eq!(parse(&format(&rows)).unwrap(), rows);
        }
    }
}
