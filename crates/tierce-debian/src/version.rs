//! Version numbers, as Debian policy section 5.6.12 orders them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// `[epoch:]upstream-version[-debian-revision]`.
///
/// Equality is that of the ordering, as in dpkg: `1.0` equals `1.0-0` and `0:1.0`. The text is
/// kept as it was written.
#[derive(Clone)]
pub struct Version {
    text: String,
    epoch: u32,
    upstream: (usize, usize),
}

/// Why a string is not a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a package version: {reason}")]
pub struct VersionError {
    /// What was given.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl Version {
    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part between epoch and revision: `3.11.2` of `1:3.11.2-1+b1`.
    pub fn upstream(&self) -> &str {
        &self.text[self.upstream.0..self.upstream.1]
    }

    fn revision(&self) -> &str {
        self.text.get(self.upstream.1 + 1..).unwrap_or("")
    }
}

impl FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Self, VersionError> {
        let error = |reason| VersionError { text: text.to_owned(), reason };
        let (epoch, start) = match text.split_once(':') {
            None => (0, 0),
            Some((epoch, _)) => {
                if epoch.is_empty() || !epoch.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(error("the epoch is not a number"));
                }
                // dpkg keeps epochs in an int.
                let number = epoch.parse::<u32>().ok().filter(|n| *n <= i32::MAX as u32);
                (number.ok_or_else(|| error("the epoch is too large"))?, epoch.len() + 1)
            }
        };
        let end = match text[start..].rfind('-') {
            None => text.len(),
            Some(dash) if start + dash + 1 == text.len() => {
                return Err(error("the revision is empty"));
            }
            Some(dash) => start + dash,
        };
        let upstream = &text[start..end];
        if upstream.is_empty() {
            return Err(error("it has no upstream version"));
        }
        if !upstream.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error("it does not start with a digit"));
        }
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b".+~".contains(&b);
        if !upstream.bytes().all(|b| allowed(b) || b == b'-' || b == b':')
            || !text[end..].bytes().skip(1).all(allowed)
        {
            return Err(error("it has a character that versions must not have"));
        }
        Ok(Version { text: text.to_owned(), epoch, upstream: (start, end) })
    }
}

/// Where a character stands when versions are compared: `~` sorts before the end, the end
/// before letters, letters before everything else.
fn weight(byte: Option<u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(b) if b.is_ascii_digit() => 0,
        Some(b) if b.is_ascii_alphabetic() => i32::from(b),
        Some(b) => i32::from(b) + 256,
    }
}

/// Compares upstream versions or revisions: alternately a run of non-digits by [`weight`] and a
/// run of digits by value.
fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        let non_digit = |s: &[u8]| s.first().is_some_and(|c| !c.is_ascii_digit());
        while non_digit(a) || non_digit(b) {
            let order = weight(a.first().copied()).cmp(&weight(b.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            // Equal weights: both non-digits, so both can be stepped over.
            (a, b) = (&a[1..], &b[1..]);
        }
        let (number_a, number_b);
        (number_a, a) = take_number(a);
        (number_b, b) = take_number(b);
        // Without leading zeros the longer number is the larger one: no overflow to think of.
        let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The leading digits without their leading zeros, and what follows them.
fn take_number(s: &[u8]) -> (&[u8], &[u8]) {
    let end = s.iter().position(|c| !c.is_ascii_digit()).unwrap_or(s.len());
    let (number, rest) = s.split_at(end);
    let zeros = number.iter().take_while(|c| **c == b'0').count();
    (&number[zeros..], rest)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.epoch
            .cmp(&other.epoch)
            .then_with(|| compare_part(self.upstream(), other.upstream()))
            .then_with(|| compare_part(self.revision(), other.revision()))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
