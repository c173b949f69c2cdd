//! Programs that this crate writes and then runs.

use std::fs::Permissions;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// How often a program that is busy is tried again, and the pause before the first time; each
/// pause is twice as long as the one before: some four seconds in all.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Writes a program to `path`, which gets it whole and ready to be run, or not at all.
///
/// While it is written, another thread may start a process; until that process executes its own
/// program it holds this one open for writing too, and the kernel refuses to execute a file that
/// is open for writing (`ETXTBSY`, execve(2)). So the program is run once under a name that
/// nobody knows, until the kernel lets it: after that nobody can have it open any more.
pub(crate) fn install(path: &Path, content: &mut dyn Read) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    io::copy(content, &mut file)?;
    file.as_file().set_permissions(Permissions::from_mode(0o755))?;
    file.as_file().sync_all()?;
    let closed = file.into_temp_path();
    wait_until_idle(&closed)?;
    closed.persist(path).map_err(|e| e.error)
}

fn wait_until_idle(program: &Path) -> io::Result<()> {
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS {
        let tried = Command::new(program)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match tried {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(pause);
                pause *= 2;
            }
            // Whatever else is wrong with it is for those to say who run it for its answer.
            _ => return Ok(()),
        }
    }
    Err(io::ErrorKind::ExecutableFileBusy.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Without the wait, about one in ten of these fails.
    #[test]
    fn programs_can_be_run_at_once_though_other_threads_start_processes() {
        let dir = tempfile::tempdir().unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        Command::new("/bin/true").status().unwrap();
                    }
                });
            }
            for n in 0..200 {
                let program = dir.path().join(format!("program-{n}"));
                let failed = install(&program, &mut &b"#!/bin/sh\n"[..])
                    .and_then(|()| Command::new(&program).status())
                    .err();
                if failed.is_some() {
                    done.store(true, Ordering::Relaxed);
                }
                assert!(failed.is_none(), "{failed:?}");
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}
