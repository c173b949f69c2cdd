//! `tierce.Secret`.

use crate::{convert, error};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use tierce::Digest;
use tierce::spec::{CanonicalEncoder, Secret as SpecSecret};

/// A value that a step of the build needs and the image must not have.
///
/// The value itself is looked up when an image is built: in the variable `GROUP_KEY` (or `KEY`) of
/// the environment, in `/etc/secrets`, or where the configuration says. The step sees it in a
/// variable, or as a file in memory; no layer, tag, log or error has it.
///
/// Args:
///     key: What the value is called where it is kept.
///     group: The group that it belongs to there.
///     mount: The absolute path at which the step sees a file with the value.
///     as_env_var: The variable in which the step sees the value: `GROUP_KEY` unless a `mount` is
///         given.
///
/// Example:
///     >>> import tierce
///     >>> token = tierce.Secret("token", group="pypi")
///     >>> token.as_env_var
///     'PYPI_TOKEN'
///     >>> tierce.Secret("deploy-key", mount="/root/.ssh/id_ed25519").as_env_var is None
///     True
///     >>> image = tierce.Image.from_base("python:3.12-slim").clone(name="job", extendable=True)
///     >>> image = image.with_pip_packages("ours", secret_mounts=[token])
#[pyclass(module = "tierce", frozen, eq)]
#[derive(PartialEq)]
pub struct Secret(SpecSecret);

impl Secret {
    /// The secret, in the library's words.
    pub fn inner(&self) -> &SpecSecret {
        &self.0
    }
}

#[pymethods]
impl Secret {
    #[new]
    #[pyo3(signature = (key, group=None, mount=None, as_env_var=None))]
    fn new(
        py: Python<'_>,
        key: &Bound<'_, PyAny>,
        group: Option<&Bound<'_, PyAny>>,
        mount: Option<&Bound<'_, PyAny>>,
        as_env_var: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let mount = convert::optional("mount", mount, convert::path)?;
        let secret = SpecSecret {
            key: convert::text("key", key)?,
            group: convert::optional("group", group, convert::text)?,
            mount: mount.map(|path| path.to_string_lossy().into_owned()),
            env: convert::optional("as_env_var", as_env_var, convert::text)?,
        };
        Ok(Secret(checked(py, secret)?))
    }

    /// What the value is called where it is kept.
    #[getter]
    fn key(&self) -> &str {
        &self.0.key
    }

    /// The group that it belongs to there.
    #[getter]
    fn group(&self) -> Option<&str> {
        self.0.group.as_deref()
    }

    /// The path at which the step sees a file with the value.
    #[getter]
    fn mount(&self) -> Option<PathBuf> {
        self.0.mount.as_ref().map(PathBuf::from)
    }

    /// The variable in which the step sees the value.
    #[getter]
    fn as_env_var(&self) -> Option<&str> {
        self.0.env.as_deref()
    }

    /// A hash that is the same in every process.
    ///
    /// Returns:
    ///     64 hexadecimal digits.
    ///
    /// Example:
    ///     >>> import tierce
    ///     >>> tierce.Secret("token").stable_hash() == tierce.Secret("token").stable_hash()
    ///     True
    fn stable_hash(&self) -> String {
        let SpecSecret { key, group, mount, env } = &self.0;
        let mut encoder = CanonicalEncoder::new("tierce.Secret", 1);
        encoder.text("key", key);
        for (name, value) in [("group", group), ("mount", mount), ("env", env)] {
            encoder.option(name, value.as_deref(), CanonicalEncoder::text);
        }
        Digest::of(encoder.finish()).hex()
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        let SpecSecret { key, group, mount, env } = &without_default(self.0.clone());
        let mut shown = format!("Secret({}", quoted(key));
        for (name, value) in [("group", group), ("mount", mount), ("as_env_var", env)] {
            if let Some(value) = value {
                shown.push_str(&format!(", {name}={}", quoted(value)));
            }
        }
        shown + ")"
    }

    fn __getnewargs__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let SpecSecret { key, group, mount, env } = &self.0;
        (key, group, mount, env).into_pyobject(py)
    }
}

/// `text` as Python writes it.
pub fn quoted(text: &str) -> String {
    let escaped = text.escape_debug().to_string();
    // Rust escapes both kinds of quotes; Python the one that it uses.
    format!("'{}'", escaped.replace("\\\"", "\""))
}

/// The secret, with its variable named, unless it could never be given to a step.
pub fn checked(py: Python<'_>, secret: SpecSecret) -> PyResult<SpecSecret> {
    match secret.validate() {
        Ok(()) => Ok(SpecSecret { env: secret.env_name(), ..secret }),
        Err(problems) => Err(error::to_py(py, &problems)),
    }
}

/// The secret, without a variable that it has for the want of another.
pub fn without_default(secret: SpecSecret) -> SpecSecret {
    let default = secret.mount.is_none() && secret.env.as_ref() == Some(&secret.variable());
    SpecSecret { env: secret.env.filter(|_| !default), ..secret }
}

/// A secret of Flyte's SDK, which says the same in the same words; `None` for anything else.
pub fn foreign(value: &Bound<'_, PyAny>) -> PyResult<Option<SpecSecret>> {
    let class = value.get_type();
    if class.name()? != "Secret" || !value.hasattr("as_env_var")? {
        return Ok(None);
    }
    let attribute = |name: &str| value.getattr(name);
    let text = |name: &str| convert::optional(name, Some(&attribute(name)?), convert::text);
    let mount = convert::optional("mount", Some(&attribute("mount")?), convert::path)?;
    let secret = SpecSecret {
        key: convert::text("key", &attribute("key")?)?,
        group: text("group")?,
        mount: mount.map(|path| path.to_string_lossy().into_owned()),
        env: text("as_env_var")?,
    };
    checked(value.py(), secret).map(Some)
}
