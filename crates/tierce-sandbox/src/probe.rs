//! What a machine offers.

use crate::protocol::{Job, Reply};
use crate::{
    Cancel, Errno, Helper, HelperError, IdMapping, ProbeError, Process, RunError, Sandbox, mapping,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tierce_oci::Diagnostic;

/// One thing that a sandbox needs or can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// `Ok` with what was found, or why it can't be used.
    pub result: Result<String, String>,
    /// What to do about it, where it can't be used.
    pub hint: Option<String>,
}

/// All that was found out about a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The mapping that [`Sandbox::new`] would choose; `None` if there can be no sandbox.
    pub mapping: Option<IdMapping>,
    /// What was tried.
    pub checks: Vec<Check>,
}

/// Tries what the machine offers, with overlay mounts in `scratch`, as [`Sandbox::new`] does.
pub fn probe(helper: &Helper, scratch: &Path) -> Report {
    let root = mapping::is_root();
    let mut checks = Vec::new();
    let own = if root { IdMapping::Root } else { IdMapping::Single };
    let namespace = Sandbox::with_mapping(helper.clone(), own);
    checks.push(check("user namespaces", namespace_works(&namespace), "available"));
    let mut usable_mapping = None;
    let mut try_mapping = |name, mapping, found: &str| {
        let result = usable(&Sandbox::with_mapping(helper.clone(), mapping), scratch);
        if result.is_ok() && usable_mapping.is_none() {
            usable_mapping = Some(mapping);
        }
        check(name, result, found)
    };
    if root {
        checks.push(try_mapping("overlay mounts as root", IdMapping::Root, "every owner is real"));
    } else {
        checks.push(match IdMapping::subordinate() {
            Ok(mapping) => try_mapping("subordinate ids", mapping, "every owner is real"),
            Err(error) => Check {
                name: "subordinate ids",
                result: Err(describe(&error)),
                hint: Some(
                    "Not needed. For owners without a supervisor, run `usermod --add-subuids \
                     100000-165535 --add-subgids 100000-165535 USER` as root."
                        .to_owned(),
                ),
            },
        });
    }
    let single = "owners are recorded by a supervisor";
    checks.push(try_mapping("overlay mounts with one id", IdMapping::Single, single));
    Report { mapping: usable_mapping, checks }
}

fn check<E: Diagnostic>(name: &'static str, result: Result<(), E>, found: &str) -> Check {
    match result {
        Ok(()) => Check { name, result: Ok(found.to_owned()), hint: None },
        Err(error) => Check { name, result: Err(describe(&error)), hint: error.hint() },
    }
}

/// An error with its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", describe(cause)),
        None => error.to_string(),
    }
}

fn namespace_works(sandbox: &Sandbox) -> Result<(), HelperError> {
    match sandbox.ask(&Job::Nothing, &[])? {
        Reply::Nothing => Ok(()),
        _ => Err(HelperError::Died),
    }
}

/// Whether a sandbox can run programs with an overlay in `scratch`. An empty root file system has
/// no program: that it can't be found, of all errors, means that everything else was done.
pub(crate) fn usable(sandbox: &Sandbox, scratch: &Path) -> Result<(), ProbeError> {
    namespace_works(sandbox).map_err(ProbeError::Namespace)?;
    let failed =
        |source: RunError| ProbeError::Overlay { scratch: scratch.display().to_string(), source };
    let directory = fresh_directory(scratch).map_err(|error| {
        failed(RunError::Setup {
            action: "make a scratch directory".to_owned(),
            source: Errno::from(error),
        })
    })?;
    let argv = vec!["/tierce-probe".to_owned()];
    let process = Process::new(Vec::new(), directory.clone(), argv);
    let result = sandbox.run(&process, &mut |_, _| {}, &Cancel::new());
    // What can't be removed is empty, and in the user's own scratch directory.
    let _ = sandbox.remove(&directory);
    match result {
        Ok(_) | Err(RunError::NotFound { .. }) => Ok(()),
        Err(RunError::Helper(error)) => Err(ProbeError::Namespace(error)),
        Err(error) => Err(failed(error)),
    }
}

/// A new directory in `scratch`, which is made if it isn't there.
fn fresh_directory(scratch: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    std::fs::create_dir_all(scratch)?;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = scratch.join(format!(".tierce-probe-{}-{count}", std::process::id()));
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| path),
        }
    }
}
