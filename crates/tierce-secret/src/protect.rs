//! No core dumps while there are values in memory.

use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::sync::{Mutex, PoisonError};

/// What to restore when the last value is gone.
struct Before {
    holders: usize,
    dumpable: Option<DumpableBehavior>,
    core: Rlimit,
}

static BEFORE: Mutex<Option<Before>> = Mutex::new(None);

/// As long as there is one, this process leaves no core dump, and other processes of the same
/// user can't read its memory or its environment (prctl(2), `PR_SET_DUMPABLE`).
pub(crate) struct Protection(());

impl Protection {
    pub fn new() -> Self {
        let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        before.get_or_insert_with(protect).holders += 1;
        Protection(())
    }
}

fn protect() -> Before {
    let dumpable = rustix::process::dumpable_behavior().ok();
    let core = rustix::process::getrlimit(Resource::Core);
    // A kernel that refuses has none of what is to be prevented.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    // Not 0: programs that the kernel pipes dumps to (core(5)) are started whatever the limit is,
    // but for 1, which stands for them.
    let current = Some(core.maximum.map_or(1, |most| most.min(1)));
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current, ..core });
    Before { holders: 0, dumpable, core }
}

impl Drop for Protection {
    fn drop(&mut self) {
        let mut slot = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(before) = slot.as_mut() else { return };
        before.holders -= 1;
        if before.holders > 0 {
            return;
        }
        if let Some(dumpable @ DumpableBehavior::Dumpable) = before.dumpable {
            let _ = rustix::process::set_dumpable_behavior(dumpable);
        }
        let _ = rustix::process::setrlimit(Resource::Core, before.core);
        *slot = None;
    }
}
