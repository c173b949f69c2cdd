//! Python's arguments as the library's values. What has the wrong type is a `TypeError` that names
//! the parameter; what has the right type and makes no sense is a `SpecificationError`.

use crate::error;
use crate::secret::{self, Secret};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyInt, PyList, PyMapping, PyString, PyTuple};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use tierce::spec::{CopyStyle, PythonVersion, Secret as SpecSecret};
use tierce::{ErrorKind, Platform};
use tierce_flyte::InstallMode;

/// What is wrong with a string that can't be UTF-8.
const NO_TEXT: &str = "has characters that no text has (lone surrogates)";

/// What to do about it.
const ENCODE: &str = "Give it as text that can be encoded as UTF-8: \
                      text.encode(errors=\"replace\").decode() makes some.";

/// An argument, and the parameter that it was given for.
type Arg<'a, 'py> = &'a Bound<'py, PyAny>;

/// The value of an optional parameter; `None` where it was left out.
pub fn optional<'a, 'py, T>(
    name: &str,
    value: Option<Arg<'a, 'py>>,
    convert: impl Fn(&str, Arg<'a, 'py>) -> PyResult<T>,
) -> PyResult<Option<T>> {
    match value {
        Some(value) if !value.is_none() => convert(name, value).map(Some),
        _ => Ok(None),
    }
}

/// A string, as it is in Python's memory.
pub fn borrowed<'a>(name: &str, value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    let text = value.cast::<PyString>().map_err(|_| wrong_type(name, "str", value))?;
    text.to_str().map_err(|_| senseless(value.py(), name, NO_TEXT, Some(ENCODE)))
}

/// A string.
pub fn text(name: &str, value: Arg<'_, '_>) -> PyResult<String> {
    borrowed(name, value).map(str::to_owned)
}

/// A string, or several in a list or tuple.
pub fn texts(name: &str, value: Arg<'_, '_>) -> PyResult<Vec<String>> {
    if value.is_instance_of::<PyString>() {
        return Ok(vec![text(name, value)?]);
    }
    let expected = "str or a list of str";
    items(name, value, expected)?.iter().map(|item| item_text(name, item, expected)).collect()
}

/// The strings of `*arguments`. A list among them gets a hint: it is what people try first.
pub fn separate_texts(name: &str, values: &Bound<'_, PyTuple>) -> PyResult<Vec<String>> {
    values
        .iter()
        .map(|value| {
            if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
                return Err(PyTypeError::new_err(format!(
                    "argument '{name}' must be str, not {}\n\
                     hint: pass the items as separate arguments: \"vim\", \"git\" instead of \
                     [\"vim\", \"git\"]",
                    type_name(&value),
                )));
            }
            text(name, &value)
        })
        .collect()
}

/// A path: a string, or anything that `os.fspath` takes.
pub fn path(name: &str, value: Arg<'_, '_>) -> PyResult<PathBuf> {
    let py = value.py();
    let given: PathBuf =
        value.extract().map_err(|_| wrong_type(name, "str or os.PathLike", value))?;
    match given.to_str() {
        // An empty path is the current folder for pathlib, and nothing for the library.
        Some("") => Ok(PathBuf::from(".")),
        Some(_) => Ok(given),
        None => {
            let problem = "is not UTF-8, as paths of an image must be";
            Err(senseless(py, name, problem, Some("Rename it to something that is UTF-8.")))
        }
    }
}

/// A path, or several in a list or tuple.
pub fn paths(name: &str, value: Arg<'_, '_>) -> PyResult<Vec<PathBuf>> {
    match value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        false => Ok(vec![path(name, value)?]),
        true => items(name, value, "a path")?.iter().map(|item| path(name, item)).collect(),
    }
}

/// True or false.
pub fn flag(name: &str, value: Arg<'_, '_>) -> PyResult<bool> {
    let flag = value.cast::<PyBool>().map_err(|_| wrong_type(name, "bool", value))?;
    Ok(flag.is_true())
}

/// A whole number.
pub fn number(name: &str, value: Arg<'_, '_>) -> PyResult<i32> {
    // True is a number of Python's.
    match value.is_instance_of::<PyInt>() && !value.is_instance_of::<PyBool>() {
        true => value.extract(),
        false => Err(wrong_type(name, "int", value)),
    }
}

/// `(3, 12)`, or `"3.12"`.
pub fn python_version(name: &str, value: Arg<'_, '_>) -> PyResult<PythonVersion> {
    let expected = "a tuple as (3, 12)";
    let text = match value.cast::<PyTuple>() {
        Ok(numbers) => {
            let number = |item: Bound<'_, PyAny>| match item.cast::<PyInt>() {
                Ok(number) => Ok(number.to_string()),
                Err(_) => Err(wrong_item(name, expected, &item)),
            };
            numbers.iter().map(number).collect::<PyResult<Vec<_>>>()?.join(".")
        }
        Err(_) if value.is_instance_of::<PyString>() => text(name, value)?,
        Err(_) => return Err(wrong_type(name, expected, value)),
    };
    let version: PythonVersion =
        parsed(value.py(), name, &text, "Write major and minor, as (3, 12).")?;
    match version.patch {
        None => Ok(version),
        Some(_) => {
            let problem = "takes major and minor only, as (3, 12)";
            let hint = format!("Leave the patch out: ({}, {}).", version.major, version.minor);
            Err(senseless(value.py(), name, problem, Some(&hint)))
        }
    }
}

/// One platform, or several in a tuple or list.
pub fn platforms(name: &str, value: Arg<'_, '_>) -> PyResult<Vec<Platform>> {
    let hint = "Write \"linux/amd64\" or \"linux/arm64\".";
    texts(name, value)?.iter().map(|text| parsed(value.py(), name, text, hint)).collect()
}

/// `str | Secret`.
pub fn secret(name: &str, value: Arg<'_, '_>) -> PyResult<SpecSecret> {
    secret_or(name, value, "str or Secret")
}

/// `str | Secret`, for the credentials of a registry: no step sees them.
pub fn registry_secret(name: &str, value: Arg<'_, '_>) -> PyResult<SpecSecret> {
    secret(name, value).map(secret::without_default)
}

/// Flyte's `SecretRequest`: `str | Secret`, or several in a list or tuple.
pub fn secrets(name: &str, value: Arg<'_, '_>) -> PyResult<Vec<SpecSecret>> {
    let expected = "str, Secret or a list of them";
    match value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        false => Ok(vec![secret_or(name, value, expected)?]),
        true => items(name, value, expected)?
            .iter()
            .map(|item| secret_or(name, item, expected))
            .collect(),
    }
}

fn secret_or(name: &str, value: Arg<'_, '_>, expected: &str) -> PyResult<SpecSecret> {
    if let Ok(secret) = value.cast::<Secret>() {
        return Ok(secret.get().inner().clone());
    }
    if value.is_instance_of::<PyString>() {
        return secret::checked(value.py(), SpecSecret::new(text(name, value)?));
    }
    // Flyte's own secrets say the same in the same words.
    match secret::foreign(value)? {
        Some(secret) => Ok(secret),
        None => Err(wrong_type(name, expected, value)),
    }
}

/// A dictionary of strings, or another mapping, in its order.
pub fn variables(name: &str, value: Arg<'_, '_>) -> PyResult<Vec<(String, String)>> {
    let expected = "a dict of str to str";
    let given = value.cast::<PyMapping>().map_err(|_| wrong_type(name, expected, value))?;
    let mut variables = vec![];
    for item in given.items()?.iter() {
        let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
        let key = item_text(name, &key, expected)?;
        if !value.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!(
                "argument '{name}' must be {expected}, but the value of {key:?} is {}",
                type_name(&value),
            )));
        }
        variables.push((key, text(name, &value)?));
    }
    Ok(variables)
}

/// What of a project is installed.
pub fn install_mode(py: Python<'_>, given: &str) -> PyResult<InstallMode> {
    let choices = [
        ("dependencies_only", InstallMode::DependenciesOnly),
        ("install_project", InstallMode::InstallProject),
    ];
    one_of(py, "project_install_mode", given, &choices)
}

/// Which files a code bundle has.
pub fn copy_style(py: Python<'_>, given: &str) -> PyResult<CopyStyle> {
    let choices = [("loaded_modules", CopyStyle::LoadedModules), ("all", CopyStyle::All)];
    one_of(py, "copy_style", given, &choices)
}

fn one_of<T: Copy>(py: Python<'_>, name: &str, given: &str, choices: &[(&str, T)]) -> PyResult<T> {
    if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == given) {
        return Ok(*choice);
    }
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
    // That says it all.
    Err(senseless(py, name, &format!("must be {}, not {given:?}", words.join(" or ")), None))
}

fn parsed<T: FromStr<Err: Display>>(
    py: Python<'_>,
    name: &str,
    text: &str,
    hint: &str,
) -> PyResult<T> {
    let wrong = |problem: T::Err| senseless(py, name, &format!("is wrong: {problem}"), Some(hint));
    text.parse().map_err(wrong)
}

/// The items of a list or tuple; of nothing else, lest a string be taken for its letters.
fn items<'py>(name: &str, value: Arg<'_, 'py>, expected: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast::<PyList>() {
        return Ok(list.iter().collect());
    }
    let tuple = value.cast::<PyTuple>().map_err(|_| wrong_type(name, expected, value))?;
    Ok(tuple.iter().collect())
}

fn item_text(name: &str, item: Arg<'_, '_>, expected: &str) -> PyResult<String> {
    match item.is_instance_of::<PyString>() {
        true => text(name, item),
        false => Err(wrong_item(name, expected, item)),
    }
}

pub fn wrong_type(name: &str, expected: &str, value: Arg<'_, '_>) -> PyErr {
    let given = type_name(value);
    PyTypeError::new_err(format!("argument '{name}' must be {expected}, not {given}"))
}

fn wrong_item(name: &str, expected: &str, item: Arg<'_, '_>) -> PyErr {
    let given = type_name(item);
    PyTypeError::new_err(format!("argument '{name}' must be {expected}, but has {given} in it"))
}

/// What a type is called in messages.
pub fn type_name(value: Arg<'_, '_>) -> String {
    match value.is_none() {
        true => "None".to_owned(),
        false => value.get_type().name().map_or("an object".to_owned(), |name| name.to_string()),
    }
}

/// An argument of the right type that makes no sense.
pub fn senseless(py: Python<'_>, name: &str, problem: &str, hint: Option<&str>) -> PyErr {
    let message = format!("argument '{name}' {problem}");
    error::raised(py, ErrorKind::User, &message, "python/argument", hint)
}
