//! What constructors take from the host that they run on.

use tierce_spec::PythonVersion;

/// What constructors take from the host that they run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The Python that runs there: that of images which ask for none.
    pub python: PythonVersion,
    /// The version of the `flyte` that is installed there, where one is.
    pub flyte: Option<String>,
    /// The registry that the user's images go to (`init(image_registry=)`, the configuration).
    pub registry: Option<String>,
}

impl Host {
    /// A host with this Python, without Flyte, and whose user has named no registry.
    pub fn new(python: PythonVersion) -> Self {
        Host { python, flyte: None, registry: None }
    }

    /// With this version of Flyte installed.
    pub fn with_flyte(self, version: impl Into<String>) -> Self {
        Host { flyte: Some(version.into()), ..self }
    }

    /// With this registry for images.
    pub fn with_registry(self, registry: impl Into<String>) -> Self {
        Host { registry: Some(registry.into()), ..self }
    }
}
