//! `tierce.build` and its kin: from Python's arguments to work of the library's, and from what
//! comes of it to Python's results.

use crate::builders::{Chosen, Given, Installed, PyBuilder, Pythons, register};
use crate::built::ImageBuild;
use crate::job::{Answer, Calls, Job};
use crate::progress::Display;
use crate::run::Run;
use crate::{convert, error, imagespec_builders, lower, session};
use pyo3::exceptions::{PyException, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce::fronts::{Front, FrontError, FrontWarning};
use tierce::runs::{RunError, RunInput, RunRequest, Runs, StartRun};
use tierce::{
    BuildOptions, Cancel, Events, Existence, Export, ExportFormatError, Image, NotChecked,
    Settings, Tierce, lock_for,
};

/// What a build is asked for besides its images.
pub struct Wishes<'a, 'py> {
    pub dry_run: bool,
    pub force: bool,
    pub push: Option<bool>,
    pub exports: Vec<Export>,
    pub builder: Option<&'a Bound<'py, PyAny>>,
    pub platforms: Vec<tierce::Platform>,
    pub locked: Option<LockWish>,
}

/// The lock that is built from.
pub struct LockWish {
    /// Its file; if relative, below the folder of the project.
    file: PathBuf,
    /// Which of its images is meant.
    image: Option<String>,
}

impl LockWish {
    fn read(
        locked: Option<&Bound<'_, PyAny>>,
        image: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Self>> {
        let file = convert::optional("locked", locked, convert::path)?;
        let image = convert::optional("locked_image", image, convert::text)?;
        match (file, image) {
            (Some(file), image) => Ok(Some(LockWish { file, image })),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                Err(PyTypeError::new_err("argument 'locked_image' makes no sense without 'locked'"))
            }
        }
    }
}

impl<'a, 'py> Wishes<'a, 'py> {
    /// The arguments of these names.
    #[expect(clippy::too_many_arguments, reason = "they are those of `tierce.build`")]
    pub fn read(
        dry_run: &Bound<'py, PyAny>,
        force: &Bound<'py, PyAny>,
        push: Option<&Bound<'py, PyAny>>,
        exports: &Bound<'py, PyAny>,
        builder: Option<&'a Bound<'py, PyAny>>,
        platforms: &Bound<'py, PyAny>,
        locked: Option<&Bound<'py, PyAny>>,
        locked_image: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        Ok(Wishes {
            dry_run: convert::flag("dry_run", dry_run)?,
            force: convert::flag("force", force)?,
            push: convert::optional("push", push, convert::flag)?,
            exports: read_exports(exports)?,
            builder,
            platforms: convert::platforms("platforms", platforms)?,
            locked: LockWish::read(locked, locked_image)?,
        })
    }
}

/// Images on their way through the library.
struct Prepared {
    tierce: Tierce,
    settings: Settings,
    cancel: Cancel,
    calls: Calls,
    pythons: Arc<Pythons>,
    images: Vec<(Image, BuildOptions)>,
    warnings: Vec<Vec<FrontWarning>>,
    wants_uv: bool,
}

impl Prepared {
    fn new(
        py: Python<'_>,
        objects: &[Bound<'_, PyAny>],
        wishes: &Wishes<'_, '_>,
        wait: bool,
    ) -> PyResult<Self> {
        let mut settings = session::settings(py)?;
        let chosen = match wishes.builder {
            Some(builder) => Some(Chosen::read("builder", builder)?),
            None => Chosen::default(py),
        };
        // An object that `init` got is the default, and no more than that.
        let explicit = wishes.builder.is_some();
        let (mut images, mut warnings) = (vec![], vec![]);
        let mut wants_uv = false;
        for object in objects {
            let front = lower::lower(py, object, &settings)?;
            let options = options(object, &front, wishes, &settings)?;
            wants_uv |= front.wants_uv;
            for (id, file) in &front.secret_files {
                settings.secrets.files.insert(id.variable(), file.clone());
            }
            warnings.push(front.warnings);
            images.push((front.image, options));
        }
        let (cancel, calls) = (Cancel::new(), Calls::default());
        let mut tierce = session::open(py, settings.clone(), &cancel)?;
        let given = given(&tierce, objects, &images);
        let pythons = Arc::new(Pythons::new(calls.clone(), given, wait, tierce.registries()));
        let engine = tierce.engine_mut();
        engine.add_source(Arc::new(Installed(pythons.clone())));
        let name = match chosen {
            None => None,
            Some(Chosen::Name(name)) => Some(name),
            Some(Chosen::Object(object)) => {
                let builder = PyBuilder::of(object.bind(py), &pythons)?;
                let name = tierce::engine::ImageBuilder::name(&builder).to_owned();
                engine.register(Arc::new(builder), i32::MIN);
                Some(name)
            }
        };
        if explicit {
            images.iter_mut().for_each(|(_, options)| options.builder.clone_from(&name));
        } else if name.is_some() {
            engine.set_default(name);
        }
        Ok(Prepared { tierce, settings, cancel, calls, pythons, images, warnings, wants_uv })
    }

    fn announce(&self, events: &Events) {
        for message in &self.settings.warnings {
            events.warn("config/ignored", message);
        }
        for warning in self.warnings.iter().flatten() {
            events.warn(warning.code, &warning.message);
        }
    }

    /// Fetches what steps in the images run and is not there yet.
    async fn fetch(&self, events: &Events) -> Result<(), FrontError> {
        match self.wants_uv {
            true => self.tierce.fetch_uv(events).await,
            false => Ok(()),
        }
    }

    /// Starts `work`.
    fn start<F>(
        self,
        py: Python<'_>,
        progress: Option<&Bound<'_, PyAny>>,
        work: impl FnOnce(Self, Events) -> F + Send + 'static,
    ) -> PyResult<Job>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let (display, events) = Display::of(progress)?;
        let (cancel, calls) = (self.cancel.clone(), self.calls.clone());
        let whole = async move {
            match self.fetch(&events).await {
                Ok(()) => work(self, events).await,
                Err(problem) => {
                    Box::new(move |py: Python<'_>| Err(error::to_py(py, &problem))) as Answer
                }
            }
        };
        Job::start(py, &cancel, calls, display, whole)
    }
}

/// The images as builders get them, and what each was made of. What makes no sense no builder gets.
fn given(
    tierce: &Tierce,
    objects: &[Bound<'_, PyAny>],
    images: &[(Image, BuildOptions)],
) -> Vec<Given> {
    let given = objects.iter().zip(images).filter_map(|(object, (image, options))| {
        let image = tierce.engine().validated(image, options).ok()?;
        Some(Given { image, object: object.clone().unbind() })
    });
    given.collect()
}

fn options(
    object: &Bound<'_, PyAny>,
    front: &Front,
    wishes: &Wishes<'_, '_>,
    settings: &Settings,
) -> PyResult<BuildOptions> {
    let everyones = lower::options(object, front, settings)?;
    let lock = match &wishes.locked {
        None => None,
        Some(LockWish { file, image }) => {
            let lock = lock_for(&everyones.root.join(file), image.as_deref(), &front.image);
            Some(lock.map_err(|problem| error::to_py(object.py(), &problem))?)
        }
    };
    Ok(BuildOptions {
        lock,
        push: wishes.push.unwrap_or(front.pushes && wishes.exports.is_empty()),
        force: wishes.force || front.force,
        dry_run: wishes.dry_run,
        exports: wishes.exports.clone(),
        platforms: wishes.platforms.clone(),
        ..everyones
    })
}

/// Starts building. One image gives an `ImageBuild`, several in a list a list of these, or of
/// exceptions.
#[pyfunction]
#[pyo3(signature = (
    images, dry_run, force, wait, push, exports, builder, platforms, progress, locked, locked_image
))]
#[expect(clippy::too_many_arguments, reason = "they are those of `tierce.build`")]
pub fn start_build(
    py: Python<'_>,
    images: &Bound<'_, PyAny>,
    dry_run: &Bound<'_, PyAny>,
    force: &Bound<'_, PyAny>,
    wait: &Bound<'_, PyAny>,
    push: Option<&Bound<'_, PyAny>>,
    exports: &Bound<'_, PyAny>,
    builder: Option<&Bound<'_, PyAny>>,
    platforms: &Bound<'_, PyAny>,
    progress: Option<&Bound<'_, PyAny>>,
    locked: Option<&Bound<'_, PyAny>>,
    locked_image: Option<&Bound<'_, PyAny>>,
) -> PyResult<Job> {
    let wait = convert::flag("wait", wait)?;
    let wishes =
        Wishes::read(dry_run, force, push, exports, builder, platforms, locked, locked_image)?;
    match images.cast::<PyList>() {
        Ok(several) => {
            let objects: Vec<_> = several.iter().collect();
            let prepared = Prepared::new(py, &objects, &wishes, true)?;
            prepared.start(py, progress, build_all)
        }
        Err(_) => {
            let objects = [images.clone()];
            let wait = wait || wishes.dry_run;
            let prepared = Prepared::new(py, &objects, &wishes, wait)?;
            match wait {
                true => prepared.start(py, progress, build_one),
                false => {
                    let program = session::program(py)?;
                    prepared.start(py, progress, move |prepared, events| {
                        start_one(prepared, events, program)
                    })
                }
            }
        }
    }
}

/// The destinations: `oci:DIR`, `oci-archive:FILE`, `docker-archive:FILE`, `load`.
fn read_exports(exports: &Bound<'_, PyAny>) -> PyResult<Vec<Export>> {
    let texts = convert::texts("exports", exports)?;
    let read = |text: &String| match text.as_str() {
        "load" => Ok(Export::Load),
        text => text.parse().map_err(|e: ExportFormatError| error::to_py(exports.py(), &e)),
    };
    texts.iter().map(read).collect()
}

async fn build_one(prepared: Prepared, events: Events) -> Answer {
    prepared.announce(&events);
    let Prepared { tierce, pythons, images, .. } = prepared;
    let (image, options) = &images[0];
    let built = tierce.build(image, options, &events).await;
    Box::new(move |py| answer(py, &pythons, built)?.into_py(py))
}

async fn build_all(prepared: Prepared, events: Events) -> Answer {
    prepared.announce(&events);
    let Prepared { tierce, pythons, images, .. } = prepared;
    let builds = tierce.build_all(&images, &events).await;
    Box::new(move |py| {
        let all = PyList::empty(py);
        for built in builds {
            match answer(py, &pythons, built) {
                Ok(build) => all.append(build.into_py(py)?)?,
                Err(error) if error.is_instance_of::<PyException>(py) => {
                    all.append(error.into_value(py))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(all.into_any().unbind())
    })
}

/// Builds in the background what is not there. Builders of Python's know themselves what it means
/// that nobody waits.
async fn start_one(prepared: Prepared, events: Events, program: &'static Path) -> Answer {
    let started = start_elsewhere(&prepared, program).await;
    match started {
        Ok(None) => build_one(prepared, events).await,
        Ok(Some((uri, run))) => {
            Box::new(move |py| ImageBuild::started(py, uri.clone(), Run::of(run, uri))?.into_py(py))
        }
        Err(NotStarted::Build(failure)) => {
            let pythons = prepared.pythons.clone();
            Box::new(move |py| Err(failed(py, &pythons, &failure)))
        }
        Err(NotStarted::Run(failure)) => Box::new(move |py| Err(error::to_py(py, &failure))),
    }
}

/// Why a build in the background was not started.
enum NotStarted {
    Build(tierce::Error),
    Run(RunError),
}

impl<E: Into<tierce::Error>> From<E> for NotStarted {
    fn from(error: E) -> Self {
        NotStarted::Build(error.into())
    }
}

/// Starts the run that builds the image; `None` where there is nothing for one to do.
async fn start_elsewhere(
    prepared: &Prepared,
    program: &Path,
) -> Result<Option<(String, tierce::runs::Run)>, NotStarted> {
    let (image, options) = &prepared.images[0];
    let engine = prepared.tierce.engine();
    let wanted = options.builder.as_deref().or(image.builder());
    let builder = engine.builder(wanted).await?.name;
    if prepared.pythons.has(&builder) {
        return Ok(None);
    }
    // Everything that is to be told is told by the run, in its log.
    let (_, existence) = engine.look_for(image, options, &Events::none()).await?;
    if is_settled(&existence) {
        return Ok(None);
    }
    let uri = engine.check_ready(image, options, &Events::none()).await?;
    let options = BuildOptions { builder: Some(builder), ..options.clone() };
    let warnings = prepared.warnings.iter().flatten();
    let request = RunRequest::new(image.clone(), &options, &prepared.settings)
        .with_warnings(warnings.map(|w| (w.code.to_owned(), w.message.clone())).collect());
    let input = RunInput::Request(Box::new(request));
    let start = StartRun { program: program.to_owned(), input, uri };
    let run = Runs::open(&prepared.settings.store).start(&start).map_err(NotStarted::Run)?;
    Ok(Some((start.uri, run)))
}

/// Whether a build has nothing to do.
fn is_settled(existence: &Existence) -> bool {
    match existence {
        Existence::Present(_) | Existence::Vouched(_) | Existence::Assumed(_) => true,
        Existence::NotChecked(why) => matches!(why, NotChecked::Unmodified | NotChecked::Inside),
        Existence::Absent | Existence::Unknown(_) => false,
    }
}

/// Starts looking for an image. Gives its name, or None where a build would build it.
#[pyfunction]
pub fn start_exists(
    py: Python<'_>,
    image: &Bound<'_, PyAny>,
    builder: Option<&Bound<'_, PyAny>>,
) -> PyResult<Job> {
    let wishes = Wishes {
        dry_run: false,
        force: false,
        push: None,
        exports: vec![],
        builder,
        platforms: vec![],
        locked: None,
    };
    let prepared = Prepared::new(py, std::slice::from_ref(image), &wishes, true)?;
    prepared.start(py, None, find)
}

async fn find(prepared: Prepared, events: Events) -> Answer {
    let (image, options) = &prepared.images[0];
    let found = prepared.tierce.engine().look_for(image, options, &events).await;
    let pythons = prepared.pythons;
    Box::new(move |py| match found {
        Ok((_, Existence::Vouched(uri))) => Ok(PyString::new(py, &uri).into_any().unbind()),
        Ok((uri, existence)) if is_settled(&existence) => {
            Ok(PyString::new(py, &uri).into_any().unbind())
        }
        Ok(_) => Ok(py.None()),
        Err(failure) => Err(failed(py, &pythons, &failure.into())),
    })
}

fn answer(
    py: Python<'_>,
    pythons: &Pythons,
    built: Result<tierce::ImageBuild, tierce::Error>,
) -> PyResult<ImageBuild> {
    let built = built.map_err(|failure| failed(py, pythons, &failure))?;
    ImageBuild::new_of(py, &built, pythons.run_of(&built.uri))
}

/// The exception for a failed build. One that was raised in Python is its cause; those that are
/// no failures, as KeyboardInterrupt, and those that are tierce's own are passed on.
fn failed(py: Python<'_>, pythons: &Pythons, failure: &tierce::Error) -> PyErr {
    let failed = error::to_py(py, failure);
    let Some(raised) = pythons.raised(py, &failed.to_string()) else { return failed };
    let own = py.import("tierce.errors").and_then(|errors| errors.getattr("TierceError"));
    let is_own = own.is_ok_and(|own| raised.matches(py, own).unwrap_or(false));
    if is_own || !raised.is_instance_of::<PyException>(py) {
        return raised;
    }
    failed.set_cause(py, Some(raised));
    failed
}

trait IntoPy {
    fn into_py(self, py: Python<'_>) -> PyResult<Py<PyAny>>;
}

impl IntoPy for ImageBuild {
    fn into_py(self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(Bound::new(py, self)?.into_any().unbind())
    }
}

/// Registers a builder: one of ImageSpecs, as flytekit has them, or one of images.
#[pyfunction]
pub fn register_builder(
    builder_type: &Bound<'_, PyAny>,
    image_spec_builder: &Bound<'_, PyAny>,
    priority: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let builder_type = convert::borrowed("builder_type", builder_type)?;
    let priority = convert::number("priority", priority)?;
    if image_spec_builder.hasattr("should_build")? {
        return imagespec_builders::register(builder_type, image_spec_builder, priority);
    }
    if image_spec_builder.hasattr("build_image")? {
        return register(builder_type, image_spec_builder);
    }
    Err(PyTypeError::new_err(format!(
        "argument 'image_spec_builder' must be an ImageSpecBuilder or an ImageBuilder, not {}",
        image_spec_builder.get_type().name()?
    )))
}

/// The builders of ImageSpecs that were registered, with their priorities.
#[pyfunction]
pub fn registered_builders(py: Python<'_>) -> Vec<(String, Py<PyAny>, i32)> {
    imagespec_builders::registered(py)
}
