//! Builders that are written in Python: objects as `tierce.extend.ImageBuilder` has them. They
//! are handed over, registered under a name, or found in the entry points of packages.

use crate::checkers::PyChecker;
use crate::job::{Calls, Wanted};
use crate::runtime::lock;
use crate::threads::{attach, attached};
use async_trait::async_trait;
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use tierce::engine::{
    AnyDiagnostic, BuildRequest, BuilderError, ExportKind, ImageBuilder, ImageChecker,
    RegistryLogin,
};
use tierce::plugin::RegistryChecker;
use tierce::spec::{Base, hide_credentials};
use tierce::{
    BuilderSource, Capabilities, Descriptor, Diagnostic, ErrorKind, Events, Export, Image,
    ImageBuild, KnownBuilder, MediaType, Reference, Rendering, Status,
};

/// The builder that `tierce.init` got, where that is an object.
static DEFAULT: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// The builders that were registered, by name.
static REGISTERED: Mutex<BTreeMap<String, Py<PyAny>>> = Mutex::new(BTreeMap::new());

/// Takes what `tierce.init` says of the builder: an object is kept here, a name is given back.
pub fn set_default(builder: Option<&Bound<'_, PyAny>>) -> PyResult<Option<String>> {
    let (name, object) = match builder {
        None => (None, None),
        Some(builder) => match Chosen::read("image_builder", builder)? {
            Chosen::Name(name) => (Some(name), None),
            Chosen::Object(object) => (None, Some(object)),
        },
    };
    // What was there before is dropped after the lock is: its end may be Python code.
    let _before = std::mem::replace(&mut *lock(&DEFAULT), object);
    Ok(name)
}

/// Registers a builder under a name, in place of one of that name.
pub fn register(name: &str, builder: &Bound<'_, PyAny>) -> PyResult<()> {
    check(builder, "builder")?;
    let _before = lock(&REGISTERED).insert(name.to_owned(), builder.clone().unbind());
    Ok(())
}

/// The builder that somebody chose.
pub enum Chosen {
    /// By its name.
    Name(String),
    /// It is here.
    Object(Py<PyAny>),
}

impl Chosen {
    /// The argument `parameter`.
    pub fn read(parameter: &str, builder: &Bound<'_, PyAny>) -> PyResult<Self> {
        if let Ok(name) = builder.cast::<PyString>() {
            return Ok(Chosen::Name(name.to_str()?.to_owned()));
        }
        check(builder, parameter)?;
        Ok(Chosen::Object(builder.clone().unbind()))
    }

    /// What `tierce.init` got, where that is an object.
    pub fn default(py: Python<'_>) -> Option<Self> {
        lock(&DEFAULT).as_ref().map(|object| Chosen::Object(object.clone_ref(py)))
    }
}

fn check(builder: &Bound<'_, PyAny>, parameter: &str) -> PyResult<()> {
    if builder.is_instance_of::<pyo3::types::PyType>() {
        let name = builder.getattr("__name__")?;
        return Err(PyTypeError::new_err(format!(
            "argument '{parameter}' must be the name of a builder or a builder, not a class: \
             {name}()"
        )));
    }
    match builder.hasattr("build_image")? {
        true => Ok(()),
        false => Err(PyTypeError::new_err(format!(
            "argument '{parameter}' must be the name of a builder or an object with build_image, \
             not {}",
            builder.get_type().name()?
        ))),
    }
}

/// An image that is built, and the object that it was made of.
pub struct Given {
    /// The image, as builders get it.
    pub image: Image,
    /// What the user has.
    pub object: Py<PyAny>,
}

/// What the builders of one build have in common.
pub struct Pythons {
    calls: Calls,
    images: Vec<Given>,
    /// Whether somebody waits for the end of the build.
    wait: bool,
    registries: RegistryChecker,
    names: Mutex<BTreeSet<String>>,
    raised: Mutex<Vec<(String, PyErr)>>,
    runs: Mutex<BTreeMap<String, Py<PyAny>>>,
}

impl Pythons {
    /// For a build of `images`; `registries` know whether an image that was pushed is there.
    pub fn new(calls: Calls, images: Vec<Given>, wait: bool, registries: RegistryChecker) -> Self {
        Pythons {
            calls,
            images,
            wait,
            registries,
            names: Mutex::default(),
            raised: Mutex::default(),
            runs: Mutex::default(),
        }
    }

    /// Whether the builder of this name is one of Python's.
    pub fn has(&self, name: &str) -> bool {
        lock(&self.names).contains(name)
    }

    /// What the builder of the image called `uri` gave as its run.
    pub fn run_of(&self, uri: &str) -> Option<Py<PyAny>> {
        lock(&self.runs).remove(uri)
    }

    /// The exception behind a failure that says `message`.
    pub fn raised(&self, py: Python<'_>, message: &str) -> Option<PyErr> {
        let raised = lock(&self.raised);
        let is_it = |(text, error): &&(String, PyErr)| {
            message.contains(text) || !error.is_instance_of::<PyException>(py)
        };
        raised.iter().find(is_it).map(|(_, error)| error.clone_ref(py))
    }

    /// Has Python call something, in the caller's thread or on its loop.
    pub async fn call(
        &self,
        make: impl FnOnce(Python<'_>) -> PyResult<Wanted>,
    ) -> PyResult<Py<PyAny>> {
        self.calls.call(make).await
    }

    /// An exception as a failure of ours: `what` failed.
    pub fn failure(&self, what: &str, kind: ErrorKind, error: PyErr) -> Raised {
        let mut text = what.to_owned();
        // Errors of Python's may say nothing but what they are.
        let said = hide_credentials(&error.to_string());
        let _ = write!(text, ": {}", said.trim_end_matches(": "));
        lock(&self.raised).push((text.clone(), error));
        Raised { text, kind }
    }

    /// The object that the image of `request` was made of: one that was given, or the base of one.
    fn object(&self, py: Python<'_>, request: &BuildRequest) -> PyResult<Py<PyAny>> {
        let wanted = request.gathered.resolved.image();
        // Of images that are equal in all that they say any is as good as the others.
        let found = self.all(py).into_iter().find(|(image, _)| *image == wanted);
        found.map(|(_, object)| object).ok_or_else(|| {
            PyTypeError::new_err(format!(
                "{} was made of no object of Python's that a builder could get",
                request.uri
            ))
        })
    }

    /// The images that were given, and those that are their bases.
    fn all(&self, py: Python<'_>) -> Vec<(&Image, Py<PyAny>)> {
        let mut all = vec![];
        for Given { image, object } in &self.images {
            let (mut image, mut object) = (image, object.clone_ref(py));
            loop {
                all.push((image, object.clone_ref(py)));
                let Base::Image(below) = image.base() else { break };
                let Ok(base) = object.getattr(py, "base_image") else { break };
                (image, object) = (below, base);
            }
        }
        all
    }
}

/// An exception of Python's, as a failure.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Raised {
    text: String,
    kind: ErrorKind,
}

impl Diagnostic for Raised {
    fn code(&self) -> &'static str {
        "python/builder"
    }

    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// Who knows whether a builder's images are there.
enum Checkers {
    /// Nobody was named: the registry, where images are pushed.
    Registry,
    /// These.
    Named(Vec<Py<PyAny>>),
}

/// A builder that is a Python object.
pub struct PyBuilder {
    name: String,
    object: Py<PyAny>,
    checkers: Checkers,
    pythons: Arc<Pythons>,
}

impl PyBuilder {
    /// The builder `object`, called `name`; `checkers` is what its `get_checkers` gave.
    fn new(
        name: &str,
        object: &Bound<'_, PyAny>,
        checkers: Option<Bound<'_, PyAny>>,
        pythons: &Arc<Pythons>,
    ) -> PyResult<Self> {
        let checkers = match checkers.filter(|checkers| !checkers.is_none()) {
            None => Checkers::Registry,
            Some(checkers) => {
                let checkers: PyResult<Vec<_>> =
                    checkers.try_iter()?.map(|checker| Ok(checker?.unbind())).collect();
                Checkers::Named(checkers?)
            }
        };
        lock(&pythons.names).insert(name.to_owned());
        let (name, object) = (name.to_owned(), object.clone().unbind());
        Ok(PyBuilder { name, object, checkers, pythons: pythons.clone() })
    }

    /// The builder `object`, under the name of its class.
    pub fn of(object: &Bound<'_, PyAny>, pythons: &Arc<Pythons>) -> PyResult<Self> {
        let name = object.get_type().name()?;
        let asked = match object.getattr_opt("get_checkers")? {
            Some(get) => Some(get.call0()?),
            None => None,
        };
        Self::new(name.to_str()?, object, asked, pythons)
    }

    /// Calls `build_image`; gives what it returns.
    async fn call(&self, request: &BuildRequest, dry_run: bool) -> Result<ImageBuild, Raised> {
        let made = self.pythons.call(|py| {
            let image = self.pythons.object(py, request)?;
            let kwargs = PyDict::new(py);
            kwargs.set_item("dry_run", dry_run)?;
            kwargs.set_item("wait", self.pythons.wait)?;
            kwargs.set_item("force", request.refresh)?;
            Ok(Wanted {
                function: self.object.getattr(py, "build_image")?,
                args: PyTuple::new(py, [image])?.unbind(),
                kwargs: Some(kwargs.unbind()),
            })
        });
        let made = made.await;
        let read = |made| attached(|py| self.read(py, request, made));
        made.and_then(read).map_err(|error| self.failure(&request.uri, error))
    }

    fn failure(&self, uri: &str, error: PyErr) -> Raised {
        let what = format!("the builder {} failed to build {uri}", self.name);
        self.pythons.failure(&what, ErrorKind::Step, error)
    }

    /// What `build_image` returned: an `ImageBuild`, of tierce or of Flyte, or a name.
    fn read(
        &self,
        py: Python<'_>,
        request: &BuildRequest,
        made: Py<PyAny>,
    ) -> PyResult<ImageBuild> {
        let made = made.into_bound(py);
        if let Ok(uri) = made.cast::<PyString>() {
            return Ok(ImageBuild::new(uri.to_str()?, Status::Built));
        }
        let Some(uri) = made.getattr_opt("uri")? else {
            return Err(PyTypeError::new_err(format!(
                "build_image must return an ImageBuild, not {}",
                made.get_type().name()?
            )));
        };
        // One that is built elsewhere has no name before it is there.
        let uri: Option<String> = uri.extract()?;
        let uri = uri.unwrap_or_else(|| request.uri.clone());
        let run = made.getattr_opt("remote_run")?.filter(|run| !run.is_none());
        let status = match run.is_some() && !self.pythons.wait {
            true => Status::Started,
            false => Status::Built,
        };
        if let Some(run) = run {
            lock(&self.pythons.runs).insert(uri.clone(), run.unbind());
        }
        let digest = match made.getattr_opt("digest")?.filter(|digest| !digest.is_none()) {
            Some(digest) => digest.extract::<String>()?.parse().ok(),
            None => uri.parse::<Reference>().ok().and_then(|uri| uri.digest().copied()),
        };
        let build = ImageBuild::new(uri, status);
        Ok(match digest {
            Some(digest) => build.with_root(Descriptor::new(media_type(request), digest, 0)),
            None => build,
        })
    }
}

/// What the result most likely is: builders say no more of it than its digest.
fn media_type(request: &BuildRequest) -> MediaType {
    match request.platforms.len() {
        1 => MediaType::OciManifest,
        _ => MediaType::OciIndex,
    }
}

#[async_trait]
impl ImageBuilder for PyBuilder {
    fn name(&self) -> &str {
        &self.name
    }

    /// It sees to all of this itself, or raises.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exports: [ExportKind::Local, ExportKind::Push].into(),
            multi_platform: true,
            secrets: true,
            dockerfiles: true,
            reproducible: false,
        }
    }

    async fn render(&self, request: &BuildRequest, _: &Events) -> Result<Rendering, BuilderError> {
        let built = self.call(request, true).await;
        built.map(|_| Rendering::default()).map_err(as_builder_error)
    }

    async fn build(&self, request: &BuildRequest, _: &Events) -> Result<ImageBuild, BuilderError> {
        let built = self.call(request, false).await.map_err(as_builder_error)?;
        // It has read the sources itself.
        let verified = request.verify().await;
        verified.map_err(|error| BuilderError(Arc::new(error) as AnyDiagnostic))?;
        Ok(built)
    }

    fn trusts_records(&self) -> bool {
        matches!(self.checkers, Checkers::Registry)
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        let pushes = exports.iter().any(|export| matches!(export, Export::Push(_)));
        let named = match &self.checkers {
            Checkers::Registry if pushes => return vec![(self.pythons.registries)(login)],
            Checkers::Registry => return vec![],
            Checkers::Named(named) => named,
        };
        let checker = |object: &Py<PyAny>| {
            let object = attach(|py| object.clone_ref(py))?;
            Some(Arc::new(PyChecker::new(object, pushes, self.pythons.clone())) as _)
        };
        named.iter().filter_map(checker).collect()
    }
}

fn as_builder_error(raised: Raised) -> BuilderError {
    BuilderError(Arc::new(raised) as AnyDiagnostic)
}

/// The builders that were registered in this process, and those that packages bring.
pub struct Installed(pub Arc<Pythons>);

impl Installed {
    async fn load(&self, name: &str) -> PyResult<Option<PyBuilder>> {
        let registered = attached(|py| Ok(lock(&REGISTERED).get(name).map(|b| b.clone_ref(py))))?;
        let object = match registered {
            Some(object) => object,
            None => {
                let load = |py: Python<'_>| {
                    Ok(Wanted {
                        function: entry_points(py, "load")?,
                        args: PyTuple::new(py, [name])?.unbind(),
                        kwargs: None,
                    })
                };
                self.0.call(load).await?
            }
        };
        if attached(|py| Ok(object.is_none(py)))? {
            return Ok(None);
        }
        let asks = attached(|py| object.bind(py).hasattr("get_checkers"))?;
        let checkers = match asks {
            false => None,
            true => Some(self.0.call(|py| get_checkers(py, &object)).await?),
        };
        attached(|py| {
            let object = object.bind(py);
            check(object, "builder")?;
            let checkers = checkers.map(|checkers| checkers.into_bound(py));
            PyBuilder::new(name, object, checkers, &self.0).map(Some)
        })
    }
}

fn get_checkers(py: Python<'_>, builder: &Py<PyAny>) -> PyResult<Wanted> {
    Ok(Wanted {
        function: builder.getattr(py, "get_checkers")?,
        args: PyTuple::empty(py).unbind(),
        kwargs: None,
    })
}

fn entry_points(py: Python<'_>, function: &str) -> PyResult<Py<PyAny>> {
    Ok(py.import("tierce._entry_points")?.getattr(function)?.unbind())
}

#[async_trait]
impl BuilderSource for Installed {
    async fn find(&self, name: &str) -> Result<Option<Arc<dyn ImageBuilder>>, AnyDiagnostic> {
        match self.load(name).await {
            Ok(found) => Ok(found.map(|builder| Arc::new(builder) as _)),
            Err(error) => {
                let what = format!("the builder {name} cannot be loaded");
                Err(Arc::new(self.0.failure(&what, ErrorKind::Environment, error)))
            }
        }
    }

    fn known(&self) -> Vec<KnownBuilder> {
        let known = attach(|py| {
            let registered: Vec<String> = lock(&REGISTERED).keys().cloned().collect();
            let mut known: Vec<KnownBuilder> = registered
                .into_iter()
                .map(|name| KnownBuilder { name, origin: "registered in Python".to_owned() })
                .collect();
            let names = entry_points(py, "names").and_then(|names| names.call0(py));
            // Metadata that can't be read has no builders that could be loaded.
            let names = names.and_then(|names| names.extract::<Vec<(String, String)>>(py));
            let names = names.unwrap_or_default().into_iter();
            known.extend(names.map(|(name, origin)| KnownBuilder { name, origin }));
            known
        });
        known.unwrap_or_default()
    }

    fn places(&self) -> Vec<String> {
        vec![
            "the entry points tierce.plugins.image_builders and flyte.plugins.image_builders of \
             Python packages"
                .to_owned(),
        ]
    }
}
