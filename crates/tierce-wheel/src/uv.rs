//! The `uv` program: found, or fetched and verified; asked to resolve.

use crate::index::{IndexError, find_file};
use crate::lock::Lock;
use crate::lock_error::LockError;
use crate::request::{
    Builds, LockCommand, LockInterpreter, LockRequest, SourcePolicy, requested_names,
};
use crate::zip::{Archive, ZipError};
use crate::{location, program, standin};
use pep440_rs::Version;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use tierce_fetch::{Download, FetchError, Fetcher};
use tierce_oci::{Diagnostic, Digest, ErrorKind};
use tierce_store::{Store, StoreError};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use url::Url;

/// The version of uv that locks are made with: others may resolve the same request differently,
/// and this is the one that the stand-in interpreter is known to satisfy.
pub const PINNED_VERSION: &str = "0.13.9";

/// The oldest uv whose `pip compile` writes `pylock.toml` with all that is used here, for those
/// who name a program themselves.
pub const MINIMUM_VERSION: &str = "0.9.0";

/// The wheels of the pinned version: statically linked, so that the program runs on any Linux
/// and inside any image.
const PINNED: &[(&str, &str, &str)] = &[
    (
        "x86_64",
        "uv-0.13.9-py3-none-musllinux_1_1_x86_64.whl",
        "2c45530751517d6c3bbc69a19473f6effe47cce047bede01ffd8af7ea7b36b25",
    ),
    (
        "aarch64",
        "uv-0.13.9-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "5435c5ce14a56431208ca0996416d310f1598e8c2c8ba707688985a16bb82dbe",
    ),
];

/// A uv program that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uv {
    program: PathBuf,
    version: Version,
}

/// Where uv may be.
#[derive(Clone, Debug)]
pub struct UvSettings {
    /// This program and no other, whose version need not be the pinned one. A foreign version is
    /// never let build anything on this machine, so that it passes by releases without a wheel
    /// for older ones that have one, and its locks may differ from those of the pinned version.
    pub program: Option<PathBuf>,
    /// The directories to look for the pinned version in, as `PATH` lists them.
    pub search_path: Vec<PathBuf>,
    /// The oldest version that `program` may be.
    pub minimum: Version,
}

impl Default for UvSettings {
    /// No place to look in; the oldest version that works.
    fn default() -> Self {
        UvSettings { program: None, search_path: Vec::new(), minimum: version(MINIMUM_VERSION) }
    }
}

fn version(text: &str) -> Version {
    Version::from_str(text).unwrap_or_else(|_| Version::new([0]))
}

/// Why there is no uv.
#[derive(Debug, thiserror::Error)]
pub enum UvError {
    /// The program can't be run.
    #[error("{} can't be run", .program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program does not say that it is uv.
    #[error("{} does not say which version of uv it is: {answer:?}", .program.display())]
    NotUv {
        /// The program.
        program: PathBuf,
        /// What it said.
        answer: String,
    },
    /// The program that was asked for is too old.
    #[error("{} is uv {found}, at least {minimum} is needed", .program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        found: Version,
        /// The oldest that will do.
        minimum: Version,
    },
    /// Another version is installed, but not the one that is needed, which can't be had either.
    #[error("uv {PINNED_VERSION} is needed, and {} is uv {found}", .program.display())]
    OtherVersion {
        /// The installed program.
        program: PathBuf,
        /// Its version.
        found: Version,
        /// Why the needed version can't be fetched.
        #[source]
        source: Box<UvError>,
    },
    /// There is no program to fetch for this machine's processor.
    #[error("there is no uv to fetch for {0} processors")]
    Processor(&'static str),
    /// The index does not have the file.
    #[error("uv can't be found in a package index")]
    Index(#[from] IndexError),
    /// The file could not be fetched.
    #[error("uv can't be fetched")]
    Fetch(#[from] FetchError),
    /// The file can't be unpacked.
    #[error("uv's wheel can't be unpacked")]
    Unpack(#[from] ZipError),
    /// The store can't be written to.
    #[error("uv can't be put into the store")]
    Write(#[source] io::Error),
    /// The store has no place for it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Diagnostic for UvError {
    fn code(&self) -> &'static str {
        match self {
            UvError::Run { .. } => "python/uv-not-runnable",
            UvError::NotUv { .. } => "python/not-uv",
            UvError::TooOld { .. } => "python/uv-too-old",
            UvError::OtherVersion { .. } => "python/uv-other-version",
            UvError::Processor(_) => "python/no-uv",
            UvError::Index(_) | UvError::Fetch(_) => "python/uv-unreachable",
            UvError::Unpack(_) => "python/bad-uv",
            UvError::Write(_) => "python/store-unwritable",
            UvError::Store(source) => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            UvError::Index(_) | UvError::Fetch(_) | UvError::Unpack(_) => ErrorKind::Upstream,
            UvError::OtherVersion { source, .. } => source.kind(),
            UvError::Store(source) => source.kind(),
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            UvError::TooOld { .. } => {
                "Run `uv self update`, or let tierce fetch uv itself.".to_owned()
            }
            UvError::Run { .. } | UvError::NotUv { .. } => {
                "Name another program, or none to let tierce find or fetch it.".to_owned()
            }
            UvError::Processor(_) => format!("Install uv {PINNED_VERSION} and put it on PATH."),
            UvError::Index(_) | UvError::Fetch(_) => format!(
                "Install uv {PINNED_VERSION} and put it on PATH, or name a package index that \
                 has it."
            ),
            UvError::OtherVersion { .. } => format!(
                "Locks are made with one version of uv only, so that they are the same \
                 everywhere. Where it can't be fetched, install it (`uv self update \
                 {PINNED_VERSION}`), or name a package index that has it."
            ),
            UvError::Unpack(_) => return None,
            UvError::Store(source) => return source.hint(),
            UvError::Write(_) => "Check the store's permissions and free space.".to_owned(),
        })
    }
}

impl Uv {
    /// The program named by the settings, or else the first on the search path that is the pinned
    /// version, exactly.
    pub async fn locate(settings: &UvSettings) -> Result<Option<Self>, UvError> {
        match &settings.program {
            Some(program) => Uv::named(program, &settings.minimum).await.map(Some),
            None => Ok(Uv::search(&settings.search_path).await.ok()),
        }
    }

    async fn named(program: &Path, minimum: &Version) -> Result<Self, UvError> {
        let uv = Uv::at(program).await?;
        match uv.version < *minimum {
            true => Err(UvError::TooOld {
                program: uv.program,
                found: uv.version,
                minimum: minimum.clone(),
            }),
            false => Ok(uv),
        }
    }

    /// The first program of the pinned version, else the first of another one.
    async fn search(directories: &[PathBuf]) -> Result<Self, Option<Self>> {
        let mut other = None;
        for directory in directories {
            let program = directory.join("uv");
            if !program.is_file() {
                continue;
            }
            match Uv::at(&program).await {
                Ok(uv) if uv.is_pinned() => return Ok(uv),
                Ok(uv) => {
                    tracing::debug!(?program, version = %uv.version, "another version of uv");
                    other.get_or_insert(uv);
                }
                Err(error) => tracing::debug!(?program, %error, "not a usable uv"),
            }
        }
        Err(other)
    }

    /// Whether there is a pinned program for this machine's processor.
    pub fn is_pinned_here() -> bool {
        pinned_wheel().is_ok()
    }

    /// Where the store keeps what [`Uv::fetch`] fetches, whether it is there or not.
    pub fn place(store: &Store) -> Result<PathBuf, UvError> {
        let processor = std::env::consts::ARCH;
        Ok(store.cache_dir("uv-program")?.join(format!("uv-{PINNED_VERSION}-{processor}")))
    }

    /// The pinned version from the package index at `index` (a simple index as
    /// `https://pypi.org/simple`, or a mirror), verified by its pinned hash and kept in the store.
    pub async fn fetch(fetcher: &Fetcher, store: &Store, index: &Url) -> Result<Self, UvError> {
        Uv::fetch_reporting(fetcher, store, index, &|_| ()).await
    }

    /// The same; `on_bytes` hears how many bytes are there by now.
    pub async fn fetch_reporting(
        fetcher: &Fetcher,
        store: &Store,
        index: &Url,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<Self, UvError> {
        let (filename, hex) = pinned_wheel()?;
        let program = Uv::place(store)?;
        let directory = store.cache_dir("uv-program")?;
        let uv = Uv { program: program.clone(), version: version(PINNED_VERSION) };
        if program.is_file() {
            return Ok(uv);
        }
        let digest = Digest::from_hex(hex).map_err(|e| UvError::Write(io::Error::other(e)))?;
        let url = find_file(fetcher, index, "uv", filename).await?;
        let wheel = tempfile::NamedTempFile::new_in(&directory).map_err(UvError::Write)?;
        let download = Download { url, digest: Some(digest), size: None };
        fetcher.download(&download, wheel.path(), on_bytes).await?;
        extract(wheel.path(), &program)?;
        Ok(uv)
    }

    /// [`Uv::locate`], else [`Uv::fetch`]: an installed uv of another version is left alone.
    pub async fn locate_or_fetch(
        settings: &UvSettings,
        fetcher: &Fetcher,
        store: &Store,
        index: &Url,
    ) -> Result<Self, UvError> {
        if let Some(program) = &settings.program {
            return Uv::named(program, &settings.minimum).await;
        }
        let other = match Uv::search(&settings.search_path).await {
            Ok(uv) => return Ok(uv),
            Err(other) => other,
        };
        let fetched = Uv::fetch(fetcher, store, index).await;
        fetched.map_err(|error| match (error, other) {
            (
                error @ (UvError::Index(_) | UvError::Fetch(_) | UvError::Processor(_)),
                Some(Uv { program, version }),
            ) => UvError::OtherVersion { program, found: version, source: Box::new(error) },
            (error, _) => error,
        })
    }

    /// The program at a path, asked for its version.
    pub async fn at(program: &Path) -> Result<Self, UvError> {
        let failed = |source| UvError::Run { program: program.to_owned(), source };
        let output = Command::new(program)
            .arg("--version")
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(failed)?;
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let version = answer
            .strip_prefix("uv ")
            .and_then(|rest| rest.split([' ', '+']).next())
            .and_then(|version| Version::from_str(version).ok());
        match version {
            Some(version) => Ok(Uv { program: program.to_owned(), version }),
            None => Err(UvError::NotUv { program: program.to_owned(), answer }),
        }
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    fn is_pinned(&self) -> bool {
        self.version == version(PINNED_VERSION)
    }

    /// Whether this program is not to build for `request`, though building is allowed. The
    /// stand-in can't be built with, but what another version makes of it is not known.
    fn withholds_builds(&self, request: &LockRequest) -> bool {
        request.sources == SourcePolicy::Allow
            && request.interpreter == LockInterpreter::Auto
            && !self.is_pinned()
    }

    /// The run of uv that resolves `request`.
    pub fn lock_command(&self, request: &LockRequest) -> Result<LockCommand, LockError> {
        let python = match &request.interpreter {
            LockInterpreter::At(path) => path.clone(),
            LockInterpreter::Auto => {
                let directory = request.cache_dir.join("standin");
                standin::install(&directory, &request.target)
                    .map_err(|source| LockError::StandIn { directory, source })?
            }
        };
        let off = request.sources == SourcePolicy::WheelsOnly || self.withholds_builds(request);
        let builds = if off { Builds::Off } else { Builds::Allowed };
        LockCommand::new(request, &python, builds)
            .map_err(|bad| LockError::InvalidRequirement { explanation: format!("{:?}", bad.0) })
    }

    /// Resolves requirements for a target. uv is killed when the future is dropped.
    pub async fn lock(&self, request: &LockRequest) -> Result<Lock, LockError> {
        let command = self.lock_command(request)?;
        let failed = |source| LockError::Run { program: self.program.clone(), source };
        let preferred = Preferred::write(request).map_err(failed)?;
        let command = match &preferred {
            Some(preferred) => command.with_output(&preferred.file.to_string_lossy()),
            None => command,
        };
        let output = self.run(&command).await.map_err(failed)?;
        if !output.status.success() {
            let said = redact(&String::from_utf8_lossy(&output.stderr), request);
            let error = LockError::from_uv(&said, &request.target.to_string());
            return Err(match self.withholds_builds(request) {
                true => error.with_builds_off(),
                false => error,
            });
        }
        match preferred {
            Some(preferred) => {
                Uv::answer(&std::fs::read(&preferred.file).map_err(failed)?, request)
            }
            None => Uv::answer(&output.stdout, request),
        }
    }

    /// The lock that a run of [`Uv::lock_command`] wrote, wherever it ran. `request` is the one
    /// with this machine's paths: its requirements files are read for what they ask for by name.
    pub fn answer(pylock: &[u8], request: &LockRequest) -> Result<Lock, LockError> {
        Ok(mark_requested(Lock::parse(pylock, &request.target)?, request))
    }

    async fn run(&self, command: &LockCommand) -> io::Result<std::process::Output> {
        let mut child = Command::new(&self.program)
            .args(&command.args)
            .env_clear()
            .envs(command.env.iter().map(|(name, value)| (name, value)))
            .current_dir(&command.cwd)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take();
        let write = async {
            if let Some(mut stdin) = stdin {
                // uv may fail before it has read everything; its own error says more.
                let _ = stdin.write_all(command.stdin.as_bytes()).await;
            }
        };
        let (output, ()) = futures::join!(child.wait_with_output(), write);
        output
    }
}

/// The versions that uv takes where they fit: it keeps those of the file that it writes to.
struct Preferred {
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Preferred {
    fn write(request: &LockRequest) -> io::Result<Option<Self>> {
        let Some(text) = &request.preferences else { return Ok(None) };
        std::fs::create_dir_all(&request.cache_dir)?;
        let directory = tempfile::tempdir_in(&request.cache_dir)?;
        let file = directory.path().join("pylock.toml");
        std::fs::write(&file, text)?;
        Ok(Some(Preferred { file, _directory: directory }))
    }
}

/// The file and the hash of the pinned version's wheel for this machine.
fn pinned_wheel() -> Result<(&'static str, &'static str), UvError> {
    let processor = std::env::consts::ARCH;
    let found = PINNED.iter().find(|(name, ..)| *name == processor);
    found.map(|(_, filename, hex)| (*filename, *hex)).ok_or(UvError::Processor(processor))
}

/// Marks what the request names, by name or by the very file.
fn mark_requested(lock: Lock, request: &LockRequest) -> Lock {
    let mut names = requested_names(request);
    // A requirement that is only a path or a URL has no name; packages that come from such a
    // place are asked for by it, but for the rare dependency that another package gives so.
    let direct: BTreeSet<_> = lock
        .packages()
        .iter()
        .filter(|package| package.source.is_direct())
        .map(|package| package.name.clone())
        .collect();
    names.extend(direct);
    lock.with_requested(&names)
}

/// uv's words without the passwords of indexes and other secrets.
fn redact(text: &str, request: &LockRequest) -> String {
    let mut text = request.secrets.redact(text).into_owned();
    for index in request.indexes() {
        let shown = location::without_credentials(&index);
        text = text.replace(index.as_str(), shown.as_str());
        if let Some(password) = index.password().filter(|p| !p.is_empty()) {
            text = text.replace(password, "****");
        }
    }
    text
}

/// Unpacks the program out of uv's wheel, atomically.
fn extract(wheel: &Path, program: &Path) -> Result<(), UvError> {
    let archive = Archive::open(File::open(wheel).map_err(UvError::Write)?, 1 << 30)?;
    let name = format!("uv-{PINNED_VERSION}.data/scripts/uv");
    let missing = || io::Error::new(io::ErrorKind::NotFound, "the program is not in its wheel");
    let entry = archive.find(&name).ok_or_else(missing).map_err(UvError::Write)?;
    program::install(program, &mut archive.reader(entry)).map_err(UvError::Write)
}
