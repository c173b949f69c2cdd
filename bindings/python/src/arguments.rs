//! The parameters of `Image`'s methods, for `from_py_with`: the same name means the same thing in
//! all of them, and is what messages call it.

use pyo3::prelude::*;

macro_rules! parameters {
    ($($name:ident: $convert:path => $type:ty),* $(,)?) => {
        $(pub fn $name(value: &Bound<'_, PyAny>) -> PyResult<$type> {
            $convert(stringify!($name), value)
        })*
    };
}

macro_rules! optional_parameters {
    ($($name:ident: $convert:path => $type:ty),* $(,)?) => {
        $(pub fn $name(value: &Bound<'_, PyAny>) -> PyResult<Option<$type>> {
            crate::convert::optional(stringify!($name), Some(value), $convert)
        })*
    };
}

macro_rules! borrowed_parameters {
    ($($name:ident),* $(,)?) => {
        $(pub fn $name<'a>(value: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
            crate::convert::borrowed(stringify!($name), value)
        })*
    };
}

/// Parameters without a default.
pub mod required {
    use super::*;
    use crate::convert;
    use std::path::PathBuf;

    parameters! {
        commands: convert::texts => Vec<String>,
        env_vars: convert::variables => Vec<(String, String)>,
        file: convert::path => PathBuf,
        image_uri: convert::text => String,
        manifest_file: convert::path => PathBuf,
        name: convert::text => String,
        path: convert::path => PathBuf,
        pyproject_file: convert::path => PathBuf,
        registry: convert::text => String,
        script: convert::path => PathBuf,
        src: convert::path => PathBuf,
        workdir: convert::text => String,
        // Those with the default false or true.
        copy_contents_only: convert::flag => bool,
        force: convert::flag => bool,
        install_flyte: convert::flag => bool,
        pre: convert::flag => bool,
    }
}

/// Parameters with the default `None`.
pub mod optional {
    use super::*;
    use crate::convert;
    use std::path::PathBuf;
    use tierce::Platform;
    use tierce::spec::{PythonVersion, Secret};

    optional_parameters! {
        base_image: convert::text => String,
        dist: convert::path => PathBuf,
        exclude: convert::texts => Vec<String>,
        extendable: convert::flag => bool,
        extra_args: convert::text => String,
        extra_index_urls: convert::texts => Vec<String>,
        flyte_version: convert::text => String,
        image_registry: convert::text => String,
        index_url: convert::text => String,
        name: convert::text => String,
        pixi_lock: convert::path => PathBuf,
        platform: convert::platforms => Vec<Platform>,
        plugins: convert::texts => Vec<String>,
        poetry_lock: convert::path => PathBuf,
        python_version: convert::python_version => PythonVersion,
        registry: convert::text => String,
        registry_secret: convert::registry_secret => Secret,
        root_dir: convert::path => PathBuf,
        secret_mounts: convert::secrets => Vec<Secret>,
        uvlock: convert::path => PathBuf,
    }
}

/// Parameters with a word as the default.
pub mod word {
    use super::*;

    borrowed_parameters!(copy_style, dst, environment, name, project_install_mode);
}
