//! `tierce.Image`: conversion around [`FlyteImage`].
//!
//! It is one long file since a class has one `#[pymethods]` block, and most of it is what Python
//! shows as help.

use crate::arguments::{optional, required, word};
use crate::convert;
use crate::image_text;
use crate::layer::Layer;
use crate::plan::Plan;
use crate::{environment, error, host, lower, plan, session};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use tierce::spec::{PythonVersion, Secret};
use tierce::{ErrorKind, Platform};
use tierce_flyte::{
    CloneOptions, DebianOptions, FlyteError, FlyteImage, InstallOptions, PixiOptions, ScriptOptions,
};

/// What an image is made of: a value that never changes.
///
/// One of the `from_*` constructors says what it starts from; each `with_*` method returns a new
/// image with something more in it. Nothing is built or asked for until `tierce.build` is called.
/// Relative paths start from the folder that `tierce.init(root_dir=...)` names, or the current
/// one.
///
/// Example:
///     >>> import tierce
///     >>> image = (
///     ...     tierce.Image.from_debian_base((3, 11), install_flyte=False, name="report")
///     ...     .with_apt_packages("git")
///     ...     .with_pip_packages("pandas", "matplotlib")
///     ...     .with_env_vars({"MODE": "nightly"})
///     ... )
///     >>> image.name, image.python_version, len(image.layers)
///     ('report', (3, 11), 3)
///     >>> image.name = "other"
///     Traceback (most recent call last):
///     AttributeError: attribute 'name' of 'tierce.Image' objects is not writable
#[pyclass(module = "tierce", frozen, eq)]
#[derive(PartialEq)]
pub struct Image(FlyteImage);

impl From<FlyteImage> for Image {
    fn from(image: FlyteImage) -> Self {
        Image(image)
    }
}

impl Image {
    /// The image, in the library's words.
    pub fn inner(&self) -> &FlyteImage {
        &self.0
    }

    /// The image of a JSON document.
    pub fn from_json(py: Python<'_>, document: &str) -> PyResult<Self> {
        serde_json::from_str(document).map(Image).map_err(|problem| {
            let message = format!("the document is no image: {problem}");
            let hint = "Make the document and read it with the same release of tierce.";
            error::raised(py, ErrorKind::User, &message, "python/document", Some(hint))
        })
    }

    fn json(&self) -> String {
        // No path that is not UTF-8 gets through the conversions.
        serde_json::to_string(&self.0).expect("an image is strings, numbers and lists")
    }
}

#[pymethods]
impl Image {
    #[new]
    #[pyo3(signature = (*args, **kwargs))]
    fn new(args: &Bound<'_, PyTuple>, kwargs: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let _ = (args, kwargs);
        Err(PyTypeError::new_err(
            "Image is not instantiated directly: use one of its from_...() methods, as \
             Image.from_debian_base() or Image.from_base(\"python:3.12-slim\")",
        ))
    }

    /// Debian with a Python.
    ///
    /// Where Flyte is installed on this machine, or `flyte_version` names a release of it, this
    /// is the image of that release, with Flyte in it. Else, or with `install_flyte=False`, it is
    /// a Debian of tierce's own making with nothing but that Python.
    ///
    /// Args:
    ///     python_version: The Python, as `(3, 12)` or `"3.12"`; by default that of this program.
    ///     flyte_version: A release of Flyte; by default that of this machine.
    ///     install_flyte: Whether Flyte is in the image.
    ///     registry: Where the image is pushed.
    ///     registry_secret: The credentials of that.
    ///     name: The image's name.
    ///     platform: What it is built for, as `("linux/amd64", "linux/arm64")`; by default this
    ///         machine's platform.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False, name="etl")
    ///     >>> image.with_pip_packages("httpx")
    ///     Image.from_debian_base(python_version=(3, 11), name='etl').with_pip_packages('httpx')
    #[classmethod]
    #[pyo3(signature = (
        python_version=None, flyte_version=None, install_flyte=true, registry=None,
        registry_secret=None, name=None, platform=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn from_debian_base(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = optional::python_version)] python_version: Option<PythonVersion>,
        #[pyo3(from_py_with = optional::flyte_version)] flyte_version: Option<String>,
        #[pyo3(from_py_with = required::install_flyte)] install_flyte: bool,
        #[pyo3(from_py_with = optional::registry)] registry: Option<String>,
        #[pyo3(from_py_with = optional::registry_secret)] registry_secret: Option<Secret>,
        #[pyo3(from_py_with = optional::name)] name: Option<String>,
        #[pyo3(from_py_with = optional::platform)] platform: Option<Vec<Platform>>,
    ) -> PyResult<Self> {
        let mut host = host::host(cls.py());
        if install_flyte && flyte_version.is_none() {
            host.flyte = host::flyte(cls.py())?;
        }
        let options = DebianOptions {
            python_version,
            flyte_version: said(flyte_version),
            install_flyte,
            registry: said(registry),
            registry_secret,
            name: said(name),
            platform: platform.unwrap_or_default(),
        };
        Ok(Image(FlyteImage::from_debian_base(options, &host)))
    }

    /// All that is installed for this Python, on a Debian with that Python.
    ///
    /// Packages of an index are pinned to their versions, and those of URLs and repositories to
    /// what was installed from there. What was installed from a folder, in place or not, is built
    /// from that folder when the image is built; archives are installed as they are. What can't
    /// be pinned is left out with a warning, which names it: what another package manager has
    /// installed, or what was installed from a folder that is gone. So are, as in `pip freeze`,
    /// pip and what else environments begin with.
    ///
    /// Args:
    ///     name: The image's name.
    ///     registry: Where the image is pushed.
    ///     registry_secret: The credentials of that.
    ///     platform: What it is built for; by default this machine's platform.
    ///     exclude: Packages that are left out.
    ///     python_version: Can't be given: it is this program's.
    ///     index_url: The package index instead of PyPI.
    ///     extra_index_urls: Further indexes.
    ///     pre: Whether pre-releases may be chosen.
    ///     extra_args: Further arguments to uv.
    ///     secret_mounts: What installing needs to see.
    ///
    /// Example:
    ///     >>> import warnings
    ///     >>> import tierce
    ///     >>> with warnings.catch_warnings():
    ///     ...     warnings.simplefilter("ignore")
    ///     ...     image = tierce.Image.from_env(name="same", exclude=["tierce"])
    ///     >>> image.name
    ///     'same'
    #[classmethod]
    #[pyo3(signature = (
        *, name=None, registry=None, registry_secret=None, platform=None, exclude=None,
        python_version=None, index_url=None, extra_index_urls=None, pre=false, extra_args=None,
        secret_mounts=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn from_env(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = optional::name)] name: Option<String>,
        #[pyo3(from_py_with = optional::registry)] registry: Option<String>,
        #[pyo3(from_py_with = optional::registry_secret)] registry_secret: Option<Secret>,
        #[pyo3(from_py_with = optional::platform)] platform: Option<Vec<Platform>>,
        #[pyo3(from_py_with = optional::exclude)] exclude: Option<Vec<String>>,
        #[pyo3(from_py_with = optional::python_version)] python_version: Option<PythonVersion>,
        #[pyo3(from_py_with = optional::index_url)] index_url: Option<String>,
        #[pyo3(from_py_with = optional::extra_index_urls)] extra_index_urls: Option<Vec<String>>,
        #[pyo3(from_py_with = required::pre)] pre: bool,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        let py = cls.py();
        environment::no_python_version(py, python_version)?;
        let found = environment::environment(py, &exclude.unwrap_or_default())?;
        let base = DebianOptions {
            registry: said(registry),
            registry_secret,
            name: said(name),
            platform: platform.unwrap_or_default(),
            ..DebianOptions::new()
        };
        let install = install(index_url, extra_index_urls, pre, extra_args, secret_mounts);
        made(py, FlyteImage::from_environment(&found, base, install, &host::host(py)))
    }

    /// An image of a registry, as it is.
    ///
    /// Layers can be added to a clone of it that has a name and is extendable.
    ///
    /// Args:
    ///     image_uri: The image's reference, best with a digest.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> base = tierce.Image.from_base("python:3.12-slim-bookworm")
    ///     >>> base.extendable
    ///     False
    ///     >>> base.clone(name="etl", extendable=True).with_pip_packages("httpx").name
    ///     'etl'
    #[classmethod]
    fn from_base(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = required::image_uri)] image_uri: String,
    ) -> PyResult<Self> {
        made(cls.py(), FlyteImage::from_base(image_uri, &host::host(cls.py())))
    }

    /// What a Dockerfile makes, with its own folder as the context. No layers can be added.
    ///
    /// It takes a builder that knows Dockerfiles: `docker`, `podman` or `buildkit`.
    ///
    /// Args:
    ///     file: The Dockerfile.
    ///     registry: Where the image is pushed.
    ///     name: The image's name.
    ///     platform: What it is built for; by default this machine's platform.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.Image.from_dockerfile("Dockerfile", "ghcr.io/team", "app").extendable
    ///     False
    #[classmethod]
    #[pyo3(signature = (file, registry, name, platform=None))]
    fn from_dockerfile(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = required::file)] file: PathBuf,
        #[pyo3(from_py_with = required::registry)] registry: String,
        #[pyo3(from_py_with = required::name)] name: String,
        #[pyo3(from_py_with = optional::platform)] platform: Option<Vec<Platform>>,
    ) -> PyResult<Self> {
        let (platform, host) = (platform.unwrap_or_default(), host::host(cls.py()));
        Ok(Image(FlyteImage::from_dockerfile(file, registry, name, platform, &host)))
    }

    /// The image that the configuration knows by a name (`[images]`), looked up when it is used.
    ///
    /// Args:
    ///     name: That name.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.Image.from_ref_name("gpu")
    ///     Image.from_ref_name('gpu')
    #[classmethod]
    #[pyo3(signature = (name="default"))]
    fn from_ref_name(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = word::name)] name: &str,
    ) -> Self {
        Image(FlyteImage::from_ref_name(name, &host::host(cls.py())))
    }

    /// Debian with a Python, and the packages that the header of a script names (PEP 723).
    ///
    /// Args:
    ///     script: The script, whose name ends in `.py`.
    ///     name: The image's name.
    ///     registry: Where the image is pushed.
    ///     registry_secret: The credentials of that.
    ///     python_version: The Python; by default that of this program.
    ///     index_url: The package index instead of PyPI.
    ///     extra_index_urls: Further indexes.
    ///     pre: Whether pre-releases may be chosen.
    ///     extra_args: Further arguments to uv.
    ///     platform: What it is built for; by default this machine's platform.
    ///     secret_mounts: What installing needs to see.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.Image.from_uv_script("job.py", name="job")
    ///     Image.from_uv_script('job.py', name='job')
    #[classmethod]
    #[pyo3(signature = (
        script, *, name, registry=None, registry_secret=None, python_version=None, index_url=None,
        extra_index_urls=None, pre=false, extra_args=None, platform=None, secret_mounts=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn from_uv_script(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = required::script)] script: PathBuf,
        #[pyo3(from_py_with = required::name)] name: String,
        #[pyo3(from_py_with = optional::registry)] registry: Option<String>,
        #[pyo3(from_py_with = optional::registry_secret)] registry_secret: Option<Secret>,
        #[pyo3(from_py_with = optional::python_version)] python_version: Option<PythonVersion>,
        #[pyo3(from_py_with = optional::index_url)] index_url: Option<String>,
        #[pyo3(from_py_with = optional::extra_index_urls)] extra_index_urls: Option<Vec<String>>,
        #[pyo3(from_py_with = required::pre)] pre: bool,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::platform)] platform: Option<Vec<Platform>>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        let options = ScriptOptions {
            name,
            registry: said(registry),
            registry_secret,
            python_version,
            platform: platform.unwrap_or_default(),
        };
        let install = install(index_url, extra_index_urls, pre, extra_args, secret_mounts);
        let host = host::host(cls.py());
        made(cls.py(), FlyteImage::from_uv_script(script, options, install, &host))
    }

    /// Debian, and the environment that the header of a script asks pixi for.
    ///
    /// Args:
    ///     script: The script, whose name ends in `.py`.
    ///     name: The image's name.
    ///     registry: Where the image is pushed.
    ///     registry_secret: The credentials of that.
    ///     environment: Which of pixi's environments.
    ///     extra_args: Further arguments to `pixi install`.
    ///     platform: What it is built for; by default this machine's platform.
    ///     secret_mounts: What installing needs to see.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.Image.from_pixi_script("job.py", name="job")
    ///     Image.from_pixi_script('job.py', name='job')
    #[classmethod]
    #[pyo3(signature = (
        script, *, name, registry=None, registry_secret=None, environment="default",
        extra_args=None, platform=None, secret_mounts=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn from_pixi_script(
        cls: &Bound<'_, PyType>,
        #[pyo3(from_py_with = required::script)] script: PathBuf,
        #[pyo3(from_py_with = required::name)] name: String,
        #[pyo3(from_py_with = optional::registry)] registry: Option<String>,
        #[pyo3(from_py_with = optional::registry_secret)] registry_secret: Option<Secret>,
        #[pyo3(from_py_with = word::environment)] environment: &str,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::platform)] platform: Option<Vec<Platform>>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        let options = ScriptOptions {
            name,
            registry: said(registry),
            registry_secret,
            python_version: None,
            platform: platform.unwrap_or_default(),
        };
        let pixi = pixi(environment, extra_args, secret_mounts);
        let host = host::host(cls.py());
        made(cls.py(), FlyteImage::from_pixi_script(script, options, pixi, &host))
    }

    /// The image with some of it changed; what is left out stays as it is.
    ///
    /// Args:
    ///     registry: Where the image is pushed.
    ///     registry_secret: The credentials of that.
    ///     name: The image's name.
    ///     base_image: What it starts from.
    ///     python_version: The Python of the image.
    ///     addl_layer: One more layer, as another image's `layers` have them.
    ///     extendable: Whether layers can be added.
    ///     platform: What it is built for.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> base = tierce.Image.from_base("debian:bookworm-slim")
    ///     >>> base.clone(name="tools", registry="ghcr.io/team", extendable=True)
    ///     Image.from_base('debian:bookworm-slim').clone(name='tools', registry='ghcr.io/team')
    #[pyo3(signature = (
        registry=None, registry_secret=None, name=None, base_image=None, python_version=None,
        addl_layer=None, extendable=None, platform=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn clone(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = optional::registry)] registry: Option<String>,
        #[pyo3(from_py_with = optional::registry_secret)] registry_secret: Option<Secret>,
        #[pyo3(from_py_with = optional::name)] name: Option<String>,
        #[pyo3(from_py_with = optional::base_image)] base_image: Option<String>,
        #[pyo3(from_py_with = optional::python_version)] python_version: Option<PythonVersion>,
        #[pyo3(from_py_with = addl_layer)] addl_layer: Option<tierce_flyte::Layer>,
        #[pyo3(from_py_with = optional::extendable)] extendable: Option<bool>,
        #[pyo3(from_py_with = optional::platform)] platform: Option<Vec<Platform>>,
    ) -> PyResult<Self> {
        let options = CloneOptions {
            registry,
            registry_secret,
            name,
            base_image,
            python_version,
            addl_layer,
            extendable,
            platform: platform.unwrap_or_default(),
        };
        made(py, self.0.clone_with(options))
    }

    /// With Python packages.
    ///
    /// Args:
    ///     packages: Requirements, each an argument of its own: `"pandas>=2"`.
    ///     index_url: The package index instead of PyPI.
    ///     extra_index_urls: Further indexes.
    ///     pre: Whether pre-releases may be chosen.
    ///     extra_args: Further arguments to uv.
    ///     secret_mounts: What installing needs to see: passwords of private indexes.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image = image.with_pip_packages("pandas", "ours>=2", secret_mounts="pypi-token")
    ///     >>> image.with_pip_packages(["pandas", "numpy"])
    ///     Traceback (most recent call last):
    ///     TypeError: argument 'packages' must be str, not list
    ///     hint: pass the items as separate arguments: "vim", "git" instead of ["vim", "git"]
    #[pyo3(signature = (
        *packages, index_url=None, extra_index_urls=None, pre=false, extra_args=None,
        secret_mounts=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn with_pip_packages(
        &self,
        packages: &Bound<'_, PyTuple>,
        #[pyo3(from_py_with = optional::index_url)] index_url: Option<String>,
        #[pyo3(from_py_with = optional::extra_index_urls)] extra_index_urls: Option<Vec<String>>,
        #[pyo3(from_py_with = required::pre)] pre: bool,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        let names = convert::separate_texts("packages", packages)?;
        let options = install(index_url, extra_index_urls, pre, extra_args, secret_mounts);
        made(packages.py(), self.0.with_pip_packages(names, options))
    }

    /// With the Python packages that a requirements file lists.
    ///
    /// Args:
    ///     file: The file, whose name ends in `.txt`.
    ///     index_url: The package index instead of PyPI.
    ///     extra_index_urls: Further indexes.
    ///     pre: Whether pre-releases may be chosen.
    ///     extra_args: Further arguments to uv.
    ///     secret_mounts: What installing needs to see.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_requirements("requirements.txt").layers
    ///     (Layer.with_requirements('requirements.txt'),)
    #[pyo3(signature = (
        file, index_url=None, extra_index_urls=None, pre=false, extra_args=None,
        secret_mounts=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn with_requirements(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::file)] file: PathBuf,
        #[pyo3(from_py_with = optional::index_url)] index_url: Option<String>,
        #[pyo3(from_py_with = optional::extra_index_urls)] extra_index_urls: Option<Vec<String>>,
        #[pyo3(from_py_with = required::pre)] pre: bool,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        let options = install(index_url, extra_index_urls, pre, extra_args, secret_mounts);
        made(py, self.0.with_requirements(file, options))
    }

    /// With what a project that uv manages depends on, and the project itself if asked for.
    ///
    /// Args:
    ///     pyproject_file: Its `pyproject.toml`.
    ///     uvlock: Its `uv.lock`; by default the one beside, if there is one.
    ///     index_url: The package index instead of PyPI.
    ///     extra_index_urls: Further indexes.
    ///     pre: Whether pre-releases may be chosen.
    ///     extra_args: Further arguments to `uv sync`, as `--only-group jobs`.
    ///     secret_mounts: What installing needs to see.
    ///     project_install_mode: `"dependencies_only"`, or `"install_project"`.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_uv_project("pyproject.toml").layers
    ///     (Layer.with_uv_project('pyproject.toml'),)
    #[pyo3(signature = (
        pyproject_file, uvlock=None, index_url=None, extra_index_urls=None, pre=false,
        extra_args=None, secret_mounts=None, project_install_mode="dependencies_only",
    ))]
    #[allow(clippy::too_many_arguments)]
    fn with_uv_project(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::pyproject_file)] pyproject_file: PathBuf,
        #[pyo3(from_py_with = optional::uvlock)] uvlock: Option<PathBuf>,
        #[pyo3(from_py_with = optional::index_url)] index_url: Option<String>,
        #[pyo3(from_py_with = optional::extra_index_urls)] extra_index_urls: Option<Vec<String>>,
        #[pyo3(from_py_with = required::pre)] pre: bool,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
        #[pyo3(from_py_with = word::project_install_mode)] project_install_mode: &str,
    ) -> PyResult<Self> {
        let mode = convert::install_mode(py, project_install_mode)?;
        let options = install(index_url, extra_index_urls, pre, extra_args, secret_mounts);
        made(py, self.0.with_uv_project(pyproject_file, uvlock, mode, options))
    }

    /// With what a project that Poetry manages depends on, and the project itself if asked for.
    ///
    /// Args:
    ///     pyproject_file: Its `pyproject.toml`.
    ///     poetry_lock: Its `poetry.lock`; by default the one beside.
    ///     extra_args: Further arguments to `poetry install`.
    ///     secret_mounts: What installing needs to see.
    ///     project_install_mode: `"dependencies_only"`, or `"install_project"`.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_poetry_project("pyproject.toml").layers
    ///     (Layer.with_poetry_project('pyproject.toml'),)
    #[pyo3(signature = (
        pyproject_file, poetry_lock=None, extra_args=None, secret_mounts=None,
        project_install_mode="dependencies_only",
    ))]
    fn with_poetry_project(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::pyproject_file)] pyproject_file: PathBuf,
        #[pyo3(from_py_with = optional::poetry_lock)] poetry_lock: Option<PathBuf>,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
        #[pyo3(from_py_with = word::project_install_mode)] project_install_mode: &str,
    ) -> PyResult<Self> {
        let mode = convert::install_mode(py, project_install_mode)?;
        let secrets = secret_mounts.unwrap_or_default();
        let extra_args = said(extra_args);
        made(py, self.0.with_poetry_project(pyproject_file, poetry_lock, mode, extra_args, secrets))
    }

    /// With the environment of a project that pixi manages; it is the one that runs from then on.
    ///
    /// Args:
    ///     manifest_file: Its `pixi.toml` or `pyproject.toml`, or the folder with one of them.
    ///     pixi_lock: Its `pixi.lock`; by default the one beside, if there is one.
    ///     environment: Which of its environments.
    ///     extra_args: Further arguments to `pixi install`.
    ///     secret_mounts: What installing needs to see.
    ///     project_install_mode: `"dependencies_only"`, or `"install_project"`.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_pixi_project("pixi.toml", environment="gpu").layers
    ///     (Layer.with_pixi_project('pixi.toml', environment='gpu'),)
    #[pyo3(signature = (
        manifest_file, pixi_lock=None, environment="default", extra_args=None, secret_mounts=None,
        project_install_mode="dependencies_only",
    ))]
    #[allow(clippy::too_many_arguments)]
    fn with_pixi_project(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::manifest_file)] manifest_file: PathBuf,
        #[pyo3(from_py_with = optional::pixi_lock)] pixi_lock: Option<PathBuf>,
        #[pyo3(from_py_with = word::environment)] environment: &str,
        #[pyo3(from_py_with = optional::extra_args)] extra_args: Option<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
        #[pyo3(from_py_with = word::project_install_mode)] project_install_mode: &str,
    ) -> PyResult<Self> {
        let mode = convert::install_mode(py, project_install_mode)?;
        let manifest = pixi_manifest(manifest_file);
        let options = pixi(environment, extra_args, secret_mounts);
        made(py, self.0.with_pixi_project(manifest, pixi_lock, mode, options))
    }

    /// With Debian packages.
    ///
    /// Args:
    ///     packages: Their names, each an argument of its own.
    ///     secret_mounts: What `apt-get` needs to see.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_apt_packages("git", "curl").layers[0])
    ///     apt git curl
    #[pyo3(signature = (*packages, secret_mounts=None))]
    fn with_apt_packages(
        &self,
        packages: &Bound<'_, PyTuple>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        let names = convert::separate_texts("packages", packages)?;
        let secrets = secret_mounts.unwrap_or_default();
        made(packages.py(), self.0.with_apt_packages(names, secrets))
    }

    /// With commands, each a line for a shell and a layer of its own.
    ///
    /// Args:
    ///     commands: The lines.
    ///     secret_mounts: What they need to see.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_commands(["mkdir /data", "chmod 1777 /data"]).layers
    ///     (Layer.with_commands(['mkdir /data', 'chmod 1777 /data']),)
    #[pyo3(signature = (commands, secret_mounts=None))]
    fn with_commands(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::commands)] commands: Vec<String>,
        #[pyo3(from_py_with = optional::secret_mounts)] secret_mounts: Option<Vec<Secret>>,
    ) -> PyResult<Self> {
        made(py, self.0.with_commands(commands, secret_mounts.unwrap_or_default()))
    }

    /// With environment variables, for later layers and in the image's containers. Values are
    /// literal: nothing is expanded in them.
    ///
    /// Args:
    ///     env_vars: Names and values.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_env_vars({"MODE": "nightly", "PORT": "8080"}).layers
    ///     (Layer.with_env_vars({'MODE': ..., 'PORT': ...}),)
    fn with_env_vars(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::env_vars)] env_vars: Vec<(String, String)>,
    ) -> PyResult<Self> {
        made(py, self.0.with_env_vars(env_vars))
    }

    /// In this working directory, from here on.
    ///
    /// Args:
    ///     workdir: An absolute path of the image.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_workdir("/srv/app").layers[0])
    ///     workdir /srv/app
    fn with_workdir(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::workdir)] workdir: String,
    ) -> PyResult<Self> {
        made(py, self.0.with_workdir(workdir))
    }

    /// With a folder of this machine.
    ///
    /// Args:
    ///     src: The folder.
    ///     dst: The folder of the image that gets its contents; by default one of the same name
    ///         in the working directory.
    ///     copy_contents_only: With the default `dst`: whether the contents go into the working
    ///         directory itself.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_source_folder("src/app").layers[0])
    ///     copy src/app to ./app
    ///     >>> print(image.with_source_folder("src/app", copy_contents_only=True).layers[0])
    ///     copy src/app to .
    #[pyo3(signature = (src, dst=".", copy_contents_only=false))]
    fn with_source_folder(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::src)] src: PathBuf,
        #[pyo3(from_py_with = word::dst)] dst: &str,
        #[pyo3(from_py_with = required::copy_contents_only)] copy_contents_only: bool,
    ) -> PyResult<Self> {
        made(py, self.0.with_source_folder(src, dst, copy_contents_only))
    }

    /// With a file of this machine, or several.
    ///
    /// Args:
    ///     src: The file, or a list of files.
    ///     dst: Where it goes; by default into the working directory.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> len(image.with_source_file(["app.py", "settings.toml"], "/srv/").layers)
    ///     2
    #[pyo3(signature = (src, dst="."))]
    fn with_source_file(
        &self,
        src: &Bound<'_, PyAny>,
        #[pyo3(from_py_with = word::dst)] dst: &str,
    ) -> PyResult<Self> {
        let files = convert::paths("src", src)?;
        made(
            src.py(),
            match <[PathBuf; 1]>::try_from(files) {
                Ok([file]) => self.0.with_source_file(file, dst),
                Err(files) => self.0.with_source_files(files, dst),
            },
        )
    }

    /// With the code that runs in the image, as it is when the image is built or named. Where
    /// Flyte runs it, Flyte may bring it along instead.
    ///
    /// Args:
    ///     copy_style: `"loaded_modules"`: what this program has imported so far; or `"all"`: the whole
    ///         folder.
    ///     dst: Where it goes; by default into the working directory.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_code_bundle("all").layers
    ///     (Layer.with_code_bundle('all'),)
    #[pyo3(signature = (copy_style="loaded_modules", dst="."))]
    fn with_code_bundle(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = word::copy_style)] copy_style: &str,
        #[pyo3(from_py_with = word::dst)] dst: &str,
    ) -> PyResult<Self> {
        made(py, self.0.with_code_bundle(convert::copy_style(py, copy_style)?, dst))
    }

    /// With this ignore file for sources, instead of the `.dockerignore` in the root folder. The
    /// last one counts; it has to be there when the image is built.
    ///
    /// Args:
    ///     path: The file.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_dockerignore("docker/ignore").layers[0])
    ///     dockerignore docker/ignore
    fn with_dockerignore(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = required::path)] path: PathBuf,
    ) -> PyResult<Self> {
        made(py, self.0.with_dockerignore(path))
    }

    /// With the Flyte that was built from a checkout: the wheels in its `dist` folder, whatever
    /// an index has.
    ///
    /// Args:
    ///     dist: The folder; by default that of the checkout in which the installed Flyte lies.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_local_v2(dist="dist").layers[0])
    ///     wheel flyte of dist
    #[pyo3(signature = (dist=None))]
    fn with_local_v2(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = optional::dist)] dist: Option<PathBuf>,
    ) -> PyResult<Self> {
        let dist = dist.map_or_else(|| host::dist(py, "dist"), Ok)?;
        made(py, self.0.with_local_v2(&dist, names_in(&dist)))
    }

    /// With the controller in Rust that was built from a checkout of Flyte.
    ///
    /// Args:
    ///     dist: The folder with its wheel; by default `rs_controller/dist` of the checkout.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_local_rs_controller(dist="dist").layers[0])
    ///     wheel flyte_controller_base of dist
    #[pyo3(signature = (dist=None))]
    fn with_local_rs_controller(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = optional::dist)] dist: Option<PathBuf>,
    ) -> PyResult<Self> {
        let dist = dist.map_or_else(|| host::dist(py, "rs_controller/dist"), Ok)?;
        made(py, self.0.with_local_rs_controller(&dist))
    }

    /// With plug-ins of Flyte that were built from a checkout.
    ///
    /// Args:
    ///     plugins: Their names, as `"flyteplugins-vllm"`: one, or a list.
    ///     dist: The folder with their wheels; by default that of the checkout.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> print(image.with_local_v2_plugins("flyteplugins-vllm", dist="dist").layers[0])
    ///     wheel flyteplugins_vllm of dist
    #[pyo3(signature = (plugins=None, dist=None))]
    fn with_local_v2_plugins(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = optional::plugins)] plugins: Option<Vec<String>>,
        #[pyo3(from_py_with = optional::dist)] dist: Option<PathBuf>,
    ) -> PyResult<Self> {
        let dist = dist.map_or_else(|| host::dist(py, "dist"), Ok)?;
        made(py, self.0.with_local_v2_plugins(&dist, plugins.unwrap_or_default()))
    }

    /// The reference of the base; `None` for Debian, a Dockerfile or a configured image.
    #[getter]
    fn base_image(&self) -> Option<&str> {
        self.0.base_image.as_deref()
    }

    /// The Dockerfile that makes the image.
    #[getter]
    fn dockerfile(&self) -> Option<&Path> {
        self.0.dockerfile.as_deref()
    }

    /// Where the image is pushed; `None` for where the configuration says.
    #[getter]
    fn registry(&self) -> Option<&str> {
        self.0.registry.as_deref()
    }

    /// The image's name.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }

    /// What it is built for.
    #[getter]
    fn platform<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let platforms = match self.0.platform.as_slice() {
            [] => vec![Platform::host().to_string()],
            named => named.iter().map(Platform::to_string).collect(),
        };
        PyTuple::new(py, platforms)
    }

    /// The Python of the image.
    #[getter]
    fn python_version(&self) -> (u32, u32) {
        (self.0.python_version.major, self.0.python_version.minor)
    }

    /// Whether layers can be added.
    #[getter]
    fn extendable(&self) -> bool {
        self.0.extendable
    }

    /// The layers, in order.
    #[getter]
    fn layers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.0.layers.iter().cloned().map(Layer::from))
    }

    /// The name that the image has, with its tag: `registry/name:tag`.
    ///
    /// Sources are looked at each time, so an edit changes it. No network is needed, but where
    /// projects, or commands of Flyte's, run uv in the image: that is fetched, once. An image of a
    /// registry to which nothing was done is its base, whose name is given in full.
    #[getter]
    fn uri(slf: &Bound<'_, Self>) -> PyResult<String> {
        lower::name(slf.as_any())
    }

    /// Checks all that can be checked without building: what the layers say, and that the files
    /// they name are there. Raises an error that says everything that is wrong.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> image = tierce.Image.from_debian_base((3, 11), install_flyte=False)
    ///     >>> image.with_apt_packages("Git!").validate()  # doctest: +ELLIPSIS
    ///     Traceback (most recent call last):
    ///     tierce.errors.SpecificationError: ...
    fn validate(slf: &Bound<'_, Self>) -> PyResult<()> {
        lower::name(slf.as_any()).map(drop)
    }

    /// What a build by the native builder would do: which layers are cached, which are assembled,
    /// and for which something is executed. Nothing is built; registries and indexes are asked.
    ///
    /// Args:
    ///     force: As if the image were built anew, whatever is cached.
    ///
    /// Returns:
    ///     The plan. It prints as a table.
    #[pyo3(signature = (*, force=false))]
    fn plan(
        slf: &Bound<'_, Self>,
        #[pyo3(from_py_with = required::force)] force: bool,
    ) -> PyResult<Plan> {
        plan::plan(slf.as_any(), force)
    }

    /// What the image is, in words: its name, what decides it, and what a build would do and why.
    ///
    /// Returns:
    ///     Lines of text. Where the plan can't be told, as without network, they say why.
    fn explain(slf: &Bound<'_, Self>) -> PyResult<String> {
        plan::explain(slf.as_any())
    }

    /// The image as a JSON document.
    fn _document(&self) -> PyResult<String> {
        Ok(self.json())
    }

    /// The image of a document.
    #[classmethod]
    fn _from_document(cls: &Bound<'_, PyType>, document: &str) -> PyResult<Self> {
        Image::from_json(cls.py(), document)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (String,))> {
        Ok((slf.get_type().getattr("_from_document")?, (slf.get().json(),)))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.json().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        image_text::repr(&self.0)
    }

    fn __str__(&self) -> String {
        image_text::lines(&self.0).join("\n")
    }

    #[pyo3(signature = (include=None, exclude=None))]
    fn _repr_mimebundle_<'py>(
        &self,
        py: Python<'py>,
        include: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let _ = (include, exclude);
        let shown = PyDict::new(py);
        shown.set_item("text/plain", self.__str__())?;
        shown.set_item("text/html", image_text::html(&self.0))?;
        Ok(shown)
    }
}

/// The changed image, or why there is none.
fn made(py: Python<'_>, image: Result<FlyteImage, FlyteError>) -> PyResult<Image> {
    image.map(Image).map_err(|problem| error::to_py(py, &problem))
}

/// A text that says something: an empty one is what variables give that are not set.
fn said(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn install(
    index_url: Option<String>,
    extra_index_urls: Option<Vec<String>>,
    pre: bool,
    extra_args: Option<String>,
    secret_mounts: Option<Vec<Secret>>,
) -> InstallOptions {
    let extra_index_urls = extra_index_urls.unwrap_or_default();
    InstallOptions {
        index_url: said(index_url),
        extra_index_urls: extra_index_urls.into_iter().filter(|url| !url.is_empty()).collect(),
        pre,
        extra_args: said(extra_args),
        secrets: secret_mounts.unwrap_or_default(),
    }
}

fn pixi(
    environment: &str,
    extra_args: Option<String>,
    secret_mounts: Option<Vec<Secret>>,
) -> PixiOptions {
    PixiOptions {
        environment: environment.to_owned(),
        extra_args: said(extra_args),
        secrets: secret_mounts.unwrap_or_default(),
    }
}

fn addl_layer(value: &Bound<'_, PyAny>) -> PyResult<Option<tierce_flyte::Layer>> {
    let layer = |name: &str, value: &Bound<'_, PyAny>| match value.cast::<Layer>() {
        Ok(layer) => Ok(layer.get().inner().clone()),
        Err(_) => Err(convert::wrong_type(name, "a Layer of another image", value)),
    };
    convert::optional("addl_layer", Some(value), layer)
}

/// The manifest of a pixi project that is named by its folder, as pixi finds it.
fn pixi_manifest(named: PathBuf) -> PathBuf {
    let folder = session::root().join(&named);
    match (folder.is_dir(), folder.join("pixi.toml").exists()) {
        (false, _) => named,
        (true, true) => named.join("pixi.toml"),
        (true, false) => named.join("pyproject.toml"),
    }
}

/// The names in a folder; none where there is no folder, which the build will tell.
fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(session::root().join(folder)).into_iter().flatten();
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
