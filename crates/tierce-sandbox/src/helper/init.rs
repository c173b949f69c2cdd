//! The first process of a sandbox: puts the root file system together, starts the program, and
//! collects what ends.

use crate::helper::facts::Facts;
use crate::helper::layers::Layers;
use crate::helper::overlay::Overlay;
use crate::helper::users::{self, User};
use crate::helper::{filter, mounts, resolve, secrets, stdio};
use crate::protocol;
use crate::{Errno, Exit, Network, Process, RunError, Stdio, sys};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, UnmountFlags};
use rustix::process::WaitOptions;
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};

/// What the sandbox's processes get from the helper.
pub(crate) struct Start<'a> {
    pub(crate) process: &'a Process,
    /// Standard input, if it is inherited.
    pub(crate) stdin: Option<OwnedFd>,
    /// Where the descriptor of notifications goes, if owners are recorded.
    pub(crate) supervisor: Option<OwnedFd>,
}

/// What an image's programs may do as root: Docker's default set (capabilities(7)).
const CAPABILITIES: [u32; 14] = [
    0,  // CAP_CHOWN
    1,  // CAP_DAC_OVERRIDE
    3,  // CAP_FOWNER
    4,  // CAP_FSETID
    5,  // CAP_KILL
    6,  // CAP_SETGID
    7,  // CAP_SETUID
    8,  // CAP_SETPCAP
    10, // CAP_NET_BIND_SERVICE
    13, // CAP_NET_RAW
    18, // CAP_SYS_CHROOT
    27, // CAP_MKNOD
    29, // CAP_AUDIT_WRITE
    31, // CAP_SETFCAP
];

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The whole life of the first process, which is process 1 in its namespace.
pub(crate) fn init(mut start: Start<'_>) -> Result<Exit, RunError> {
    let (root, user) = enter(&mut start)?;
    let cwd = working_directory(&root, &start.process.cwd)?;
    let program = Program::new(start.process, &user)?;
    let (report, reporter) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(RunError::setup("make a pipe"))?;
    let stdin = match start.stdin {
        Some(stdin) => stdin,
        None => resolve::open(&root, "/dev/null", OFlags::RDWR)
            .map_err(RunError::setup("open /dev/null"))?,
    };
    match sys::fork().map_err(RunError::setup("start a process"))? {
        sys::Fork::Child => {
            let error = program.become_it(stdin, cwd, &user, start.supervisor);
            let body = serde_json::to_vec(&error).unwrap_or_default();
            let _ = File::from(reporter).write_all(&body);
            std::process::exit(127)
        }
        sys::Fork::Parent(child) => {
            drop((reporter, stdin, cwd, start.supervisor));
            // Closed by execve, or written to.
            let mut body = Vec::new();
            let _ = File::from(report).read_to_end(&mut body);
            if let Ok(error) = serde_json::from_slice(&body) {
                return Err(error);
            }
            reap(child)
        }
    }
}

/// Waits for the program, and buries everything that ends before it. What is left then dies with
/// this process.
fn reap(program: rustix::process::Pid) -> Result<Exit, RunError> {
    loop {
        let ended = rustix::process::wait(WaitOptions::empty());
        let (pid, status) = match ended {
            Ok(Some(ended)) => ended,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(RunError::setup("wait for the program")(error)),
        };
        if pid == program {
            return Ok(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Exit::Code(code),
                (None, signal) => Exit::Signal(signal.unwrap_or_default()),
            });
        }
    }
}

/// Enters all namespaces and the root file system, and leaves the host's behind. Gives the root
/// directory, and the user to be.
fn enter(start: &mut Start<'_>) -> Result<(OwnedFd, User), RunError> {
    let process = start.process;
    if process.stdio == Stdio::Captured {
        // No controlling terminal.
        let _ = rustix::process::setsid();
    }
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    if process.network == Network::None {
        flags |= UnshareFlags::NEWNET;
    }
    sys::unshare(flags).map_err(RunError::setup("make namespaces"))?;
    // Kernels can be built without; it hides where in the host's hierarchy the sandbox is.
    let _ = sys::unshare(UnshareFlags::NEWCGROUP);
    if process.network == Network::None {
        sys::loopback_up().map_err(RunError::setup("bring up the loopback interface"))?;
    }
    sys::set_host_name(&process.hostname).map_err(RunError::setup("set the host name"))?;
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
        .map_err(RunError::setup("detach mounts from the host's"))?;
    if let Some(stdin) = &mut start.stdin {
        stdio::protect(stdin);
    }
    let planned = mounts::plan(process)?;
    let root = mount_root(process, &planned)?;
    let mut made = Vec::new();
    let dev = mounts::mount_all(&root, process, &planned, &mut made)?;
    // In the image's own databases, which secrets may hide.
    let user = users::look_up(&root, &process.user)?;
    // Where owners are recorded there is but one id.
    let owner = start.supervisor.is_none().then_some((user.uid, user.gid));
    secrets::mount_all(&root, process, &dev, owner, &mut made)?;
    if !made.is_empty() {
        let result = Facts::read(&process.scratch).and_then(|mut facts| {
            facts.stubs.extend(made);
            facts.write(&process.scratch)
        });
        result.map_err(RunError::setup("remember mount points"))?;
    }
    pivot(&root).map_err(RunError::setup("enter the root file system"))?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty())
        .map_err(RunError::setup("open the root directory"))?;
    Ok((root, user))
}

/// Mounts the overlay, with all mount points in it that the image lacks.
fn mount_root(process: &Process, planned: &[mounts::Planned]) -> Result<OwnedFd, RunError> {
    // Opened here, since overlays take only what belongs to the mount namespace they are made in.
    let layers = Layers::open(&process.lowers)?;
    let mut overlay = Overlay::prepare(&process.scratch, layers)?;
    let root = overlay.mount()?;
    let mut stubs = Vec::new();
    for (index, mount) in planned.iter().enumerate() {
        if mounts::is_covered(&mount.target, &planned[..index]) {
            continue;
        }
        let stub = resolve::missing(&root, &mount.target, mount.directory)
            .map_err(|source| RunError::Mount { target: mount.target.clone(), source })?;
        stubs.extend(stub);
    }
    if stubs.is_empty() {
        return Ok(root);
    }
    drop(root);
    overlay
        .unmount()
        .and_then(|()| overlay.add_stubs(stubs))
        .map_err(RunError::setup("make mount points"))?;
    overlay.mount()
}

fn pivot(root: &OwnedFd) -> Result<(), rustix::io::Errno> {
    rustix::process::fchdir(root)?;
    // Puts the old root on top of the new one, from where it is taken away.
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    rustix::process::chdir("/")
}

/// The working directory, made if it isn't there, as Docker does.
fn working_directory(root: &OwnedFd, path: &str) -> Result<OwnedFd, RunError> {
    let failed = |source: Errno| RunError::WorkingDirectory { path: path.to_owned(), source };
    let absolute = format!("/{path}");
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    let opened = match resolve::open(root, &absolute, flags) {
        Err(Errno(libc::ENOENT)) => {
            if let Some(stub) = resolve::missing(root, &absolute, true).map_err(failed)? {
                let parent = stub.existing.last().map(|(path, _)| path.as_slice());
                let parent = format!("/{}", String::from_utf8_lossy(parent.unwrap_or_default()));
                let parent = resolve::open(root, &parent, flags).map_err(failed)?;
                crate::helper::overlay::make_stub(parent, &stub.missing, true).map_err(failed)?;
            }
            resolve::open(root, &absolute, flags)
        }
        result => result,
    };
    opened.map_err(failed)
}

/// A program with all that execve(2) wants.
struct Program {
    candidates: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
    name: String,
}

impl Program {
    fn new(process: &Process, user: &User) -> Result<Self, RunError> {
        let name = process.argv.first().ok_or(RunError::NoCommand)?.clone();
        let env = environment(process, user);
        let path = env.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_str());
        let candidates = match name.contains('/') {
            true => vec![name.clone()],
            false => path
                .unwrap_or(DEFAULT_PATH)
                .split(':')
                .map(|directory| match directory {
                    "" => name.clone(),
                    directory => format!("{directory}/{name}"),
                })
                .collect(),
        };
        let strings = |strings: Vec<String>| -> Result<Vec<CString>, RunError> {
            let strings = strings.into_iter().map(CString::new).collect::<Result<_, _>>();
            strings.map_err(|_| RunError::Execute {
                program: name.clone(),
                source: Errno(libc::EINVAL),
            })
        };
        let is_secret = |name: &String| process.secret_env.iter().any(|s| s.name == *name);
        let env = env.iter().filter(|(key, _)| !is_secret(key));
        let mut env = strings(env.map(|(key, value)| format!("{key}={value}")).collect())?;
        for variable in &process.secret_env {
            env.push(
                variable
                    .assignment()
                    .map_err(|source| RunError::Variable { name: variable.name.clone(), source })?,
            );
        }
        Ok(Program {
            candidates: strings(candidates)?,
            argv: strings(process.argv.clone())?,
            env,
            name,
        })
    }

    /// Turns this process into the program. Returns only if that fails.
    fn become_it(
        &self,
        stdin: OwnedFd,
        cwd: OwnedFd,
        user: &User,
        supervisor: Option<OwnedFd>,
    ) -> RunError {
        match self.prepare(stdin, cwd, user, supervisor) {
            Ok(()) => self.execute(),
            Err(error) => error,
        }
    }

    fn prepare(
        &self,
        stdin: OwnedFd,
        cwd: OwnedFd,
        user: &User,
        supervisor: Option<OwnedFd>,
    ) -> Result<(), RunError> {
        sys::replace_stdin(&stdin).map_err(RunError::setup("set standard input"))?;
        for signal in [libc::SIGINT, libc::SIGQUIT, libc::SIGPIPE] {
            sys::ignore_signal(signal, false);
        }
        rustix::process::umask(crate::helper::files::mode(0o022));
        rustix::process::fchdir(&cwd).map_err(RunError::setup("change the directory"))?;
        // With CAP_SYS_ADMIN a filter can be had without giving up set-id programs.
        let listener =
            sys::load_filter(&filter::program(supervisor.is_some()), supervisor.is_some())
                .map_err(RunError::setup("load the system call filter"))?;
        if let (Some(supervisor), Some(listener)) = (&supervisor, listener) {
            protocol::send(supervisor, &(user.uid, user.gid, &user.groups), &[listener.as_fd()])
                .map_err(RunError::setup("reach the supervisor"))?;
        }
        for capability in 0..64 {
            if CAPABILITIES.contains(&capability) {
                continue;
            }
            // The kernel's last capability is behind us.
            if sys::drop_from_bounding_set(capability).is_err() {
                break;
            }
        }
        // Where owners are recorded there is but one id, and the supervisor pretends.
        if supervisor.is_none() {
            sys::become_user(user.uid, user.gid, &user.groups)
                .map_err(RunError::setup("change the user"))?;
        }
        // Nothing of the host stays open (CVE-2024-21626).
        sys::close_on_exec_from(3).map_err(RunError::setup("close descriptors"))
    }

    fn execute(&self) -> RunError {
        let mut result = RunError::NotFound { program: self.name.clone() };
        for candidate in &self.candidates {
            let error = sys::execve(candidate, &self.argv, &self.env);
            let there = rustix::fs::lstat(candidate).is_ok();
            match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENOTDIR) if !there => {}
                // Goes on as execvp(3) does, but reports this if nothing better is found.
                Some(libc::EACCES) => {
                    let source = Errno(libc::EACCES);
                    result = RunError::Execute { program: self.name.clone(), source };
                }
                _ => {
                    let source = error.into();
                    return RunError::Execute { program: self.name.clone(), source };
                }
            }
        }
        result
    }
}

/// The environment, with what every program expects and what shows the host's certificates.
fn environment(process: &Process, user: &User) -> Vec<(String, String)> {
    let mut env = process.env.clone();
    let mut default = |key: &str, value: &str| {
        if !env.iter().any(|(name, _)| name == key) {
            env.push((key.to_owned(), value.to_owned()));
        }
    };
    default("PATH", DEFAULT_PATH);
    default("HOME", &user.home);
    if process.ca_bundle.is_some() {
        for key in [
            "SSL_CERT_FILE",
            "CURL_CA_BUNDLE",
            "REQUESTS_CA_BUNDLE",
            "PIP_CERT",
            "NODE_EXTRA_CA_CERTS",
            "GIT_SSL_CAINFO",
        ] {
            default(key, mounts::CA_BUNDLE);
        }
    }
    env
}
