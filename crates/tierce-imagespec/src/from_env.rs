//! A spec that pins what the current environment has.

use crate::{Fields, ImageSpec, ImageSpecError};
use tierce_oci::{Diagnostic, ErrorKind};
use tierce_spec::PythonVersion;

/// A package of the current environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstalledPackage<'a> {
    /// Its name, in any spelling.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
}

/// Why there is no spec of the current environment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FromEnvError {
    /// The Python version is the environment's.
    #[error("python_version cannot be set: it is taken from the environment")]
    PythonVersion,
    /// Packages that are to be pinned are not there.
    #[error("{} not installed in this environment: {}", if .0.len() == 1 { "a package is" } else { "packages are" }, .0.join(", "))]
    NotInstalled(Vec<String>),
    /// What the fields make is no spec.
    #[error(transparent)]
    Spec(#[from] ImageSpecError),
}

impl Diagnostic for FromEnvError {
    fn code(&self) -> &'static str {
        match self {
            FromEnvError::PythonVersion => "imagespec/from-env-python-version",
            FromEnvError::NotInstalled(_) => "imagespec/not-installed",
            FromEnvError::Spec(e) => e.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self {
            FromEnvError::PythonVersion => Some("Leave python_version out.".into()),
            FromEnvError::NotInstalled(_) => {
                Some("Install them, or leave them out of pinned_packages.".into())
            }
            FromEnvError::Spec(e) => e.hint(),
        }
    }
}

/// The spec of `fields` for the environment's Python (its minor version alone), with
/// `pinned_packages` at the versions that are `installed`, after the fields' own packages.
///
/// # Errors
/// Where the fields set a Python version, or a package is not installed.
pub fn from_env(
    fields: Fields,
    installed: &[InstalledPackage<'_>],
    pinned_packages: &[&str],
    python: PythonVersion,
) -> Result<ImageSpec, FromEnvError> {
    if fields.python_version.is_some() {
        return Err(FromEnvError::PythonVersion);
    }
    let mut fields = fields;
    let mut missing = vec![];
    for name in pinned_packages {
        match installed.iter().find(|p| same(p.name, name)) {
            Some(package) => fields.packages.push(format!("{name}=={}", package.version)),
            None => missing.push((*name).to_owned()),
        }
    }
    if !missing.is_empty() {
        return Err(FromEnvError::NotInstalled(missing));
    }
    fields.python_version = Some(PythonVersion { patch: None, ..python });
    Ok(ImageSpec::new(fields)?)
}

/// Whether two names are the same once normalised (packaging specifications, "Names and
/// normalization").
fn same(one: &str, other: &str) -> bool {
    let normal = |name: &str| {
        let mut out = String::with_capacity(name.len());
        for c in name.chars() {
            match c {
                '-' | '_' | '.' if out.ends_with('-') => {}
                '-' | '_' | '.' => out.push('-'),
                c => out.push(c.to_ascii_lowercase()),
            }
        }
        out
    };
    normal(one) == normal(other)
}
