//! What can be wrong with a spec.

use crate::Field;
use crate::tag::TagFormatError;
use std::fmt;
use tierce_oci::{Diagnostic, ErrorKind, ReferenceError};
use tierce_spec::ProjectArgumentError;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub(crate) code: &'static str,
    pub(crate) field: Field,
    pub(crate) index: Option<usize>,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: &'static str, field: Field, message: impl Into<String>) -> Self {
        Problem { code, field, index: None, message: message.into(), hint: None }
    }

    pub(crate) fn at(self, index: usize) -> Self {
        Problem { index: Some(index), ..self }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Problem { hint: Some(hint.into()), ..self }
    }

    /// A stable code, as `imagespec/invalid-registry`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The field.
    pub fn field(&self) -> Field {
        self.field
    }

    /// The item of the field's list, where it is one.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "{}[{index}]: {}", self.field, self.message),
            None => write!(f, "{}: {}", self.field, self.message),
        }
    }
}

/// Everything that is wrong with a spec: at least one problem, in the order of the fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    /// The problems.
    pub fn all(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alone = self.0.len() == 1;
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
            // The hint of the only problem is the error's own.
            if let (Some(hint), false) = (&problem.hint, alone) {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

/// Why a spec is none, or why there is no image for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageSpecError {
    /// The fields don't make a spec.
    #[error("{0}")]
    Invalid(Problems),
    /// The base is not an image reference.
    #[error("base_image: {text:?} is not an image reference")]
    Base {
        /// What was written.
        text: String,
        /// What is wrong with it.
        source: ReferenceError,
    },
    /// The base spec can't be built.
    #[error("base_image {name:?} cannot be built")]
    BaseSpec {
        /// The name of the base.
        name: String,
        /// Why.
        source: Box<ImageSpecError>,
    },
    /// CUDA is asked for by version.
    #[error("{fields} cannot be installed by the builder {builder:?}")]
    Cuda {
        /// `cuda`, `cudnn` or both.
        fields: String,
        /// The builder.
        builder: String,
    },
    /// The base has no Python, and nothing says which one the image is to have.
    #[error(
        "the base image {base:?} has no python, and no python_version says which one to put in"
    )]
    NoPython {
        /// The base.
        base: String,
    },
    /// The requirements are a lock, and an argument asks for what it can't be asked for.
    #[error("pip_extra_args can't be followed")]
    ExtraArgs(#[source] ProjectArgumentError),
    /// The builder that builds nothing needs a base that is there.
    #[error("the builder \"noop\" needs a base_image that is a reference")]
    NothingToReturn,
}

impl From<TagFormatError> for Problem {
    fn from(error: TagFormatError) -> Self {
        Problem::new("imagespec/invalid-tag-format", Field::TagFormat, error.to_string())
            .hint("Write it as \"{spec_hash}-dev\"; braces of its own are doubled.")
    }
}

impl Diagnostic for ImageSpecError {
    fn code(&self) -> &'static str {
        match self {
            ImageSpecError::Invalid(problems) => match problems.0.as_slice() {
                [first, rest @ ..] if rest.iter().all(|p| p.code == first.code) => first.code,
                _ => "imagespec/invalid",
            },
            ImageSpecError::Base { .. } => "imagespec/invalid-base",
            ImageSpecError::BaseSpec { source, .. } => source.code(),
            ImageSpecError::Cuda { .. } => "imagespec/cuda-unsupported",
            ImageSpecError::NoPython { .. } => "imagespec/conda-unsupported",
            ImageSpecError::ExtraArgs(_) => "imagespec/extra-args",
            ImageSpecError::NothingToReturn => "imagespec/noop-base",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            ImageSpecError::Invalid(problems) => match problems.0.as_slice() {
                [only] => only.hint.clone(),
                _ => None,
            },
            ImageSpecError::Base { .. } => {
                Some("Write it as \"python:3.12-slim\" or \"ghcr.io/team/base:1\".".into())
            }
            ImageSpecError::BaseSpec { source, .. } => source.hint(),
            ImageSpecError::Cuda { .. } => Some(
                "Python packages bring the CUDA libraries that they need; for others, start from a base_image that has CUDA.".into(),
            ),
            ImageSpecError::NoPython { .. } => Some(
                "Give python_version, start from a base_image with Python, as \"python:3.12-slim\", leave base_image out, or add python3 to apt_packages.".into(),
            ),
            ImageSpecError::ExtraArgs(ProjectArgumentError::Unknown { known, .. }) => Some(format!(
                "Leave it out. Those that say what of a lock is installed are {}.",
                known.join(", ")
            )),
            ImageSpecError::ExtraArgs(_) => Some("Give it its value.".into()),
            ImageSpecError::NothingToReturn => {
                Some("Set base_image to the image that is to be used as it is.".into())
            }
        }
    }
}
