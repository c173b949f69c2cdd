//! The supervised processes, seen through the host's `/proc`.

use crate::helper::credentials::Credentials;
use crate::sys::Answer;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

/// The longest path (limits.h), and the smallest page.
const PATH_MAX: usize = 4096;
const PAGE: u64 = 4096;
/// The most groups that a process can have (limits.h, `NGROUPS_MAX`).
const MAX_GROUPS: u64 = 65_536;

/// A thread that made a call and waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    thread: u32,
}

/// A process: its number, and when it was started, since numbers are used again.
type Process = (u32, u64);

/// What processes believe to be.
pub(crate) struct Tasks {
    proc: OwnedFd,
    /// What they are in the beginning.
    initial: Credentials,
    /// Those that changed their ids, or whose ancestors did.
    changed: BTreeMap<Process, Credentials>,
}

impl Tasks {
    /// Tasks below this `/proc`.
    pub(crate) fn new(proc: OwnedFd, initial: Credentials) -> Self {
        Tasks { proc, initial, changed: BTreeMap::new() }
    }

    /// The thread of a notification.
    pub(crate) fn task(&self, thread: u32) -> Task {
        Task { thread }
    }

    /// Opens a link in the thread's directory, as a path only.
    pub(crate) fn open(&self, task: &Task, link: &str) -> Result<OwnedFd, Errno> {
        let path = format!("{}/{link}", task.thread);
        rustix::fs::openat(&self.proc, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }

    fn memory(&self, task: &Task) -> Result<File, i32> {
        let path = format!("{}/mem", task.thread);
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        let memory = rustix::fs::openat(&self.proc, path, flags, Mode::empty());
        memory.map(File::from).map_err(|error| error.raw_os_error())
    }

    /// A path in the thread's memory.
    pub(crate) fn read_path(&self, task: &Task, address: u64) -> Result<Vec<u8>, i32> {
        let memory = self.memory(task)?;
        let mut path = Vec::new();
        let mut at = address;
        while path.len() < PATH_MAX {
            // What follows the page may not be there.
            let mut chunk = vec![0; (PAGE - at % PAGE) as usize];
            let read = match memory.read_at(&mut chunk, at) {
                Ok(read) if read > 0 => read,
                _ => return Err(libc::EFAULT),
            };
            if let Some(end) = chunk[..read].iter().position(|&b| b == 0) {
                path.extend_from_slice(&chunk[..end]);
                return if path.len() < PATH_MAX { Ok(path) } else { Err(libc::ENAMETOOLONG) };
            }
            path.extend_from_slice(&chunk[..read]);
            at = at.wrapping_add(read as u64);
        }
        Err(libc::ENAMETOOLONG)
    }

    fn write_ids(&self, task: &Task, address: u64, ids: &[u32]) -> Result<(), i32> {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_ne_bytes()).collect();
        self.write(task, address, &bytes)
    }

    /// Writes into the thread's memory.
    pub(crate) fn write(&self, task: &Task, address: u64, bytes: &[u8]) -> Result<(), i32> {
        self.memory(task)?.write_all_at(bytes, address).map_err(|_| libc::EFAULT)
    }

    fn read_ids(&self, task: &Task, address: u64, count: u64) -> Result<Vec<u32>, i32> {
        let mut bytes = vec![0; count as usize * 4];
        self.memory(task)?.read_exact_at(&mut bytes, address).map_err(|_| libc::EFAULT)?;
        let ids = bytes.chunks_exact(4);
        Ok(ids.map(|id| u32::from_ne_bytes([id[0], id[1], id[2], id[3]])).collect())
    }

    /// What a process believes to be: what it was told, or what its nearest ancestor was told.
    pub(crate) fn credentials(&mut self, task: &Task) -> Credentials {
        if self.changed.is_empty() {
            return self.initial.clone();
        }
        let mut next = Some(task.thread);
        let mut first = None;
        // Process 1 of the host has no parent; a loop could only come from numbers used again.
        for _ in 0..1024 {
            let Some((process, parent)) = next.and_then(|id| self.look_up(id)) else { break };
            if let Some(credentials) = self.changed.get(&process).cloned() {
                if let Some(first) = first {
                    // The ancestor may be gone, or may have changed, the next time.
                    self.changed.insert(first, credentials.clone());
                }
                return credentials;
            }
            first.get_or_insert(process);
            next = (parent != 0).then_some(parent);
        }
        self.initial.clone()
    }

    /// The process of a thread, and its parent's number.
    fn look_up(&self, thread: u32) -> Option<(Process, u32)> {
        let status = self.read(&format!("{thread}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u32>().ok()
        };
        let (process, parent) = (field("Tgid:")?, field("PPid:")?);
        let stat = self.read(&format!("{process}/stat"))?;
        // The program's name, in parentheses, can hold anything; the start is the 20th after it.
        let started = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some(((process, started), parent))
    }

    fn read(&self, path: &str) -> Option<String> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.proc, path, flags, Mode::empty()).ok()?;
        let mut content = Vec::new();
        File::from(file).read_to_end(&mut content).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    fn change(&mut self, task: &Task, credentials: Credentials) {
        if credentials == self.initial && self.changed.is_empty() {
            return;
        }
        if let Some((process, _)) = self.look_up(task.thread) {
            self.changed.insert(process, credentials);
        }
    }

    /// Answers a call that is about a process's own ids.
    pub(crate) fn identity_call(
        &mut self,
        task: &Task,
        before: Credentials,
        number: i64,
        arguments: [u64; 6],
    ) -> Result<Answer, i32> {
        let [first, second, third, ..] = arguments;
        let (one, two, three) = (first as u32, second as u32, third as u32);
        let mut after = before.clone();
        let privileged = before.privileged();
        let mut value = 0;
        match number {
            libc::SYS_getuid => value = before.user.real,
            libc::SYS_geteuid => value = before.user.effective,
            libc::SYS_getgid => value = before.group.real,
            libc::SYS_getegid => value = before.group.effective,
            libc::SYS_getresuid | libc::SYS_getresgid => {
                let ids = if number == libc::SYS_getresuid { before.user } else { before.group };
                self.write_ids(task, first, &[ids.real])?;
                self.write_ids(task, second, &[ids.effective])?;
                self.write_ids(task, third, &[ids.saved])?;
            }
            libc::SYS_getgroups => {
                value = before.groups.len() as u32;
                if one != 0 && one < value {
                    return Err(libc::EINVAL);
                }
                if one != 0 {
                    self.write_ids(task, second, &before.groups)?;
                }
            }
            libc::SYS_setgroups => {
                if !privileged {
                    return Err(libc::EPERM);
                }
                if u64::from(one) > MAX_GROUPS {
                    return Err(libc::EINVAL);
                }
                after.groups = self.read_ids(task, second, u64::from(one))?;
            }
            libc::SYS_setuid => after.user.set(one, privileged)?,
            libc::SYS_setgid => after.group.set(one, privileged)?,
            libc::SYS_setreuid => after.user.set_two(one, two, privileged)?,
            libc::SYS_setregid => after.group.set_two(one, two, privileged)?,
            libc::SYS_setresuid => after.user.set_three([one, two, three], privileged)?,
            libc::SYS_setresgid => after.group.set_three([one, two, three], privileged)?,
            libc::SYS_setfsuid => value = after.user.set_files(one, privileged),
            libc::SYS_setfsgid => value = after.group.set_files(one, privileged),
            _ => return Ok(Answer::Continue),
        }
        if after != before {
            self.change(task, after);
        }
        Ok(Answer::Value(i64::from(value)))
    }
}
