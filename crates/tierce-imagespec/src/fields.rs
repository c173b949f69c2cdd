//! What an `ImageSpec` says, as plain data.

use crate::{ImageSpec, document};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use tierce_oci::Platform;
use tierce_spec::{PythonVersion, ServiceUrl, hide_credentials};

/// The fields of an `ImageSpec`, under flytekit's names. [`Fields::default`] has flytekit's
/// defaults.
///
/// Lists that are empty say nothing, as flytekit's `None` does; only for `entrypoint` is there a
/// difference between the two.
///
/// As a document it has the credentials of its URLs: for another process, and not for people.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fields {
    /// The repository's path below the registry; made lower-case.
    pub name: String,
    /// The registry's host, with the leading path of its repositories if any; made lower-case.
    pub registry: Option<String>,
    /// The builder; `None` or `default` for the one that is configured.
    pub builder: Option<String>,
    /// The platforms; empty for `linux/amd64`, or for `linux/arm64` where the registry is
    /// `localhost:` and the host such a machine.
    pub platform: Vec<Platform>,
    /// The Python version; `None` for the base's.
    pub python_version: Option<PythonVersion>,
    /// The base's interpreter, which the environment sees the packages of.
    pub python_exec: Option<String>,
    /// What the image starts from; `None` for Debian bookworm with Python.
    pub base_image: Option<BaseImage>,
    /// Python packages: requirements as PEP 508 has them.
    pub packages: Vec<String>,
    /// Conda packages.
    pub conda_packages: Vec<String>,
    /// Conda channels.
    pub conda_channels: Vec<String>,
    /// A requirements file of the host, or a `uv.lock` or `poetry.lock`.
    pub requirements: Option<PathBuf>,
    /// Debian packages.
    pub apt_packages: Vec<String>,
    /// The version of CUDA to install.
    pub cuda: Option<String>,
    /// The version of cuDNN to install.
    pub cudnn: Option<String>,
    /// The package index.
    #[serde(with = "document::urls")]
    pub pip_index: Option<ServiceUrl>,
    /// Further package indexes.
    #[serde(with = "document::urls")]
    pub pip_extra_index_url: Vec<ServiceUrl>,
    /// Files that are there while Python packages are installed, and in no layer.
    pub pip_secret_mounts: Vec<SecretMount>,
    /// Further arguments of the installer, as a shell would split them.
    pub pip_extra_args: Option<String>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// What a container always runs; empty to remove the base's, `None` to keep it.
    pub entrypoint: Option<Vec<String>>,
    /// Commands, run as root in one shell, each only if those before it succeeded.
    pub commands: Vec<String>,
    /// The folder of the host with the sources.
    pub source_root: Option<PathBuf>,
    /// Which of the sources are copied to `/root`; with a `source_root`, the loaded modules unless
    /// something else is said.
    pub source_copy_mode: Option<SourceCopyMode>,
    /// Further files and folders of the host, which land under `/root` by their relative paths.
    pub copy: Vec<PathBuf>,
    /// Packages that are installed when a container starts.
    pub runtime_packages: Vec<String>,
    /// A registry configuration file.
    pub registry_config: Option<PathBuf>,
    /// The tag; `None` for the hash alone.
    pub tag_format: Option<String>,
    /// Options of the builder.
    pub builder_options: BTreeMap<String, Value>,
    /// Images that flytekit's builder takes its tools from.
    pub builder_config: BTreeMap<String, Value>,
}

/// What an image starts from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BaseImage {
    /// An image in a registry.
    Reference(String),
    /// Another spec, which is built first.
    Spec(Box<ImageSpec>),
}

impl From<&str> for BaseImage {
    fn from(reference: &str) -> Self {
        BaseImage::Reference(reference.to_owned())
    }
}

impl From<ImageSpec> for BaseImage {
    fn from(spec: ImageSpec) -> Self {
        BaseImage::Spec(Box::new(spec))
    }
}

/// A file of the host that is in the image while Python packages are installed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretMount {
    /// The file on the host.
    pub src: PathBuf,
    /// Its absolute path in the image.
    pub dst: String,
}

/// Which of the sources are copied (flytekit's `CopyFileDetection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SourceCopyMode {
    /// The modules that are loaded.
    LoadedModules,
    /// All.
    All,
    /// None.
    NoCopy,
}

/// Why a text is not a copy mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a copy mode: expected LOADED_MODULES, ALL or NO_COPY")]
pub struct SourceCopyModeError(String);

impl FromStr for SourceCopyMode {
    type Err = SourceCopyModeError;

    fn from_str(s: &str) -> Result<Self, SourceCopyModeError> {
        match s.to_ascii_uppercase().replace('-', "_").as_str() {
            // `auto` and `none` are what flytekit's command line calls them.
            "LOADED_MODULES" | "AUTO" => Ok(SourceCopyMode::LoadedModules),
            "ALL" => Ok(SourceCopyMode::All),
            "NO_COPY" | "NONE" => Ok(SourceCopyMode::NoCopy),
            _ => Err(SourceCopyModeError(s.to_owned())),
        }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Fields {
            name: "flytekit".to_owned(),
            registry: None,
            builder: None,
            platform: vec![],
            python_version: None,
            python_exec: None,
            base_image: None,
            packages: vec![],
            conda_packages: vec![],
            conda_channels: vec![],
            requirements: None,
            apt_packages: vec![],
            cuda: None,
            cudnn: None,
            pip_index: None,
            pip_extra_index_url: vec![],
            pip_secret_mounts: vec![],
            pip_extra_args: None,
            env: BTreeMap::new(),
            entrypoint: None,
            commands: vec![],
            source_root: None,
            source_copy_mode: None,
            copy: vec![],
            runtime_packages: vec![],
            registry_config: None,
            tag_format: None,
            builder_options: BTreeMap::new(),
            builder_config: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Fields {
    /// What is said, and only that; without the credentials of URLs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Fields");
        for field in Field::ALL {
            if self.says(field) {
                shown.field(field.name(), &format_args!("{}", self.shown(field)));
            }
        }
        shown.finish()
    }
}

impl Fields {
    /// Whether the field says anything.
    pub fn says(&self, field: Field) -> bool {
        match field {
            Field::Name => true,
            Field::Registry => self.registry.is_some(),
            Field::Builder => self.builder.is_some(),
            Field::Platform => !self.platform.is_empty(),
            Field::PythonVersion => self.python_version.is_some(),
            Field::PythonExec => self.python_exec.is_some(),
            Field::BaseImage => self.base_image.is_some(),
            Field::Packages => !self.packages.is_empty(),
            Field::CondaPackages => !self.conda_packages.is_empty(),
            Field::CondaChannels => !self.conda_channels.is_empty(),
            Field::Requirements => self.requirements.is_some(),
            Field::AptPackages => !self.apt_packages.is_empty(),
            Field::Cuda => self.cuda.is_some(),
            Field::Cudnn => self.cudnn.is_some(),
            Field::PipIndex => self.pip_index.is_some(),
            Field::PipExtraIndexUrl => !self.pip_extra_index_url.is_empty(),
            Field::PipSecretMounts => !self.pip_secret_mounts.is_empty(),
            Field::PipExtraArgs => self.pip_extra_args.is_some(),
            Field::Env => !self.env.is_empty(),
            Field::Entrypoint => self.entrypoint.is_some(),
            Field::Commands => !self.commands.is_empty(),
            Field::SourceRoot => self.source_root.is_some(),
            Field::SourceCopyMode => self.source_copy_mode.is_some(),
            Field::Copy => !self.copy.is_empty(),
            Field::RuntimePackages => !self.runtime_packages.is_empty(),
            Field::RegistryConfig => self.registry_config.is_some(),
            Field::TagFormat => self.tag_format.is_some(),
            Field::BuilderOptions => !self.builder_options.is_empty(),
            Field::BuilderConfig => !self.builder_config.is_empty(),
        }
    }

    fn shown(&self, field: Field) -> String {
        let text = match field {
            Field::Name => format!("{:?}", self.name),
            Field::Registry => format!("{:?}", self.registry),
            Field::Builder => format!("{:?}", self.builder),
            Field::Platform => format!("{:?}", self.platform),
            Field::PythonVersion => format!("{:?}", self.python_version),
            Field::PythonExec => format!("{:?}", self.python_exec),
            Field::BaseImage => format!("{:?}", self.base_image),
            Field::Packages => format!("{:?}", self.packages),
            Field::CondaPackages => format!("{:?}", self.conda_packages),
            Field::CondaChannels => format!("{:?}", self.conda_channels),
            Field::Requirements => format!("{:?}", self.requirements),
            Field::AptPackages => format!("{:?}", self.apt_packages),
            Field::Cuda => format!("{:?}", self.cuda),
            Field::Cudnn => format!("{:?}", self.cudnn),
            Field::PipIndex => format!("{:?}", self.pip_index),
            Field::PipExtraIndexUrl => format!("{:?}", self.pip_extra_index_url),
            Field::PipSecretMounts => format!("{:?}", self.pip_secret_mounts),
            Field::PipExtraArgs => format!("{:?}", self.pip_extra_args),
            Field::Env => format!("{:?}", self.env),
            Field::Entrypoint => format!("{:?}", self.entrypoint),
            Field::Commands => format!("{:?}", self.commands),
            Field::SourceRoot => format!("{:?}", self.source_root),
            Field::SourceCopyMode => format!("{:?}", self.source_copy_mode),
            Field::Copy => format!("{:?}", self.copy),
            Field::RuntimePackages => format!("{:?}", self.runtime_packages),
            Field::RegistryConfig => format!("{:?}", self.registry_config),
            Field::TagFormat => format!("{:?}", self.tag_format),
            Field::BuilderOptions => format!("{:?}", self.builder_options),
            Field::BuilderConfig => format!("{:?}", self.builder_config),
        };
        hide_credentials(&text)
    }
}

macro_rules! fields {
    ($($variant:ident $name:literal,)*) => {
        /// A field of an `ImageSpec`, to talk about it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)]
        pub enum Field { $($variant,)* }

        impl Field {
            /// All fields.
            pub const ALL: [Field; [$(Field::$variant),*].len()] = [$(Field::$variant),*];

            /// The field's name, as flytekit and YAML files have it.
            pub fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }
        }
    };
}

fields! {
    Name "name",
    Registry "registry",
    Builder "builder",
    Platform "platform",
    PythonVersion "python_version",
    PythonExec "python_exec",
    BaseImage "base_image",
    Packages "packages",
    CondaPackages "conda_packages",
    CondaChannels "conda_channels",
    Requirements "requirements",
    AptPackages "apt_packages",
    Cuda "cuda",
    Cudnn "cudnn",
    PipIndex "pip_index",
    PipExtraIndexUrl "pip_extra_index_url",
    PipSecretMounts "pip_secret_mounts",
    PipExtraArgs "pip_extra_args",
    Env "env",
    Entrypoint "entrypoint",
    Commands "commands",
    SourceRoot "source_root",
    SourceCopyMode "source_copy_mode",
    Copy "copy",
    RuntimePackages "runtime_packages",
    RegistryConfig "registry_config",
    TagFormat "tag_format",
    BuilderOptions "builder_options",
    BuilderConfig "builder_config",
}

impl Field {
    /// The field of this name.
    pub fn of_name(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
