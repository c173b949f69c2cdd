//! From what the user wrote to what is built: every outside content pinned by its digest.

use crate::{
    Image, ImageKey, PythonEnvironment, Requirements, SourceFile, SourceFolder, SourceOptions,
    Step, ValidationErrors,
};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use tierce_oci::{Diagnostic, Digest, ErrorKind, Platform};

/// Something of the host that has to be read before an image can be resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A folder. Its digest is over the relative paths, kinds, contents and executable bits of
    /// what `options` leave in.
    Folder {
        /// The index of the step that wants it.
        step: usize,
        /// Where it is.
        src: &'a Path,
        /// What is left out.
        options: &'a SourceOptions,
    },
    /// A file. Its digest is over its content and its executable bit.
    File {
        /// The index of the step that wants it.
        step: usize,
        /// Where it is.
        src: &'a Path,
    },
    /// A requirements file. Its digest is that of [`crate::requirements::gather`], which takes in
    /// the files it includes.
    Requirements {
        /// The index of the step that wants it.
        step: usize,
        /// Where it is.
        file: &'a Path,
    },
}

impl<'a> Input<'a> {
    /// The index of the step that wants it.
    pub fn step(&self) -> usize {
        match self {
            Input::Folder { step, .. }
            | Input::File { step, .. }
            | Input::Requirements { step, .. } => *step,
        }
    }

    /// Where it is on the host.
    pub fn path(&self) -> &'a Path {
        match self {
            Input::Folder { src, .. } | Input::File { src, .. } => src,
            Input::Requirements { file, .. } => file,
        }
    }
}

impl fmt::Display for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Input::Folder { .. } => "source folder",
            Input::File { .. } => "source file",
            Input::Requirements { .. } => "requirements file",
        };
        write!(f, "{what} {}", self.path().display())
    }
}

/// What was read from the host, by step, and what the machine decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    default_platform: Platform,
    digests: BTreeMap<usize, Digest>,
}

impl Inputs {
    /// Nothing read yet. Images that name no platform are for `default_platform`.
    pub fn new(default_platform: Platform) -> Self {
        Inputs { default_platform, digests: BTreeMap::new() }
    }

    /// Records the digest of what the step `step` wants.
    pub fn insert(&mut self, step: usize, digest: Digest) {
        self.digests.insert(step, digest);
    }
}

/// Why an image can't be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The image itself is wrong.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// Nobody read what a step wants.
    #[error("no digest was given for the {input} of step {step}")]
    Missing {
        /// The step's index.
        step: usize,
        /// What it wants.
        input: String,
    },
    /// There is a digest for a step that wants none.
    #[error("a digest was given for step {step}, which reads nothing")]
    Unexpected {
        /// The step's index.
        step: usize,
    },
}

impl Diagnostic for ResolveError {
    fn code(&self) -> &'static str {
        match self {
            ResolveError::Invalid(errors) => errors.code(),
            ResolveError::Missing { .. } => "spec/missing-digest",
            ResolveError::Unexpected { .. } => "spec/unexpected-digest",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ResolveError::Invalid(errors) => errors.kind(),
            // Whoever calls `resolve` has to read what `inputs` lists, and nothing else.
            ResolveError::Missing { .. } | ResolveError::Unexpected { .. } => ErrorKind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ResolveError::Invalid(errors) => errors.hint(),
            ResolveError::Missing { .. } | ResolveError::Unexpected { .. } => None,
        }
    }
}

/// An image that is valid, and whose outside contents are pinned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedImage {
    pub(crate) image: Image,
    /// Sorted, without duplicates, never empty.
    pub(crate) platforms: Vec<Platform>,
    /// One for each step; `Some` exactly where the step reads something of the host.
    pub(crate) digests: Vec<Option<Digest>>,
}

/// A step of a resolved image, with what the steps before it say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResolvedStep<'a> {
    /// Its index among the image's steps.
    pub index: usize,
    /// What it does.
    pub step: &'a Step,
    /// The digest of what it reads from the host; `None` where it reads nothing.
    pub digest: Option<Digest>,
    /// The working directory it applies in; `None` for the base's.
    pub workdir: Option<&'a str>,
    /// The user it applies as; `None` for the base's.
    pub user: Option<&'a str>,
}

impl ResolvedStep<'_> {
    /// Where a source step puts its folder or file, as an absolute path in the image;
    /// `base_workdir` is the working directory of the base. `None` for other steps.
    pub fn image_path(&self, base_workdir: Option<&str>) -> Option<String> {
        let workdir = self.workdir.or(base_workdir).unwrap_or("/");
        match self.step {
            Step::SourceFolder(folder) => Some(folder.image_path(workdir)),
            Step::SourceFile(file) => Some(file.image_path(workdir)),
            _ => None,
        }
    }
}

impl ResolvedImage {
    /// The image as it was written.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The platforms to build for: sorted, without duplicates, at least one.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// The steps in order.
    pub fn steps(&self) -> impl Iterator<Item = ResolvedStep<'_>> {
        let (mut workdir, mut user) = (None, None);
        self.image.steps.iter().zip(&self.digests).enumerate().map(
            move |(index, (step, digest))| {
                let resolved = ResolvedStep { index, step, digest: *digest, workdir, user };
                match step {
                    Step::Workdir(w) => workdir = Some(w.path.as_str()),
                    Step::User(u) => user = Some(u.user.as_str()),
                    _ => {}
                }
                resolved
            },
        )
    }

    /// The one Python environment that all package steps make; `None` where there are none.
    pub fn python_environment(&self) -> Option<PythonEnvironment<'_>> {
        self.image.python_environment()
    }

    /// The image's key.
    pub fn key(&self) -> ImageKey {
        crate::key::key(self)
    }
}

impl Image {
    /// What has to be read from the host, in the order of the steps.
    pub fn inputs(&self) -> Vec<Input<'_>> {
        self.steps.iter().enumerate().filter_map(|(step, s)| input(step, s)).collect()
    }

    /// Checks the image and pins it to what was read. Pure: nothing is read here.
    pub fn resolve(&self, inputs: &Inputs) -> Result<ResolvedImage, ResolveError> {
        self.validate()?;
        let mut digests = vec![None; self.steps.len()];
        for input in self.inputs() {
            let step = input.step();
            let digest = inputs
                .digests
                .get(&step)
                .ok_or_else(|| ResolveError::Missing { step, input: input.to_string() })?;
            digests[step] = Some(*digest);
        }
        if let Some(&step) =
            inputs.digests.keys().find(|&&step| digests.get(step).is_none_or(Option::is_none))
        {
            return Err(ResolveError::Unexpected { step });
        }
        let mut platforms = match self.platforms.as_slice() {
            [] => vec![inputs.default_platform.clone()],
            platforms => platforms.to_vec(),
        };
        platforms.sort();
        platforms.dedup();
        Ok(ResolvedImage { image: self.clone(), platforms, digests })
    }
}

fn input(step: usize, of: &Step) -> Option<Input<'_>> {
    match of {
        Step::SourceFolder(SourceFolder { src, dst: _, options }) => {
            Some(Input::Folder { step, src, options })
        }
        Step::SourceFile(SourceFile { src, dst: _ }) => Some(Input::File { step, src }),
        Step::Requirements(Requirements { file, options: _ }) => {
            Some(Input::Requirements { step, file })
        }
        Step::Apt(_)
        | Step::Pip(_)
        | Step::Env(_)
        | Step::Commands(_)
        | Step::Workdir(_)
        | Step::User(_)
        | Step::Entrypoint(_)
        | Step::Cmd(_)
        | Step::Labels(_) => None,
    }
}
