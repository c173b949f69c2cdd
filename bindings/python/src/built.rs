//! What came of a build, as Python sees it.

use crate::convert;
use crate::plan::Plan;
use crate::run::Run;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write;

/// One layer of a built image.
#[pyclass(module = "tierce", frozen, eq, get_all, from_py_object)]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LayerFact {
    /// What made it.
    created_by: String,
    /// The digest of its blob.
    digest: String,
    /// The size of its blob, in bytes.
    size: u64,
    /// Whether it was there before the build.
    cached: bool,
}

#[pymethods]
impl LayerFact {
    fn __repr__(&self) -> String {
        let Self { created_by, digest, size, cached } = self;
        let cached = if *cached { ", cached" } else { "" };
        format!("<layer {} {created_by:?}, {}{cached}>", short(digest), units(*size))
    }
}

/// The image for one platform.
#[pyclass(module = "tierce", frozen, eq, get_all, from_py_object)]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformBuild {
    /// The platform: `linux/amd64`.
    platform: String,
    /// The digest of its manifest.
    digest: String,
    /// The layers, the base's first.
    layers: Vec<LayerFact>,
}

#[pymethods]
impl PlatformBuild {
    fn __repr__(&self) -> String {
        let Self { platform, digest, layers } = self;
        format!("<image for {platform}: {}, {} layers>", short(digest), layers.len())
    }
}

/// What a dry run would have given to the builder.
#[pyclass(module = "tierce", frozen, eq, from_py_object)]
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Rendering {
    /// The Dockerfile, where the builder takes one.
    #[pyo3(get)]
    dockerfile: Option<String>,
    /// The files of the build context.
    #[pyo3(get)]
    context: Vec<String>,
    /// The command or request, without any secret.
    #[pyo3(get)]
    command: Option<String>,
}

#[pymethods]
impl Rendering {
    fn __str__(&self) -> String {
        let mut text = String::new();
        if let Some(dockerfile) = &self.dockerfile {
            let _ = writeln!(text, "{}\n", dockerfile.trim_end());
        }
        if !self.context.is_empty() {
            let _ = writeln!(text, "context:\n  {}\n", self.context.join("\n  "));
        }
        if let Some(command) = &self.command {
            text += command;
        }
        text.trim_end().to_owned()
    }

    fn __repr__(&self) -> String {
        let what = match self {
            Rendering { dockerfile: Some(text), .. } => {
                format!("a Dockerfile of {} lines", text.lines().count())
            }
            Rendering { command: Some(command), .. } => format!("{command:?}"),
            _ => "nothing to show".to_owned(),
        };
        format!("<rendering: {what}>")
    }
}

/// What came of a build.
///
/// Builders written in Python return one, too; for them its name is enough.
///
/// Example:
///     >>> import tierce
///     >>> tierce.ImageBuild(uri="registry.example.com/app:1")
///     ImageBuild(uri='registry.example.com/app:1', status='built')
#[pyclass(module = "tierce", frozen)]
pub struct ImageBuild {
    /// The image's name: `<registry>/<name>:<tag>`.
    #[pyo3(get)]
    uri: Option<String>,
    /// The digest of its manifest or index, where that is known.
    #[pyo3(get)]
    digest: Option<String>,
    /// The run that builds it in the background (`wait=False`), or what a builder written in
    /// Python gave.
    #[pyo3(get)]
    remote_run: Option<Py<PyAny>>,
    /// How it came to be there: `present`, `assumed-present`, `built`, `would-build` (a dry run),
    /// `unmodified` (it is an image of a registry to which nothing is added), `skipped` (this is
    /// the inside of an execution) or `started` (a run builds it in the background).
    #[pyo3(get)]
    status: String,
    /// The image for each platform; empty when nothing was built.
    #[pyo3(get)]
    platforms: Vec<PlatformBuild>,
    /// Bytes sent to the registry.
    #[pyo3(get)]
    bytes_uploaded: u64,
    /// Requests made to registries.
    #[pyo3(get)]
    requests: u64,
    /// How long it took, in milliseconds.
    #[pyo3(get)]
    millis: u64,
    /// The id of the background run that built it.
    #[pyo3(get)]
    build_run: Option<String>,
    /// What came of the image that is its base, where that was looked at.
    #[pyo3(get)]
    base: Option<Py<ImageBuild>>,
    /// What a dry run would have given to the builder.
    #[pyo3(get)]
    rendering: Option<Rendering>,
    /// What a dry run found out about the layers, where the builder makes them itself.
    #[pyo3(get)]
    plan: Option<Py<Plan>>,
}

#[pymethods]
impl ImageBuild {
    #[new]
    #[pyo3(signature = (uri, digest=None, remote_run=None, *, status=None, build_run=None))]
    fn new(
        uri: Option<&Bound<'_, PyAny>>,
        digest: Option<&Bound<'_, PyAny>>,
        remote_run: Option<Py<PyAny>>,
        status: Option<&Bound<'_, PyAny>>,
        build_run: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let text = |name, value| convert::optional(name, value, convert::text);
        Ok(Self::of(
            text("uri", uri)?,
            text("digest", digest)?,
            remote_run,
            text("status", status)?,
            text("build_run", build_run)?,
        ))
    }

    /// The layers of the image; of the first platform, where it is for several.
    #[getter]
    fn layers(&self) -> Vec<LayerFact> {
        self.platforms.first().map(|platform| platform.layers.clone()).unwrap_or_default()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let mut text = "ImageBuild(uri=".to_owned();
        match &self.uri {
            Some(uri) => text += &quoted(py, uri)?,
            None => text += "None",
        }
        if let Some(digest) = &self.digest {
            let _ = write!(text, ", digest={}", quoted(py, digest)?);
        }
        let _ = write!(text, ", status={}", quoted(py, &self.status)?);
        if let Some(run) = &self.remote_run {
            let _ = write!(text, ", remote_run={}", run.bind(py).repr()?);
        }
        text.push(')');
        Ok(text)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<ImageBuild>() else { return Ok(false) };
        let other = other.get();
        let runs = match (&self.remote_run, &other.remote_run) {
            (None, None) => true,
            (Some(run), Some(other)) => run.bind(py).eq(other)?,
            _ => false,
        };
        let own = (&self.uri, &self.digest, &self.status, &self.build_run);
        Ok(runs && own == (&other.uri, &other.digest, &other.status, &other.build_run))
    }

    fn __hash__(&self) -> u64 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        (&self.uri, &self.digest, &self.status).hash(&mut hasher);
        hasher.finish()
    }

    fn __getnewargs_ex__<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyTuple>, Bound<'py, PyDict>)> {
        // What was measured stays in the process that measured it.
        let run = self.remote_run.as_ref().map(|run| run.clone_ref(py));
        let args = (self.uri.clone(), self.digest.clone(), run).into_pyobject(py)?;
        let kwargs = PyDict::new(py);
        kwargs.set_item("status", &self.status)?;
        kwargs.set_item("build_run", &self.build_run)?;
        Ok((args, kwargs))
    }
}

/// The library's result, as its JSON has it: in this process, or written by another one.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Document {
    uri: String,
    status: String,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    platforms: Vec<PlatformBuild>,
    #[serde(default)]
    bytes_uploaded: u64,
    #[serde(default)]
    requests: u64,
    #[serde(default)]
    millis: u64,
    #[serde(default)]
    run: Option<String>,
    #[serde(default)]
    rendering: Option<Rendering>,
}

impl ImageBuild {
    fn of(
        uri: Option<String>,
        digest: Option<String>,
        remote_run: Option<Py<PyAny>>,
        status: Option<String>,
        build_run: Option<String>,
    ) -> Self {
        ImageBuild {
            uri,
            digest,
            status: status.unwrap_or_else(|| {
                if remote_run.is_some() { "started".to_owned() } else { "built".to_owned() }
            }),
            remote_run,
            platforms: vec![],
            bytes_uploaded: 0,
            requests: 0,
            millis: 0,
            build_run,
            base: None,
            rendering: None,
            plan: None,
        }
    }

    /// A result of this process, and the run that somebody else's builder gave.
    pub fn new_of(
        py: Python<'_>,
        build: &tierce::ImageBuild,
        remote_run: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let document = serde_json::to_value(build).expect("results have only string keys");
        let plan = build.rendering.as_ref().and_then(|rendering| rendering.plan.clone());
        let plan = plan.map(|plan| Py::new(py, Plan::from(plan))).transpose()?;
        let base = build.base.as_ref().map(|base| Py::new(py, Self::new_of(py, base, None)?));
        let base = base.transpose()?;
        Ok(ImageBuild { remote_run, plan, base, ..Self::read(py, document)? })
    }

    /// A result of another process, as its JSON has it.
    pub fn read(py: Python<'_>, document: Value) -> PyResult<Self> {
        let document: Document = serde_json::from_value(document).map_err(|error| {
            let message = format!("a result cannot be read\n  because {error}");
            let hint = "Read it with the release of tierce that made it, or build again.";
            crate::error::raised(py, tierce::ErrorKind::Bug, &message, "python/result", Some(hint))
        })?;
        Ok(ImageBuild {
            digest: document.digest,
            platforms: document.platforms,
            bytes_uploaded: document.bytes_uploaded,
            requests: document.requests,
            millis: document.millis,
            rendering: document.rendering,
            ..Self::of(Some(document.uri), None, None, Some(document.status), document.run)
        })
    }

    /// An image that `run` builds in the background.
    pub fn started(py: Python<'_>, uri: String, run: Run) -> PyResult<Self> {
        let id = run.id();
        let run = Py::new(py, run)?.into_any();
        Ok(ImageBuild {
            build_run: Some(id),
            ..Self::of(Some(uri), None, Some(run), Some("started".to_owned()), None)
        })
    }

    /// An image that a builder of `ImageSpec`s in Python has, or has built.
    pub fn named(uri: String, status: &str) -> Self {
        Self::of(Some(uri), None, None, Some(status.to_owned()), None)
    }
}

fn quoted(py: Python<'_>, text: &str) -> PyResult<String> {
    Ok(text.into_pyobject(py)?.repr()?.to_string())
}

/// Enough of a digest to tell it from others.
fn short(digest: &str) -> &str {
    digest.get(..19).unwrap_or(digest)
}

fn units(bytes: u64) -> String {
    tierce_ui::units::bytes(bytes)
}
