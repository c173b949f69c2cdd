//! The `tierce._tierce` extension module: Python's values in, tierce's out, and back. All logic
//! is in the library.

mod error;
mod exists;
mod runtime;
mod session;

/// Container images for Python, data and ML code, without Docker.
#[pyo3::pymodule]
mod _tierce {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::exists::reference_exists;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
