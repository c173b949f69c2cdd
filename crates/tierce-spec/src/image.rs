//! The image as the user wrote it.

use crate::{
    Apt, Base, Cmd, CodeBundle, Command, Commands, Conda, CopyStyle, DebianBase, DockerfileBase,
    Entrypoint, Env, Labels, Network, Pip, PipOptions, Project, PythonEnvironment, PythonRequest,
    Requirements, SearchPath, Secret, SourceFile, SourceFolder, SourceOptions, Step, User, Wheels,
    Workdir,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_oci::{Diagnostic, ErrorKind, Platform, Reference, ReferenceError};

/// An image as the user wrote it: a value that never changes.
///
/// Made by a `from_*` constructor; each `with_*` method returns a new image. Nothing is checked
/// or read until [`Image::validate`] and [`Image::resolve`].
///
/// ```
/// use tierce_spec::{Image, PipOptions};
///
/// let image = Image::from_base("python:3.12-slim")?
///     .with_name("report")
///     .with_apt_packages(["git"])
///     .with_pip_packages(["fastapi", "uvicorn>=0.30"], PipOptions::new())
///     .with_env_vars([("APP_ENV", "prod")]);
/// assert_eq!(image.steps().len(), 3);
/// image.validate()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tag: Option<String>,
    pub(crate) base: Base,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) platforms: Vec<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) python: Option<PythonRequest>,
    #[serde(default)]
    pub(crate) bytecode: Bytecode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) root: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dockerignore: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registry_secret: Option<Secret>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) builder: Option<String>,
    #[serde(default)]
    pub(crate) steps: Vec<Step>,
}

/// There is no image of the name that an image starts from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no image called {name:?}")]
pub struct UnknownImageName {
    /// The name.
    pub name: String,
}

impl Diagnostic for UnknownImageName {
    fn code(&self) -> &'static str {
        "spec/unknown-image-name"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        let UnknownImageName { name } = self;
        Some(format!(
            "Say which one it is: --image {name}=REFERENCE, or {name} = \"REFERENCE\" below [images] in the configuration, which counts for Python as well."
        ))
    }
}

/// Whether Python modules are compiled when the image is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bytecode {
    /// Nothing was said: the builder's rule.
    #[default]
    Auto,
    /// Compiled; an image that can't be executed here is an error.
    Compile,
    /// Not compiled.
    Skip,
}

impl Image {
    fn new(base: Base) -> Self {
        Image {
            name: None,
            registry: None,
            tag: None,
            base,
            platforms: vec![],
            python: None,
            bytecode: Bytecode::Auto,
            root: None,
            dockerignore: None,
            registry_secret: None,
            builder: None,
            steps: vec![],
        }
    }

    /// Starts from a Debian suite, assembled from the archive: `"bookworm"`, or a [`DebianBase`]
    /// with more said.
    pub fn from_debian(base: impl Into<DebianBase>) -> Self {
        Image::new(Base::Debian(base.into()))
    }

    /// Starts from an image in a registry.
    pub fn from_base(reference: &str) -> Result<Self, ReferenceError> {
        Ok(Image::new(Base::Registry(reference.parse()?)))
    }

    /// Starts from an image in a registry.
    pub fn from_reference(reference: Reference) -> Self {
        Image::new(Base::Registry(reference))
    }

    /// Starts from another image of ours, which is built first.
    pub fn from_image(image: Image) -> Self {
        Image::new(Base::Image(Box::new(image)))
    }

    /// Is what a Dockerfile makes. Steps can't be added; an image from this one can have some.
    pub fn from_dockerfile(dockerfile: DockerfileBase) -> Self {
        Image::new(Base::Dockerfile(dockerfile))
    }

    /// Starts from the image whose reference is looked up by `name` when it is built: in the
    /// configuration's `[images]`, or among the command's `--image name=reference`.
    pub fn from_ref(name: impl Into<String>) -> Self {
        Image::new(Base::Named(name.into()))
    }

    /// Starts from nothing.
    pub fn from_scratch() -> Self {
        Image::new(Base::Scratch)
    }

    /// The same image, called `name`: the repository's path below the registry.
    pub fn with_name(&self, name: impl Into<String>) -> Self {
        Image { name: Some(name.into()), ..self.clone() }
    }

    /// The same image, for `registry`: a host, with the leading path of its repositories if any
    /// (`ghcr.io/team`).
    pub fn with_registry(&self, registry: impl Into<String>) -> Self {
        Image { registry: Some(registry.into()), ..self.clone() }
    }

    /// The same image, tagged `tag` instead of by its key.
    pub fn with_tag(&self, tag: impl Into<String>) -> Self {
        Image { tag: Some(tag.into()), ..self.clone() }
    }

    /// The same image on another base.
    pub fn with_base(&self, base: Base) -> Self {
        Image { base, ..self.clone() }
    }

    /// With the Debian suite's own Python, or without; changes nothing on other bases.
    pub fn with_debian_python(&self, python: bool) -> Self {
        match &self.base {
            Base::Debian(debian) => {
                self.with_base(Base::Debian(debian.clone().with_python(python)))
            }
            Base::Registry(_)
            | Base::Scratch
            | Base::Image(_)
            | Base::Dockerfile(_)
            | Base::Named(_) => self.clone(),
        }
    }

    /// With Debian packages: `name`, `name:architecture`, `name=version` or `name/release`.
    pub fn with_apt_packages(&self, packages: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with_step(Step::Apt(Apt { packages: strings(packages), secrets: vec![] }))
    }

    /// With Python packages: requirements as PEP 508 has them.
    pub fn with_pip_packages(
        &self,
        packages: impl IntoIterator<Item = impl Into<String>>,
        options: PipOptions,
    ) -> Self {
        self.with_step(Step::Pip(Pip { packages: strings(packages), options }))
    }

    /// With the Python packages that a requirements file of the host lists.
    pub fn with_requirements(&self, file: impl Into<PathBuf>, options: PipOptions) -> Self {
        self.with_step(Step::Requirements(Requirements { file: file.into(), options }))
    }

    /// With the wheels in the host's folder `dir`, whatever an index has under their names.
    pub fn with_wheels(&self, dir: impl Into<PathBuf>, options: PipOptions) -> Self {
        self.with_step(Step::Wheels(Wheels { dir: dir.into(), packages: vec![], options }))
    }

    /// With the Python packages that a project's lock file says.
    pub fn with_project(&self, project: Project) -> Self {
        self.with_step(Step::Project(project))
    }

    /// With packages from conda channels.
    pub fn with_conda(&self, conda: Conda) -> Self {
        self.with_step(Step::Conda(conda))
    }

    /// With the code that runs in the image, where whoever runs it does not bring it along.
    pub fn with_code_bundle(&self, style: CopyStyle, dst: impl Into<String>) -> Self {
        self.with_step(Step::CodeBundle(CodeBundle { style, dst: dst.into() }))
    }

    /// With the contents of the host's folder `src` in the image's folder `dst`.
    pub fn with_source_folder(
        &self,
        src: impl Into<PathBuf>,
        dst: impl Into<String>,
        options: SourceOptions,
    ) -> Self {
        self.with_step(Step::SourceFolder(SourceFolder {
            src: src.into(),
            dst: dst.into(),
            options,
        }))
    }

    /// With the host's file `src` as `dst`, or in the folder `dst` where that ends in `/`.
    pub fn with_source_file(&self, src: impl Into<PathBuf>, dst: impl Into<String>) -> Self {
        self.with_step(Step::SourceFile(SourceFile { src: src.into(), dst: dst.into() }))
    }

    /// With environment variables.
    pub fn with_env_vars(
        &self,
        vars: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.with_step(Step::Env(Env { vars, paths: BTreeMap::new() }))
    }

    /// With directories around those that a variable (`PATH`, `LD_LIBRARY_PATH`) lists already.
    pub fn with_search_path(&self, variable: impl Into<String>, path: SearchPath) -> Self {
        let paths = BTreeMap::from([(variable.into(), path)]);
        self.with_step(Step::Env(Env { vars: BTreeMap::new(), paths }))
    }

    /// With commands, run in the image one after the other.
    pub fn with_commands(
        &self,
        commands: impl IntoIterator<Item = impl Into<Command>>,
        network: Network,
    ) -> Self {
        let commands = commands.into_iter().map(Into::into).collect();
        self.with_step(Step::Commands(Commands { commands, network, secrets: vec![] }))
    }

    /// In the working directory `path`, from here on.
    pub fn with_workdir(&self, path: impl Into<String>) -> Self {
        self.with_step(Step::Workdir(Workdir { path: path.into() }))
    }

    /// As `user`, from here on: `user`, `uid`, `user:group` or `uid:gid`.
    pub fn with_user(&self, user: impl Into<String>) -> Self {
        self.with_step(Step::User(User { user: user.into() }))
    }

    /// With what a container always runs.
    pub fn with_entrypoint(&self, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with_step(Step::Entrypoint(Entrypoint { argv: strings(argv) }))
    }

    /// With the default arguments of what a container runs.
    pub fn with_cmd(&self, argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.with_step(Step::Cmd(Cmd { argv: strings(argv) }))
    }

    /// With labels.
    pub fn with_labels(
        &self,
        labels: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let labels = labels.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.with_step(Step::Labels(Labels { labels }))
    }

    /// Decides about the code bundle: the folder `root` of the host is copied after all other
    /// steps, all of it or only `loaded` (the files of the imported modules, below `root`), as
    /// the bundle's style says; or, without `root`, whoever runs the image brings the code, and
    /// the bundle is left out. Does nothing where the image has no bundle; the last one counts.
    pub fn with_code(&self, root: Option<&Path>, loaded: &[PathBuf]) -> Self {
        let mut image = self.clone();
        image.steps.retain(|step| !matches!(step, Step::CodeBundle(_)));
        let bundle = self.steps.iter().rev().find_map(|step| match step {
            Step::CodeBundle(bundle) => Some(bundle),
            _ => None,
        });
        let (Some(CodeBundle { style, dst }), Some(root)) = (bundle, root) else { return image };
        let options = match style {
            CopyStyle::All => SourceOptions::new(),
            CopyStyle::LoadedModules => SourceOptions::new().with_only(loaded),
        };
        image.with_source_folder(root, dst.clone(), options)
    }

    /// The same image on the base that `lookup` knows by the name that [`Image::from_ref`] was
    /// given; images below it are looked up too.
    ///
    /// # Errors
    /// The name that `lookup` does not know.
    pub fn with_named_base(
        &self,
        lookup: &dyn Fn(&str) -> Option<Reference>,
    ) -> Result<Self, UnknownImageName> {
        match &self.base {
            Base::Named(name) => match lookup(name) {
                Some(reference) => Ok(self.with_base(Base::Registry(reference))),
                None => Err(UnknownImageName { name: name.clone() }),
            },
            Base::Image(image) => {
                Ok(self.with_base(Base::Image(Box::new(image.with_named_base(lookup)?))))
            }
            Base::Debian(_) | Base::Registry(_) | Base::Scratch | Base::Dockerfile(_) => {
                Ok(self.clone())
            }
        }
    }

    /// With one more step.
    pub fn with_step(&self, step: Step) -> Self {
        let mut image = self.clone();
        image.steps.push(step);
        image
    }

    /// For these platforms, instead of those named before; none for the builder's own.
    pub fn with_platforms(&self, platforms: impl IntoIterator<Item = Platform>) -> Self {
        Image { platforms: platforms.into_iter().collect(), ..self.clone() }
    }

    /// For this Python of the base.
    pub fn with_python(&self, python: PythonRequest) -> Self {
        Image { python: Some(python), ..self.clone() }
    }

    /// With Python modules compiled, or not, whatever the builder's rule.
    pub fn with_bytecode(&self, compile: bool) -> Self {
        let bytecode = if compile { Bytecode::Compile } else { Bytecode::Skip };
        Image { bytecode, ..self.clone() }
    }

    /// With its paths relative to this folder of the host, which is relative itself to what the
    /// paths of whoever builds it are relative to: to the folder of the image that has this one as
    /// its base, for instance.
    pub fn with_root(&self, folder: impl Into<PathBuf>) -> Self {
        Image { root: Some(folder.into()), ..self.clone() }
    }

    /// With the ignore file that holds for all sources below the folder that paths are relative
    /// to, instead of that folder's own `.dockerignore`; of two, the last one counts.
    pub fn with_dockerignore(&self, file: impl Into<PathBuf>) -> Self {
        Image { dockerignore: Some(file.into()), ..self.clone() }
    }

    /// With the credentials of its registry in a secret: `user:password`, or a `config.json` as
    /// docker has it.
    pub fn with_registry_secret(&self, secret: Secret) -> Self {
        Image { registry_secret: Some(secret), ..self.clone() }
    }

    /// Built by the builder of this name, unless another one is asked for.
    pub fn with_builder(&self, name: impl Into<String>) -> Self {
        Image { builder: Some(name.into()), ..self.clone() }
    }

    /// The repository's path below the registry.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The registry's host, with the leading path of its repositories if any.
    pub fn registry(&self) -> Option<&str> {
        self.registry.as_deref()
    }

    /// The tag that stands in for the key's.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// What the image starts from.
    pub fn base(&self) -> &Base {
        &self.base
    }

    /// The platforms asked for, as written; empty for the builder's own.
    pub fn platforms(&self) -> &[Platform] {
        &self.platforms
    }

    /// The Python of the base, where one was named.
    pub fn python(&self) -> Option<&PythonRequest> {
        self.python.as_ref()
    }

    /// Whether Python modules are compiled.
    pub fn bytecode(&self) -> Bytecode {
        self.bytecode
    }

    /// The folder of the host that its paths are relative to, where that is another one than its
    /// builder's.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// The ignore file that holds for all sources.
    pub fn dockerignore(&self) -> Option<&Path> {
        self.dockerignore.as_deref()
    }

    /// The secret with the credentials of its registry.
    pub fn registry_secret(&self) -> Option<&Secret> {
        self.registry_secret.as_ref()
    }

    /// The builder it wants.
    pub fn builder(&self) -> Option<&str> {
        self.builder.as_deref()
    }

    /// Every secret of its own steps, in their order, each once; not those of its base.
    pub fn secrets(&self) -> Vec<&Secret> {
        let mut all = vec![];
        for step in &self.steps {
            for secret in step.secrets() {
                if !all.contains(&secret) {
                    all.push(secret);
                }
            }
        }
        all
    }

    /// Whether this is an image of a registry that nothing was done to, not even naming it: there
    /// is nothing to build, its own reference is the result.
    pub fn is_unmodified(&self) -> bool {
        // Platforms only say which of its platforms are wanted.
        let Image {
            name,
            registry,
            tag,
            base,
            platforms: _,
            python: _,
            bytecode: _,
            root: _,
            dockerignore: _,
            registry_secret: _,
            builder: _,
            steps,
        } = self;
        matches!(base, Base::Registry(_))
            && [name, registry, tag].iter().all(|part| part.is_none())
            && steps.is_empty()
    }

    /// The steps, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The one Python environment that all package steps make; `None` where there are none.
    pub fn python_environment(&self) -> Option<PythonEnvironment<'_>> {
        PythonEnvironment::of(self)
    }
}

fn strings(items: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}
