//! Why an image can't be written as a Dockerfile.

use crate::context::ContextError;
use std::path::PathBuf;
use tierce_oci::{Diagnostic, ErrorKind};

/// Why an image can't be written as a Dockerfile.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The base is to be built first, and nobody said what became of it.
    #[error("the base is an image that has to be built first")]
    Base,
    /// There are Python packages, and nobody said where `uv` is.
    #[error("python packages need a uv program in the build, and none was named")]
    NoUv,
    /// A step that only tierce's own builder makes.
    #[error("{what} can't be written in a dockerfile")]
    Step {
        /// What it is.
        what: &'static str,
    },
    /// The builder's frontend knows no secrets.
    #[error("the builder can't hand the secret {secret} to a step")]
    Secret {
        /// The secret, as `group/key`.
        secret: String,
    },
    /// A secret's path can't be written in a flag.
    #[error("the secret {secret} can't be mounted at {path:?}")]
    SecretPath {
        /// The secret, as `group/key`.
        secret: String,
        /// The path.
        path: String,
    },
    /// A secret's variable can't be set by a shell, as has to be done in this dialect.
    #[error("the secret {secret} can't be given to a step as {variable:?}")]
    SecretVariable {
        /// The secret, as `group/key`.
        secret: String,
        /// The variable.
        variable: String,
    },
    /// A label's name can't be written.
    #[error("the label {name:?} can't be written in a dockerfile")]
    Label {
        /// The name.
        name: String,
    },
    /// A URL holds credentials that can't be handed over in another way.
    #[error("the credentials of {url} can't be handed to the build")]
    Credentials {
        /// The URL, without them.
        url: String,
    },
    /// A Dockerfile is not text.
    #[error("{} is not UTF-8", path.display())]
    Encoding {
        /// The Dockerfile.
        path: PathBuf,
    },
    /// A requirements file could not be read.
    #[error(transparent)]
    Requirements(#[from] tierce_spec::requirements::GatherError<std::io::Error>),
    /// A file is no longer what the image's key says.
    #[error("{} changed since it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The context could not be put together.
    #[error(transparent)]
    Context(#[from] ContextError),
}

impl Diagnostic for RenderError {
    fn code(&self) -> &'static str {
        match self {
            RenderError::Base => "render/base-not-built",
            RenderError::NoUv => "render/no-uv",
            RenderError::Step { .. } => "render/step",
            RenderError::Secret { .. } => "render/no-secrets",
            RenderError::SecretPath { .. } => "render/secret-path",
            RenderError::SecretVariable { .. } => "render/secret-variable",
            RenderError::Label { .. } => "render/label",
            RenderError::Credentials { .. } => "render/credentials",
            RenderError::Encoding { .. } => "render/encoding",
            RenderError::Requirements(e) => e.code(),
            RenderError::Changed { .. } => "source/changed",
            RenderError::Context(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            RenderError::Base | RenderError::NoUv => ErrorKind::Bug,
            RenderError::Requirements(e) => e.kind(),
            RenderError::Context(e) => e.kind(),
            _ => ErrorKind::User,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            RenderError::Base | RenderError::NoUv => return None,
            RenderError::Step { .. } => "Use the native builder.",
            RenderError::Secret { .. } => "Use a builder with BuildKit, podman, or native.",
            RenderError::SecretPath { .. } => {
                "Mount it at a path of letters, digits and / . _ - + @ :"
            }
            RenderError::SecretVariable { .. } => {
                "Name a variable of letters, digits and _, or mount the secret as a file."
            }
            RenderError::Label { .. } => "Leave the = out of it, or use the native builder.",
            RenderError::Credentials { .. } => {
                "Name them as a secret of the step: a netrc file, or UV_INDEX_NAME_PASSWORD."
            }
            RenderError::Encoding { .. } => "Save it as UTF-8.",
            RenderError::Changed { .. } => "Build again when nothing writes to the sources.",
            RenderError::Requirements(e) => return e.hint(),
            RenderError::Context(e) => return e.hint(),
        };
        Some(hint.to_owned())
    }
}
