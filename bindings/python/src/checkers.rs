//! Checkers that are written in Python: objects or classes as `tierce.extend.ImageChecker` has
//! them.

use crate::builders::Pythons;
use crate::job::Wanted;
use crate::threads::{attach, attached};
use async_trait::async_trait;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};
use std::sync::Arc;
use tierce::engine::{ImageChecker, Question};
use tierce::{Descriptor, ErrorKind, MediaType, Presence, Reference};

/// A checker that is a Python object.
pub struct PyChecker {
    name: String,
    object: Py<PyAny>,
    /// Whether it is asked for images of registries. Others have no registry in their name.
    remote: bool,
    pythons: Arc<Pythons>,
}

impl PyChecker {
    /// The checker that `object` is, or is the class of.
    pub fn new(object: Py<PyAny>, remote: bool, pythons: Arc<Pythons>) -> Self {
        let name = attach(|py| {
            let object = object.bind(py);
            let named =
                object.getattr("__name__").or_else(|_| object.get_type().getattr("__name__"));
            named.map_or_else(|_| "checker".to_owned(), |name| name.to_string())
        });
        let name = name.unwrap_or_default();
        PyChecker { name, object, remote, pythons }
    }

    async fn ask(&self, question: Question<'_>) -> PyResult<Presence> {
        let Question { reference, platforms, .. } = question;
        let repository = match self.remote {
            true => format!("{}/{}", reference.registry(), reference.repository()),
            false => reference.repository().to_owned(),
        };
        let platforms: Vec<String> = platforms.iter().map(ToString::to_string).collect();
        let several = platforms.len() > 1;
        let call = |py: Python<'_>| {
            let arch = PyTuple::new(py, &platforms)?;
            let args = (repository, reference.tag().unwrap_or("latest"), arch);
            Ok(Wanted {
                function: self.object.getattr(py, "image_exists")?,
                args: args.into_pyobject(py)?.unbind(),
                kwargs: None,
            })
        };
        let answer = self.pythons.call(call).await?;
        attached(|py| read(answer.bind(py), several))
    }
}

/// What `image_exists` returned: a name, or None.
fn read(answer: &Bound<'_, PyAny>, several: bool) -> PyResult<Presence> {
    if answer.is_none() {
        return Ok(Presence::Absent);
    }
    let Ok(uri) = answer.cast::<PyString>() else {
        return Err(PyTypeError::new_err(format!(
            "image_exists must return str or None, not {}",
            answer.get_type().name()?
        )));
    };
    let uri = uri.to_str()?;
    let digest = uri.parse::<Reference>().ok().and_then(|reference| reference.digest().copied());
    let usual = if several { MediaType::OciIndex } else { MediaType::OciManifest };
    Ok(match digest {
        Some(digest) => Presence::Present(Descriptor::new(usual, digest, 0)),
        None => Presence::Vouched(uri.to_owned()),
    })
}

#[async_trait]
impl ImageChecker for PyChecker {
    fn name(&self) -> &str {
        &self.name
    }

    async fn check(&self, question: Question<'_>) -> Presence {
        match self.ask(question).await {
            Ok(presence) => presence,
            Err(error) => {
                let what = format!("{} raised", self.name);
                let raised = self.pythons.failure(&what, ErrorKind::Upstream, error);
                Presence::Unknown(Arc::new(raised))
            }
        }
    }
}
