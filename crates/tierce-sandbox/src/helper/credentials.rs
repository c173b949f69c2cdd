//! The ids that processes believe they have (credentials(7)), where there is only one in truth.

use libc::EPERM;

/// "Leave it as it is", in the calls that change several ids.
const KEEP: u32 = u32::MAX;

/// Real, effective, saved and file system id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) real: u32,
    pub(crate) effective: u32,
    pub(crate) saved: u32,
    pub(crate) files: u32,
}

impl Ids {
    pub(crate) fn all(id: u32) -> Self {
        Ids { real: id, effective: id, saved: id, files: id }
    }

    fn has(&self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }

    /// setuid(2), setgid(2).
    pub(crate) fn set(&mut self, id: u32, privileged: bool) -> Result<(), i32> {
        if privileged {
            *self = Ids::all(id);
        } else if id == self.real || id == self.saved {
            (self.effective, self.files) = (id, id);
        } else {
            return Err(EPERM);
        }
        Ok(())
    }

    /// setreuid(2), setregid(2).
    pub(crate) fn set_two(
        &mut self,
        real: u32,
        effective: u32,
        privileged: bool,
    ) -> Result<(), i32> {
        let before = *self;
        let real_allowed = real == before.real || real == before.effective;
        let allowed = (real == KEEP || real_allowed) && (effective == KEEP || self.has(effective));
        if !privileged && !allowed {
            return Err(EPERM);
        }
        if real != KEEP {
            self.real = real;
        }
        if effective != KEEP {
            self.effective = effective;
        }
        if real != KEEP || (effective != KEEP && effective != before.real) {
            self.saved = self.effective;
        }
        self.files = self.effective;
        Ok(())
    }

    /// setresuid(2), setresgid(2).
    pub(crate) fn set_three(&mut self, ids: [u32; 3], privileged: bool) -> Result<(), i32> {
        if !privileged && ids.iter().any(|id| *id != KEEP && !self.has(*id)) {
            return Err(EPERM);
        }
        for (slot, id) in
            [&mut self.real, &mut self.effective, &mut self.saved].into_iter().zip(ids)
        {
            if id != KEEP {
                *slot = id;
            }
        }
        self.files = self.effective;
        Ok(())
    }

    /// setfsuid(2), setfsgid(2): answers with the id before.
    pub(crate) fn set_files(&mut self, id: u32, privileged: bool) -> u32 {
        let before = self.files;
        if id != KEEP && (privileged || self.has(id) || id == before) {
            self.files = id;
        }
        before
    }
}

/// All ids of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) user: Ids,
    pub(crate) group: Ids,
    pub(crate) groups: Vec<u32>,
}

impl Credentials {
    pub(crate) fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Credentials { user: Ids::all(uid), group: Ids::all(gid), groups }
    }

    /// Whether ids may be changed at will.
    pub(crate) fn privileged(&self) -> bool {
        self.user.effective == 0
    }

    /// Whether the owner of a file may be changed like this: root may all, owners may give their
    /// files to groups that they are in (chown(2)).
    pub(crate) fn may_chown(&self, owner: (u32, u32), uid: u32, gid: u32) -> bool {
        if self.user.files == 0 {
            return true;
        }
        let same_user = uid == KEEP || uid == owner.0;
        let own_group = [KEEP, owner.1, self.group.files].contains(&gid);
        owner.0 == self.user.files && same_user && (own_group || self.groups.contains(&gid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_rights_do_not_come_back() {
        let mut ids = Ids::all(0);
        ids.set_three([42, 42, 42], true).unwrap();
        assert_eq!(ids.set(0, false), Err(EPERM));
        assert_eq!(ids.set_two(KEEP, 0, false), Err(EPERM));
        assert_eq!(ids.set_three([KEEP, 0, KEEP], false), Err(EPERM));
        assert_eq!(ids.set_files(0, false), 42);
        assert_eq!(ids, Ids::all(42));
    }

    #[test]
    fn a_saved_id_comes_back() {
        let mut ids = Ids::all(0);
        ids.set_three([KEEP, 42, KEEP], true).unwrap();
        assert_eq!((ids.effective, ids.files, ids.saved), (42, 42, 0));
        ids.set(0, false).unwrap();
        assert_eq!(ids, Ids::all(0));
    }

    #[test]
    fn setreuid_saves_the_effective_id() {
        let mut ids = Ids::all(0);
        ids.set_two(5, 6, true).unwrap();
        assert_eq!(ids, Ids { real: 5, effective: 6, saved: 6, files: 6 });
        ids.set_two(6, 5, false).unwrap();
        assert_eq!(ids, Ids { real: 6, effective: 5, saved: 5, files: 5 });
    }

    #[test]
    fn owners_may_give_files_to_their_groups_only() {
        let user = Credentials::new(7, 8, vec![9]);
        assert!(user.may_chown((7, 8), KEEP, 9));
        assert!(!user.may_chown((7, 8), KEEP, 10));
        assert!(!user.may_chown((7, 8), 11, KEEP));
        assert!(!user.may_chown((0, 0), KEEP, 8));
        assert!(Credentials::new(0, 0, Vec::new()).may_chown((7, 8), 1, 2));
    }
}
