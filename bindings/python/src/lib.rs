//! The `tierce._tierce` extension module: Python's values in, tierce's out, and back. All logic
//! is in the library.

mod arguments;
mod builders;
mod built;
mod checkers;
mod contexts;
mod convert;
mod engine;
mod environment;
mod error;
mod exists;
mod flyte;
mod host;
mod image;
mod image_text;
mod imagespec;
mod imagespec_builders;
mod imagespec_fields;
mod imagespec_host;
mod init;
mod job;
mod json;
mod layer;
mod lower;
mod plan;
mod progress;
mod run;
mod runtime;
mod secret;
mod session;
mod spec_builds;
mod threads;

/// Container images for Python, data and ML code, without Docker.
#[pyo3::pymodule]
mod _tierce {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::built::{ImageBuild, LayerFact, PlatformBuild, Rendering};
    #[pymodule_export]
    use crate::contexts::{build_context, context_builder};
    #[pymodule_export]
    use crate::engine::{register_builder, registered_builders, start_build, start_exists};
    #[pymodule_export]
    use crate::exists::reference_exists;
    #[pymodule_export]
    use crate::flyte::builder_for_flyte;
    #[pymodule_export]
    use crate::image::Image;
    #[pymodule_export]
    use crate::imagespec::ImageSpec;
    #[pymodule_export]
    use crate::imagespec_builders::ImageSpecBuilder;
    #[pymodule_export]
    use crate::init::{init_said, initialise};
    #[pymodule_export]
    use crate::job::{Call, Job};
    #[pymodule_export]
    use crate::layer::Layer;
    #[pymodule_export]
    use crate::plan::{Plan, PlannedLayer};
    #[pymodule_export]
    use crate::run::Run;
    #[pymodule_export]
    use crate::secret::Secret;
    #[pymodule_export]
    use crate::spec_builds::{build_spec, has_spec_builder, spec_exists};
    #[pymodule_export]
    use crate::threads::{end_threads, forget_threads};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
