//! Which ids a sandbox has, and how they are set up.

use crate::HelperError;
use rustix::process::{Gid, Uid, getegid, geteuid};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::process::{Command, Stdio};

/// How ids inside a sandbox stand for ids outside. The layers that come out are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IdMapping {
    /// Real root: every id stands for itself.
    Root,
    /// An ordinary user with ids of their own in `/etc/subuid` and `/etc/subgid` (subuid(5)): root
    /// stands for the user, ids from 1 on for those ranges.
    Subordinate {
        /// The user ids.
        uids: IdRange,
        /// The group ids.
        gids: IdRange,
    },
    /// An ordinary user: root stands for the user, other ids don't exist. Whom files belong to is
    /// recorded by a supervisor that answers the system calls that would need other ids.
    Single,
}

/// A range of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct IdRange {
    /// The first.
    pub start: u32,
    /// How many.
    pub count: u32,
}

/// Fewer ids than this are not worth a mapping: `nobody` is 65534.
const MIN_SUBORDINATE: u32 = 65_535;

impl fmt::Display for IdMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IdMapping::Root => f.write_str("root"),
            IdMapping::Subordinate { uids, gids } => write!(
                f,
                "subordinate ids (users from {}, groups from {}, {} of them)",
                uids.start,
                gids.start,
                uids.count.min(gids.count)
            ),
            IdMapping::Single => f.write_str("one id, true owners recorded"),
        }
    }
}

/// Why there are no subordinate ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubordinateError {
    /// The table can't be read.
    #[error("cannot read {file}")]
    Table {
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
        /// Why.
        #[source]
        source: crate::Errno,
    },
    /// The table gives the user nothing, or too little.
    #[error("{file} gives this user no range of {MIN_SUBORDINATE} ids or more")]
    NoRange {
        /// `/etc/subuid` or `/etc/subgid`.
        file: &'static str,
    },
}

impl IdMapping {
    /// The subordinate ids that the machine's tables give this user.
    pub fn subordinate() -> Result<Self, SubordinateError> {
        let uid = geteuid().as_raw();
        let name = user_name(uid);
        let uids = subordinate_range("/etc/subuid", uid, name.as_deref())?;
        let gids = subordinate_range("/etc/subgid", uid, name.as_deref())?;
        Ok(IdMapping::Subordinate { uids, gids })
    }

    /// Gives a process that has just entered a new user namespace its ids.
    pub(crate) fn apply(&self, pid: u32) -> Result<(), HelperError> {
        let write = |file: &str, content: &str| {
            fs::write(format!("/proc/{pid}/{file}"), content)
                .map_err(|error| HelperError::Map { file: file.to_owned(), source: error.into() })
        };
        match self {
            IdMapping::Root => {
                write("uid_map", &identity("/proc/self/uid_map"))?;
                write("gid_map", &identity("/proc/self/gid_map"))
            }
            IdMapping::Single => {
                write("setgroups", "deny")?;
                write("uid_map", &format!("0 {} 1\n", geteuid().as_raw()))?;
                write("gid_map", &format!("0 {} 1\n", getegid().as_raw()))
            }
            IdMapping::Subordinate { uids, gids } => {
                run_mapper("newuidmap", pid, geteuid().as_raw(), *uids)?;
                run_mapper("newgidmap", pid, getegid().as_raw(), *gids)
            }
        }
    }
}

/// The current namespace's ids, each mapped to itself: `inside outside count` lines, of which the
/// first column is what this namespace calls them.
fn identity(map: &str) -> String {
    let map = fs::read_to_string(map).unwrap_or_default();
    let ranges = map.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (start, _, count) = (fields.next()?, fields.next()?, fields.next()?);
        Some(format!("{start} {start} {count}\n"))
    });
    ranges.collect()
}

fn run_mapper(program: &str, pid: u32, own: u32, range: IdRange) -> Result<(), HelperError> {
    let spawn = |source: std::io::Error| HelperError::Mapper {
        program: program.to_owned(),
        message: source.to_string(),
    };
    let arguments = [pid, 0, own, 1, 1, range.start, range.count].map(|n| n.to_string());
    let output =
        Command::new(program).args(arguments).stdin(Stdio::null()).output().map_err(spawn)?;
    if output.status.success() {
        return Ok(());
    }
    Err(HelperError::Mapper {
        program: program.to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// The login name, which the subordinate id tables may use instead of the number.
fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

fn subordinate_range(
    file: &'static str,
    uid: u32,
    name: Option<&str>,
) -> Result<IdRange, SubordinateError> {
    let table = fs::read_to_string(file)
        .map_err(|error| SubordinateError::Table { file, source: error.into() })?;
    let uid = uid.to_string();
    let ranges = table.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let (owner, start, count) = (fields.next()?, fields.next()?, fields.next()?);
        if owner != uid && Some(owner) != name {
            return None;
        }
        Some(IdRange { start: start.parse().ok()?, count: count.parse().ok()? })
    });
    ranges
        .max_by_key(|range| range.count)
        .filter(|range| range.count >= MIN_SUBORDINATE)
        .ok_or(SubordinateError::NoRange { file })
}

/// Whether this process is root, and may use [`IdMapping::Root`].
pub(crate) fn is_root() -> bool {
    geteuid() == Uid::ROOT && getegid() == Gid::ROOT
}
