//! Build contexts with a Dockerfile, for integrations of systems that make their own.

use crate::{error, runtime, session, threads};
use pyo3::prelude::*;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use tierce::contexts::{
    BuilderWish, ContainerEngine, ContextBuild, ContextFiles, Delivery, DockerBuildOptions,
    RegistryUser,
};
use tierce::{BuildEvent, Cancel, ErrorKind, EventSink, Events, Settings, Tierce};
use tierce_ui::Plain;

/// Who builds contexts here: the builder's name, and whether it keeps images that are not pushed.
#[pyfunction]
#[pyo3(signature = (builder=None, engine=None, buildkit_address=None))]
pub fn context_builder(
    py: Python<'_>,
    builder: Option<String>,
    engine: Option<&str>,
    buildkit_address: Option<String>,
) -> PyResult<(String, bool)> {
    let (settings, program) = (settings(py, buildkit_address)?, session::program(py)?);
    let (wish, cancel) = (wish(builder, engine), Cancel::new());
    let switch = cancel.clone();
    let found = runtime::wait(py, &cancel, async move {
        Tierce::context_builder(&settings, &switch, program, &wish).await
    })?;
    let found = found.map_err(|error| error::to_py(py, &error))?;
    Ok((found.name, found.keeps))
}

/// Builds a context, and pushes the image if `push` says so: its digest, where it has one.
///
/// `files` are paths of this machine and `contents` texts, by their paths in the context, and
/// `ignored` is whether an ignore file has said what is left out;
/// `options` are Docker's build options, each a JSON object, the last one counts; `credentials`
/// are those of the registry in `image`; `log` is called with a level (`debug`, `info`,
/// `warning`) and a line.
#[pyfunction]
#[pyo3(signature = (
    image, files, contents, options, *, ignored=false, builder=None, engine=None, buildkit_address=None,
    push=false, credentials=None, log=None,
))]
#[allow(clippy::too_many_arguments)] // Each is a keyword of Python's.
pub fn build_context(
    py: Python<'_>,
    image: String,
    files: BTreeMap<String, PathBuf>,
    contents: BTreeMap<String, String>,
    options: Vec<String>,
    ignored: bool,
    builder: Option<String>,
    engine: Option<&str>,
    buildkit_address: Option<String>,
    push: bool,
    credentials: Option<(String, String)>,
    log: Option<Py<PyAny>>,
) -> PyResult<Option<String>> {
    let (settings, program) = (settings(py, buildkit_address)?, session::program(py)?);
    let user = credentials.map(|(user, password)| RegistryUser::new(user, password));
    let build = ContextBuild {
        image,
        files: ContextFiles { files, contents, ignored },
        options: read_options(py, &options)?,
        builder: wish(builder, engine),
        delivery: if push { Delivery::Push(user) } else { Delivery::Keep },
    };
    let events = match log {
        Some(log) => Events::new(Arc::new(Log { log, plain: Plain::default() })),
        None => Events::none(),
    };
    let cancel = Cancel::new();
    let switch = cancel.clone();
    let built = runtime::wait(py, &cancel, async move {
        Tierce::build_context(settings, &switch, program, build, &events).await
    })?;
    let built = built.map_err(|error| error::to_py(py, &error))?;
    Ok(built.digest.map(|digest| digest.to_string()))
}

fn settings(py: Python<'_>, buildkit_address: Option<String>) -> PyResult<Settings> {
    let mut settings = session::settings(py)?;
    if buildkit_address.is_some() {
        settings.buildkit.address = buildkit_address;
    }
    Ok(settings)
}

fn wish(builder: Option<String>, engine: Option<&str>) -> BuilderWish {
    match builder {
        Some(name) => BuilderWish::Named(name),
        None => BuilderWish::Automatic {
            engine: engine.and_then(|engine| ContainerEngine::from_str(engine).ok()),
        },
    }
}

fn read_options(py: Python<'_>, texts: &[String]) -> PyResult<DockerBuildOptions> {
    let mut options = DockerBuildOptions::default();
    for text in texts {
        let said: Map<String, Value> = serde_json::from_str(text).map_err(|problem| {
            let message = format!("build options are no JSON object: {problem}");
            error::raised(py, ErrorKind::Bug, &message, "python/build-options", None)
        })?;
        options.take(&said).map_err(|error| error::to_py(py, &error))?;
    }
    Ok(options)
}

/// Hands lines to a logger of Python's.
struct Log {
    log: Py<PyAny>,
    plain: Plain,
}

impl EventSink for Log {
    fn emit(&self, event: &BuildEvent) {
        let Some(line) = self.plain.line(event) else { return };
        let level = match event {
            BuildEvent::StepOutput { .. } => "debug",
            BuildEvent::Warning { .. } => "warning",
            _ => "info",
        };
        // An interpreter that is ending has no logger left.
        threads::attach(|py| {
            if let Err(error) = self.log.call1(py, (level, line)) {
                error.write_unraisable(py, None);
            }
        });
    }
}
