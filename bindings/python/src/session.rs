//! What all calls of one process share: what `tierce.init` said, and how the library is opened.

use crate::error;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use tierce::config::Overrides;
use tierce::{Cancel, ErrorKind, Settings, Tierce};

/// What `tierce.init` said.
#[derive(Clone, Debug, Default)]
pub struct Init {
    /// The name of the builder; builders that are objects are kept by `builders`.
    pub image_builder: Option<String>,
    /// Where images without a registry of their own are pushed.
    pub image_registry: Option<String>,
    /// The folder that relative paths start from, instead of the current one.
    pub root_dir: Option<PathBuf>,
}

static INIT: Mutex<Init> =
    Mutex::new(Init { image_builder: None, image_registry: None, root_dir: None });

/// What `tierce.init` said last.
pub fn init() -> Init {
    INIT.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

/// Takes what `tierce.init` says.
pub fn set_init(said: Init) {
    *INIT.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = said;
}

/// The folder that relative paths start from.
pub fn root() -> PathBuf {
    init().root_dir.unwrap_or_else(|| PathBuf::from("."))
}

/// The settings for a project in [`root`]: those of the machine, and what `tierce.init` said.
pub fn settings(py: Python<'_>) -> PyResult<Settings> {
    let Init { image_builder, image_registry, .. } = init();
    let registry = image_registry.map(|text| text.parse()).transpose();
    let registry = registry.map_err(|problem: tierce::config::ValueError| {
        let hint = "Call tierce.init with an image_registry as \"localhost:5000/team\".";
        let message = problem.to_string();
        error::raised(py, ErrorKind::User, &message, "python/image-registry", Some(hint))
    })?;
    let overrides = Overrides { registry, builder: image_builder, ..Overrides::default() };
    let mut settings =
        Settings::load_for(&root(), overrides).map_err(|error| error::to_py(py, &error))?;
    settings.search_path.extend(uv_directory(py).map(Path::to_owned));
    Ok(settings)
}

/// Where the `uv` is that this package depends on: looked for after all of `PATH`, so that none
/// has to be fetched. Nothing is imported where it lies beside the interpreter, as in all virtual
/// environments.
fn uv_directory(py: Python<'_>) -> Option<&'static Path> {
    // uv is not asked by two threads at once: sysconfig, which it asks in turn, can't bear it.
    static DIRECTORY: PyOnceLock<Option<PathBuf>> = PyOnceLock::new();
    let beside = || {
        let interpreter: PathBuf =
            py.import("sys").ok()?.getattr("executable").ok()?.extract().ok()?;
        let directory = interpreter.parent()?.to_owned();
        directory.join("uv").is_file().then_some(directory)
    };
    let asked = || {
        let program = py.import("uv").ok()?.getattr("find_uv_bin").ok()?.call0().ok()?;
        Some(program.extract::<PathBuf>().ok()?.parent()?.to_owned())
    };
    DIRECTORY.get_or_init(py, || beside().or_else(asked)).as_deref()
}

/// The `tierce` program that came with this package: the sandbox starts it as its helper.
pub fn program(py: Python<'_>) -> PyResult<&'static Path> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    if let Some(program) = PROGRAM.get() {
        return Ok(program);
    }
    let found = py.import("tierce._program")?.getattr("find")?.call0()?.extract()?;
    Ok(PROGRAM.get_or_init(|| found))
}

/// Opens the library for one call. `cancel` stops what runs in a sandbox.
pub fn open(py: Python<'_>, settings: Settings, cancel: &Cancel) -> PyResult<Tierce> {
    let program = program(py)?;
    Tierce::open_with(settings, cancel, program).map_err(|error| error::to_py(py, &error))
}
