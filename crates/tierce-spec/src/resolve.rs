//! From what the user wrote to what is built: every outside content pinned by its digest.

use crate::{
    Base, Conda, CondaSource, DockerfileBase, Image, ImageKey, Project, PythonEnvironment,
    Requirements, SourceFile, SourceFolder, SourceOptions, Step, ValidationErrors, Wheels,
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
    /// A folder of wheels. Its digest is over the names and contents of its `*.whl` files.
    Wheels {
        /// The index of the step that wants it.
        step: usize,
        /// Where it is.
        dir: &'a Path,
        /// The packages whose wheels are wanted; empty for all.
        packages: &'a [String],
    },
    /// A project. Its digest is over its manifest, its lock file and, as [`Input::Folder`] has it,
    /// every folder of the host that is installed from.
    Project {
        /// The index of the step that wants it.
        step: usize,
        /// Which one.
        project: &'a Project,
    },
    /// The files that say which conda packages are wanted. Their digest is over their contents
    /// and, as [`Input::Folder`] has it, every folder of the host that is installed from.
    Conda {
        /// The index of the step that wants them.
        step: usize,
        /// Which ones.
        source: &'a CondaSource,
    },
    /// A Dockerfile that makes the base. Its digest is over its content, and over what its ignore
    /// file leaves in of its context.
    Dockerfile(&'a DockerfileBase),
    /// The image that is the base. Its digest is that of its key.
    Image(&'a Image),
}

/// What wants an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The base.
    Base,
    /// The step with this index.
    Step(usize),
}

impl From<usize> for Slot {
    fn from(step: usize) -> Self {
        Slot::Step(step)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Base => f.write_str("the base"),
            Slot::Step(index) => write!(f, "step {index}"),
        }
    }
}

impl<'a> Input<'a> {
    /// What wants it.
    pub fn slot(&self) -> Slot {
        match self {
            Input::Folder { step, .. }
            | Input::File { step, .. }
            | Input::Requirements { step, .. }
            | Input::Wheels { step, .. }
            | Input::Project { step, .. }
            | Input::Conda { step, .. } => Slot::Step(*step),
            Input::Dockerfile(_) | Input::Image(_) => Slot::Base,
        }
    }

    /// Where it is on the host; none for an image, which has inputs of its own.
    pub fn path(&self) -> Option<&'a Path> {
        match self {
            Input::Folder { src, .. } | Input::File { src, .. } => Some(src),
            Input::Requirements { file, .. } => Some(file),
            Input::Wheels { dir, .. } => Some(dir),
            Input::Project { project, .. } => Some(&project.manifest),
            Input::Conda { source, .. } => source.files().map(|(file, _)| file),
            Input::Dockerfile(dockerfile) => Some(&dockerfile.file),
            Input::Image(_) => None,
        }
    }
}

impl Input<'_> {
    /// What it is, for messages: `source folder`.
    pub fn kind(&self) -> &'static str {
        match self {
            Input::Folder { .. } => "source folder",
            Input::File { .. } => "source file",
            Input::Requirements { .. } => "requirements file",
            Input::Wheels { .. } => "folder of wheels",
            Input::Project { .. } => "project",
            Input::Conda { .. } => "conda environment",
            Input::Dockerfile(_) => "Dockerfile",
            Input::Image(_) => "image",
        }
    }
}

impl fmt::Display for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.kind();
        match (self.path(), self) {
            (Some(path), _) => write!(f, "{what} {}", path.display()),
            (None, Input::Image(image)) => write!(f, "{what} {:?}", image.name().unwrap_or("")),
            (None, _) => f.write_str(what),
        }
    }
}

/// What was read from the host, by step, and what the machine decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inputs {
    default_platform: Platform,
    digests: BTreeMap<Slot, Digest>,
}

impl Inputs {
    /// Nothing read yet. Images that name no platform are for `default_platform`.
    pub fn new(default_platform: Platform) -> Self {
        Inputs { default_platform, digests: BTreeMap::new() }
    }

    /// Records the digest of what the step, or the base, wants.
    pub fn insert(&mut self, slot: impl Into<Slot>, digest: Digest) {
        self.digests.insert(slot.into(), digest);
    }
}

/// Why an image can't be resolved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The image itself is wrong.
    #[error(transparent)]
    Invalid(#[from] ValidationErrors),
    /// Nobody read what a step wants.
    #[error("no digest was given for the {input} of {slot}")]
    Missing {
        /// What wants it.
        slot: Slot,
        /// What it wants.
        input: String,
    },
    /// There is a digest for a step that wants none.
    #[error("a digest was given for {slot}, which reads nothing")]
    Unexpected {
        /// What has it.
        slot: Slot,
    },
    /// Nobody looked up the name of the base.
    #[error("nobody looked up the base image {name:?}")]
    Name {
        /// The name.
        name: String,
    },
    /// Nobody decided about the code bundle ([`Image::with_code`]).
    #[error("nobody decided whether the code bundle of step {step} is copied")]
    CodeBundle {
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
            ResolveError::Name { .. } => "spec/unresolved-name",
            ResolveError::CodeBundle { .. } => "spec/undecided-code-bundle",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            ResolveError::Invalid(errors) => errors.kind(),
            // Whoever calls `resolve` has to read what `inputs` lists, and nothing else.
            ResolveError::Missing { .. }
            | ResolveError::Unexpected { .. }
            | ResolveError::Name { .. }
            | ResolveError::CodeBundle { .. } => ErrorKind::Bug,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ResolveError::Invalid(errors) => errors.hint(),
            ResolveError::Missing { .. }
            | ResolveError::Unexpected { .. }
            | ResolveError::Name { .. }
            | ResolveError::CodeBundle { .. } => None,
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
    /// `Some` exactly where the base is made of something of the host.
    pub(crate) base_digest: Option<Digest>,
    /// What of a lock holds for it; `None` where nothing is locked.
    pub(crate) lock: Option<Digest>,
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

    /// The digest of what the base is made of: the key of an image, the content of a Dockerfile
    /// and its context; `None` where the base reads nothing of the host.
    pub fn base_digest(&self) -> Option<Digest> {
        self.base_digest
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

    /// The same, to be built from what a lock with this digest says. It is part of the key.
    pub fn with_lock(self, lock: Digest) -> Self {
        ResolvedImage { lock: Some(lock), ..self }
    }

    /// The digest of what the image is built from; `None` where that is not locked.
    pub fn lock(&self) -> Option<Digest> {
        self.lock
    }

    /// The image's key.
    pub fn key(&self) -> ImageKey {
        crate::key::key(self)
    }
}

impl Image {
    /// What has to be read from the host: for the base, then in the order of the steps.
    pub fn inputs(&self) -> Vec<Input<'_>> {
        let base = match &self.base {
            Base::Image(image) => Some(Input::Image(image)),
            Base::Dockerfile(dockerfile) => Some(Input::Dockerfile(dockerfile)),
            Base::Debian(_) | Base::Registry(_) | Base::Scratch | Base::Named(_) => None,
        };
        let steps = self.steps.iter().enumerate().filter_map(|(step, s)| input(step, s));
        base.into_iter().chain(steps).collect()
    }

    /// Checks the image and pins it to what was read. Pure: nothing is read here.
    pub fn resolve(&self, inputs: &Inputs) -> Result<ResolvedImage, ResolveError> {
        self.validate()?;
        self.check_decided()?;
        let mut digests = vec![None; self.steps.len()];
        let mut base_digest = None;
        let mut unused: BTreeMap<Slot, Digest> = inputs.digests.clone();
        for input in self.inputs() {
            let slot = input.slot();
            let digest = unused
                .remove(&slot)
                .ok_or_else(|| ResolveError::Missing { slot, input: input.to_string() })?;
            match slot {
                Slot::Base => base_digest = Some(digest),
                Slot::Step(step) => digests[step] = Some(digest),
            }
        }
        if let Some((&slot, _)) = unused.first_key_value() {
            return Err(ResolveError::Unexpected { slot });
        }
        let mut platforms = match self.platforms.as_slice() {
            [] => vec![inputs.default_platform.clone()],
            platforms => platforms.to_vec(),
        };
        platforms.sort();
        platforms.dedup();
        let lock = None;
        Ok(ResolvedImage { image: self.clone(), platforms, digests, base_digest, lock })
    }

    /// What only the surroundings can decide must have been decided.
    fn check_decided(&self) -> Result<(), ResolveError> {
        if let Base::Named(name) = &self.base {
            return Err(ResolveError::Name { name: name.clone() });
        }
        match self.steps.iter().position(|step| matches!(step, Step::CodeBundle(_))) {
            Some(step) => Err(ResolveError::CodeBundle { step }),
            None => Ok(()),
        }
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
        Step::Wheels(Wheels { dir, packages, options: _ }) => {
            Some(Input::Wheels { step, dir, packages })
        }
        Step::Project(project) => Some(Input::Project { step, project }),
        Step::Conda(Conda { source, .. }) => source.files().map(|_| Input::Conda { step, source }),
        Step::Apt(_)
        | Step::Pip(_)
        | Step::CodeBundle(_)
        | Step::Env(_)
        | Step::Commands(_)
        | Step::Workdir(_)
        | Step::User(_)
        | Step::Entrypoint(_)
        | Step::Cmd(_)
        | Step::Labels(_) => None,
    }
}
