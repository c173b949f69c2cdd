//! What can go wrong. These errors cross from the helper to tierce, so they are plain data.

use serde::{Deserialize, Serialize};
use std::io;
use tierce_oci::{Diagnostic, ErrorKind};

/// What the operating system said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", io::Error::from_raw_os_error(self.0))]
pub struct Errno(pub i32);

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Errno(error.raw_os_error().unwrap_or(libc::EIO))
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(error: rustix::io::Errno) -> Self {
        Errno(error.raw_os_error())
    }
}

/// An error of another crate, with all its causes, as it arrives from the helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    message: String,
    cause: Option<Box<Failure>>,
}

impl Failure {
    pub(crate) fn new(error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(|source| Box::new(Failure::new(source)));
        Failure { message: error.to_string(), cause }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

/// Why the helper process did not get to its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum HelperError {
    /// Its program can't be started.
    #[error("cannot start the sandbox helper {program}")]
    Start {
        /// The helper.
        program: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The kernel refuses a new user namespace.
    #[error("cannot create a user namespace")]
    UserNamespace(#[source] Errno),
    /// The ids of the namespace can't be set.
    #[error("cannot write the {file} of a user namespace")]
    Map {
        /// `uid_map`, `gid_map` or `setgroups`.
        file: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// `newuidmap` or `newgidmap` is missing or refuses.
    #[error("{program} failed: {message}")]
    Mapper {
        /// The program.
        program: String,
        /// What it said.
        message: String,
    },
    /// A system call in the set-up failed.
    #[error("sandbox helper cannot {action}")]
    Setup {
        /// What was being done.
        action: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// It ended without an answer, or its answer makes no sense.
    #[error("the sandbox helper ended before its work was done")]
    Died,
}

impl HelperError {
    pub(crate) fn setup<E: Into<Errno>>(action: &str) -> impl FnOnce(E) -> Self {
        move |source| HelperError::Setup { action: action.to_owned(), source: source.into() }
    }
}

impl Diagnostic for HelperError {
    fn code(&self) -> &'static str {
        match self {
            HelperError::Start { .. } => "sandbox/helper",
            HelperError::UserNamespace(_) => "sandbox/user-namespace",
            HelperError::Map { .. } => "sandbox/id-map",
            HelperError::Mapper { .. } => "sandbox/subordinate-ids",
            HelperError::Setup { .. } => "sandbox/setup",
            HelperError::Died => "sandbox/helper-died",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            HelperError::Died => ErrorKind::Bug,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            HelperError::UserNamespace(_) | HelperError::Map { .. } => {
                "Allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1, \
                 kernel.apparmor_restrict_unprivileged_userns=0, a user.max_user_namespaces above \
                 0, or a seccomp profile that lets unshare(2) through; `tierce doctor` shows what \
                 is missing."
            }
            HelperError::Mapper { .. } => {
                "Install the package uidmap and give the user a range of 65536 ids in /etc/subuid \
                 and /etc/subgid."
            }
            HelperError::Setup { .. } => "Run `tierce doctor` to see what this machine offers.",
            HelperError::Start { .. } | HelperError::Died => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a machine can't run the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// No user namespace with any mapping could be made.
    #[error("this machine can't run a sandbox")]
    Namespace(#[source] HelperError),
    /// Overlay file systems can't be mounted.
    #[error("this machine can't mount an overlay file system in {scratch}")]
    Overlay {
        /// Where it was tried.
        scratch: String,
        /// Why.
        #[source]
        source: RunError,
    },
}

impl Diagnostic for ProbeError {
    fn code(&self) -> &'static str {
        match self {
            ProbeError::Namespace(error) => error.code(),
            ProbeError::Overlay { .. } => "sandbox/overlay",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            ProbeError::Namespace(error) => error.hint(),
            ProbeError::Overlay { .. } => Some(
                "Put tierce's store on a file system that can hold overlays with user extended \
                 attributes (ext4, xfs, btrfs, or tmpfs from Linux 6.6 on; not another overlay, as \
                 in a container's own root); Linux 5.12 or newer is needed."
                    .to_owned(),
            ),
        }
    }
}

/// Why a process could not be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum RunError {
    /// The helper failed.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// There is no command.
    #[error("there is no command to run")]
    NoCommand,
    /// The root file system can't be put together.
    #[error("cannot mount the overlay of {scratch}")]
    Overlay {
        /// The scratch directory.
        scratch: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// A directory of the root file system is not there, or not a layer directory.
    #[error("{directory} is not a layer directory")]
    Layer {
        /// The directory.
        directory: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// Something can't be mounted.
    #[error("cannot mount {target} in the sandbox")]
    Mount {
        /// Where.
        target: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// What is to be mounted is not there, is a symbolic link, or can't be opened.
    #[error("cannot use {path} as the source of a mount")]
    MountSource {
        /// The source.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The user or group is not in the image.
    #[error("the image has no {what} {name:?}")]
    NoSuchUser {
        /// `user` or `group`.
        what: String,
        /// The name.
        name: String,
    },
    /// `/etc/passwd` or `/etc/group` of the image can't be used.
    #[error("the image's {file} can't be used to look up users")]
    UserDatabase {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The working directory can't be made or entered.
    #[error("cannot use {path} as the working directory")]
    WorkingDirectory {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The program is not in the image.
    #[error("{program} is not in the image")]
    NotFound {
        /// The program.
        program: String,
    },
    /// The program can't be executed.
    #[error("cannot execute {program}")]
    Execute {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// A variable can't have its value.
    #[error("the variable {name} can't have its value: there is a NUL byte in it")]
    Variable {
        /// The variable.
        name: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// A system call in the set-up failed.
    #[error("cannot {action} in the sandbox")]
    Setup {
        /// What was being done.
        action: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// Output or input of the process can't be handled on tierce's side.
    #[error("cannot handle the process's output")]
    Output(#[source] Errno),
}

impl RunError {
    pub(crate) fn setup<E: Into<Errno>>(action: &str) -> impl FnOnce(E) -> Self {
        move |source| RunError::Setup { action: action.to_owned(), source: source.into() }
    }
}

impl Diagnostic for RunError {
    fn code(&self) -> &'static str {
        match self {
            RunError::Helper(error) => error.code(),
            RunError::NoCommand => "sandbox/no-command",
            RunError::Overlay { .. } => "sandbox/overlay",
            RunError::Layer { .. } => "sandbox/layer",
            RunError::Mount { .. } => "sandbox/mount",
            RunError::MountSource { .. } => "sandbox/mount-source",
            RunError::NoSuchUser { .. } => "sandbox/no-such-user",
            RunError::UserDatabase { .. } => "sandbox/user-database",
            RunError::WorkingDirectory { .. } => "sandbox/working-directory",
            RunError::NotFound { .. } => "sandbox/not-found",
            RunError::Execute { .. } => "sandbox/execute",
            RunError::Variable { .. } => "sandbox/variable",
            RunError::Setup { .. } => "sandbox/setup",
            RunError::Output(_) => "sandbox/output",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            RunError::Helper(error) => error.kind(),
            RunError::NoCommand
            | RunError::NoSuchUser { .. }
            | RunError::UserDatabase { .. }
            | RunError::WorkingDirectory { .. }
            | RunError::NotFound { .. }
            | RunError::Execute { .. }
            | RunError::Variable { .. } => ErrorKind::User,
            RunError::Overlay { .. }
            | RunError::Layer { .. }
            | RunError::Mount { .. }
            | RunError::MountSource { .. }
            | RunError::Setup { .. }
            | RunError::Output(_) => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            RunError::Helper(error) => return error.hint(),
            RunError::NoSuchUser { .. } => {
                "Make the user in an earlier step, or give its number instead of its name."
            }
            RunError::NotFound { .. } => {
                "Install it in an earlier step, or write the command's full path."
            }
            RunError::Execute { source: Errno(libc::ENOEXEC), .. } => {
                "It is a program for another architecture, or a script without `#!` line."
            }
            RunError::Variable { .. } => {
                "Mount the secret as a file: `mount = \"/run/secrets/NAME\"`."
            }
            RunError::Overlay { .. } | RunError::Setup { .. } => {
                "Run `tierce doctor` to see what this machine offers."
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a layer could not be unpacked. What was unpacked before is left for
/// [`crate::Sandbox::remove`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum UnpackError {
    /// The helper failed.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// The blob can't be opened.
    #[error("cannot open the layer {path}")]
    Open {
        /// The blob.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The directory can't be made, or is not empty.
    #[error("cannot unpack a layer into {path}")]
    Destination {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The layer is damaged.
    #[error("the layer can't be read")]
    Read(#[source] Failure),
    /// A path leads through something of the same layer that is not a directory.
    #[error("{path} lies below something in the same layer that is not a directory")]
    NotBelow {
        /// The entry.
        path: String,
    },
    /// The root is something else than a directory.
    #[error("the root of the layer is not a directory")]
    RootNotDirectory,
    /// The target of a hard link is not a file of the same layer.
    #[error("hard link {path} does not lead to a file of the same layer: {target}")]
    HardLink {
        /// The entry.
        path: String,
        /// Its target.
        target: String,
    },
    /// A whiteout that removes nothing that can be removed.
    #[error("the layer has an impossible whiteout")]
    Whiteout(#[source] Failure),
    /// An attribute that would change how the sandbox sees the file.
    #[error("{path} has the extended attribute {name}, which no image may have")]
    Attribute {
        /// The entry.
        path: String,
        /// The attribute.
        name: String,
    },
    /// The owner has no place in this machine's range of ids.
    #[error("{path} belongs to {uid}:{gid}, which is outside the ids that this sandbox has")]
    Owner {
        /// The entry.
        path: String,
        /// Its user.
        uid: u32,
        /// Its group.
        gid: u32,
    },
    /// The file system refuses.
    #[error("cannot unpack {path}")]
    Write {
        /// The entry.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
}

impl Diagnostic for UnpackError {
    fn code(&self) -> &'static str {
        match self {
            UnpackError::Helper(error) => error.code(),
            UnpackError::Open { .. } => "unpack/open",
            UnpackError::Destination { .. } => "unpack/destination",
            UnpackError::Read(_) => "unpack/malformed",
            UnpackError::NotBelow { .. } => "unpack/not-below",
            UnpackError::RootNotDirectory => "unpack/root-not-directory",
            UnpackError::HardLink { .. } => "unpack/hard-link",
            UnpackError::Whiteout(_) => "unpack/whiteout",
            UnpackError::Attribute { .. } => "unpack/attribute",
            UnpackError::Owner { .. } => "unpack/owner",
            UnpackError::Write { .. } => "unpack/write",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            UnpackError::Helper(error) => error.kind(),
            UnpackError::Open { .. }
            | UnpackError::Destination { .. }
            | UnpackError::Owner { .. }
            | UnpackError::Write { .. } => ErrorKind::Environment,
            UnpackError::Read(_)
            | UnpackError::NotBelow { .. }
            | UnpackError::RootNotDirectory
            | UnpackError::HardLink { .. }
            | UnpackError::Whiteout(_)
            | UnpackError::Attribute { .. } => ErrorKind::Upstream,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            UnpackError::Helper(error) => return error.hint(),
            UnpackError::Owner { .. } => {
                "Give the user a longer range in /etc/subuid and /etc/subgid, or build as root."
            }
            UnpackError::Write { .. } => "Check that the disk is not full.",
            UnpackError::NotBelow { .. }
            | UnpackError::RootNotDirectory
            | UnpackError::HardLink { .. }
            | UnpackError::Whiteout(_)
            | UnpackError::Attribute { .. } => {
                "The image is broken or hostile: don't use it, or tell its author."
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why changes could not be turned into a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum DiffError {
    /// The helper failed.
    #[error(transparent)]
    Helper(#[from] HelperError),
    /// There was no run in this directory.
    #[error("{path} is not a scratch directory")]
    Scratch {
        /// The directory.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// A pattern of [`crate::DiffOptions::omit`] is no path.
    #[error("{pattern:?} is not a pattern of paths to leave out")]
    Pattern {
        /// The pattern.
        pattern: String,
    },
    /// A device node, which no image may bring along.
    #[error("the step made the device node {path}")]
    Device {
        /// Where.
        path: String,
    },
    /// A changed file can't be read.
    #[error("cannot read {path} in the changes of a step")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: Errno,
    },
    /// The layer can't be written.
    #[error("cannot write the layer of a step")]
    Write(#[source] Failure),
}

impl Diagnostic for DiffError {
    fn code(&self) -> &'static str {
        match self {
            DiffError::Helper(error) => error.code(),
            DiffError::Scratch { .. } => "diff/scratch",
            DiffError::Pattern { .. } => "diff/pattern",
            DiffError::Device { .. } => "diff/device",
            DiffError::Read { .. } => "diff/read",
            DiffError::Write(_) => "diff/write",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            DiffError::Helper(error) => error.kind(),
            DiffError::Device { .. } | DiffError::Pattern { .. } => ErrorKind::User,
            DiffError::Scratch { .. } | DiffError::Read { .. } | DiffError::Write(_) => {
                ErrorKind::Environment
            }
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            DiffError::Helper(error) => error.hint(),
            DiffError::Device { .. } => {
                Some("Images can't hold devices: remove it at the end of the step.".to_owned())
            }
            DiffError::Write(_) => Some("Check that the disk is not full.".to_owned()),
            _ => None,
        }
    }
}
