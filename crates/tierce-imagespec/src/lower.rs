//! From a spec to an image, in the order of flytekit's Dockerfile.

use crate::base::{default_base, is_bare, reference};
use crate::error::ImageSpecError;
use crate::{
    BaseImage, DefaultBase, Field, Fields, ImageSpec, SourceCopyMode, Surroundings, TagFormat,
    Warning, commands, locked, options, runtime, words,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tierce_oci::Digest;
use tierce_spec::{
    Base, Conda, CondaSource, DebianBase, Image, Network, PipOptions, PythonProvider,
    PythonRequest, SearchPath, Secret, SecretId, SourceOptions, Step, digest_word,
};

/// The group of secrets that are files of the host, by [`Lowered::secret_files`].
const SECRET_GROUP: &str = "file";
/// The variable by which a container knows the spec that it was made from.
const IMAGE_ID: &str = "_F_IMG_ID";
/// The environment that Python packages are installed into.
const VENV: &str = "/opt/venv";
/// The same where conda brings Python, as in flytekit.
const CONDA: &str = "/opt/micromamba/envs/runtime";
/// The channel that is asked first.
const CHANNEL: &str = "conda-forge";

/// The image that a spec describes, and what is to be known about it.
#[derive(Clone, Debug)]
pub struct Lowered {
    /// The image.
    pub image: Image,
    /// What the spec asks for and does not get, or gets in another way; of its base, too.
    pub warnings: Vec<Warning>,
    /// Whether it is built whatever is there.
    pub force: bool,
    /// The files of the host that hold the values of secrets.
    pub secret_files: BTreeMap<SecretId, PathBuf>,
    /// Variables that containers of the image need; they are in the image, unless that is used as
    /// it is.
    pub container_env: BTreeMap<String, String>,
}

impl ImageSpec {
    /// The image that the spec describes.
    ///
    /// # Errors
    /// [`ImageSpecError::Invalid`] and [`ImageSpecError::Base`] where the spec is wrong;
    /// [`ImageSpecError::BaseSpec`] where that of its base is; [`ImageSpecError::Cuda`],
    /// [`ImageSpecError::NoPython`] and [`ImageSpecError::ExtraArgs`] where it asks for what it
    /// can't be given; [`ImageSpecError::NothingToReturn`] where nothing is to be built, and there
    /// is nothing yet.
    pub fn lower(&self, surroundings: &Surroundings) -> Result<Lowered, ImageSpecError> {
        self.validate()?;
        match self.fields.builder.as_deref() {
            Some("noop") => unbuilt(self, surroundings),
            _ => Lowering::of(self, surroundings)?.finish(),
        }
    }
}

/// The base itself, for the builder that builds nothing.
fn unbuilt(spec: &ImageSpec, surroundings: &Surroundings) -> Result<Lowered, ImageSpecError> {
    let fields = &spec.fields;
    let reference = match &fields.base_image {
        Some(BaseImage::Reference(text)) => reference(text)?,
        Some(BaseImage::Spec(_)) | None => return Err(ImageSpecError::NothingToReturn),
    };
    let used = [Field::Name, Field::BaseImage, Field::Builder, Field::RuntimePackages];
    let ignored: Vec<Field> =
        Field::ALL.into_iter().filter(|f| fields.says(*f) && !used.contains(f)).collect();
    Ok(Lowered {
        image: Image::from_reference(reference).with_builder("noop"),
        warnings: unsupported("noop", &ignored).into_iter().collect(),
        force: spec.force || surroundings.force,
        secret_files: BTreeMap::new(),
        container_env: runtime::env(fields),
    })
}

fn unsupported(builder: &str, fields: &[Field]) -> Option<Warning> {
    let names: Vec<&str> = fields.iter().map(|f| f.name()).collect();
    (!names.is_empty()).then(|| {
        Warning::new(
            "imagespec/unsupported-parameter",
            format!(
                "these parameters are unsupported by the builder {builder} and ignored: {}",
                names.join(", ")
            ),
        )
    })
}

/// A spec on its way to an image.
struct Lowering<'a> {
    spec: &'a ImageSpec,
    fields: &'a Fields,
    surroundings: &'a Surroundings,
    /// The requirements files to install from.
    requirements: Option<&'a Path>,
    /// The packages to install, flytekit among them.
    packages: Vec<String>,
    warnings: Vec<Warning>,
    secret_files: BTreeMap<SecretId, PathBuf>,
}

impl<'a> Lowering<'a> {
    fn of(spec: &'a ImageSpec, surroundings: &'a Surroundings) -> Result<Self, ImageSpecError> {
        let fields = &spec.fields;
        let requirements = fields.requirements.as_deref();
        let mut packages = fields.packages.clone();
        // A lock says all that is installed.
        let is_locked = requirements.and_then(locked::kind).is_some();
        if !is_locked && !asks_for_flytekit(fields, surroundings) {
            packages.extend(options::flytekit(&fields.builder_options, surroundings));
        }
        let lowering = Lowering {
            spec,
            fields,
            surroundings,
            requirements,
            packages,
            warnings: vec![],
            secret_files: BTreeMap::new(),
        };
        lowering.check_builder()?;
        Ok(lowering)
    }

    /// Refuses what the builder can't do and what must not be left out in silence.
    fn check_builder(&self) -> Result<(), ImageSpecError> {
        let rules = &self.surroundings.builder;
        let cuda: Vec<&str> = [Field::Cuda, Field::Cudnn]
            .into_iter()
            .filter(|field| self.fields.says(*field) && !rules.cuda)
            .map(Field::name)
            .collect();
        if !cuda.is_empty() {
            let (fields, builder) = (cuda.join(" and "), rules.name.clone());
            return Err(ImageSpecError::Cuda { fields, builder });
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Lowered, ImageSpecError> {
        self.warn();
        let base = self.base()?;
        let user = options::user(&self.fields.builder_options);
        let image = self.named(Image::from_scratch().with_base(base));
        let image = image.with_workdir("/").with_user("root");
        let image = self.apt(image);
        let image = self.user(image, user);
        let image = self.env(image);
        let image = self.python(image)?;
        let image = nvidia(&image);
        let runs_more = self.fields.says(Field::RuntimePackages);
        let image = match &self.fields.entrypoint {
            argv if runs_more => {
                let image = runtime::with_writable_environment(&image, user);
                runtime::with_entry(&image, argv.as_deref())
            }
            Some(argv) => image.with_entrypoint(argv),
            None => image,
        };
        let image = self.sources(image);
        let image = self.copies(image);
        let image = match commands::join(&self.fields.commands, &mut self.warnings) {
            Some(line) => image.with_commands([line], Network::Host),
            None => image,
        };
        let image = image.with_workdir("/root").with_user(user);
        // Last: the slightest change of the spec changes it.
        let container_env = runtime::env(self.fields);
        let id = (IMAGE_ID.to_owned(), self.spec.container_id());
        let image = image.with_env_vars(container_env.clone().into_iter().chain([id]));
        Ok(Lowered {
            image,
            warnings: self.warnings,
            force: self.spec.force || self.surroundings.force,
            secret_files: self.secret_files,
            container_env,
        })
    }

    fn warn(&mut self) {
        let rules = &self.surroundings.builder;
        let mut ignored: Vec<Field> =
            rules.unsupported.iter().copied().filter(|f| self.fields.says(*f)).collect();
        let only_channels = self.fields.says(Field::CondaChannels) && !self.has_conda();
        if only_channels && !ignored.contains(&Field::CondaChannels) {
            ignored.push(Field::CondaChannels);
        }
        ignored.sort();
        self.warnings.extend(unsupported(&rules.name, &ignored));
        self.warnings.extend(options::warnings(&self.fields.builder_options));
        if self.fields.says(Field::RuntimePackages) {
            self.warnings.extend(runtime::warnings(self.fields, &self.packages));
        }
    }

    fn named(&self, image: Image) -> Image {
        let fields = self.fields;
        let platforms = self.spec.platforms(&self.surroundings.host);
        let mut image = image.with_name(&fields.name).with_platforms(platforms);
        if let Some(registry) = &fields.registry {
            image = image.with_registry(registry);
        }
        let format = TagFormat::parse_or_hash(fields.tag_format.as_deref());
        let tag = match &self.spec.known_as {
            Some(known) => Some(known.tag.clone()),
            None => format.ok().and_then(|format| format.for_image()),
        };
        if let Some(tag) = tag {
            image = image.with_tag(tag);
        }
        match fields.builder.as_deref() {
            None | Some("default") => image,
            Some(builder) => image.with_builder(builder),
        }
    }

    fn has_conda(&self) -> bool {
        self.fields.says(Field::CondaPackages)
    }

    /// Where Python and its packages are.
    fn place(&self) -> &'static str {
        if self.has_conda() { CONDA } else { VENV }
    }

    /// Conda's packages with a Python among them.
    fn conda(&self, image: Image) -> Image {
        if !self.has_conda() {
            return image;
        }
        let python = match self.fields.python_version {
            Some(version) => format!("python={version}"),
            None => "python".to_owned(),
        };
        let packages = [python].into_iter().chain(self.fields.conda_packages.iter().cloned());
        let channels = [CHANNEL.to_owned()].into_iter();
        let others = self.fields.conda_channels.iter().filter(|channel| *channel != CHANNEL);
        let conda = Conda::new(CondaSource::Packages(packages.collect()));
        let conda = conda.with_channels(channels.chain(others.cloned())).with_prefix(CONDA);
        image.with_step(Step::Conda(conda))
    }

    fn installs_python(&self) -> bool {
        self.requirements.is_some() || !self.packages.is_empty()
    }

    fn base(&mut self) -> Result<Base, ImageSpecError> {
        match &self.fields.base_image {
            Some(BaseImage::Spec(spec)) => {
                let name = || spec.fields.name.clone();
                let lowered = spec.lower(self.surroundings).map_err(|source| {
                    ImageSpecError::BaseSpec { name: name(), source: Box::new(source) }
                })?;
                self.warnings.extend(lowered.warnings.into_iter().map(|warning| Warning {
                    message: format!("base_image {:?}: {}", name(), warning.message),
                    ..warning
                }));
                self.secret_files.extend(lowered.secret_files);
                Ok(Base::Image(Box::new(lowered.image)))
            }
            Some(BaseImage::Reference(text)) => {
                let reference = reference(text)?;
                // A version that is said is put in where the base has none.
                let has_python = self.fields.apt_packages.iter().any(|p| p.starts_with("python3"))
                    || self.fields.python_exec.is_some()
                    || self.has_conda()
                    || self.fields.python_version.is_some();
                if self.installs_python() && !has_python && is_bare(&reference) {
                    return Err(ImageSpecError::NoPython { base: text.clone() });
                }
                Ok(Base::Registry(reference))
            }
            None => match (&self.surroundings.default_base, self.has_conda()) {
                // Conda brings Python.
                (DefaultBase::Suite(suite), true) => {
                    let debian = DebianBase::new(suite);
                    Ok(Base::Debian(debian.with_packages(["ca-certificates"])))
                }
                (base, _) => default_base(base, self.fields.python_version),
            },
        }
    }

    fn apt(&self, image: Image) -> Image {
        match self.fields.apt_packages.as_slice() {
            [] => image,
            packages => image.with_apt_packages(packages),
        }
    }

    /// The user that containers run as, made if need be; the folders of root and of all users
    /// become its own.
    fn user(&self, image: Image, user: &str) -> Image {
        if user != options::DEFAULT_USER {
            return image;
        }
        // Debian has useradd, busybox adduser. A login shell forgets the image's PATH.
        let make = format!(
            "id -u {user} >/dev/null 2>&1 || if command -v useradd >/dev/null; \
             then useradd --create-home --shell /bin/bash {user}; \
             else adduser -D {user}; fi"
        );
        let profile = format!(
            "echo 'export PATH=\"{}/bin:$PATH:{}\"' >> /home/{user}/.profile",
            self.place(),
            NVIDIA_PATH.join(":")
        );
        let own = format!("chown -R {user} /root /home");
        let line = format!("({make}) && mkdir -p /root /home/{user} && {profile} && {own}");
        image.with_commands([line], Network::Host)
    }

    fn env(&self, image: Image) -> Image {
        let mut vars = BTreeMap::from(
            [
                ("UV_PYTHON", format!("{}/bin/python", self.place()).as_str()),
                ("UV_COMPILE_BYTECODE", "1"),
                ("UV_LINK_MODE", "copy"),
                ("FLYTE_SDK_RICH_TRACEBACKS", "0"),
                ("SSL_CERT_DIR", "/etc/ssl/certs"),
                ("PYTHONPATH", "/root"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        if !self.installs_python() && !self.has_conda() {
            vars.remove("UV_PYTHON");
        }
        vars.extend(self.fields.env.clone());
        image.with_env_vars(vars)
    }

    fn python(&mut self, image: Image) -> Result<Image, ImageSpecError> {
        let request = match (&self.fields.python_exec, self.fields.python_version) {
            (Some(path), version) => Some(PythonRequest { version, ..PythonRequest::at(path) }),
            (None, Some(version)) => Some(PythonRequest {
                version: Some(version),
                interpreter: None,
                provider: PythonProvider::Auto,
            }),
            (None, None) => None,
        };
        let image = match request {
            Some(request) => image.with_python(request),
            None => image,
        };
        let image = self.conda(image);
        if !self.installs_python() {
            return Ok(image);
        }
        let image = match self.requirements.map(|file| (file, locked::kind(file))) {
            Some((lock, Some(kind))) => {
                let arguments = self.fields.pip_extra_args.as_deref();
                let options = self.index_options();
                let project = locked::project(kind, lock, arguments, options, self.surroundings)?;
                image.with_step(Step::Project(project))
            }
            Some((file, None)) => image.with_requirements(file, self.pip_options()),
            None => image,
        };
        let image = match self.packages.as_slice() {
            [] => image,
            packages => {
                let packages = packages.to_vec();
                image.with_pip_packages(packages, self.pip_options())
            }
        };
        Ok(match &self.fields.python_exec {
            // The environment sees what the base has installed for its interpreter.
            Some(_) => image.with_commands(
                [format!(
                    "sed -i 's/^include-system-site-packages *=.*/include-system-site-packages = true/' {VENV}/pyvenv.cfg"
                )],
                Network::Host,
            ),
            None => image,
        })
    }

    fn pip_options(&mut self) -> PipOptions {
        let mut options = self.index_options();
        if let Some(Ok(mut args)) = self.fields.pip_extra_args.as_deref().map(words::split) {
            // tierce has a field for it, and takes it from nowhere else.
            let all = args.len();
            args.retain(|arg| arg != "--pre");
            options.pre = args.len() < all;
            options.extra_args = args;
        }
        options
    }

    /// Where packages come from, and with which secrets.
    fn index_options(&mut self) -> PipOptions {
        let mut options = PipOptions::new();
        options.index.clone_from(&self.fields.pip_index);
        options.extra_indexes.clone_from(&self.fields.pip_extra_index_url);
        for mount in &self.fields.pip_secret_mounts {
            let secret =
                Secret::new(secret_key(&mount.src)).with_group(SECRET_GROUP).with_mount(&mount.dst);
            self.secret_files.insert(secret.id(), mount.src.clone());
            options.secrets.push(secret);
        }
        options
    }

    fn sources(&mut self, image: Image) -> Image {
        let Some(root) = &self.fields.source_root else { return image };
        let options = match (self.fields.source_copy_mode, &self.surroundings.loaded_modules) {
            (None | Some(SourceCopyMode::NoCopy), _) => return image,
            (Some(SourceCopyMode::All), _) => SourceOptions::new(),
            (Some(SourceCopyMode::LoadedModules), Some(loaded)) => {
                SourceOptions::new().with_only(loaded.get(root).into_iter().flatten())
            }
            (Some(SourceCopyMode::LoadedModules), None) => {
                self.warnings.push(Warning::new(
                    "imagespec/no-loaded-modules",
                    format!(
                        "no modules are loaded here: all of {} is copied (source_copy_mode: ALL says so without this warning)",
                        root.display()
                    ),
                ));
                SourceOptions::new()
            }
        };
        image.with_source_folder(root, "/root", options)
    }

    fn copies(&self, image: Image) -> Image {
        self.fields.copy.iter().fold(image, |image, src| {
            let clean: PathBuf = src.components().filter(|c| !is_here(c)).collect();
            let target = Path::new("/root").join(&clean).display().to_string();
            match self.surroundings.folders.contains(src) {
                true => image.with_source_folder(src, target, SourceOptions::new()),
                false => image.with_source_file(src, target),
            }
        })
    }
}

/// What the secret in a file is called: what the file is called, told apart from others of that
/// name by a part of its path's digest.
fn secret_key(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let word = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = name.trim_start_matches('.').chars().map(word).collect();
    let digest = Digest::of(file.as_os_str().as_encoded_bytes());
    format!("{name}-{}", &digest_word('p', &digest)[..9])
}

fn is_here(part: &std::path::Component<'_>) -> bool {
    *part == std::path::Component::CurDir
}

/// Where drivers are mounted by the clusters that mount them.
const NVIDIA_PATH: [&str; 2] = ["/usr/local/nvidia/bin", "/usr/local/cuda/bin"];

fn nvidia(image: &Image) -> Image {
    let path = SearchPath { before: vec![], after: NVIDIA_PATH.map(str::to_owned).to_vec() };
    let libraries = SearchPath { before: vec!["/usr/local/nvidia/lib64".into()], after: vec![] };
    image.with_search_path("PATH", path).with_search_path("LD_LIBRARY_PATH", libraries)
}

fn asks_for_flytekit(fields: &Fields, surroundings: &Surroundings) -> bool {
    let file = fields.requirements.as_ref().and_then(|file| surroundings.requirements.get(file));
    let lines = file.iter().flat_map(|text| text.lines()).map(str::trim);
    fields.packages.iter().map(String::as_str).chain(lines).any(|p| package_name(p) == "flytekit")
}

/// The name at the start of a requirement.
pub(crate) fn package_name(requirement: &str) -> &str {
    let word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let end = requirement.find(|c| !word(c)).unwrap_or(requirement.len());
    &requirement[..end]
}
