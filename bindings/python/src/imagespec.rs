//! `tierce.ImageSpec`: flytekit's way to say what an image is.

use crate::arguments::word;
use crate::imagespec_fields as fields;
use crate::{error, imagespec_builders, imagespec_host as host, runtime, session};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use std::hash::{DefaultHasher, Hash, Hasher};
use tierce::imagespec::{Field, Fields, ImageSpec as Spec, KnownAs, Running};
use tierce::spec::{Base, hide_credentials};
use tierce::{BuildOptions, Cancel, Events, Existence, NotChecked, UnknownPolicy};

/// The order in which flytekit takes the fields.
const ORDER: [Field; Field::ALL.len()] = [
    Field::Name,
    Field::PythonVersion,
    Field::Builder,
    Field::SourceRoot,
    Field::Env,
    Field::Registry,
    Field::Packages,
    Field::CondaPackages,
    Field::CondaChannels,
    Field::Requirements,
    Field::AptPackages,
    Field::Cuda,
    Field::Cudnn,
    Field::BaseImage,
    Field::Platform,
    Field::PipIndex,
    Field::PipExtraIndexUrl,
    Field::PipSecretMounts,
    Field::PipExtraArgs,
    Field::RegistryConfig,
    Field::Entrypoint,
    Field::Commands,
    Field::TagFormat,
    Field::SourceCopyMode,
    Field::Copy,
    Field::PythonExec,
    Field::RuntimePackages,
    Field::BuilderOptions,
    Field::BuilderConfig,
];

/// What an image is, in flytekit's words: a value that never changes.
///
/// The fields are those of flytekit's class of this name, in its order. Each `with_*` method gives
/// a new spec; one that is forced stays forced.
///
/// Args:
///     name: The repository's path below the registry; made lower-case.
///     python_version: The Python version, as `3.12`; the base's where none is said.
///     builder: The builder; None for the one that is configured.
///     source_root: The folder with the sources.
///     env: Environment variables.
///     registry: The registry, as `ghcr.io/team`; made lower-case.
///     packages: Python packages.
///     conda_packages: Conda packages.
///     conda_channels: Conda channels.
///     requirements: A requirements file.
///     apt_packages: Debian packages.
///     cuda: The version of CUDA to install.
///     cudnn: The version of cuDNN to install.
///     base_image: What the image starts from: a reference, or another spec, which is built first.
///     platform: The platforms, with commas between them.
///     pip_index: The package index.
///     pip_extra_index_url: Further package indexes.
///     pip_secret_mounts: Files that are there while Python packages are installed, and in no layer.
///     pip_extra_args: Further arguments of the installer.
///     registry_config: A registry configuration file.
///     entrypoint: What a container always runs; `[]` removes the base's.
///     commands: Commands, run as root in one shell, each only if those before it succeeded.
///     tag_format: How the tag is made of the hash, as `{spec_hash}-dev`.
///     source_copy_mode: Which of the sources are copied to `/root`.
///     copy: Further files and folders, which land under `/root`.
///     python_exec: The base's interpreter, which packages are installed for.
///     runtime_packages: Packages that are installed when a container starts.
///     builder_options: Options of the builder.
///     builder_config: Images that flytekit's builder takes its tools from.
///
/// Example:
///     >>> import tierce
///     >>> spec = tierce.ImageSpec("Report", registry="ghcr.io/team", packages=["pandas"])
///     >>> spec.with_apt_packages("git")
///     ImageSpec(name='report', registry='ghcr.io/team', packages=['pandas'], apt_packages=['git'])
#[pyclass(module = "tierce", frozen, eq)]
#[derive(PartialEq)]
pub struct ImageSpec(Spec);

/// What an image is called.
pub struct Name {
    /// `registry/name:tag`, or `name:tag`.
    pub whole: String,
    /// The tag.
    pub tag: String,
}

impl ImageSpec {
    /// The spec, for Python.
    pub fn of(spec: Spec) -> Self {
        ImageSpec(spec)
    }

    /// The spec, in the library's words.
    pub fn inner(&self) -> &Spec {
        &self.0
    }

    /// What was said, under the fields' names, as the class takes it.
    fn said<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let said = PyDict::new(py);
        for field in ORDER {
            let value = fields::value(py, self.0.fields(), field)?;
            if !value.is_none() {
                said.set_item(field.name(), value)?;
            }
        }
        Ok(said)
    }

    /// A spec that was made of another one, checked.
    fn checked(py: Python<'_>, spec: Spec) -> PyResult<Self> {
        spec.validate().map_err(|problem| error::to_py(py, &problem))?;
        Ok(ImageSpec(spec))
    }

    /// The image's name, as it is now: files may change, and with them the tag.
    pub fn name_now(&self, py: Python<'_>) -> PyResult<Name> {
        let settings = session::settings(py)?;
        let image = host::front(py, &self.0, &settings)?.image;
        if let (Base::Registry(reference), true) = (image.base(), image.is_unmodified()) {
            // Nothing is built: the base is the image.
            let tag = reference.tag().unwrap_or("latest").to_owned();
            return Ok(Name { whole: reference.to_string(), tag });
        }
        let options = BuildOptions { root: session::root(), ..tierce::build_options(&settings) };
        let prepared = py.detach(|| tierce::offline(&settings).prepare(&image, &options));
        let name = prepared.map_err(|problem| error::to_py(py, &problem))?.name;
        Ok(Name { whole: name.to_string(), tag: name.tag().to_owned() })
    }

    /// Whether the image is where it should be.
    pub fn existence(&self, py: Python<'_>, unknown: Option<UnknownPolicy>) -> PyResult<Existence> {
        let settings = session::settings(py)?;
        let front = host::front(py, &self.0, &settings)?;
        let everyones = tierce::build_options(&settings);
        let options = BuildOptions {
            root: session::root(),
            push: front.pushes,
            unknown: unknown.unwrap_or(everyones.unknown),
            // Nobody else knows where the images of builders are that are Python's own.
            builder: imagespec_builders::is_pythons(&self.0, &settings)
                .then(|| "native".to_owned()),
            ..everyones
        };
        let cancel = Cancel::new();
        let tierce = session::open(py, settings, &cancel)?;
        let found = runtime::wait(py, &cancel, async move {
            tierce.engine().image_exists(&front.image, &options, &Events::none()).await
        })?;
        found.map_err(|problem| error::to_py(py, &problem))
    }
}

#[pymethods]
impl ImageSpec {
    #[new]
    #[pyo3(signature = (name="flytekit", python_version=None, builder=None, source_root=None, env=None, registry=None, packages=None, conda_packages=None, conda_channels=None, requirements=None, apt_packages=None, cuda=None, cudnn=None, base_image=None, platform=None, pip_index=None, pip_extra_index_url=None, pip_secret_mounts=None, pip_extra_args=None, registry_config=None, entrypoint=None, commands=None, tag_format=None, source_copy_mode=None, copy=None, python_exec=None, runtime_packages=None, builder_options=None, builder_config=None))]
    #[expect(clippy::too_many_arguments, reason = "they are flytekit's")]
    fn new(
        py: Python<'_>,
        #[pyo3(from_py_with = word::name)] name: &str,
        python_version: Option<&Bound<'_, PyAny>>,
        builder: Option<&Bound<'_, PyAny>>,
        source_root: Option<&Bound<'_, PyAny>>,
        env: Option<&Bound<'_, PyAny>>,
        registry: Option<&Bound<'_, PyAny>>,
        packages: Option<&Bound<'_, PyAny>>,
        conda_packages: Option<&Bound<'_, PyAny>>,
        conda_channels: Option<&Bound<'_, PyAny>>,
        requirements: Option<&Bound<'_, PyAny>>,
        apt_packages: Option<&Bound<'_, PyAny>>,
        cuda: Option<&Bound<'_, PyAny>>,
        cudnn: Option<&Bound<'_, PyAny>>,
        base_image: Option<&Bound<'_, PyAny>>,
        platform: Option<&Bound<'_, PyAny>>,
        pip_index: Option<&Bound<'_, PyAny>>,
        pip_extra_index_url: Option<&Bound<'_, PyAny>>,
        pip_secret_mounts: Option<&Bound<'_, PyAny>>,
        pip_extra_args: Option<&Bound<'_, PyAny>>,
        registry_config: Option<&Bound<'_, PyAny>>,
        entrypoint: Option<&Bound<'_, PyAny>>,
        commands: Option<&Bound<'_, PyAny>>,
        tag_format: Option<&Bound<'_, PyAny>>,
        source_copy_mode: Option<&Bound<'_, PyAny>>,
        copy: Option<&Bound<'_, PyAny>>,
        python_exec: Option<&Bound<'_, PyAny>>,
        runtime_packages: Option<&Bound<'_, PyAny>>,
        builder_options: Option<&Bound<'_, PyAny>>,
        builder_config: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let fields = Fields {
            name: name.to_owned(),
            python_version: fields::parsed(Field::PythonVersion, python_version)?,
            builder: fields::text(Field::Builder, builder)?,
            source_root: fields::path(Field::SourceRoot, source_root)?,
            env: fields::variables(Field::Env, env)?,
            registry: fields::text(Field::Registry, registry)?,
            packages: fields::strings(Field::Packages, packages)?.unwrap_or_default(),
            conda_packages: fields::strings(Field::CondaPackages, conda_packages)?
                .unwrap_or_default(),
            conda_channels: fields::strings(Field::CondaChannels, conda_channels)?
                .unwrap_or_default(),
            requirements: fields::path(Field::Requirements, requirements)?,
            apt_packages: fields::strings(Field::AptPackages, apt_packages)?.unwrap_or_default(),
            cuda: fields::text(Field::Cuda, cuda)?,
            cudnn: fields::text(Field::Cudnn, cudnn)?,
            base_image: fields::base(base_image)?,
            platform: fields::platforms(platform)?,
            pip_index: fields::parsed(Field::PipIndex, pip_index)?,
            pip_extra_index_url: fields::urls(Field::PipExtraIndexUrl, pip_extra_index_url)?,
            pip_secret_mounts: fields::mounts(pip_secret_mounts)?,
            pip_extra_args: fields::text(Field::PipExtraArgs, pip_extra_args)?,
            registry_config: fields::path(Field::RegistryConfig, registry_config)?,
            entrypoint: fields::strings(Field::Entrypoint, entrypoint)?,
            commands: fields::strings(Field::Commands, commands)?.unwrap_or_default(),
            tag_format: fields::text(Field::TagFormat, tag_format)?,
            source_copy_mode: fields::copy_mode(source_copy_mode)?,
            copy: fields::paths(Field::Copy, copy)?,
            python_exec: fields::text(Field::PythonExec, python_exec)?,
            runtime_packages: fields::strings(Field::RuntimePackages, runtime_packages)?
                .unwrap_or_default(),
            builder_options: fields::options(Field::BuilderOptions, builder_options)?,
            builder_config: fields::options(Field::BuilderConfig, builder_config)?,
        };
        let spec = Spec::new(fields).map_err(|problem| error::to_py(py, &problem))?;
        Ok(ImageSpec(spec))
    }

    /// The repository's path below the registry; made lower-case.
    #[getter]
    fn name<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Name)
    }

    /// The Python version, as `3.12`; the base's where none is said.
    #[getter]
    fn python_version<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::PythonVersion)
    }

    /// The builder; None for the one that is configured.
    #[getter]
    fn builder<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Builder)
    }

    /// The folder with the sources.
    #[getter]
    fn source_root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::SourceRoot)
    }

    /// Environment variables.
    #[getter]
    fn env<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Env)
    }

    /// The registry, as `ghcr.io/team`; made lower-case.
    #[getter]
    fn registry<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Registry)
    }

    /// Python packages.
    #[getter]
    fn packages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Packages)
    }

    /// Conda packages.
    #[getter]
    fn conda_packages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::CondaPackages)
    }

    /// Conda channels.
    #[getter]
    fn conda_channels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::CondaChannels)
    }

    /// A requirements file.
    #[getter]
    fn requirements<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Requirements)
    }

    /// Debian packages.
    #[getter]
    fn apt_packages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::AptPackages)
    }

    /// The version of CUDA to install.
    #[getter]
    fn cuda<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Cuda)
    }

    /// The version of cuDNN to install.
    #[getter]
    fn cudnn<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Cudnn)
    }

    /// What the image starts from: a reference, or another spec, which is built first.
    #[getter]
    fn base_image<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::BaseImage)
    }

    /// The platforms, with commas between them.
    #[getter]
    fn platform(&self) -> String {
        fields::joined(&self.0.platforms(&tierce::Platform::host()))
    }

    /// The package index.
    #[getter]
    fn pip_index<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::PipIndex)
    }

    /// Further package indexes.
    #[getter]
    fn pip_extra_index_url<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::PipExtraIndexUrl)
    }

    /// Files that are there while Python packages are installed, and in no layer.
    #[getter]
    fn pip_secret_mounts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::PipSecretMounts)
    }

    /// Further arguments of the installer.
    #[getter]
    fn pip_extra_args<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::PipExtraArgs)
    }

    /// A registry configuration file.
    #[getter]
    fn registry_config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::RegistryConfig)
    }

    /// What a container always runs; `[]` removes the base's.
    #[getter]
    fn entrypoint<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Entrypoint)
    }

    /// Commands, run as root in one shell, each only if those before it succeeded.
    #[getter]
    fn commands<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Commands)
    }

    /// How the tag is made of the hash, as `{spec_hash}-dev`.
    #[getter]
    fn tag_format<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::TagFormat)
    }

    /// Which of the sources are copied to `/root`.
    #[getter]
    fn source_copy_mode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::SourceCopyMode)
    }

    /// Further files and folders, which land under `/root`.
    #[getter]
    fn copy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::Copy)
    }

    /// The base's interpreter, which packages are installed for.
    #[getter]
    fn python_exec<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::PythonExec)
    }

    /// Packages that are installed when a container starts.
    #[getter]
    fn runtime_packages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::RuntimePackages)
    }

    /// Options of the builder.
    #[getter]
    fn builder_options<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::BuilderOptions)
    }

    /// Images that flytekit's builder takes its tools from.
    #[getter]
    fn builder_config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        fields::value(py, self.0.fields(), Field::BuilderConfig)
    }

    /// What identifies the spec: in the containers made from it, as `_F_IMG_ID`.
    #[getter]
    fn id(&self) -> String {
        self.0.id().to_string()
    }

    /// The image's tag: it changes with what requirements and sources hold.
    #[getter]
    fn tag(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.name_now(py)?.tag)
    }

    /// The image's name with its tag.
    ///
    /// Returns:
    ///     `registry/name:tag`, or `name:tag`; what the builder called it, where that was one of
    ///     Python's that has built it and called it something else.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> spec = tierce.ImageSpec("report", registry="ghcr.io/team", tag_format="{spec_hash}-dev")
    ///     >>> name = spec.image_name()
    ///     >>> name.startswith("ghcr.io/team/report:"), name.endswith("-dev")
    ///     (True, True)
    fn image_name(&self, py: Python<'_>) -> PyResult<String> {
        let name = self.name_now(py)?.whole;
        Ok(imagespec_builders::real_name(&name).unwrap_or(name))
    }

    /// Whether the running container was made from this spec. Outside of an execution the answer
    /// is yes: nobody knows yet what the code will run in.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> spec = tierce.ImageSpec(packages=["pandas"])
    ///     >>> spec.is_container()
    ///     True
    fn is_container(&self, py: Python<'_>) -> PyResult<bool> {
        let execution = session::settings(py)?.execution;
        let image_id = execution.image_id.as_deref();
        Ok(self.0.is_container(Running { in_execution: execution.is_inside(), image_id }))
    }

    /// Whether the image is in its registry; in tierce's store, where it has none.
    ///
    /// Returns:
    ///     True or False, or None where nobody can tell.
    fn exist(&self, py: Python<'_>) -> PyResult<Option<bool>> {
        Ok(match self.existence(py, Some(UnknownPolicy::Build))? {
            Existence::Present(_)
            | Existence::Vouched(_)
            | Existence::NotChecked(NotChecked::Unmodified) => Some(true),
            Existence::Absent => Some(false),
            Existence::Unknown(_) | Existence::Assumed(_) | Existence::NotChecked(_) => None,
        })
    }

    /// With further commands: one, or several in a list.
    fn with_commands(&self, commands: &Bound<'_, PyAny>) -> PyResult<Self> {
        let more = fields::one_or_more("commands", commands)?;
        Self::checked(commands.py(), self.0.with_commands(more))
    }

    /// With further Python packages: one, or several in a list.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.ImageSpec(packages=["pandas"]).with_packages(["numpy", "scipy"]).packages
    ///     ['pandas', 'numpy', 'scipy']
    fn with_packages(&self, packages: &Bound<'_, PyAny>) -> PyResult<Self> {
        let more = fields::one_or_more("packages", packages)?;
        Self::checked(packages.py(), self.0.with_packages(more))
    }

    /// With further Debian packages: one, or several in a list.
    fn with_apt_packages(&self, apt_packages: &Bound<'_, PyAny>) -> PyResult<Self> {
        let more = fields::one_or_more("apt_packages", apt_packages)?;
        Self::checked(apt_packages.py(), self.0.with_apt_packages(more))
    }

    /// With further files and folders, which land under `/root`: one, or several in a list.
    fn with_copy(&self, src: &Bound<'_, PyAny>) -> PyResult<Self> {
        let more = fields::one_or_more("src", src)?;
        Self::checked(src.py(), self.0.with_copy(more))
    }

    /// With further packages that are installed when a container starts.
    fn with_runtime_packages(&self, runtime_packages: &Bound<'_, PyAny>) -> PyResult<Self> {
        let more = fields::one_or_more("runtime_packages", runtime_packages)?;
        Self::checked(runtime_packages.py(), self.0.with_runtime_packages(more))
    }

    /// With these options of the builder; those that it has already are replaced.
    fn with_builder_options(&self, builder_options: &Bound<'_, PyAny>) -> PyResult<Self> {
        let more = fields::options(Field::BuilderOptions, Some(builder_options))?;
        Self::checked(builder_options.py(), self.0.with_builder_options(more))
    }

    /// The same spec, built whatever is there.
    fn force_push(&self) -> Self {
        ImageSpec(self.0.force_push())
    }

    /// The spec of this environment's Python, with packages at the versions that are installed.
    ///
    /// Args:
    ///     pinned_packages: The packages to pin.
    ///     kwargs: Further fields; `python_version` can't be among them.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> spec = tierce.ImageSpec.from_env(pinned_packages=["uv"], name="report")
    ///     >>> [package.split("==")[0] for package in spec.packages]
    ///     ['uv']
    #[classmethod]
    #[pyo3(signature = (*, pinned_packages=None, **kwargs))]
    fn from_env(
        class: &Bound<'_, PyType>,
        pinned_packages: Option<&Bound<'_, PyAny>>,
        kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let given = class.call((), kwargs)?;
        let spec = given.cast::<ImageSpec>()?.get().0.fields().clone();
        host::from_env(class.py(), spec, pinned_packages).map(ImageSpec)
    }

    /// The same spec with other values for some fields: what `copy.replace` calls.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.ImageSpec(packages=["pandas"]).__replace__(name="report")
    ///     ImageSpec(name='report', packages=['pandas'])
    #[pyo3(signature = (**changes))]
    fn __replace__<'py>(
        &self,
        py: Python<'py>,
        changes: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let said = self.said(py)?;
        if let Some(changes) = changes {
            said.update(changes.as_mapping())?;
        }
        let made = py.get_type::<ImageSpec>().call((), Some(&said))?;
        match self.0.is_forced() {
            true => made.call_method0("force_push"),
            false => Ok(made),
        }
    }

    /// The spec as a JSON document for the `tierce` program, which knows nothing of this Python:
    /// with the requirement of flytekit that it is built with.
    fn _document(&self, py: Python<'_>) -> PyResult<String> {
        let flytekit = host::flytekit(py)?;
        Ok(serde_json::json!({ "spec": self.0, "flytekit": flytekit }).to_string())
    }

    /// Under names that another program has given to its image.
    fn _known_as(&self, id: String, tag: String) -> Self {
        ImageSpec(self.0.known_as(KnownAs { id, tag }))
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.id().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut shown = vec![];
        let everyones = Fields::default();
        for field in ORDER {
            let value = fields::value(py, self.0.fields(), field)?;
            if value.is_none() || value.eq(fields::value(py, &everyones, field)?)? {
                continue;
            }
            let text = match field {
                Field::SourceCopyMode => value.str()?.to_string(),
                _ => hide_credentials(&value.repr()?.to_string()),
            };
            shown.push(format!("{field}={text}"));
        }
        let forced = if self.0.is_forced() { ".force_push()" } else { "" };
        Ok(format!("ImageSpec({}){forced}", shown.join(", ")))
    }

    fn __reduce__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        if self.0.is_forced() {
            // What it was made from, and how.
            let force = py.import("operator")?.getattr("methodcaller")?.call1(("force_push",))?;
            let plain = Spec::new(self.0.fields().clone());
            let plain = plain.map_err(|problem| error::to_py(py, &problem))?;
            return Ok((force, (ImageSpec(plain),).into_pyobject(py)?));
        }
        let values = ORDER.iter().map(|field| fields::value(py, self.0.fields(), *field));
        let values = PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)?;
        Ok((py.get_type::<ImageSpec>().into_bound_py_any(py)?, values))
    }
}
