//! The prefix that a package was built for, replaced by the environment's: as conda does it.

use crate::error::PackageProblem;
use crate::info::{Placeholder, PrefixMode};

/// The longest first line that every Linux kernel reads whole.
pub(crate) const MAX_SHEBANG: usize = 127;

/// The encodings that conda looks for, as the width of a unit and the place of an ASCII
/// character's byte in it: UTF-8, UTF-16 and UTF-32, both ways around.
const ENCODINGS: [(usize, usize); 5] = [(1, 0), (2, 0), (2, 1), (4, 0), (4, 3)];

/// `data` with every occurrence of the placeholder replaced by `prefix`.
pub(crate) fn replace(
    path: &str,
    data: &[u8],
    placeholder: &Placeholder,
    prefix: &str,
) -> Result<Vec<u8>, PackageProblem> {
    // UTF-16 of other than ASCII would need a real encoder; no package is built below such a path.
    let encodings = match placeholder.prefix.is_ascii() && prefix.is_ascii() {
        true => &ENCODINGS[..],
        false => &ENCODINGS[..1],
    };
    let mut out: Option<Vec<u8>> = None;
    for &(width, at) in encodings {
        let old = encode(&placeholder.prefix, width, at);
        let current = out.as_deref().unwrap_or(data);
        if find(current, &old, 0).is_none() {
            continue;
        }
        let new = encode(prefix, width, at);
        out = Some(match placeholder.mode {
            PrefixMode::Text => replace_all(current, &old, &new),
            PrefixMode::Binary => {
                if new.len() > old.len() {
                    return Err(PackageProblem::PrefixTooLong {
                        path: path.to_owned(),
                        place: placeholder.prefix.len(),
                        wanted: prefix.len(),
                    });
                }
                replace_strings(current, &old, &new, width)
            }
        });
    }
    let out = out.unwrap_or_else(|| data.to_vec());
    Ok(match placeholder.mode {
        PrefixMode::Text => short_shebang(out),
        PrefixMode::Binary => out,
    })
}

fn encode(text: &str, width: usize, at: usize) -> Vec<u8> {
    if width == 1 {
        return text.as_bytes().to_vec();
    }
    let mut out = vec![0; text.len() * width];
    for (i, byte) in text.bytes().enumerate() {
        out[i * width + at] = byte;
    }
    out
}

fn find(data: &[u8], what: &[u8], from: usize) -> Option<usize> {
    memchr::memmem::find(&data[from..], what).map(|at| from + at)
}

fn replace_all(data: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut done = 0;
    for at in memchr::memmem::find_iter(data, old) {
        out.extend_from_slice(&data[done..at]);
        out.extend_from_slice(new);
        done = at + old.len();
    }
    out.extend_from_slice(&data[done..]);
    out
}

/// Each string that has the old prefix gets the new one, and NULs behind it that make up for the
/// length: what follows stays where it was. A string without an end is left alone.
fn replace_strings(data: &[u8], old: &[u8], new: &[u8], width: usize) -> Vec<u8> {
    let zero = &[0; 4][..width];
    let mut out = Vec::with_capacity(data.len());
    let mut done = 0;
    while let Some(at) = find(data, old, done) {
        let Some(end) = find(data, zero, at + old.len()) else { break };
        out.extend_from_slice(&data[done..at]);
        let replaced = replace_all(&data[at..end], old, new);
        out.extend_from_slice(&replaced);
        out.resize(out.len() + (end - at - replaced.len()), 0);
        done = end;
    }
    out.extend_from_slice(&data[done..]);
    out
}

/// A first line that is too long for the kernel names its program alone, to be found in PATH.
fn short_shebang(data: Vec<u8>) -> Vec<u8> {
    if !data.starts_with(b"#!") {
        return data;
    }
    let end = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let line = data[..end].strip_suffix(b"\r").unwrap_or(&data[..end]);
    if line.len() <= MAX_SHEBANG {
        return data;
    }
    let command = line[2..].trim_ascii_start();
    let cut = command.iter().position(|b| b.is_ascii_whitespace()).unwrap_or(command.len());
    let (program, options) = command.split_at(cut);
    if !program.starts_with(b"/") {
        return data;
    }
    let name = program.rsplit(|b| *b == b'/').next().unwrap_or(program);
    [b"#!/usr/bin/env ", name, options, &data[line.len()..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(mode: PrefixMode, data: &[u8], old: &str, new: &str) -> Vec<u8> {
        replace("f", data, &Placeholder { prefix: old.to_owned(), mode }, new).unwrap()
    }

    #[test]
    fn text_changes_its_length() {
        let out =
            replaced(PrefixMode::Text, b"#!/long/one/bin/x\na /long/one b", "/long/one", "/p");
        assert_eq!(out, b"#!/p/bin/x\na /p b");
        assert_eq!(replaced(PrefixMode::Text, b"none", "/long", "/p"), b"none");
    }

    #[test]
    fn strings_keep_their_length() {
        let data = b"\x7fELF/long/lib:/long/bin\0next\0/long\0/long without end";
        let out = replaced(PrefixMode::Binary, data, "/long", "/p");
        assert_eq!(
            out,
            b"\x7fELF/p/lib:/p/bin\0\0\0\0\0\0\0next\0/p\0\0\0\0/long without end".as_slice()
        );
        assert_eq!(out.len(), data.len());
        let wide = encode("x/long/y\0z", 2, 0);
        assert_eq!(
            replaced(PrefixMode::Binary, &wide, "/long", "/p"),
            encode("x/p/y\0\0\0\0z", 2, 0)
        );
    }

    #[test]
    fn a_prefix_must_fit_into_strings() {
        let placeholder = Placeholder { prefix: "/a".to_owned(), mode: PrefixMode::Binary };
        let error = replace("f", b"/a\0", &placeholder, "/longer").unwrap_err();
        assert!(matches!(error, PackageProblem::PrefixTooLong { place: 2, wanted: 7, .. }));
    }

    #[test]
    fn long_shebangs_are_shortened() {
        let prefix = format!("/{}", "x".repeat(130));
        let out = replaced(PrefixMode::Text, b"#!/old/bin/python3.11 -s\nrest", "/old", &prefix);
        assert_eq!(out, b"#!/usr/bin/env python3.11 -s\nrest");
        let out = replaced(PrefixMode::Text, b"# /old/bin/python", "/old", &prefix);
        assert!(out.ends_with(b"x/bin/python"));
    }
}
