//! Why docker or podman did not come to an image.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tierce_buildkit_client::{
    CacheEntryError, ConnectError, EndpointError, FailedStep, SolveError,
};
use tierce_engine::{AnyDiagnostic, BuilderError, ExportKind};
use tierce_frontend::InputError;
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_registry::CredentialError;

/// A request to the Docker daemon failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// There is no connection.
    #[error("cannot connect to the Docker daemon at {address}")]
    Connect {
        /// The daemon's address.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the Docker daemon at {address} broke")]
    Broken {
        /// The daemon's address.
        address: String,
        /// How.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The daemon refused.
    #[error("the Docker daemon answers {request} with {status}: {message}")]
    Refused {
        /// What was asked.
        request: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        message: String,
    },
    /// The daemon's answer is not what its API says.
    #[error("the Docker daemon's answer to {request} makes no sense")]
    Malformed {
        /// What was asked.
        request: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Diagnostic for ApiError {
    fn code(&self) -> &'static str {
        match self {
            ApiError::Connect { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "docker/permission-denied",
                io::ErrorKind::InvalidInput => "docker/tls",
                _ => "docker/not-running",
            },
            ApiError::Broken { .. } => "docker/disconnected",
            ApiError::Refused { .. } => "docker/refused",
            ApiError::Malformed { .. } => "docker/malformed",
            ApiError::File { .. } => "export/unwritable",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Environment
    }

    fn hint(&self) -> Option<String> {
        match self {
            ApiError::Connect { address, source } => Some(match source.kind() {
                io::ErrorKind::PermissionDenied => format!(
                    "This user may not use {address}: join the group `docker` (it can do what root \
                     can), use rootless Docker, or `--builder native`."
                ),
                io::ErrorKind::InvalidInput => {
                    "Check ca.pem, cert.pem and key.pem in `docker.cert-path`.".into()
                }
                _ => {
                    "Start Docker, or name its address in DOCKER_HOST or `docker.host`; `--builder \
                      native` needs no daemon."
                        .into()
                }
            }),
            _ => None,
        }
    }
}

/// Values of secrets could not be handed to a program.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// There is no place for them.
    #[error("there is no directory in memory to hand secrets over in")]
    NoMemory,
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why docker or podman did not come to an image.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// The daemon's address cannot be read.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The context that was named is not there, or cannot be read.
    #[error("there is no usable docker context {name:?}")]
    Context {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// A request to the daemon failed.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The daemon's BuildKit cannot be reached.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The daemon's BuildKit failed.
    #[error(transparent)]
    Solve(Box<SolveError>),
    /// There is no BuildKit in the daemon, and no buildx beside it.
    #[error("the Docker daemon {version} has no BuildKit, and there is no `docker buildx` either")]
    NoBuildkit {
        /// The daemon's version.
        version: String,
    },
    /// What was asked for needs buildx.
    #[error("{what} needs `docker buildx`, which is not installed")]
    NoBuildx {
        /// What needs it.
        what: String,
    },
    /// A program is not installed.
    #[error("{program} is not installed")]
    NotInstalled {
        /// Its name.
        program: String,
    },
    /// A program could not be run.
    #[error("cannot run {program}")]
    Run {
        /// Its name.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// A command of the build ended with anything but success.
    #[error("step failed: {} ({ending})", step.title)]
    Step {
        /// The step.
        step: FailedStep,
        /// How it ended.
        ending: String,
    },
    /// A program failed.
    #[error("{program} failed: {message}")]
    Program {
        /// Its name.
        program: String,
        /// The last thing that it said.
        message: String,
        /// What it said before.
        tail: Vec<String>,
    },
    /// A registry refused a push.
    #[error("the registry refused {reference}: {message}")]
    Denied {
        /// What was to be pushed.
        reference: String,
        /// What it says.
        message: String,
    },
    /// A push failed.
    #[error("cannot push {reference}: {message}")]
    Push {
        /// What was to be pushed.
        reference: String,
        /// What the engine says.
        message: String,
    },
    /// Something that an index is pushed with failed.
    #[error(transparent)]
    Registry(#[from] Arc<tierce_registry::RegistryError>),
    /// Credentials could not be looked up.
    #[error(transparent)]
    Credentials(#[from] CredentialError),
    /// Secrets could not be handed over.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// A cache's description cannot be read.
    #[error(transparent)]
    Cache(#[from] CacheEntryError),
    /// The image cannot be written as a Dockerfile.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The base is an image of ours that the engine can't find.
    #[error("the {engine} engine has no image {reference}, on which this one is based")]
    NoBase {
        /// `docker` or `podman`.
        engine: &'static str,
        /// The base.
        reference: String,
    },
    /// There is no way to this destination for several platforms.
    #[error("{builder} cannot {} an image of several platforms", verb(*export))]
    SeveralPlatforms {
        /// The builder.
        builder: &'static str,
        /// The destination.
        export: ExportKind,
    },
    /// A build argument would be taken for something else.
    #[error(
        "the build argument {name} can't be given to {program}, which reads the variable {name} itself"
    )]
    BuildArgument {
        /// The program.
        program: String,
        /// The argument.
        name: String,
    },
    /// The program did not say what it built.
    #[error("{program} did not say what it built")]
    NoResult {
        /// Its name.
        program: String,
    },
    /// A temporary file could not be written.
    #[error("cannot write a temporary file")]
    Temporary(#[source] io::Error),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn verb(export: ExportKind) -> &'static str {
    match export {
        ExportKind::Push => "push",
        ExportKind::Local | ExportKind::Load => "keep",
        ExportKind::OciLayout | ExportKind::OciArchive | ExportKind::DockerArchive => "write",
    }
}

impl From<tierce_registry::RegistryError> for DockerError {
    fn from(error: tierce_registry::RegistryError) -> Self {
        DockerError::Registry(Arc::new(error))
    }
}

impl From<SolveError> for DockerError {
    fn from(error: SolveError) -> Self {
        DockerError::Solve(Box::new(error))
    }
}

impl From<DockerError> for BuilderError {
    fn from(error: DockerError) -> Self {
        BuilderError(Arc::new(error) as AnyDiagnostic)
    }
}

impl DockerError {
    fn inner(&self) -> Option<&dyn Diagnostic> {
        Some(match self {
            DockerError::Api(e) => e,
            DockerError::Connect(e) => e,
            DockerError::Solve(e) => &**e,
            DockerError::Registry(e) => &**e,
            DockerError::Input(e) => e,
            _ => return None,
        })
    }
}

impl Diagnostic for DockerError {
    fn code(&self) -> &'static str {
        if let Some(inner) = self.inner() {
            return inner.code();
        }
        match self {
            DockerError::Endpoint(_) => "docker/invalid-host",
            DockerError::Context { .. } => "docker/no-context",
            DockerError::NoBuildkit { .. } => "docker/no-buildkit",
            DockerError::NoBuildx { .. } => "docker/no-buildx",
            DockerError::NotInstalled { .. } => "builder/not-installed",
            DockerError::Step { .. } => "step/failed",
            DockerError::Run { .. } | DockerError::Program { .. } => "builder/program-failed",
            DockerError::Denied { .. } => "registry/denied",
            DockerError::Push { .. } => "builder/push-failed",
            DockerError::Credentials(_) => "registry/credentials",
            DockerError::Secrets(_) => "secret/no-memory",
            DockerError::Cache(_) => "docker/invalid-cache",
            DockerError::NoBase { .. } => "builder/no-base",
            DockerError::SeveralPlatforms { .. } => "builder/several-platforms",
            DockerError::BuildArgument { .. } => "builder/build-argument",
            DockerError::NoResult { .. } => "builder/no-result",
            DockerError::Temporary(_) => "builder/no-temporary",
            DockerError::File { .. } => "export/unwritable",
            _ => "docker/bug",
        }
    }

    fn kind(&self) -> ErrorKind {
        if let Some(inner) = self.inner() {
            return inner.kind();
        }
        match self {
            DockerError::Endpoint(_)
            | DockerError::Context { .. }
            | DockerError::Cache(_)
            | DockerError::NoBase { .. }
            | DockerError::BuildArgument { .. }
            | DockerError::SeveralPlatforms { .. } => ErrorKind::User,
            DockerError::Step { .. } => ErrorKind::Step,
            DockerError::Denied { .. } | DockerError::Push { .. } => ErrorKind::Upstream,
            _ => ErrorKind::Environment,
        }
    }

    fn hint(&self) -> Option<String> {
        if let Some(inner) = self.inner() {
            return inner.hint();
        }
        Some(match self {
            DockerError::Endpoint(_) => {
                "Write DOCKER_HOST or `docker.host` as unix:///path or tcp://host:port.".into()
            }
            DockerError::Context { .. } => "`docker context ls` lists those that exist.".into(),
            DockerError::NoBuildkit { .. } => {
                "Update Docker to 18.09 or later, or install the buildx plug-in.".into()
            }
            DockerError::NoBuildx { .. } => {
                "Install the buildx plug-in (`docker buildx version` shows whether it is there)."
                    .into()
            }
            DockerError::NotInstalled { program } => {
                format!("Install {program}, or use another builder: `--builder native` needs none.")
            }
            DockerError::Step { step, .. } if !step.tail.is_empty() => {
                format!("its last output was:\n  {}", step.tail.join("\n  "))
            }
            DockerError::Program { tail, .. } if !tail.is_empty() => {
                format!("its last output was:\n  {}", tail.join("\n  "))
            }
            DockerError::Denied { .. } => {
                "Log in with `docker login`, or check that the repository may be pushed to.".into()
            }
            DockerError::Secrets(SecretsError::NoMemory) => {
                "Mount a tmpfs at /dev/shm, or set XDG_RUNTIME_DIR to a directory in one.".into()
            }
            DockerError::NoBase { .. } => {
                "Build it with the same builder, or push it to a registry.".into()
            }
            DockerError::BuildArgument { name, .. } => format!(
                "Values go over in the environment, as anybody can read command lines: rename the ARG, or set the variable {name} to the same value where tierce runs."
            ),
            DockerError::SeveralPlatforms { .. } => {
                "Push it to a registry, or name one platform.".into()
            }
            _ => return None,
        })
    }
}
