//! The builders `docker` and `podman`; must not know any other builder.
//!
//! **docker** speaks to the daemon's Engine API, and over it to the BuildKit inside the daemon
//! (`tierce-buildkit-client`): values of secrets go through the session and are in no file,
//! argument or environment, the context is sent while it is archived, and progress comes as data.
//! The `docker` command is the way out for what the API can't do: a builder of buildx's, OCI
//! layouts, several platforms that are not pushed, local caches, daemons behind ssh, arguments
//! that are the command's alone.
//!
//! **podman** is run as a program: without its service running (the rule) it has no API.
//!
//! Programs are run in process groups of their own, and end with the build's future. Secrets that
//! a program needs as files are in memory (`tmpfs`), for the user alone, and gone at the end.

mod build_args;
mod delivery;
mod docker;
mod error;
mod partial;
mod plain;
mod podman;
mod process;

pub use docker::{DockerBuilder, DockerSettings};
pub use error::{ApiError, DockerError, SecretsError};
pub use podman::{PodmanBuilder, PodmanSettings};

use plain::Progress;
use process::Program;
use tierce_oci::Reference;

/// Runs a build, its lines going to `progress`.
async fn run_build(
    program: &Program,
    arguments: &[String],
    progress: &mut impl Progress,
) -> Result<(), DockerError> {
    let status = program.run(arguments, |stream, line| progress.line(stream, line)).await;
    let status = status.map_err(|source| DockerError::Run { program: program.name(), source })?;
    if status.success() {
        progress.finish();
        return Ok(());
    }
    let failure = progress.fail();
    let message = failure.message();
    Err(match failure.step {
        Some((step, ending)) => DockerError::Step { step, ending },
        None => DockerError::Program { program: program.name(), message, tail: failure.tail },
    })
}

/// An engine's error about a push: a text.
fn push_error(to: &Reference, message: String) -> DockerError {
    let denied =
        ["denied", "unauthorized", "no basic auth", "authentication required", "forbidden"];
    let reference = to.to_string();
    match denied.iter().any(|word| message.to_lowercase().contains(word)) {
        true => DockerError::Denied { reference, message },
        false => DockerError::Push { reference, message },
    }
}
