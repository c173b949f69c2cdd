//! Whom a process runs as: Docker's `USER`, looked up in the image.

use crate::helper::resolve;
use crate::{Errno, RunError};
use rustix::fs::{FileType, OFlags};
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

/// Databases of users are small; what is longer is meant to exhaust memory (CVE-2024-9676).
const MAX_DATABASE: u64 = 1 << 20;

/// A user with groups and home.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

/// Looks up `user`, `uid`, `user:group`, `uid:gid` and so on; the empty string is root.
pub(crate) fn look_up(root: &OwnedFd, user: &str) -> Result<User, RunError> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group)),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let passwd = read(root, "/etc/passwd")?;
    let groups = read(root, "/etc/group")?;
    let mut found = find_user(&passwd, name)?;
    match group.filter(|group| !group.is_empty()) {
        Some(group) => found.1.gid = find_group(&groups, group)?,
        None => {
            let login = found.0.as_deref();
            let member = groups.lines().filter_map(|line| supplementary(line, login?));
            found.1.groups = member.filter(|gid| *gid != found.1.gid).collect();
        }
    }
    Ok(found.1)
}

/// The user, and the login name if the image knows one.
fn find_user(passwd: &str, name: &str) -> Result<(Option<String>, User), RunError> {
    let number: Option<u32> = name.parse().ok();
    let entry = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [login, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
        if *login != name && number != Some(uid) {
            return None;
        }
        let user = User { uid, gid, groups: Vec::new(), home: (*home).to_owned() };
        Some((Some((*login).to_owned()), user))
    });
    match (entry, number) {
        (Some(entry), _) => Ok(entry),
        // Numbers need no entry.
        (None, Some(uid)) => {
            let home = if uid == 0 { "/root" } else { "/" }.to_owned();
            Ok((None, User { uid, gid: 0, groups: Vec::new(), home }))
        }
        (None, None) => {
            Err(RunError::NoSuchUser { what: "user".to_owned(), name: name.to_owned() })
        }
    }
}

fn find_group(groups: &str, name: &str) -> Result<u32, RunError> {
    let entry = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| fields.nth(1)?.parse().ok()).flatten()
    });
    entry
        .or_else(|| name.parse().ok())
        .ok_or_else(|| RunError::NoSuchUser { what: "group".to_owned(), name: name.to_owned() })
}

/// The group of a line of `/etc/group` that has this member.
fn supplementary(line: &str, login: &str) -> Option<u32> {
    let mut fields = line.split(':').skip(2);
    let gid = fields.next()?.parse().ok()?;
    fields.next()?.split(',').any(|member| member == login).then_some(gid)
}

/// A database of the image, read below its root; empty if it has none.
fn read(root: &OwnedFd, path: &str) -> Result<String, RunError> {
    let refused = |source: Errno| RunError::UserDatabase { file: path.to_owned(), source };
    let file = match resolve::open(root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Err(Errno(libc::ENOENT)) => return Ok(String::new()),
        result => result.map_err(refused)?,
    };
    let stat = rustix::fs::fstat(&file).map_err(|error| refused(error.into()))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(refused(Errno(libc::EINVAL)));
    }
    let mut content = Vec::new();
    let read = File::from(file).take(MAX_DATABASE + 1).read_to_end(&mut content);
    read.map_err(|error| refused(error.into()))?;
    if content.len() as u64 > MAX_DATABASE {
        return Err(refused(Errno(libc::EFBIG)));
    }
    // Names of people may be in any encoding; logins and numbers are ASCII.
    Ok(String::from_utf8_lossy(&content).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\nbad\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\nvideo:x:44:app,other\n";

    #[test]
    fn users_are_found_by_name_and_number() {
        let (login, user) = find_user(PASSWD, "app").unwrap();
        assert_eq!((login.as_deref(), user.uid, user.gid), (Some("app"), 1000, 1001));
        assert_eq!(find_user(PASSWD, "1000").unwrap().1.home, "/home/app");
        assert_eq!(find_user(PASSWD, "7").unwrap().1.gid, 0);
        assert!(matches!(find_user(PASSWD, "nobody"), Err(RunError::NoSuchUser { .. })));
    }

    #[test]
    fn groups_are_found_by_name_and_number() {
        assert_eq!(find_group(GROUP, "video").unwrap(), 44);
        assert_eq!(find_group(GROUP, "12").unwrap(), 12);
        assert!(find_group(GROUP, "nope").is_err());
        let groups: Vec<u32> = GROUP.lines().filter_map(|l| supplementary(l, "app")).collect();
        assert_eq!(groups, [44]);
    }
}
