//! Why the native builder did not come to an image.

use std::error::Error;
use std::io::ErrorKind as ErrorKindIo;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_engine::AnyDiagnostic;
use tierce_oci::{Diagnostic, DiffId, ErrorKind, Platform};
use tierce_sandbox::Exit;

/// The store's own code for a full disk.
const FULL: &str = "store/disk-full";

/// Why the native builder did not come to an image.
#[derive(Debug, thiserror::Error)]
pub enum NativeError {
    /// A part that tierce is made of failed; it says itself what, why and what next.
    #[error(transparent)]
    Part(AnyDiagnostic),
    /// A command ended with anything but success.
    #[error("step failed: {title} ({})", ending(exit))]
    StepFailed {
        /// The command.
        title: String,
        /// How it ended.
        exit: Exit,
        /// What it last said.
        tail: Vec<String>,
    },
    /// What a step made has the value of a secret in it.
    #[error("the value of the secret {secret} is in {place}")]
    SecretLeaked {
        /// The secret.
        secret: tierce_spec::SecretId,
        /// Where, without the value.
        place: String,
    },
    /// A step needs a secret that was not looked up.
    #[error("the secret {0} has no value")]
    NoSecretValue(tierce_spec::SecretId),
    /// The user stopped the build.
    #[error("interrupted")]
    Interrupted,
    /// A layer's content is not what the image's configuration says.
    #[error("layer has diff id {actual}, the image's configuration says {expected}")]
    DiffId {
        /// What the configuration says.
        expected: DiffId,
        /// What was unpacked.
        actual: DiffId,
    },
    /// A blob of the store was damaged; it is gone now.
    #[error("blob {0} in the store was damaged, and was removed")]
    DamagedBlob(tierce_oci::Digest),
    /// Something has to run, and this machine can't.
    #[error("this build has to run something in the image, and this machine has no way to")]
    NoExecution(#[source] AnyDiagnostic),
    /// Something has to run on another processor, and this machine can't.
    #[error("cannot run programs for {platform} on this machine, as {what} needs")]
    ForeignPlatform {
        /// The platform.
        platform: Platform,
        /// What would run.
        what: String,
    },
    /// Nothing tells where the image's Python is.
    #[error("cannot tell which Python the base has")]
    NoInterpreter,
    /// The image's Python is another than was asked for.
    #[error("the base has Python {found}, not {wanted}")]
    WrongPython {
        /// What was asked for.
        wanted: String,
        /// What is there.
        found: String,
    },
    /// The image's Python is one that tierce does not install for.
    #[error("cannot install for the base's Python")]
    UnsupportedPython(#[from] tierce_wheel::PythonVersionError),
    /// There are no wheels for the platform.
    #[error("cannot install Python packages for this platform")]
    UnsupportedPlatform(#[from] tierce_wheel::UnsupportedPlatform),
    /// Debian does not have the platform's architecture.
    #[error("Debian has no packages for this platform")]
    UnsupportedArchitecture(#[from] tierce_debian::ArchitectureError),
    /// A Debian package was named in a way that makes no sense.
    #[error("the base's packages cannot be told apart")]
    PackageName(#[from] tierce_debian::PackageSpecError),
    /// The keyring of a Debian archive is none.
    #[error("{path} is not a keyring")]
    Keyring {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tierce_debian::KeyringError,
    },
    /// A base's interpreter path can't be one.
    #[error("cannot make a Python environment")]
    Interpreter(#[from] tierce_wheel::InterpreterError),
    /// A base lists more or fewer layers than its configuration.
    #[error("base {0} is inconsistent: its manifest and its configuration list different layers")]
    InconsistentBase(String),
    /// A base has a layer of a type that cannot be read.
    #[error("base {base} has a layer of unsupported type {media_type}")]
    UnsupportedLayer {
        /// The base.
        base: String,
        /// The type.
        media_type: String,
    },
    /// A package's source cannot be built into a wheel.
    #[error("cannot build {package} from {kind}")]
    Unbuildable {
        /// The package.
        package: String,
        /// What it comes from.
        kind: &'static str,
    },
    /// A requirements file is where the image's resolver cannot see it.
    #[error("requirements file {0} is outside of the project")]
    OutsideProject(PathBuf),
    /// Building a package's source left no wheel, or several.
    #[error("building {package} left {count} wheels instead of one")]
    BuiltWheels {
        /// The package.
        package: String,
        /// How many.
        count: usize,
    },
    /// A file of the store cannot be used.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The disk that the store is on is full.
    #[error("no space is left for the store {}", path.display())]
    StoreFull {
        /// The store.
        path: PathBuf,
        /// What could not be done.
        source: AnyDiagnostic,
    },
    /// There is no engine to load the image into.
    #[error("there is no Docker or podman to load the image into")]
    NoEngine,
    /// The engine refused the image.
    #[error("{engine} load failed: {message}")]
    Load {
        /// `docker` or `podman`.
        engine: String,
        /// What it said.
        message: String,
    },
    /// An image that was named is nowhere.
    #[error("there is no image {0}")]
    NoImage(String),
    /// The base is not in its registry.
    #[error("{registry} has no {image}")]
    NoBase {
        /// The registry.
        registry: String,
        /// The repository in it, with the tag.
        image: String,
    },
    /// The base is made by another kind of builder.
    #[error("the native builder can't start from {0}")]
    ForeignBase(&'static str),
    /// An image has nothing to run.
    #[error("the image has no command to run")]
    NoCommand,
    /// A task ended in a way that it must not.
    #[error("a task of the build ended unexpectedly")]
    Task(#[source] tokio::task::JoinError),
}

fn ending(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(signal) => format!("killed by signal {signal}"),
        Exit::TimedOut => "time limit reached".to_owned(),
        Exit::Cancelled => "cancelled".to_owned(),
    }
}

impl NativeError {
    /// For `map_err`: a failure of the file system on `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| NativeError::Io { path, source }
    }

    /// The same, but where the cause is a full disk and nothing says so: whichever part met it
    /// first, there is one thing to do. Errors with a code of their own for it name the place.
    pub fn on_disk_of(self: Arc<Self>, store: &Path) -> Arc<Self> {
        let mut cause = self.source();
        while let Some(error) = cause {
            let full = error.downcast_ref::<std::io::Error>().is_some_and(|e| {
                matches!(e.kind(), ErrorKindIo::StorageFull | ErrorKindIo::QuotaExceeded)
            });
            if full && self.code() != FULL {
                return Arc::new(NativeError::StoreFull { path: store.to_owned(), source: self });
            }
            cause = error.source();
        }
        self
    }
}

impl<E: Diagnostic + Send + Sync + 'static> From<E> for NativeError
where
    E: Part,
{
    fn from(error: E) -> Self {
        NativeError::Part(std::sync::Arc::new(error))
    }
}

impl From<tokio::task::JoinError> for NativeError {
    fn from(error: tokio::task::JoinError) -> Self {
        match error.is_cancelled() {
            true => NativeError::Interrupted,
            false => NativeError::Task(error),
        }
    }
}

/// Errors of the crates below, which come with their own codes, kinds and hints.
pub trait Part {}

macro_rules! parts {
    ($($error:ty),* $(,)?) => { $(impl Part for $error {})* };
}

parts!(
    tierce_debian::OpenError,
    tierce_engine::GatherError,
    tierce_engine::VerifyError,
    tierce_debian::PackagesError,
    tierce_debian::DebError,
    tierce_debian::ResolveError,
    tierce_debian::RootError,
    tierce_fetch::FetchError,
    tierce_registry::RegistryError,
    tierce_sandbox::DiffError,
    tierce_sandbox::RunError,
    tierce_sandbox::UnpackError,
    tierce_store::ExportError,
    tierce_store::ImportError,
    tierce_store::StoreError,
    tierce_tree::ShipError,
    tierce_wheel::FetchWheelError,
    tierce_wheel::FileConflict,
    tierce_wheel::LayerError,
    tierce_wheel::LockError,
    tierce_wheel::StandaloneError,
    tierce_wheel::UvError,
    tierce_wheel::PylockError,
    tierce_wheel::WheelError,
    crate::local_wheels::LocalWheelError,
    crate::projects::ProjectError,
    tierce_wheel::UvProjectError,
    tierce_wheel::poetry::LocateError,
    tierce_wheel::poetry::PoetryError,
    crate::conda::CondaError,
    tierce_conda::ChannelError,
    tierce_conda::ExactError,
    tierce_conda::FetchPackageError,
    tierce_conda::LayerError,
    tierce_conda::LockFormatError,
    tierce_conda::PrefixError,
    tierce_conda::SolveError,
    tierce_conda::UnsupportedSubdir,
    tierce_conda::UrlError,
    tierce_conda::VirtualPackageError,
    crate::lock::LockedError,
);

impl Diagnostic for NativeError {
    fn code(&self) -> &'static str {
        match self {
            NativeError::Part(e) => e.code(),
            NativeError::StepFailed { exit: Exit::TimedOut, .. } => "step/timed-out",
            NativeError::StepFailed { .. } => "step/failed",
            NativeError::SecretLeaked { .. } => "secret/leaked",
            NativeError::NoSecretValue(_) => "secret/no-value",
            NativeError::Interrupted => "build/interrupted",
            NativeError::DiffId { .. } => "base/diff-id-mismatch",
            NativeError::DamagedBlob(_) => "store/damaged-blob",
            NativeError::NoExecution(_) => "build/no-execution",
            NativeError::ForeignPlatform { .. } => "build/foreign-platform",
            NativeError::NoInterpreter => "python/no-interpreter",
            NativeError::WrongPython { .. } => "python/wrong-version",
            NativeError::UnsupportedPython(_) => "python/unsupported-version",
            NativeError::UnsupportedPlatform(_) => "python/unsupported-platform",
            NativeError::UnsupportedArchitecture(_) => "debian/unsupported-architecture",
            NativeError::PackageName(_) => "debian/invalid-package",
            NativeError::Keyring { .. } => "debian/keyring",
            NativeError::Interpreter(_) => "python/invalid-interpreter",
            NativeError::InconsistentBase(_) => "base/inconsistent",
            NativeError::UnsupportedLayer { .. } => "base/unsupported-layer",
            NativeError::Unbuildable { .. } => "python/unbuildable",
            NativeError::OutsideProject(_) => "python/outside-project",
            NativeError::BuiltWheels { .. } => "python/built-wheels",
            NativeError::Io { .. } => "build/io",
            NativeError::StoreFull { .. } => FULL,
            NativeError::NoEngine => "export/no-engine",
            NativeError::Load { .. } => "export/load-failed",
            NativeError::NoImage(_) => "run/no-image",
            NativeError::NoBase { .. } => "base/not-found",
            NativeError::ForeignBase(_) => "build/foreign-base",
            NativeError::NoCommand => "run/no-command",
            NativeError::Task(_) => "build/task",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            NativeError::Part(e) => e.kind(),
            NativeError::StepFailed { .. }
            | NativeError::SecretLeaked { .. }
            | NativeError::BuiltWheels { .. } => ErrorKind::Step,
            NativeError::Interrupted => ErrorKind::Interrupted,
            NativeError::DiffId { .. }
            | NativeError::InconsistentBase(_)
            | NativeError::UnsupportedLayer { .. } => ErrorKind::Upstream,
            NativeError::NoExecution(_)
            | NativeError::DamagedBlob(_)
            | NativeError::ForeignPlatform { .. }
            | NativeError::Io { .. }
            | NativeError::StoreFull { .. }
            | NativeError::NoEngine
            | NativeError::Load { .. } => ErrorKind::Environment,
            NativeError::NoInterpreter
            | NativeError::WrongPython { .. }
            | NativeError::UnsupportedPython(_)
            | NativeError::UnsupportedPlatform(_)
            | NativeError::UnsupportedArchitecture(_)
            | NativeError::PackageName(_)
            | NativeError::Keyring { .. }
            | NativeError::Interpreter(_)
            | NativeError::Unbuildable { .. }
            | NativeError::OutsideProject(_)
            | NativeError::NoImage(_)
            | NativeError::NoBase { .. }
            | NativeError::ForeignBase(_)
            | NativeError::NoCommand => ErrorKind::User,
            NativeError::Task(_) | NativeError::NoSecretValue(_) => ErrorKind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            NativeError::Part(e) => return e.hint(),
            NativeError::StepFailed { tail, .. } if tail.is_empty() => return None,
            NativeError::StepFailed { tail, .. } => {
                format!("its last output was:\n  {}", tail.join("\n  "))
            }
            NativeError::SecretLeaked { .. } => {
                "Nothing of the step was kept. Have it use the value without writing it down, or \
                 delete what it wrote in the same step. A value that is an ordinary word is found \
                 in ordinary files: choose a longer one."
                    .to_owned()
            }
            NativeError::NoExecution(e) => {
                let more = e.hint().map(|hint| format!("{hint} ")).unwrap_or_default();
                format!("{more}`tierce doctor` says what is missing.")
            }
            NativeError::ForeignPlatform { .. } => {
                "Register an emulator (on Debian: apt install qemu-user-static binfmt-support), \
                 build on a machine of that kind, or leave out what runs: Python packages run \
                 nothing where they are not compiled (bytecode = false)."
                    .to_owned()
            }
            NativeError::NoInterpreter => {
                "Say which version the image is to have, as `python = \"3.12\"`: where the base has \
                 none, one is put in, unless `provider = \"base\"`. Or say where it is: `python = { \
                 version = \"3.12\", interpreter = \"/usr/bin/python3\" }`; a Debian base brings its \
                 own with `python = true`."
                    .to_owned()
            }
            NativeError::WrongPython { found, .. } => {
                format!(
                    "Ask for {found}, or choose a base with the version you need, or one without \
                     a Python environment: another Python is put in there, unless `provider` is \
                     \"base\" or `interpreter` names one."
                )
            }
            NativeError::StoreFull { .. } => {
                "Free some space there (`tierce cache prune` does), or set TIERCE_STORE to a \
                 directory on another disk."
                    .to_owned()
            }
            NativeError::DamagedBlob(_) => "Run it again: the blob is made or fetched anew.".into(),
            NativeError::DiffId { .. } | NativeError::InconsistentBase(_) => {
                "The image was damaged or tampered with where it is kept: push it there again, or \
                 use another one."
                    .to_owned()
            }
            NativeError::UnsupportedPython(_) => {
                "Choose a base with CPython 3.9 or later.".to_owned()
            }
            NativeError::Keyring { .. } => {
                "Name an OpenPGP keyring, binary or armoured, as /usr/share/keyrings has them."
                    .to_owned()
            }
            NativeError::BuiltWheels { .. } => {
                "The package's own build is at fault: try another version of it.".to_owned()
            }
            NativeError::NoEngine => {
                "Start one, or write the image with --output oci:DIR or --push.".to_owned()
            }
            NativeError::NoBase { registry, .. } => format!(
                "Check its name and its tag. Some registries say the same of what one may not \
                 see: `docker login {registry}`."
            ),
            NativeError::NoImage(_) => "Build it first, or name it with its registry.".to_owned(),
            NativeError::OutsideProject(_) => {
                "A package must be built to know what it requires, which runs in the image, where \
                 only the project is seen: move the file into the project."
                    .to_owned()
            }
            NativeError::ForeignBase(_) => {
                "Choose a builder that can: --builder docker, podman or buildkit.".to_owned()
            }
            NativeError::NoCommand => "Give one: `tierce run IMAGE -- CMD`.".to_owned(),
            NativeError::Unbuildable { .. } => {
                "Choose a version that has a wheel, or a source from an index or git.".to_owned()
            }
            _ => return None,
        })
    }
}
