//! Release: what an archive holds, and the root of all trust in it
//! (<https://wiki.debian.org/DebianRepository/Format>).

use crate::control::{ControlError, Paragraph};
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};
use tierce_oci::Digest;

/// apt's `Acquire::Max-FutureTime`: how far clocks may differ.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(10);

/// The contents of a Release file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The suite, which may change: `oldstable`.
    pub suite: Option<String>,
    /// The codename, which stays: `bookworm`.
    pub codename: Option<String>,
    /// When it was made.
    pub date: SystemTime,
    /// Until when it may be used; releases that no longer change have none.
    pub valid_until: Option<SystemTime>,
    /// Whether indices can be had by their hash, so that an update in between does no harm.
    pub acquire_by_hash: bool,
    /// The architectures in it.
    pub architectures: Vec<String>,
    /// The components in it.
    pub components: Vec<String>,
    /// Whether packages for all architectures are listed apart (`binary-all`) only.
    pub separate_all: bool,
    /// The files below it, by path, with their SHA-256 and size.
    pub files: BTreeMap<String, (Digest, u64)>,
}

/// Why a Release file may not be used though it is signed.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// It is malformed.
    #[error("release file is malformed")]
    Control(#[from] ControlError),
    /// Its time has passed.
    #[error("release file expired on {until}")]
    Expired {
        /// When.
        until: String,
    },
    /// Its time has not come.
    #[error("release file is dated {date}, which is in the future")]
    NotYetValid {
        /// When it was made, as it says.
        date: String,
    },
    /// It is of another suite than the one that was asked for.
    #[error("release file is of suite {suite:?} (codename {codename:?}), not of {wanted:?}")]
    WrongSuite {
        /// The suite it is of.
        suite: String,
        /// Its codename.
        codename: String,
        /// What was asked for.
        wanted: String,
    },
}

impl Release {
    /// Parses the text of a Release file.
    pub fn parse(text: &str) -> Result<Self, ControlError> {
        let paragraph = Paragraph::parse_one(text)?;
        let words = |name| {
            let value: &str = paragraph.get(name).unwrap_or("");
            value.split_ascii_whitespace().map(str::to_owned).collect()
        };
        let date = |name: &'static str| match paragraph.get(name) {
            None => Ok(None),
            Some(value) => parse_date(value)
                .ok_or_else(|| ControlError::Malformed { field: name, value: value.to_owned() })
                .map(Some),
        };
        let architectures: Vec<String> = words("Architectures");
        let merged: Vec<String> = words("No-Support-for-Architecture-all");
        Ok(Release {
            separate_all: architectures.iter().any(|a| a == "all")
                && !merged.iter().any(|what| what == "Packages"),
            suite: paragraph.get("Suite").map(str::to_owned),
            codename: paragraph.get("Codename").map(str::to_owned),
            date: date("Date")?.ok_or(ControlError::Missing("Date"))?,
            valid_until: date("Valid-Until")?,
            acquire_by_hash: paragraph.get("Acquire-By-Hash") == Some("yes"),
            architectures,
            components: words("Components"),
            files: parse_files(paragraph.require("SHA256")?)?,
        })
    }

    /// Checks that this is the suite that was asked for, and that it may be used now.
    pub fn check(&self, wanted: &str, now: SystemTime) -> Result<(), ReleaseError> {
        let names = [self.suite.as_deref(), self.codename.as_deref()];
        if !names.contains(&Some(wanted)) {
            return Err(ReleaseError::WrongSuite {
                suite: self.suite.clone().unwrap_or_default(),
                codename: self.codename.clone().unwrap_or_default(),
                wanted: wanted.to_owned(),
            });
        }
        if self.date > now + CLOCK_TOLERANCE {
            return Err(ReleaseError::NotYetValid { date: format_date(self.date) });
        }
        match self.valid_until {
            Some(until) if until < now => Err(ReleaseError::Expired { until: format_date(until) }),
            _ => Ok(()),
        }
    }
}

/// ` <sha256> <size> <path>` lines.
fn parse_files(value: &str) -> Result<BTreeMap<String, (Digest, u64)>, ControlError> {
    let mut files = BTreeMap::new();
    for line in value.lines().filter(|line| !line.trim().is_empty()) {
        let malformed = || ControlError::Malformed { field: "SHA256", value: line.to_owned() };
        let mut words = line.split_ascii_whitespace();
        let (Some(digest), Some(size), Some(path), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(malformed());
        };
        let digest = Digest::from_hex(digest).map_err(|_| malformed())?;
        let size = size.parse().map_err(|_| malformed())?;
        files.insert(path.to_owned(), (digest, size));
    }
    Ok(files)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A date as RFC 2822 writes it, in UTC: `Sat, 11 Jul 2026 10:16:37 UTC`. apt knows no other
/// time zones either.
fn parse_date(text: &str) -> Option<SystemTime> {
    let (_weekday, rest) = text.split_once(", ")?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let [day, month, year, clock, "UTC" | "GMT" | "Z" | "+0000"] = words[..] else { return None };
    let month = MONTHS.iter().position(|m| *m == month)? as i64 + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let mut clock = clock.split(':').map(|n| n.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let in_range = (1..=31).contains(&day)
        && (1970..=9999).contains(&year)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !in_range || clock.next().is_some() {
        return None;
    }
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().ok()?))
}

/// A date as snapshot.debian.org writes dates in paths: `20251115T203412Z`.
pub fn snapshot_date(time: SystemTime) -> String {
    format_date(time).replace(['-', ':'], "")
}

/// Reads [`snapshot_date`].
pub fn parse_snapshot_date(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 16 && bytes[8] == b'T' && bytes[15] == b'Z';
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let part = text.get(range)?;
        part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
    };
    if !shape {
        return None;
    }
    let days = days_from_civil(number(0..4)?, number(4..6)?, number(6..8)?);
    let clock = number(9..11)? * 3600 + number(11..13)? * 60 + number(13..15)?;
    let seconds = u64::try_from(days * 86_400 + clock).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The date of a Release file's text, without looking at the rest.
pub fn release_date(text: &str) -> Option<SystemTime> {
    let line = text.lines().find_map(|line| line.strip_prefix("Date:"))?;
    parse_date(line.trim())
}

fn format_date(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, clock) = ((seconds / 86_400) as i64, seconds % 86_400);
    let (year, month, day) = civil_from_days(days);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in
/// March so that the leap day is the last one.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let doe = days.rem_euclid(146_097);
    let year_of_era = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let day_of_year = doe - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_snapshots_are_read_back() {
        let time = parse_date("Sat, 11 Jul 2026 10:16:37 UTC").unwrap();
        assert_eq!(snapshot_date(time), "20260711T101637Z");
        assert_eq!(parse_snapshot_date("20260711T101637Z"), Some(time));
        assert_eq!(parse_snapshot_date("20260711-101637Z"), None);
        assert_eq!(parse_snapshot_date("20260711T10163\u{e9}"), None);
        assert_eq!(release_date("Hash: x\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n"), Some(time));
    }

    #[test]
    fn dates_are_read_as_apt_reads_them() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 UTC", Some(0)),
            ("Sat, 11 Jul 2026 10:16:37 UTC", Some(1_783_764_997)),
            ("Thu, 29 Feb 2024 23:59:59 +0000", Some(1_709_251_199)),
            ("Sat, 11 Jul 2026 10:16:37 CEST", None),
            ("Sat, 11 Foo 2026 10:16:37 UTC", None),
            ("Sat, 11 Jul 2026 10:16 UTC", None),
            ("2026-07-11", None),
        ] {
            let expected = seconds.map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s));
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn dates_survive_the_calendar() {
        for days in (0..60_000).step_by(13) {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_783_764_997);
        assert_eq!(format_date(time), "2026-07-11T10:16:37Z");
    }
}
