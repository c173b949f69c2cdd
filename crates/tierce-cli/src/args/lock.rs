//! `tierce lock`, and what other commands say about locks.

use super::{CodeArgs, Format, Progress, PythonArgs, SettingArgs};
use clap::Args;
use std::path::PathBuf;
use tierce::Platform;
use tierce::lock::Update;

const HELP: &str = "\
The lock says exactly what the image is built from, for each platform: the base's digest, every \
Python, conda and Debian package with its URL and SHA-256, and the interpreter. Commit it: \
`tierce build --locked` then builds the same image anywhere, at any time, and fails where the \
specification asks for something else than what was locked.

What is locked already stays where it still fits what the specification says; --update looks for \
newer versions. Code that is copied into the image is not locked: changing it needs no new lock.

Examples:
  tierce lock                            write tierce.lock, or take up what changed
  tierce lock --update                   look everything up anew
  tierce lock --update requests          look for a newer requests, and leave the rest alone
  tierce lock --platform linux/amd64,linux/arm64
                                         lock for these platforms
  tierce lock --check                    fail if the lock is stale; for CI, needs no network
  tierce build --locked                  build exactly what is locked";

#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct LockArgs {
    /// A tierce.toml, the directory that holds it, an ImageSpec as YAML, or a Python file (which
    /// is run) or a directory of some; the current directory unless given
    #[arg(value_name = "SPEC")]
    pub spec: Option<PathBuf>,
    /// Which images of a Python file; all unless given
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub update: UpdateArgs,
    /// Only say whether the lock is for what the specification says now; exits with 2 if not
    #[arg(long, conflicts_with = "update")]
    pub check: bool,
    /// Write the lock there, not to tierce.lock beside the specification
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Lock for this platform; may be repeated or a list. Else for those of the specification, of
    /// the lock there is, or this machine's
    #[arg(long, value_delimiter = ',')]
    pub platform: Vec<Platform>,
    #[command(flatten)]
    pub settings: SettingArgs,
    #[command(flatten)]
    pub python: PythonArgs,
    #[command(flatten)]
    pub code: CodeArgs,
    /// How to show progress on standard error
    #[arg(long, value_enum, default_value_t, env = "TIERCE_PROGRESS")]
    pub progress: Progress,
    /// How to print the changes on standard output
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What is looked for anew.
#[derive(Clone, Debug, Default, Args)]
pub struct UpdateArgs {
    /// Look for a newer version of this package, and of those alone that it needs newer; may be
    /// repeated. Without a package: of everything. Debian packages of one step change together
    #[arg(long, value_name = "PACKAGE", num_args = 0..=1, default_missing_value = "")]
    pub update: Vec<String>,
}

impl UpdateArgs {
    /// Whether anything is.
    pub fn is_wanted(&self) -> bool {
        !self.update.is_empty()
    }

    /// A specification that was meant by what follows `--update`: no package is called as a path
    /// that is there, or as a file of one.
    pub fn take_specification(&mut self) -> Option<PathBuf> {
        let is_path = |name: &str| {
            let looks = name.contains('/')
                || name == "."
                || [".toml", ".yaml", ".yml", ".py"].iter().any(|end| name.ends_with(end));
            looks && std::path::Path::new(name).exists()
        };
        let [only] = self.update.as_mut_slice() else { return None };
        is_path(only).then(|| std::mem::take(only).into())
    }

    /// What is.
    pub fn update(&self) -> Update {
        match self.update.iter().any(String::is_empty) {
            true => Update::All,
            false => Update::Packages(self.update.clone()),
        }
    }
}

/// Whether a lock is used.
#[derive(Clone, Debug, Default, Args)]
pub struct LockedArgs {
    /// Use exactly what the tierce.lock beside the specification says; fail if it is for another
    /// specification. See `tierce lock`
    #[arg(long)]
    pub locked: bool,
    /// The same, with the lock in this file
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
}
