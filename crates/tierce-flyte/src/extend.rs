//! The methods: each gives a new image.

use crate::{FlyteError, FlyteImage, InstallMode, InstallOptions, Layer, PixiOptions, SourceKind};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tierce_oci::Platform;
use tierce_spec::{CopyStyle, PythonVersion, Secret};

/// What of an image is changed by [`FlyteImage::clone_with`]; what is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloneOptions {
    /// The registry.
    pub registry: Option<String>,
    /// The credentials of that.
    pub registry_secret: Option<Secret>,
    /// The name.
    pub name: Option<String>,
    /// The base.
    pub base_image: Option<String>,
    /// The Python.
    pub python_version: Option<PythonVersion>,
    /// One more layer.
    pub addl_layer: Option<Layer>,
    /// Whether layers can be added.
    pub extendable: Option<bool>,
    /// What it is built for; empty for what it was built for before.
    pub platform: Vec<Platform>,
}

impl CloneOptions {
    /// Nothing changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Called this.
    pub fn with_name(self, name: impl Into<String>) -> Self {
        CloneOptions { name: Some(name.into()), ..self }
    }

    /// For this registry.
    pub fn with_registry(self, registry: impl Into<String>) -> Self {
        CloneOptions { registry: Some(registry.into()), ..self }
    }

    /// Layers can be added, or not.
    pub fn with_extendable(self, extendable: bool) -> Self {
        CloneOptions { extendable: Some(extendable), ..self }
    }
}

impl FlyteImage {
    /// The image with some of it changed. A clone counts as changed, whatever was asked for, and
    /// has no longer the name that Flyte's SDK gave the image.
    ///
    /// # Errors
    /// Why no layer can be added: [`FlyteError::NotExtendable`], [`FlyteError::Dockerfile`],
    /// [`FlyteError::NoName`].
    pub fn clone_with(&self, options: CloneOptions) -> Result<Self, FlyteError> {
        let CloneOptions {
            registry,
            registry_secret,
            name,
            base_image,
            python_version,
            addl_layer,
            extendable,
            platform,
        } = options;
        // What is empty says nothing.
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let name = said(name).or_else(|| self.name.clone());
        if let Some(layer) = &addl_layer {
            self.can_have(layer, name.as_deref())?;
        }
        Ok(FlyteImage {
            base_image: said(base_image).or_else(|| self.base_image.clone()),
            dockerfile: self.dockerfile.clone(),
            ref_name: self.ref_name.clone(),
            registry: said(registry).or_else(|| self.registry.clone()),
            registry_secret: registry_secret.or_else(|| self.registry_secret.clone()),
            name,
            platform: if platform.is_empty() { self.platform.clone() } else { platform },
            python_version: python_version.unwrap_or(self.python_version),
            python_is_given: python_version.is_some() || self.python_is_given,
            extendable: extendable.unwrap_or(self.extendable),
            is_cloned: true,
            layers: self.layers.iter().cloned().chain(addl_layer).collect(),
            uri: None,
        })
    }

    fn can_have(&self, layer: &Layer, name: Option<&str>) -> Result<(), FlyteError> {
        let method = layer.method();
        if let Some(file) = &self.dockerfile {
            return Err(FlyteError::Dockerfile { method, file: file.clone() });
        }
        if !self.extendable {
            return Err(FlyteError::NotExtendable { method, image: self.title() });
        }
        match name {
            None | Some("") => Err(FlyteError::NoName { method, image: self.title() }),
            Some(_) => Ok(()),
        }
    }

    /// What the image is called in messages.
    fn title(&self) -> String {
        let known = [&self.name, &self.base_image, &self.ref_name];
        known.into_iter().flatten().next().cloned().unwrap_or_else(|| "debian".to_owned())
    }

    /// With one more layer.
    ///
    /// # Errors
    /// Why there can be none: see [`FlyteImage::clone_with`]. So for all methods.
    pub fn with_layer(&self, layer: Layer) -> Result<Self, FlyteError> {
        self.clone_with(CloneOptions { addl_layer: Some(layer), ..CloneOptions::default() })
    }

    /// With Python packages: requirements as PEP 508 has them.
    pub fn with_pip_packages(
        &self,
        packages: impl IntoIterator<Item = impl Into<String>>,
        options: InstallOptions,
    ) -> Result<Self, FlyteError> {
        self.with_layer(Layer::PipPackages { packages: strings(packages), options })
    }

    /// With the packages that a requirements file of the host lists, whose name ends in `.txt`.
    pub fn with_requirements(
        &self,
        file: impl Into<PathBuf>,
        options: InstallOptions,
    ) -> Result<Self, FlyteError> {
        let file = file.into();
        match file.extension() == Some(OsStr::new("txt")) {
            true => self.with_layer(Layer::Requirements { file, options }),
            false => Err(FlyteError::NotRequirements { file }),
        }
    }

    /// With what a project that uv manages depends on, and itself if asked for. Without `lock`,
    /// the `uv.lock` beside its `pyproject.toml` counts, if there is one.
    pub fn with_uv_project(
        &self,
        pyproject: impl Into<PathBuf>,
        lock: Option<PathBuf>,
        mode: InstallMode,
        options: InstallOptions,
    ) -> Result<Self, FlyteError> {
        let pyproject = pyproject.into();
        self.with_layer(Layer::UvProject { pyproject, lock, mode, options })
    }

    /// With what a project that Poetry manages depends on, and itself if asked for. Without
    /// `lock`, it is the `poetry.lock` beside its `pyproject.toml`.
    pub fn with_poetry_project(
        &self,
        pyproject: impl Into<PathBuf>,
        lock: Option<PathBuf>,
        mode: InstallMode,
        extra_args: Option<String>,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Result<Self, FlyteError> {
        let pyproject = pyproject.into();
        let lock = lock.unwrap_or_else(|| pyproject.with_file_name("poetry.lock"));
        let secrets = secrets.into_iter().collect();
        self.with_layer(Layer::PoetryProject { pyproject, lock, mode, extra_args, secrets })
    }

    /// With the environment of a project that pixi manages; it becomes the one that runs. The
    /// manifest is a `pixi.toml` or a `pyproject.toml`; without `lock`, the `pixi.lock` beside it
    /// counts, if there is one.
    pub fn with_pixi_project(
        &self,
        manifest: impl Into<PathBuf>,
        lock: Option<PathBuf>,
        mode: InstallMode,
        pixi: PixiOptions,
    ) -> Result<Self, FlyteError> {
        let manifest = manifest.into();
        let name = manifest.file_name().and_then(OsStr::to_str);
        if !matches!(name, Some("pixi.toml" | "pyproject.toml")) {
            return Err(FlyteError::NotAPixiManifest { manifest });
        }
        let PixiOptions { environment, extra_args, secrets } = pixi;
        let layer = Layer::PixiProject { manifest, lock, environment, mode, extra_args, secrets };
        self.with_layer(layer)
    }

    /// With Debian packages.
    pub fn with_apt_packages(
        &self,
        packages: impl IntoIterator<Item = impl Into<String>>,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Result<Self, FlyteError> {
        let secrets = secrets.into_iter().collect();
        self.with_layer(Layer::AptPackages { packages: strings(packages), secrets })
    }

    /// With commands, each a line for a shell, each a layer.
    pub fn with_commands(
        &self,
        commands: impl IntoIterator<Item = impl Into<String>>,
        secrets: impl IntoIterator<Item = Secret>,
    ) -> Result<Self, FlyteError> {
        let secrets = secrets.into_iter().collect();
        self.with_layer(Layer::Commands { commands: strings(commands), secrets })
    }

    /// With environment variables.
    pub fn with_env_vars(
        &self,
        vars: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Result<Self, FlyteError> {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.with_layer(Layer::Env { vars })
    }

    /// In this working directory, from here on.
    pub fn with_workdir(&self, workdir: impl Into<String>) -> Result<Self, FlyteError> {
        self.with_layer(Layer::Workdir { workdir: workdir.into() })
    }

    /// With a folder of the host: its contents go into `dst`. Where `dst` is the working
    /// directory (`.`), the folder goes there under its own name, unless only its contents are
    /// wanted.
    pub fn with_source_folder(
        &self,
        src: impl Into<PathBuf>,
        dst: &str,
        copy_contents_only: bool,
    ) -> Result<Self, FlyteError> {
        let src = src.into();
        let dst = match src.file_name() {
            Some(name) if dst == "." && !copy_contents_only => {
                format!("./{}", name.to_string_lossy())
            }
            Some(_) | None => dst.to_owned(),
        };
        self.with_layer(Layer::Source { kind: SourceKind::Folder, src, dst })
    }

    /// With a file of the host as `dst`, or in the folder `dst` where that ends in `/` or is the
    /// working directory (`.`).
    pub fn with_source_file(
        &self,
        src: impl Into<PathBuf>,
        dst: impl Into<String>,
    ) -> Result<Self, FlyteError> {
        let (src, dst) = (src.into(), dst.into());
        self.with_layer(Layer::Source { kind: SourceKind::File, src, dst })
    }

    /// With files of the host in the folder `dst`.
    ///
    /// # Errors
    /// [`FlyteError::DuplicateSource`] where two have the same name.
    pub fn with_source_files(
        &self,
        srcs: impl IntoIterator<Item = impl Into<PathBuf>>,
        dst: &str,
    ) -> Result<Self, FlyteError> {
        let srcs: Vec<PathBuf> = srcs.into_iter().map(Into::into).collect();
        let duplicates = repeated_names(&srcs);
        if !duplicates.is_empty() {
            return Err(FlyteError::DuplicateSource { names: duplicates, dst: dst.to_owned() });
        }
        // Two files can't both be `dst`.
        let folder = match srcs.len() > 1 && dst != "." && !dst.ends_with('/') {
            true => format!("{dst}/"),
            false => dst.to_owned(),
        };
        srcs.into_iter().try_fold(self.clone(), |image, src| image.with_source_file(src, &folder))
    }

    /// With the code that runs in the image, where whoever runs it does not bring it along.
    pub fn with_code_bundle(
        &self,
        style: CopyStyle,
        dst: impl Into<String>,
    ) -> Result<Self, FlyteError> {
        let dst = dst.into();
        self.with_layer(Layer::CodeBundle { style, dst, root: None, loaded: vec![] })
    }

    /// With this ignore file for sources; the last one counts.
    pub fn with_dockerignore(&self, path: impl Into<PathBuf>) -> Result<Self, FlyteError> {
        self.with_layer(Layer::Dockerignore { path: path.into() })
    }

    /// With the wheel of `package` that is in the host's folder `dir`, whatever an index has.
    pub fn with_wheels(
        &self,
        dir: impl Into<PathBuf>,
        package: impl Into<String>,
        options: InstallOptions,
    ) -> Result<Self, FlyteError> {
        self.with_layer(Layer::Wheels { dir: dir.into(), package: package.into(), options })
    }

    /// With the Flyte that was built into the host's folder `dist`, whose files are `names`: its
    /// wheel, and that of its interfaces where there is one.
    ///
    /// # Errors
    /// [`FlyteError::ManyWheels`] where it can't be told which wheel of the interfaces is meant.
    pub fn with_local_v2(
        &self,
        dist: &Path,
        names: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, FlyteError> {
        const INTERFACES: &str = "flyteidl2";
        let is_theirs =
            |name: &String| name.starts_with(&format!("{INTERFACES}-")) && name.ends_with(".whl");
        let names = names.into_iter().map(|name| name.as_ref().to_owned());
        let mut found: Vec<String> = names.filter(is_theirs).collect();
        found.sort();
        let image = self.with_wheels(dist, "flyte", InstallOptions::default())?;
        match found.len() {
            0 => Ok(image),
            1 => image.with_wheels(dist, INTERFACES, InstallOptions::default()),
            _ => Err(FlyteError::ManyWheels { package: INTERFACES, found }),
        }
    }

    /// With the controller in Rust that was built into the host's folder `dist`.
    pub fn with_local_rs_controller(&self, dist: &Path) -> Result<Self, FlyteError> {
        self.with_wheels(dist, "flyte_controller_base", InstallOptions::default())
    }

    /// With the plug-ins of Flyte (`flyteplugins-*`) that were built into the host's folder
    /// `dist`.
    ///
    /// # Errors
    /// [`FlyteError::NotAPlugin`].
    pub fn with_local_v2_plugins(
        &self,
        dist: &Path,
        plugins: impl IntoIterator<Item = impl Into<String>>,
    ) -> Result<Self, FlyteError> {
        plugins.into_iter().map(Into::into).try_fold(self.clone(), |image, plugin: String| {
            match plugin.starts_with("flyteplugins-") {
                true => {
                    image.with_wheels(dist, plugin.replace('-', "_"), InstallOptions::default())
                }
                false => Err(FlyteError::NotAPlugin { plugin }),
            }
        })
    }
}

fn repeated_names(files: &[PathBuf]) -> Vec<String> {
    let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !seen.insert(name.clone()) {
            repeated.insert(name);
        }
    }
    repeated.into_iter().collect()
}

fn strings(items: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    items.into_iter().map(Into::into).collect()
}
