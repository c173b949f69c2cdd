//! How a builder wants its contexts.

use super::{Archive, BuildContext, ContextError};

/// How a builder wants its contexts laid out and packed. The default suits the Docker daemon; a
/// builder with other needs (a service that unpacks a zip file and looks for a file with
/// instructions of its own, say) brings its own.
pub trait ContextLayout: Send + Sync {
    /// The directory, in the context, of all that `COPY` and `RUN --mount` name; empty for the
    /// context's root. What the builder takes for the root when it reads the Dockerfile.
    fn root(&self) -> &str {
        ""
    }

    /// Where the Dockerfile is, in the context.
    fn dockerfile(&self) -> &str {
        "Dockerfile"
    }

    /// How the context is packed.
    fn archive(&self) -> Archive {
        Archive::Tar
    }

    /// Adds what else the builder wants to find there. The rest is in place.
    fn finish(&self, _context: &mut BuildContext) -> Result<(), ContextError> {
        Ok(())
    }
}

/// The layout for the Docker daemon, podman, buildah and BuildKit: a tar file with a `Dockerfile`
/// at its root, and an ignore file that leaves nothing out.
#[derive(Clone, Copy, Debug, Default)]
pub struct DockerLayout;

/// Without a file of this name, some tools look for ignore rules elsewhere.
const IGNORE_FILE: &str = ".dockerignore";

/// What a Dockerfile of the user's is called in a context that does not hold it.
pub(crate) const OWN_DOCKERFILE: &str = "Dockerfile.tierce";

impl ContextLayout for DockerLayout {
    fn finish(&self, context: &mut BuildContext) -> Result<(), ContextError> {
        match context.get(IGNORE_FILE) {
            // The context of a Dockerfile of the user's: its rules have been applied.
            Some(_) => Ok(()),
            None => {
                let text =
                    format!("# But for this, all is needed.\n{IGNORE_FILE}\n{OWN_DOCKERFILE}\n");
                context.add_content(IGNORE_FILE, text)
            }
        }
    }
}
