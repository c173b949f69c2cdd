//! The constructors.

use crate::{Environment, FlyteError, FlyteImage, Host, InstallOptions, Layer, release};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tierce_oci::Platform;
use tierce_spec::{PythonVersion, Secret};

/// Where the images of Flyte's releases are.
const RELEASES: &str = "ghcr.io/flyteorg/flyte";
/// What images on those are called, unless they are called something.
const FLYTE_NAME: &str = "flyte";
/// What images on tierce's own base are called, unless they are called something.
const OWN_NAME: &str = "tierce";
/// The name that [`FlyteImage::from_ref_name`] takes for none.
pub const DEFAULT_REF_NAME: &str = "default";

/// What [`FlyteImage::from_debian_base`] is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DebianOptions {
    /// The Python; `None` for the host's.
    pub python_version: Option<PythonVersion>,
    /// Which release of Flyte; `None` for the host's.
    pub flyte_version: Option<String>,
    /// Whether Flyte is in it.
    pub install_flyte: bool,
    /// The registry.
    pub registry: Option<String>,
    /// The credentials of that.
    pub registry_secret: Option<Secret>,
    /// The name.
    pub name: Option<String>,
    /// What it is built for; empty for the machine that builds it.
    pub platform: Vec<Platform>,
}

impl Default for DebianOptions {
    fn default() -> Self {
        DebianOptions {
            python_version: None,
            flyte_version: None,
            install_flyte: true,
            registry: None,
            registry_secret: None,
            name: None,
            platform: vec![],
        }
    }
}

impl DebianOptions {
    /// The host's Python, and its Flyte if it has one.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this Python.
    pub fn with_python_version(self, version: PythonVersion) -> Self {
        DebianOptions { python_version: Some(version), ..self }
    }

    /// With this release of Flyte.
    pub fn with_flyte_version(self, version: impl Into<String>) -> Self {
        DebianOptions { flyte_version: Some(version.into()), ..self }
    }

    /// With Flyte, or without.
    pub fn with_install_flyte(self, install_flyte: bool) -> Self {
        DebianOptions { install_flyte, ..self }
    }

    /// For this registry.
    pub fn with_registry(self, registry: impl Into<String>) -> Self {
        DebianOptions { registry: Some(registry.into()), ..self }
    }

    /// Called this.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        DebianOptions { name: Some(name.into()), ..self }
    }

    /// For these platforms.
    pub fn with_platform(self, platform: impl IntoIterator<Item = Platform>) -> Self {
        DebianOptions { platform: platform.into_iter().collect(), ..self }
    }
}

impl FlyteImage {
    /// An image with all that `environment` has, on `options`' Debian. Flyte is in it if it is in
    /// the environment.
    ///
    /// # Errors
    /// As of the layers.
    pub fn from_environment(
        environment: &Environment,
        options: DebianOptions,
        install: InstallOptions,
        host: &Host,
    ) -> Result<Self, FlyteError> {
        let options = DebianOptions { install_flyte: false, ..options };
        let image = FlyteImage::from_debian_base(options, host);
        let image = match environment.packages.as_slice() {
            [] => image,
            packages => image.with_pip_packages(packages.iter().cloned(), install)?,
        };
        match environment.local.as_slice() {
            [] => Ok(image),
            packages => image.with_layer(Layer::LocalPackages { packages: packages.to_vec() }),
        }
    }
}

/// What [`FlyteImage::from_uv_script`] and [`FlyteImage::from_pixi_script`] share: what the image
/// is called, and what it is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScriptOptions {
    /// The name.
    pub name: String,
    /// The registry.
    pub registry: Option<String>,
    /// The credentials of that.
    pub registry_secret: Option<Secret>,
    /// The Python; `None` for the host's. Pixi brings one of its own.
    pub python_version: Option<PythonVersion>,
    /// What it is built for; empty for the machine that builds it.
    pub platform: Vec<Platform>,
}

impl ScriptOptions {
    /// An image of this name.
    pub fn new(name: impl Into<String>) -> Self {
        ScriptOptions { name: name.into(), ..Self::default() }
    }

    fn base(self) -> DebianOptions {
        let ScriptOptions { name, registry, registry_secret, python_version, platform } = self;
        DebianOptions {
            python_version,
            flyte_version: None,
            install_flyte: false,
            registry,
            registry_secret,
            name: Some(name),
            platform,
        }
    }
}

/// What the environment of a pixi script or project is, and how it is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixiOptions {
    /// Which of its environments.
    pub environment: String,
    /// Further arguments to `pixi install`.
    pub extra_args: Option<String>,
    /// What installing needs to see.
    pub secrets: Vec<Secret>,
}

impl Default for PixiOptions {
    fn default() -> Self {
        PixiOptions { environment: "default".to_owned(), extra_args: None, secrets: vec![] }
    }
}

impl FlyteImage {
    fn new(python_version: PythonVersion) -> Self {
        FlyteImage {
            base_image: None,
            dockerfile: None,
            ref_name: None,
            registry: None,
            registry_secret: None,
            name: None,
            platform: vec![],
            python_version,
            python_is_given: false,
            extendable: false,
            is_cloned: false,
            layers: vec![],
            uri: None,
        }
    }

    /// Debian with a Python.
    ///
    /// With Flyte in it (`install_flyte`, the default) it is the image of a release of Flyte: of
    /// `flyte_version`, or of the version that the host has. Without, or where the host has none
    /// and none is asked for, it is a Debian of tierce's own making with nothing but that Python.
    /// Where the host's Flyte is not a release, the latest release before it is installed into
    /// tierce's own.
    pub fn from_debian_base(options: DebianOptions, host: &Host) -> Self {
        let DebianOptions {
            python_version,
            flyte_version,
            install_flyte,
            registry,
            registry_secret,
            name,
            platform,
        } = options;
        let python = python_version.unwrap_or(host.python);
        let series = PythonVersion { patch: None, ..python };
        let wanted = flyte_version.as_deref();
        let installed = host.flyte.as_deref();
        let image = match wanted.or(installed).filter(|_| install_flyte) {
            Some(version) if wanted.is_some() || !release::is_development(version) => FlyteImage {
                base_image: Some(format!("{RELEASES}:py{series}-{}", release::tag(version))),
                name: Some(FLYTE_NAME.to_owned()),
                ..FlyteImage::new(python)
            },
            Some(version) => FlyteImage {
                name: Some(FLYTE_NAME.to_owned()),
                is_cloned: true,
                layers: vec![Layer::PipPackages {
                    packages: vec![format!("flyte<{}", release::base(version))],
                    options: InstallOptions::default(),
                }],
                ..FlyteImage::new(python)
            },
            None => FlyteImage { name: Some(OWN_NAME.to_owned()), ..FlyteImage::new(python) },
        };
        let renamed = registry.is_some() || name.is_some();
        FlyteImage {
            registry: registry.or_else(|| host.registry.clone()),
            registry_secret,
            name: name.or_else(|| image.name.clone()),
            platform,
            extendable: true,
            python_is_given: python_version.is_some(),
            is_cloned: image.is_cloned || renamed,
            ..image
        }
    }

    /// An image of a registry. Layers can be added to a clone of it that has a name and is
    /// extendable.
    ///
    /// # Errors
    /// [`FlyteError::NoBase`] where the reference is empty, as from a variable that is not set.
    pub fn from_base(image_uri: impl Into<String>, host: &Host) -> Result<Self, FlyteError> {
        let image_uri = image_uri.into();
        match image_uri.trim() {
            "" => Err(FlyteError::NoBase),
            _ => Ok(FlyteImage { base_image: Some(image_uri), ..FlyteImage::new(host.python) }),
        }
    }

    /// What a Dockerfile makes, in its own directory. No layers can be added.
    pub fn from_dockerfile(
        file: impl Into<PathBuf>,
        registry: impl Into<String>,
        name: impl Into<String>,
        platform: impl IntoIterator<Item = Platform>,
        host: &Host,
    ) -> Self {
        FlyteImage {
            dockerfile: Some(file.into()),
            registry: Some(registry.into()),
            name: Some(name.into()),
            platform: platform.into_iter().collect(),
            is_cloned: true,
            ..FlyteImage::new(host.python)
        }
    }

    /// The image that the configuration knows by `name`, looked up when it is used
    /// ([`DEFAULT_REF_NAME`] where nobody says which).
    pub fn from_ref_name(name: impl Into<String>, host: &Host) -> Self {
        let name = name.into();
        FlyteImage {
            name: Some(name.clone()),
            ref_name: Some(name),
            ..FlyteImage::new(host.python)
        }
    }

    /// Debian with a Python and what the header of a script asks for (PEP 723).
    ///
    /// # Errors
    /// [`FlyteError::NotAScript`].
    pub fn from_uv_script(
        script: impl Into<PathBuf>,
        options: ScriptOptions,
        install: InstallOptions,
        host: &Host,
    ) -> Result<Self, FlyteError> {
        let script = python_script("from_uv_script", script.into())?;
        FlyteImage::from_debian_base(options.base(), host)
            .with_layer(Layer::UvScript { script, options: install })
    }

    /// Debian and the environment that the header of a script asks pixi for.
    ///
    /// # Errors
    /// [`FlyteError::NotAScript`].
    pub fn from_pixi_script(
        script: impl Into<PathBuf>,
        options: ScriptOptions,
        pixi: PixiOptions,
        host: &Host,
    ) -> Result<Self, FlyteError> {
        let script = python_script("from_pixi_script", script.into())?;
        let PixiOptions { environment, extra_args, secrets } = pixi;
        FlyteImage::from_debian_base(options.base(), host).with_layer(Layer::PixiScript {
            script,
            environment,
            extra_args,
            secrets,
        })
    }
}

fn python_script(method: &'static str, script: PathBuf) -> Result<PathBuf, FlyteError> {
    match Path::new(&script).extension() == Some(OsStr::new("py")) {
        true => Ok(script),
        false => Err(FlyteError::NotAScript { method, script }),
    }
}
