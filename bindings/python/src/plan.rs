//! What a build would do: `image.plan()` and `image.explain()`.

use crate::{error, image_text, lower, runtime, session};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use tierce::fronts::Front;
use tierce::{Action, BuildOptions, Cancel, Diagnostic, Error, Events, PlanReport};
use tierce_ui::text;

/// What a build would do, as `Image.plan()` says it. It prints as a table.
///
/// Example:
///     >>> import tierce
///     >>> image = tierce.Image.from_base("python:3.12-slim")
///     >>> plan = image.plan()                                    # doctest: +SKIP
///     >>> [layer.title for layer in plan.layers if layer.action == "execute"]  # doctest: +SKIP
///     []
#[pyclass(module = "tierce", frozen)]
pub struct Plan(PlanReport);

/// One layer of a plan.
///
/// Example:
///     >>> import tierce
///     >>> layer = tierce.Image.from_base("python:3.12-slim").plan().layers[0]  # doctest: +SKIP
///     >>> layer.action, layer.why                                # doctest: +SKIP
///     ('base', 'part of the base')
#[pyclass(module = "tierce", frozen, get_all, eq, hash)]
#[derive(PartialEq, Hash)]
pub struct PlannedLayer {
    /// What will happen: `"base"`, `"cached"`, `"assemble"` or `"execute"`.
    action: String,
    /// What the layer is.
    title: String,
    /// Why that will happen.
    why: String,
    /// The platform that it is for.
    platform: String,
    /// The layer's key; `None` for layers of the base.
    key: Option<String>,
    /// The size of the layer in bytes, where it is there.
    size: Option<u64>,
}

impl From<PlanReport> for Plan {
    fn from(report: PlanReport) -> Self {
        Plan(report)
    }
}

#[pymethods]
impl PlannedLayer {
    fn __repr__(&self) -> String {
        format!("<tierce layer {}: {}, {}>", text::line(&self.title), self.action, self.why)
    }
}

#[pymethods]
impl Plan {
    /// The name that the image will have.
    #[getter]
    fn uri(&self) -> &str {
        &self.0.uri
    }

    /// The layers of all platforms, each platform's in order, base first.
    #[getter]
    fn layers<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let mut layers = vec![];
        for platform in &self.0.platforms {
            layers.extend(platform.layers.iter().map(|layer| PlannedLayer {
                action: layer.action.to_string(),
                title: layer.title.clone(),
                why: layer.why.clone(),
                platform: platform.platform.clone(),
                key: layer.key.clone(),
                size: layer.size,
            }));
        }
        PyTuple::new(py, layers)
    }

    /// Whether anything has to run in the image: that takes a sandbox, and the platform's own
    /// processor.
    #[getter]
    fn executes(&self) -> bool {
        let mut layers = self.0.platforms.iter().flat_map(|platform| &platform.layers);
        layers.any(|layer| layer.action == Action::Execute)
    }

    fn __repr__(&self) -> String {
        let layers: usize = self.0.platforms.iter().map(|platform| platform.layers.len()).sum();
        format!("<tierce plan of {}: {layers} layers>", text::line(&self.0.uri))
    }

    fn __str__(&self) -> String {
        tierce_ui::plan::table(&self.0).trim_end().to_owned()
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
        let table = self.__str__();
        shown.set_item("text/html", format!("<pre>{}</pre>", image_text::escaped(&table)))?;
        shown.set_item("text/plain", table)?;
        Ok(shown)
    }
}

/// What a build of `value` would do.
pub fn plan(value: &Bound<'_, PyAny>, force: bool) -> PyResult<Plan> {
    let py = value.py();
    let settings = session::settings(py)?;
    let front = lower::lower(py, value, &settings)?;
    lower::fetch(py, &front, &settings)?;
    let options = lower::options(value, &front, &settings)?;
    let planned = planned(py, front, options, force)?;
    planned.map(Plan).map_err(|problem| error::to_py(py, &problem))
}

fn planned(
    py: Python<'_>,
    front: Front,
    options: BuildOptions,
    force: bool,
) -> PyResult<Result<PlanReport, Error>> {
    let (settings, cancel) = (session::settings(py)?, Cancel::new());
    let options = BuildOptions { force: force || front.force, ..options };
    let tierce = session::open(py, settings, &cancel)?;
    runtime::wait(
        py,
        &cancel,
        async move { tierce.plan(&front.image, &options, &Events::none()).await },
    )
}

/// What `value` is, what decides its name, and what a build of it would do.
pub fn explain(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = value.py();
    let settings = session::settings(py)?;
    let front = lower::lower(py, value, &settings)?;
    let options = lower::options(value, &front, &settings)?;
    lower::fetch(py, &front, &settings)?;
    let mut said = match front.image.is_unmodified() {
        true => format!("image  {}, to which nothing is done\n", lower::name(value)?),
        false => {
            let prepared = py.detach(|| tierce::offline(&settings).prepare(&front.image, &options));
            tierce_ui::explain(&prepared.map_err(|problem| error::to_py(py, &problem))?)
        }
    };
    for warning in &front.warnings {
        said += &format!("warning[{}]: {}\n", warning.code, text::lines(&warning.message));
    }
    match planned(py, front, options, false)? {
        Ok(plan) => {
            plan.platforms.iter().for_each(|p| tierce_ui::plan::write_platform(&mut said, p))
        }
        Err(problem) => {
            let (code, problem) = (problem.code(), problem.to_string());
            said += &format!(
                "\nwhat a build would do is not known: [{code}] {}\n",
                text::lines(&problem)
            );
        }
    }
    Ok(said.trim_end().to_owned())
}
