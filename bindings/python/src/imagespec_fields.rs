//! The fields of an `ImageSpec`: from Python's arguments, and back.

use crate::{convert, error, imagespec::ImageSpec};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use tierce::imagespec::{BaseImage, Field, Fields, SecretMount, SourceCopyMode};
use tierce::spec::ServiceUrl;
use tierce::{ErrorKind, Platform};

/// An argument that may be left out.
type Arg<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// An argument of the wrong type: a `TypeError` that names the parameter, and a `ValueError` as
/// well, which is what flytekit raises for lists that are none.
fn wrong_type(name: &str, expected: &str, value: &Bound<'_, PyAny>, hint: Option<&str>) -> PyErr {
    refused(value.py(), name, expected, &format!("not {}", convert::type_name(value)), hint)
}

/// The same for what is in a list.
fn wrong_item(name: &str, expected: &str, item: &Bound<'_, PyAny>, hint: Option<&str>) -> PyErr {
    let given = format!("but has {} in it", convert::type_name(item));
    refused(item.py(), name, expected, &given, hint)
}

fn refused(py: Python<'_>, name: &str, expected: &str, given: &str, hint: Option<&str>) -> PyErr {
    let message = format!("{name}: must be {expected}, {given}");
    error::wrong_type(py, &message, "imagespec/wrong-type", hint)
}

/// A string.
pub fn text(field: Field, value: Arg<'_, '_>) -> PyResult<Option<String>> {
    convert::optional(field.name(), value, convert::text)
}

/// A path of this machine.
pub fn path(field: Field, value: Arg<'_, '_>) -> PyResult<Option<PathBuf>> {
    convert::optional(field.name(), value, convert::path)
}

/// A list of strings; `None` where it was left out.
pub fn strings(field: Field, value: Arg<'_, '_>) -> PyResult<Option<Vec<String>>> {
    match value {
        Some(value) if !value.is_none() => {
            list(field.name(), value, "a list of strings or None").map(Some)
        }
        _ => Ok(None),
    }
}

/// A string or a list of strings, as the `with_*` methods take them; `name` is the parameter's.
pub fn one_or_more(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match value.is_instance_of::<PyString>() {
        true => Ok(vec![convert::text(name, value)?]),
        false => list(name, value, "a string or a list of strings"),
    }
}

fn list(name: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyResult<Vec<String>> {
    let Ok(items) = value.cast::<PyList>() else {
        let shown = match value.is_instance_of::<PyString>() {
            true => format!("[{}]", value.repr()?),
            false => "[\"...\"]".to_owned(),
        };
        let hint = format!("Put it into a list: {name}={shown}.");
        return Err(wrong_type(name, expected, value, Some(&hint)));
    };
    let item = |item: Bound<'_, PyAny>| match item.is_instance_of::<PyString>() {
        true => convert::text(name, &item),
        false => {
            let hint = format!("Write each as a string: {name}=[\"...\"].");
            Err(wrong_item(name, expected, &item, Some(&hint)))
        }
    };
    items.iter().map(item).collect()
}

/// Files and folders of this machine, in a list.
pub fn paths(field: Field, value: Arg<'_, '_>) -> PyResult<Vec<PathBuf>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(vec![]) };
    match value.cast::<PyList>() {
        Ok(items) => items.iter().map(|item| convert::path(field.name(), &item)).collect(),
        Err(_) => {
            let hint = format!("Put it into a list: {field}=[\"...\"].");
            Err(wrong_type(field.name(), "a list of paths or None", value, Some(&hint)))
        }
    }
}

/// A text with a meaning of its own.
pub fn parsed<T>(field: Field, value: Arg<'_, '_>) -> PyResult<Option<T>>
where
    T: FromStr<Err: Display>,
{
    match (text(field, value)?, value) {
        (Some(text), Some(value)) => meaning(value.py(), field, &text).map(Some),
        _ => Ok(None),
    }
}

fn meaning<T: FromStr<Err: Display>>(py: Python<'_>, field: Field, text: &str) -> PyResult<T> {
    text.parse().map_err(|problem: T::Err| {
        let message = format!("{field}: {problem}");
        let hint = example(field);
        error::raised(py, ErrorKind::User, &message, "imagespec/invalid-value", hint)
    })
}

/// How a text with a meaning of its own is written.
fn example(field: Field) -> Option<&'static str> {
    match field {
        Field::PythonVersion => Some("As in python_version=\"3.12\"."),
        Field::Platform => Some("As in platform=\"linux/amd64,linux/arm64\"."),
        Field::PipIndex => Some("As in pip_index=\"https://pypi.org/simple\"."),
        Field::PipExtraIndexUrl => Some("As in pip_extra_index_url=[\"https://pypi.org/simple\"]."),
        Field::SourceCopyMode => Some("Take LOADED_MODULES, ALL or NO_COPY of CopyFileDetection."),
        _ => None,
    }
}

/// Platforms in one text with commas, as flytekit has them, or in a list.
pub fn platforms(value: Arg<'_, '_>) -> PyResult<Vec<Platform>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(vec![]) };
    let texts = match value.is_instance_of::<PyList>() {
        true => strings(Field::Platform, Some(value))?.unwrap_or_default(),
        false => convert::text("platform", value)?.split(',').map(str::to_owned).collect(),
    };
    texts.iter().map(|text| meaning(value.py(), Field::Platform, text.trim())).collect()
}

/// URLs in a list.
pub fn urls(field: Field, value: Arg<'_, '_>) -> PyResult<Vec<ServiceUrl>> {
    let Some(value) = value else { return Ok(vec![]) };
    let texts = strings(field, Some(value))?.unwrap_or_default();
    texts.iter().map(|text| meaning(value.py(), field, text)).collect()
}

/// A reference or another spec.
pub fn base(value: Arg<'_, '_>) -> PyResult<Option<BaseImage>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(None) };
    if let Ok(spec) = value.cast::<ImageSpec>() {
        return Ok(Some(BaseImage::from(spec.get().inner().clone())));
    }
    match value.is_instance_of::<PyString>() {
        true => Ok(Some(BaseImage::Reference(convert::text("base_image", value)?))),
        false => Err(PyTypeError::new_err(format!(
            "argument 'base_image' must be str or ImageSpec, not {}",
            value.get_type().name()?
        ))),
    }
}

/// Pairs of a file here and a path there.
pub fn mounts(value: Arg<'_, '_>) -> PyResult<Vec<SecretMount>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(vec![]) };
    let name = Field::PipSecretMounts.name();
    let refused = |value: &Bound<'_, PyAny>, is_item: bool| {
        let expected = "a list of tuples of two strings or None";
        let hint = "As in pip_secret_mounts=[(\".netrc\", \"/root/.netrc\")].";
        match is_item {
            true => wrong_item(name, expected, value, Some(hint)),
            false => wrong_type(name, expected, value, Some(hint)),
        }
    };
    let pairs = value.cast::<PyList>().map_err(|_| refused(value, false))?;
    let mount = |pair: Bound<'_, PyAny>| {
        let both: Option<(String, String)> =
            pair.cast::<PyTuple>().ok().and_then(|pair| pair.extract().ok());
        let (src, dst) = both.ok_or_else(|| refused(&pair, true))?;
        Ok(SecretMount { src: src.into(), dst })
    };
    pairs.iter().map(mount).collect()
}

/// Names and values.
pub fn variables(field: Field, value: Arg<'_, '_>) -> PyResult<BTreeMap<String, String>> {
    let variables = convert::optional(field.name(), value, convert::variables)?;
    Ok(variables.unwrap_or_default().into_iter().collect())
}

/// Options of a builder: whatever JSON can say.
pub fn options(field: Field, value: Arg<'_, '_>) -> PyResult<BTreeMap<String, serde_json::Value>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(BTreeMap::new()) };
    let py = value.py();
    if !value.is_instance_of::<PyDict>() {
        let hint = format!("As in {field}={{\"name\": \"value\"}}.");
        return Err(wrong_type(field.name(), "a dictionary or None", value, Some(&hint)));
    }
    let senseless = |problem: &dyn Display| {
        let message = format!("{field}: must be what JSON can say: {problem}");
        let hint =
            "Strings, finite numbers, booleans and None will do, and lists and dicts of them.";
        error::raised(py, ErrorKind::User, &message, "imagespec/invalid-value", Some(hint))
    };
    let strict = PyDict::new(py);
    strict.set_item("allow_nan", false)?;
    let text = py.import("json")?.call_method("dumps", (value,), Some(&strict));
    let text: String = text.map_err(|problem| senseless(problem.value(py)))?.extract()?;
    serde_json::from_str(&text).map_err(|problem| senseless(&problem))
}

/// One of the `CopyFileDetection`s: tierce's, or flytekit's of the same name.
pub fn copy_mode(value: Arg<'_, '_>) -> PyResult<Option<SourceCopyMode>> {
    let Some(value) = value.filter(|value| !value.is_none()) else { return Ok(None) };
    let class = value.get_type().name()?;
    if class == "CopyFileDetection" {
        let name: String = value.getattr("name")?.extract()?;
        return meaning(value.py(), Field::SourceCopyMode, &name).map(Some);
    }
    Err(PyTypeError::new_err(format!(
        "argument 'source_copy_mode' must be CopyFileDetection, not {class}"
    )))
}

/// The value of a field as Python has it; `None` where nothing was said.
pub fn value<'py>(py: Python<'py>, fields: &Fields, field: Field) -> PyResult<Bound<'py, PyAny>> {
    if !fields.says(field) {
        return Ok(py.None().into_bound(py));
    }
    match field {
        Field::Name => (&fields.name).into_bound_py_any(py),
        Field::Registry => (&fields.registry).into_bound_py_any(py),
        Field::Builder => (&fields.builder).into_bound_py_any(py),
        Field::Platform => joined(&fields.platform).into_bound_py_any(py),
        Field::PythonVersion => {
            fields.python_version.map(|version| version.to_string()).into_bound_py_any(py)
        }
        Field::PythonExec => (&fields.python_exec).into_bound_py_any(py),
        Field::BaseImage => match &fields.base_image {
            Some(BaseImage::Spec(spec)) => ImageSpec::of((**spec).clone()).into_bound_py_any(py),
            Some(BaseImage::Reference(text)) => text.into_bound_py_any(py),
            None => Ok(py.None().into_bound(py)),
        },
        Field::Packages => (&fields.packages).into_bound_py_any(py),
        Field::CondaPackages => (&fields.conda_packages).into_bound_py_any(py),
        Field::CondaChannels => (&fields.conda_channels).into_bound_py_any(py),
        Field::Requirements => shown(fields.requirements.as_ref()).into_bound_py_any(py),
        Field::AptPackages => (&fields.apt_packages).into_bound_py_any(py),
        Field::Cuda => (&fields.cuda).into_bound_py_any(py),
        Field::Cudnn => (&fields.cudnn).into_bound_py_any(py),
        Field::PipIndex => fields.pip_index.as_ref().map(url).into_bound_py_any(py),
        Field::PipExtraIndexUrl => {
            let urls: Vec<String> = fields.pip_extra_index_url.iter().map(url).collect();
            urls.into_bound_py_any(py)
        }
        Field::PipSecretMounts => {
            let pair = |m: &SecretMount| (m.src.to_string_lossy().into_owned(), m.dst.clone());
            fields.pip_secret_mounts.iter().map(pair).collect::<Vec<_>>().into_bound_py_any(py)
        }
        Field::PipExtraArgs => (&fields.pip_extra_args).into_bound_py_any(py),
        Field::Env => (&fields.env).into_bound_py_any(py),
        Field::Entrypoint => (&fields.entrypoint).into_bound_py_any(py),
        Field::Commands => (&fields.commands).into_bound_py_any(py),
        Field::SourceRoot => shown(fields.source_root.as_ref()).into_bound_py_any(py),
        Field::SourceCopyMode => detection(py, fields.source_copy_mode),
        Field::Copy => {
            fields.copy.iter().map(|p| shown(Some(p))).collect::<Vec<_>>().into_bound_py_any(py)
        }
        Field::RuntimePackages => (&fields.runtime_packages).into_bound_py_any(py),
        Field::RegistryConfig => shown(fields.registry_config.as_ref()).into_bound_py_any(py),
        Field::TagFormat => (&fields.tag_format).into_bound_py_any(py),
        Field::BuilderOptions => json(py, &fields.builder_options),
        Field::BuilderConfig => json(py, &fields.builder_config),
    }
}

/// Platforms as flytekit writes them.
pub fn joined(platforms: &[Platform]) -> String {
    platforms.iter().map(Platform::to_string).collect::<Vec<_>>().join(",")
}

fn shown(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned())
}

/// As it was written, credentials and all: it is what the user's own program said.
fn url(url: &ServiceUrl) -> String {
    match url.name() {
        Some(name) => format!("{name}={}", url.as_url()),
        None => url.as_url().to_string(),
    }
}

fn detection(py: Python<'_>, mode: Option<SourceCopyMode>) -> PyResult<Bound<'_, PyAny>> {
    let name = match mode {
        None => return Ok(py.None().into_bound(py)),
        Some(SourceCopyMode::LoadedModules) => "LOADED_MODULES",
        Some(SourceCopyMode::All) => "ALL",
        Some(SourceCopyMode::NoCopy) => "NO_COPY",
    };
    py.import("tierce._copy_detection")?.getattr("CopyFileDetection")?.getattr(name)
}

fn json<'py>(
    py: Python<'py>,
    options: &BTreeMap<String, serde_json::Value>,
) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::Value::from_iter(options.clone()).to_string();
    py.import("json")?.call_method1("loads", (text,))
}
