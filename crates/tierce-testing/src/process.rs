//! Daemons that end with the test.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take to start, and to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon and its process group.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts `command` in a process group of its own, its output going to `log`.
    pub(crate) fn start(command: &mut Command, log: &std::path::Path) -> io::Result<Self> {
        let log = std::fs::File::create(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()?;
        Ok(Daemon { child })
    }

    /// Waits until `ready` says yes; `false` when the daemon ended or time is up.
    pub(crate) fn wait_until(&mut self, ready: impl Fn() -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if ready() {
                return true;
            }
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn ends_within(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let Ok(id) = i32::try_from(self.child.id()) else { return };
        let Some(pid) = Pid::from_raw(id) else { return };
        // The daemon alone first: it ends its own children in order (dockerd its containerd).
        let _ = kill_process(pid, Signal::TERM);
        if !self.ends_within(PATIENCE) {
            let _ = kill_process(pid, Signal::KILL);
            let _ = self.child.wait();
        }
        let _ = kill_process_group(pid, Signal::KILL);
    }
}
